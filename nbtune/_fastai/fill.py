"""Run a Learner's still part over all items of its loaders, once; may be stopped, and goes on where it was."""

from __future__ import annotations

import hashlib
import math
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import torch
from tqdm import tqdm

from nbtune._fastai.fetch import fetch, same_bits, spread, still_pass
from nbtune._nested import joined, map_tensors, tensors
from nbtune.cache import ONCE, Boundary, Kept, Overflow, Store, Wanted, captured, key_of, state_of
from nbtune.errors import FreezeError

__all__ = ["Sizes", "Stopped", "Way", "filled", "saves_time", "wanted"]

_FEW = 2  # items that are run to learn shapes and time
_AT_ONCE = 8  # items whose activations a processor's cache may hold
_MEMORY_RATE, _DISK_RATE = 2e9, 5e8  # bytes a second that reading kept features is taken to reach


class Stopped(Exception):  # noqa: N818 (no error: somebody asked for it)
    """A filling was stopped; what it has so far is kept."""


@dataclass(frozen=True)
class Way:
    """How features are kept."""

    views: int = 1  # augmented views of a training item
    half: bool = False
    seed: int = 0  # the views are drawn from it
    stopped: Callable[[], bool] = lambda: False  # asked before every batch

    def draw(self, loader_views: int, *what: Any) -> None:
        """Seed the global streams for one batch of views, whatever was drawn before it."""
        if loader_views > 1:
            text = repr((self.seed, *what)).encode()
            number = int.from_bytes(hashlib.blake2b(text, digest_size=4).digest(), "big")
            random.seed(number)
            np.random.seed(number)
            torch.manual_seed(number)


def wanted(learn: Any, where: Boundary, needs_input: bool, digest: str, way: Way) -> list[Wanted]:
    """What is to be kept of the training and the validation items, with the keys of their features."""
    found = []
    with still_pass(learn):
        for split, loader in zip(("training", "validation"), learn.dls.loaders, strict=False):
            views = way.views if split == "training" else 1
            way.draw(views, "sample")
            sample = fetch(loader, spread(len(loader.dataset)))
            n_inp = getattr(learn.dls, "n_inp", 1)
            few = map_tensors(sample, lambda tensor: tensor[:_FEW])
            features = captured(learn.model, where, *few[:n_inp])
            state = state_of(loader.dataset)
            # A changed module (another eps, another activation) shows in the bits of what it computes; on a GPU
            # the bits may differ by themselves, so there its text has to do.
            bits = features if tensors(features)[0].device.type == "cpu" else ""
            mixed = [str(callback) for callback in learn.cbs if "Mixed" in str(callback)]
            drawn = (views, way.seed) if views > 1 else ()
            parts = (digest, where.end, len(loader.dataset), loader.bs, needs_input, mixed, sample, bits, state or "")
            key = key_of(*parts, repr(learn.model), torch.__version__, drawn, way.half)
            key = key if state else ONCE + uuid4().hex
            half = torch.float16 if way.half else None
            inputs, targets = few[:n_inp], few[n_inp:]
            sizes = (len(loader.dataset), features, targets, inputs, needs_input, views, half)
            found.append(Wanted(key, split, *sizes))
    return found


def saves_time(learn: Any, where: Boundary, one: Wanted, place: Any) -> bool:
    """Is reading an item's features quicker than computing them? Timed on the few items."""
    with still_pass(learn):
        began = time.perf_counter()
        captured(learn.model, where, *one.inputs)
        computing = (time.perf_counter() - began) / len(tensors(one.inputs)[0])
    return computing > one.bytes / one.rows / (_DISK_RATE if isinstance(place, Path) else _MEMORY_RATE)


Sizes = dict[int, int]  # by batch size: how many of its items are run at a time


def filled(
    learn: Any, loader: Any, where: Boundary, one: Wanted, store: Store, place: Any, way: Way, sizes: Sizes
) -> Kept:
    """What is kept of `loader`'s items, from `store` or filled now with the bits of the loader's batch size.

    `sizes` is added to, for the next loader.
    Raises FreezeError where it cannot be kept, Stopped when `way.stopped()`.
    """
    if (kept := store.find(one)) is not None:
        return kept
    for half in (torch.float16, torch.bfloat16) if one.half else (None,):
        try:
            return _fill(learn, loader, where, replace(one, half=half), store, place, way, sizes)
        except Overflow:
            store.give_up(one.key)
    raise _bad(f"{one.split} features are too large for half precision.", "activations that grow beyond 3e38.")


