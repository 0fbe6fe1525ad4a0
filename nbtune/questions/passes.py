"""Pooled features of all items at several places of a model, by one pass over the items."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from nbtune._cut import Cut
from nbtune._fastai.feed import Stopped, plain, still_pass
from nbtune._fastai.steps import first_batch, wait
from nbtune._nested import tensors
from nbtune.cache import boundary
from nbtune.costs import Cost
from nbtune.errors import FreezeError
from nbtune.questions.linear import Split, labels
from nbtune.questions.pooling import pooled, size_of

__all__ = ["Seen", "ends_of", "loaders_of", "one_pass"]


class _Enough(Exception):  # noqa: N818 (no error: it ends a forward pass that has given what was wanted)
    pass


@dataclass
class Seen:
    """What came out at one place."""

    split: Split
    pooled: str  # what was averaged, "" for a vector an item
    size: int  # numbers an item before that
    cost: Cost  # seconds an item from the input to here


@dataclass
class _Place:
    features: list[Any] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)  # an item, of each whole batch
    pooled: str = ""
    size: int = 0


def loaders_of(learn: Any) -> list[Any]:
    """Loaders of the training and the validation items, both in the order of the dataset, with the Learner's batches.

    Raises FreezeError for loaders that cannot be read in order.
    """
    if not all(hasattr(loader, "new") for loader in learn.dls.loaders[:2]):
        raise FreezeError(
            "loaders that are not fastai's.",
            rule="a probe reads the items in order, so it makes such loaders from the Learner's.",
            likely="torch loaders in fastai's DataLoaders.",
            next="DataLoaders.from_dsets(train, valid, bs=64)",
        )
    return [loader.new(shuffle=False, drop_last=False) for loader in learn.dls.loaders[:2]]


def ends_of(learn: Any, cuts: Sequence[Cut]) -> list[str | FreezeError]:
    """The module whose output is what each cut's still part hands over, or the error that says why there is none.

    To be called on a borrowed Learner: moves random streams.
    """
    inputs = plain(first_batch(learn, 4))[: getattr(learn.dls, "n_inp", 1)]
    found: list[str | FreezeError] = []
    with still_pass(learn):
        for cut in cuts:
            try:
                found.append(boundary(learn.model, cut, *inputs).end)
            except FreezeError as error:
                found.append(error)
    return found


def one_pass(learn: Any, ends: Sequence[str], stopped: Callable[[], bool], tick: Callable[[], None]) -> list[Seen]:
    """Pooled features at the output of each module path in `ends`, which run in this order; nothing else is kept.

    To be called on a borrowed Learner. `tick()` is called after every batch. Raises Stopped when `stopped()`.
    """
    halves = [_of_loader(learn, loader, ends, stopped, tick) for loader in loaders_of(learn)]
    (train, targets), (valid, valid_targets) = halves
    return [
        Seen(
            Split(_joined(a.features), targets, _joined(b.features), valid_targets),
            a.pooled,
            a.size,
            _cost(a.seconds + b.seconds),
        )
        for a, b in zip(train, valid, strict=True)
    ]


def _joined(parts: list[Any]) -> Any:
    return np.concatenate(parts) if parts else np.zeros((0, 0))


def _cost(seconds: list[float]) -> Cost:
    steady = sorted(seconds[1:] or seconds)  # the first batch is the warm-up
    return Cost(steady[len(steady) // 2], steady[0], steady[-1])


def _of_loader(
    learn: Any, loader: Any, ends: Sequence[str], stopped: Callable[[], bool], tick: Callable[[], None]
) -> tuple[list[_Place], Any]:
    places, targets, n_inp = [_Place() for _ in ends], [], getattr(learn.dls, "n_inp", 1)
    began = [0.0]

    def reached(number: int, module: nn.Module, given: Any, output: Any) -> None:
        wait(output)
        place, spent = places[number], time.perf_counter() - began[0]
        vectors, place.pooled = pooled(output)
        place.size = size_of(output)
        place.features.append(vectors.detach().cpu().numpy())
        place.seconds.append(spent / len(vectors))
        # Pooling took time that is none of the model's.
        began[0] += time.perf_counter() - began[0] - spent
        if number + 1 == len(ends):
            raise _Enough

    with ExitStack() as stack:
        stack.enter_context(still_pass(learn))
        for number, end in enumerate(ends):
            handle = learn.model.get_submodule(end).register_forward_hook(partial(reached, number))
            stack.callback(handle.remove)
        for batch in loader:
            if stopped():
                raise Stopped("The pass over the items was stopped.")
            whole = plain(batch)
            targets.append(tensors(whole[n_inp:]))
            began[0] = time.perf_counter()
            with suppress(_Enough):
                learn.model(*whole[:n_inp])
            tick()
    return places, labels([torch.cat(list(column)) for column in zip(*targets, strict=True)])
