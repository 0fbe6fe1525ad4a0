"""The features before the last group, one vector an item: kept ones where there are, else by a pass over the items."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import torch

from nbtune._cut import Cut
from nbtune._fastai.borrow import borrowed, seed_all, without_augmentation
from nbtune._fastai.feed import Way, kept_of
from nbtune._nested import tensors
from nbtune.cache import Kept, Store
from nbtune.errors import FreezeError
from nbtune.freeze import Hold
from nbtune.groups import Group
from nbtune.questions.linear import Split, labels
from nbtune.questions.passes import ends_of, loaders_of, one_pass
from nbtune.questions.pooling import pooled
from nbtune.questions.trials import progress, store_for

__all__ = ["features_of", "last_cut"]

_ROWS = 1024  # kept items that are pooled at a time


def last_cut(groups: Sequence[Group]) -> Cut:
    """All groups still but the last. Raises FreezeError where that is all there is."""
    if len(groups) < 2:
        raise FreezeError(
            f"a probe of a model with {len(groups)} group.",
            rule="a probe reads what the groups before the last one give.",
            likely="the Learner's splitter puts everything in one group (fastai's default does).",
            next='nt.Tuner(learn, groups="stage")',
        )
    return Cut(tuple(groups), len(groups) - 1)


def features_of(learn: Any, cut: Cut, store: Store, seed: int, stopped: Callable[[], bool]) -> tuple[Split, str, str]:
    """Pooled features before the cut, what was averaged, and why they are not from kept ones ("" where they are)."""
    with ExitStack() as stack:
        stack.enter_context(borrowed(learn))
        stack.enter_context(without_augmentation(learn))
        digest = Hold(learn.model, cut).digest
        end = ends_of(learn, [cut])[0]
        if isinstance(end, FreezeError):
            raise end
        try:
            where, kept = kept_of(learn, cut, store_for(store, digest), digest, Way(stopped=stopped))
            if where.end == end:
                return *_of_kept(kept), ""
            why = "The features at the end of the still part take too much room to be kept."
        except FreezeError as error:
            why = error.given
        seed_all(learn, seed)
        with progress("features", sum(len(loader) for loader in loaders_of(learn)), "batch") as tick:
            seen = one_pass(learn, [end], stopped, tick)[0]
        return seen.split, seen.pooled, why


def _of_kept(kept: Sequence[Kept]) -> tuple[Split, str]:
    """The split from kept features, pooled a part at a time: those on disk need not fit in memory."""
    found: list[Any] = []
    said = ""
    for split in kept[:2]:
        parts = []
        for start in range(0, split.items, _ROWS):
            rows = torch.arange(start, min(split.items, start + _ROWS), device=split.device)
            vectors, said = pooled(split.take(rows))
            parts.append(vectors.cpu().numpy())
        found += [np.concatenate(parts), labels([tensor[: split.items] for tensor in tensors(split.targets)])]
    return Split(*found), said
