"""Items as the datasets that fastai's loaders take: decoded once where they fit into memory, else ahead of need."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from nbtune.tasks.items import Items
from nbtune.tasks.stacks import Rows, lazy

__all__ = ["ROOM", "Decoding", "dataset", "prepared"]

ROOM = 1 << 30  # bytes of decoded pictures that a split may keep in memory
_THREADS = min(8, os.cpu_count() or 1)  # Pillow decodes and resizes outside of Python's lock
# What of a body does not touch `prepare`; whatever else it has decides what pictures become.
_APART = frozenset(("name", "mean", "std", "params", "licence", "source", "build", "needs_network", "card", "family"))
_decoded: WeakKeyDictionary[Any, tuple[str, Tensor]] = WeakKeyDictionary()  # by the items, as long as they live


class Decoding:
    """Pictures of a body's size, decoded in threads whenever they are asked for: uint8 [n, c, h, w] by an index.

    `ahead`: batches that a loader may ask for before they are needed; nothing random is drawn for them.
    """

    ahead = 1

    def __init__(self, x: Any, body: Any) -> None:
        self.source, self.body = x, body
        self.shape = (len(x), body.channels, *body.size)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: Any) -> Tensor:
        if np.ndim(index) == 0:
            return self._one(int(index))
        return self._all([int(at) for at in index])

    def _one(self, place: int) -> Tensor:
        made: Tensor = self.body.prepare(self.source[place])[0]
        return made

    def _all(self, places: Sequence[int]) -> Tensor:
        out = torch.empty((len(places), *self.shape[1:]), dtype=torch.uint8)

        def put(at: int) -> None:
            out[at] = self._one(places[at])

        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(put, range(len(places))))
        return out

    def whole(self) -> Tensor:
        """All of them."""
        with warnings.catch_warnings():  # here alone: the filters are common to all threads
            warnings.simplefilter("ignore")
            return self._all(range(len(self)))


def prepared(x: Any, body: Any) -> Any:
    """Pictures as uint8 [n, c, h, w] of the body's size: a tensor, or decoded at need where it takes more.

    The same pictures are decoded once for all Learners on them that take them alike; the last size is kept.
    """
    if not lazy(x):
        return body.prepare(x)
    made = Decoding(x, body)
    if int(np.prod(made.shape)) > ROOM:
        return made
    way = repr([getattr(body, one.name) for one in fields(body) if one.name not in _APART])
    kept = _decoded.get(x)
    if kept is None or kept[0] != way:
        _decoded.pop(x, None)  # before the others are made: not both in memory
        kept = _decoded[x] = way, made.whole()
    return kept[1]


def dataset(kind: str, body: Any, items: Items, split_idx: int) -> Any:
    """The items as a dataset for `body`; `split_idx` 0 marks training items."""
    from nbtune._fastai import TensorBase, TensorCategory, TensorMultiCategory
    from nbtune._fastai.data import ArrayItems

    wrap = {"single": TensorCategory, "multi": TensorMultiCategory, "regression": TensorBase}[kind]
    y = torch.tensor(items.y)
    if kind != "single":
        y = y.float().reshape(len(y), -1)
    if isinstance(items.x, Rows):
        from nbtune._fastai.rows import RowItems

        codes, numbers = body.prepare(items.x.frame)
        return RowItems(codes, numbers, y, items.ids, split_idx, wrap, body.joint)
    return ArrayItems(prepared(items.x, body), y, items.ids, split_idx, wrap)
