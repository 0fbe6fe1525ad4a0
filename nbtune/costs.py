"""What an epoch costs, estimated from a few trial steps on at most eight items."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

import torch

from nbtune._cut import Cut
from nbtune._display import seconds
from nbtune._fastai import Recorder
from nbtune._fastai.borrow import borrowed, without_augmentation
from nbtune._fastai.feed import plain, still_pass, tried, why_not
from nbtune._fastai.steps import Clock, cut_batch, first_batch, steps, wait
from nbtune._nested import map_tensors, tensors
from nbtune.cache import captured, replayed
from nbtune.errors import FreezeError
from nbtune.freeze import Still

__all__ = ["Cost", "between", "prices"]

# Two: batch norm refuses one. With one that warms up and the two that try whether an item changes: eight.
_FEW, _MANY = 2, 5
_LEAST, _MOST, _WHILE = 3, 12, 0.05  # repetitions: at least, at most, and seconds after which no more are made
_STILL = 2  # passes through the still part, the dearest of all, at least: one warms up, one counts


@dataclass(frozen=True)
class Cost:
    """Seconds with the range that the repeated measurements allow."""

    seconds: float
    low: float
    high: float

    def __repr__(self) -> str:
        low, high = seconds(self.low), seconds(self.high)
        return seconds(self.seconds) if low == high else f"{seconds(self.seconds)} [{low}, {high}]"


def between(one: Cost | None, other: Cost | None, share: float) -> Cost | None:
    """What lies at `share` of the way from one cost to another, with the range of both; None if one is not known."""
    if one is None or other is None:
        return None
    middle = one.seconds + share * (other.seconds - one.seconds)
    return Cost(middle, min(one.low, other.low), max(one.high, other.high))


def prices(learn: Any, cut: Cut) -> tuple[Cost | None, Cost | None]:
    """Seconds that one epoch (training and validation) would take under `cut`, live and from kept features.

    Live counts what it takes to fetch the items; kept leaves out the filling, and is None where features cannot
    be kept (as in `fit`, the random transforms of a task's Learner do not count against it). Steps of two and of
    five items (repeated towards the batch size while that is quick) are timed, two to twelve times each after a
    warm-up; a line through them gives the fixed cost of a
    step and the cost of an item; what the fit took besides its steps is the fixed cost of an epoch. The range is
    that of the repetitions: a machine that does other things meanwhile is not foreseen by it. The Learner is left
    as it was, to the bit. None, None where a step cannot be tried.
    """
    try:
        with borrowed(learn):
            tried_out = _tried_out(learn, cut)
        if tried_out is None:
            return None, None
        item, batches, still, rest = tried_out
        fetching = sum(_fetched(loader, item) for loader in learn.dls.loaders[:2])
        if still is None:
            return _cost(learn, batches, rest, fetching), None
        whole = [_after(spent, timed) for spent, timed in zip(still, rest, strict=True)]
        with without_augmentation(learn) if hasattr(learn, "nbtune_origin") else nullcontext():
            may = not why_not(learn, cut, sample=1)
        return _cost(learn, batches, whole, fetching), _cost(learn, batches, rest, 0.0) if may else None
    except Exception:
        return None, None  # a plan without its price is still a plan; training itself will say what is wrong


def _tried_out(learn: Any, cut: Cut) -> tuple[float, list[Any], list[list[float]] | None, list[_Timed]] | None:
    """Seconds to fetch an item, the two batches, seconds of the still part (None if not apart) and of the steps.

    On a borrowed Learner.
    """
    first_batch(learn, 1)  # a first fetch loads code and fills caches
    began = perf_counter()
    many = first_batch(learn, _MANY)
    item = (perf_counter() - began) / _MANY
    if many is None:
        return None
    pair = [cut_batch(many, _FEW), many]
    batches, still, around = _apart(learn, cut, pair) or (_as_one(learn, pair), None, [nullcontext()] * 2)
    return item, batches, still, [_timed(learn, cut, *both) for both in zip(batches, around, strict=True)]


def _as_one(learn: Any, pair: list[Any]) -> list[Any]:
    """The batches of a model whose still part is not apart, the second as large as is quick."""
    few, many = (plain(batch[: getattr(learn.dls, "n_inp", 1)]) for batch in pair)
    with still_pass(learn):
        wait(learn.model(*few))  # warms up
        began = perf_counter()
        wait(learn.model(*many))
    return [pair[0], _enlarged(learn, pair[1], perf_counter() - began)]


def _enlarged(learn: Any, batch: Any, took: float) -> Any:
    """The same items over and over, up to the batch size or to what is quick: small batches tell little of large."""
    count = _items(batch)
    total = max(count, min(_size(learn.dls.train), count * int(_WHILE / took)))
    return batch if total == count else map_tensors(batch, lambda tensor: _repeated(tensor, count, total))


def _repeated(tensor: Any, count: int, total: int) -> Any:
    return tensor[torch.arange(total, device=tensor.device) % count]


@dataclass(frozen=True)
class _Timed:
    """Seconds of a batch's steps and of their forward parts, without the warm-up; and of the fit besides."""

    steps: list[float]
    forwards: list[float]
    besides: float


def _after(still: list[float], rest: _Timed) -> _Timed:
    """The live step: what is still, then the rest."""
    pairs = list(zip(still, rest.steps, rest.forwards, strict=False))
    return _Timed([s + t for s, t, _ in pairs], [s + f for s, _, f in pairs], rest.besides)


def _apart(learn: Any, cut: Cut, pair: list[Any]) -> tuple[list[Any], list[list[float]], list[Any]] | None:
    """The batches, seconds of the still part alone on each, and what stands in for it in a step; None if not apart."""
    if not cut.first or cut.norms != "still":
        return None
    many = plain(pair[1][: getattr(learn.dls, "n_inp", 1)])
    half = max(1, min(_FEW, _items(pair[1]) // 2))
    try:
        where, _ = tried(learn, cut, tuple(map_tensors(many, cut_to) for cut_to in (_first(half), _last(half))))
    except FreezeError:
        return None
    with still_pass(learn):
        passes = [_passed(learn, where, batch) for batch in pair]
        large = _enlarged(learn, pair[1], passes[1][0][-1])
        if large is not pair[1]:
            passes[1] = _passed(learn, where, large)
    around = [replayed(learn.model, where, partial(_given, features)) for _, features in passes]
    return [pair[0], large], [spent for spent, _ in passes], around


def _passed(learn: Any, where: Any, batch: Any) -> tuple[list[float], Any]:
    """Seconds of each pass through the still part but the first, which warms up for this size, and its output."""
    spent: list[float] = []
    while len(spent) < _STILL or (len(spent) < _MOST and sum(spent[1:]) < _WHILE):
        began = perf_counter()
        features = captured(learn.model, where, *plain(batch[: getattr(learn.dls, "n_inp", 1)]))
        wait(features)
        spent.append(perf_counter() - began)
    return spent[1:], features


def _first(count: int) -> Callable[[Any], Any]:
    return lambda tensor: tensor[:count]


def _last(count: int) -> Callable[[Any], Any]:
    return lambda tensor: tensor[-count:].flip(0)


def _cost(learn: Any, batches: list[Any], timed: list[_Timed], more: float) -> Cost:
    """An epoch by the seconds of a step and of a forward pass on the two batches."""
    sizes, (few, many) = (_items(batches[0]), _items(batches[1])), timed
    besides, totals = (few.besides + many.besides) / 2, []
    for pair in zip(few.steps, many.steps, few.forwards, many.forwards, strict=False):
        totals.append(more + _line(pair[:2], sizes, learn.dls.train) + _line(pair[2:], sizes, learn.dls.valid))
    values = sorted(totals)
    return Cost(values[len(values) // 2] + besides, values[0], values[-1] + 2 * besides)


def _timed(learn: Any, cut: Cut, batch: Any, context: Any) -> _Timed:
    clock, still = Clock(_LEAST + 1, _WHILE), Still(cut.first, cut.norms, groups=cut.groups, cache="off")
    still.prove = False  # digests are no part of a step
    with context:
        steps(learn, [batch] * (_MOST + 1), cut.lists(learn.model), [Recorder(), clock, still], without=(Still,))
    return _Timed(clock.steps[1:], clock.forwards[1:], clock.besides)


def _fetched(loader: Any, item: float) -> float:
    """Seconds to fetch all items of `loader`, where one takes `item`; its workers share them."""
    return len(loader) * _size(loader) * item / max(1, getattr(loader, "num_workers", 0))


def _items(batch: Any) -> int:
    return len(tensors(batch)[-1])


def _given(features: Any) -> Any:
    return features


def _line(pair: tuple[float, float], sizes: tuple[int, int], loader: Any) -> float:
    """Seconds for all of `loader`'s batches by the line through the two measured batch sizes."""
    few, many = pair
    item = max(0.0, (many - few) / (sizes[1] - sizes[0])) if sizes[1] > sizes[0] else many / sizes[1]
    fixed = max(0.0, few - item * sizes[0])
    return len(loader) * (fixed + item * _size(loader))


def _size(loader: Any) -> int:
    return getattr(loader, "bs", None) or getattr(loader, "batch_size", None) or 1
