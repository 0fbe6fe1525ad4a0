"""What an epoch costs, estimated from a few trial steps on at most eight items."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

from nbtune._cut import Cut
from nbtune._display import seconds
from nbtune._fastai import Recorder
from nbtune._fastai.borrow import borrowed, without_augmentation
from nbtune._fastai.feed import plain, still_pass, tried, why_not
from nbtune._fastai.steps import Clock, cut_batch, first_batch, trial, wait
from nbtune._nested import map_tensors, tensors
from nbtune.cache import captured, replayed
from nbtune.errors import FreezeError
from nbtune.freeze import Still

__all__ = ["Cost", "prices"]

_FEW, _MANY, _REPEATS = 1, 6, 3  # with the two fetches of one item that try whether it changes: eight


@dataclass(frozen=True)
class Cost:
    """Seconds with the range that the repeated measurements allow."""

    seconds: float
    low: float
    high: float

    def __repr__(self) -> str:
        low, high = seconds(self.low), seconds(self.high)
        return seconds(self.seconds) if low == high else f"{seconds(self.seconds)} [{low}, {high}]"


def prices(learn: Any, cut: Cut) -> tuple[Cost | None, Cost | None]:
    """Seconds that one epoch (training and validation) would take under `cut`, live and from kept features.

    Live counts what it takes to fetch the items; kept leaves out the filling, and is None where features cannot
    be kept (as in `fit`, the random transforms of a task's Learner do not count against it). Steps of one and of
    six items are timed, three times each after a warm-up; a line through them gives the fixed cost of a step
    and the cost of an item. The Learner is left as it was, to the bit. None, None where a step cannot be tried.
    """
    try:
        with borrowed(learn):
            began = perf_counter()
            many = first_batch(learn, _MANY)
            item = (perf_counter() - began) / _MANY
        if many is None:
            return None, None
        fetching = sum(_fetched(loader, item) for loader in learn.dls.loaders[:2])
        batches = [cut_batch(many, _FEW), many]
        apart = _apart(learn, cut, batches)
        if apart is None:
            return _cost(learn, batches, _steps(learn, cut, batches, [nullcontext()] * 2), fetching), None
        still, stand_ins = apart
        rest = _steps(learn, cut, batches, stand_ins)
        whole = [[(s + t, s + u) for s, (t, u) in zip(*pair, strict=True)] for pair in zip(still, rest, strict=True)]
        with without_augmentation(learn) if hasattr(learn, "nbtune_origin") else nullcontext():
            may = not why_not(learn, cut, sample=1)
        return _cost(learn, batches, whole, fetching), _cost(learn, batches, rest, 0.0) if may else None
    except Exception:
        return None, None  # a plan without its price is still a plan; training itself will say what is wrong


def _apart(learn: Any, cut: Cut, batches: list[Any]) -> tuple[list[list[float]], list[Any]] | None:
    """Seconds of the still part alone on each batch, and what stands in for it in a step; None if it is not apart."""
    if not cut.first or cut.norms != "still":
        return None
    inputs, times, kept = getattr(learn.dls, "n_inp", 1), [], []
    many = plain(batches[1][:inputs])
    half = max(1, _items(batches[1]) // 2)
    try:
        where, _ = tried(learn, cut, tuple(map_tensors(many, cut_to) for cut_to in (_first(half), _last(half))))
    except FreezeError:
        return None
    with still_pass(learn):
        for batch in batches:
            spent = []
            for _ in range(_REPEATS):
                began = perf_counter()
                features = captured(learn.model, where, *plain(batch[:inputs]))
                wait(features)
                spent.append(perf_counter() - began)
            times.append(spent)
            kept.append(features)
    return times, [replayed(learn.model, where, partial(_given, features)) for features in kept]


def _first(count: int) -> Callable[[Any], Any]:
    return lambda tensor: tensor[:count]


def _last(count: int) -> Callable[[Any], Any]:
    return lambda tensor: tensor[-count:].flip(0)


def _steps(learn: Any, cut: Cut, batches: list[Any], around: list[Any]) -> list[list[tuple[float, float]]]:
    return [_timed(learn, cut, batch, context) for batch, context in zip(batches, around, strict=True)]


def _cost(learn: Any, batches: list[Any], times: list[list[tuple[float, float]]], more: float) -> Cost:
    """An epoch by the seconds of a step and of a forward pass on the two batches, a pair a repetition."""
    sizes, totals = (_items(batches[0]), _items(batches[1])), []
    for few, many in zip(*times, strict=True):
        step, forward = zip(few, many, strict=True)
        totals.append(more + _line(step, sizes, learn.dls.train) + _line(forward, sizes, learn.dls.valid))
    values = sorted(totals)
    return Cost(values[len(values) // 2], values[0], values[-1])


def _timed(learn: Any, cut: Cut, batch: Any, context: Any) -> list[tuple[float, float]]:
    """Seconds of a step and of its forward part, a pair a repetition, without the warm-up."""
    clock, still = Clock(), Still(cut.first, cut.norms, groups=cut.groups, cache="off")
    still.prove = False  # digests are no part of a step
    with context:
        trial(learn, [batch] * (_REPEATS + 1), cut.lists(learn.model), [Recorder(), clock, still], without=(Still,))
    return list(zip(clock.steps, clock.forwards, strict=True))[1:]


def _fetched(loader: Any, item: float) -> float:
    """Seconds to fetch all items of `loader`, where one takes `item`; its workers share them."""
    size = getattr(loader, "bs", None) or getattr(loader, "batch_size", None) or 1
    return len(loader) * size * item / max(1, getattr(loader, "num_workers", 0))


def _items(batch: Any) -> int:
    return len(tensors(batch)[-1])


def _given(features: Any) -> Any:
    return features


def _line(pair: tuple[float, float], sizes: tuple[int, int], loader: Any) -> float:
    """Seconds for all of `loader`'s batches by the line through the two measured batch sizes."""
    few, many = pair
    item = max(0.0, (many - few) / (sizes[1] - sizes[0])) if sizes[1] > sizes[0] else many / sizes[1]
    size = getattr(loader, "bs", None) or getattr(loader, "batch_size", None) or 1
    fixed = max(0.0, few - item * sizes[0])
    return len(loader) * (fixed + item * size)