def _fill(
    learn: Any, loader: Any, where: Boundary, one: Wanted, store: Store, place: Any, way: Way, sizes: Sizes
) -> Kept:
    with _writing(store, one):
        filling = store.begin(one, place)
    each, n_inp = math.ceil(one.items / loader.bs), getattr(learn.dls, "n_inp", 1)
    with still_pass(learn), _bar(each * one.views, filling.batches) as bar:
        while filling.batches < each * one.views:
            if way.stopped():
                raise Stopped(f"Stopped while the still part ran, at batch {filling.batches} of {each * one.views}.")
            start = filling.batches % each * loader.bs
            places = list(range(start, min(one.items, start + loader.bs)))
            way.draw(one.views, "batch", filling.batches)
            size = sizes.get(loader.bs, loader.bs)
            batch = fetch(loader, places + [0] * (-len(places) % size))
            began = time.perf_counter()
            features = _passed(learn, where, batch[:n_inp], size)
            if loader.bs not in sizes:
                took = time.perf_counter() - began
                sizes[loader.bs] = _size(learn, where, batch[:n_inp], features, took)
            with _writing(store, one):
                _check(one, features, places, batch[:n_inp])
                filling.put(len(places), features, batch[n_inp:], batch[:n_inp])
            bar.update()
    with _writing(store, one):
        return store.finish(filling)


def _passed(learn: Any, where: Boundary, inputs: Any, size: int) -> Any:
    """The still part's output on a batch, run on `size` items at a time."""
    count = len(tensors(inputs)[0])
    return joined([captured(learn.model, where, *_part(inputs, at, size)) for at in range(0, count, size)])


def _part(inputs: Any, start: int, size: int) -> Any:
    return map_tensors(inputs, lambda tensor: tensor[start : start + size])


def _size(learn: Any, where: Boundary, inputs: Any, features: Any, took: float) -> int:
    """How many items to run at a time: few on a CPU, where that gives the bits of the whole batch, and sooner.

    `features`: of the whole batch, which `took` so many seconds. Tried on its first few items and on its last.
    """
    count, spent = len(tensors(inputs)[0]), math.inf
    if tensors(inputs)[0].device.type != "cpu" or count < 2 * _AT_ONCE:
        return count
    for start in (0, count - _AT_ONCE):  # the first warms up
        began = time.perf_counter()
        found = captured(learn.model, where, *_part(inputs, start, _AT_ONCE))
        spent = time.perf_counter() - began
        pairs = zip(tensors(found), tensors(_part(features, start, _AT_ONCE)), strict=True)
        if not all(same_bits(a, b) for a, b in pairs):
            return count
    return _AT_ONCE if spent * count / _AT_ONCE < 0.9 * took else count


def _bar(total: int, done: int) -> Any:
    # On the line of the training's own bar, which waits: a page has no line below that could be cleared again.
    said = {
        "desc": "keeping features",
        "unit": "batch",
        "leave": False,
        "delay": 0.5,
        "file": sys.stdout,
        "position": 0,
    }
    return tqdm(total=total, initial=done, **said)


@contextmanager
def _writing(store: Store, one: Wanted) -> Iterator[None]:
    """What cannot be written, or must not be kept, leaves nothing behind."""
    try:
        yield
    except OSError as error:
        store.give_up(one.key)
        reason = f"{store.folder} cannot hold the features of {one.items} {one.split} items: {error.strerror or error}."
        raise _bad(reason, "a full disk, or a folder that may not be written.") from error
    except FreezeError:
        store.give_up(one.key)
        raise


def _check(one: Wanted, features: Any, places: list[int], inputs: Any) -> None:
    """Features have one shape an item and no NaN. Raises FreezeError."""
    size = len(tensors(inputs)[0])
    pairs = [*zip(tensors(features), tensors(one.features), strict=True)]
    pairs += [*zip(tensors(inputs), tensors(one.inputs), strict=True)] if one.real else []
    for value, like in pairs:
        if value.shape != (size, *like.shape[1:]):
            shapes = f"{tuple(like.shape[1:])} and {tuple(value.shape[1:])}"
            raise _bad(f"The features differ in shape from batch to batch: {shapes}.", "texts padded a batch each.")
        if value.is_floating_point() and bool((bad := value[: len(places)].isnan().flatten(1).any(1)).any()):
            item = places[int(bad.nonzero()[0])]
            raise _bad(f"The still part gives NaN for {one.split} item {item}.", "NaN in that item or in a weight.")


def _bad(reason: str, likely: str) -> FreezeError:
    rule = "every item has features of one shape, without NaN, and there is room for them."
    return FreezeError(reason, rule=rule, likely=likely, next='mend it, or train live (cache="off").')
