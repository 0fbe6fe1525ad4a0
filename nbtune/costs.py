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
from nbtune._fastai.steps import Clock, cut_batch, first_batch, trial
from nbtune._nested import tensors
from nbtune.cache import captured, replayed
from nbtune.freeze import Still

__all__ = ["Cost", "epoch_cost", "kept_cost"]

_FEW, _MANY, _REPEATS = 2, 8, 3


@dataclass(frozen=True)
class Cost:
    """Seconds with the range that the repeated measurements allow."""

    seconds: float
    low: float
    high: float

    def __repr__(self) -> str:
        low, high = seconds(self.low), seconds(self.high)
        return seconds(self.seconds) if low == high else f"{seconds(self.seconds)} ({low} to {high})"


def epoch_cost(learn: Any, cut: Cut) -> Cost | None:
    """Seconds that one live epoch (training and validation) would take under `cut`; None if untried.

    Steps of two and of eight items are timed, three times each after a warm-up; a line through them gives
    the fixed cost of a step and the cost of an item; to it comes what it takes to fetch the items. The Learner
    is left as it was, to the bit.
    """
    return _tried(learn, cut, lambda batches: [nullcontext() for _ in batches], fetch=True)


def kept_cost(learn: Any, cut: Cut) -> Cost | None:
    """The same from kept features, without the filling; None where they cannot be used.

    As in `fit`, the random transforms of a task's Learner do not count against it.
    """
    if not cut.first:
        return None

    def stand_in(batches: list[Any]) -> list[Any]:
        where, _ = tried(learn, cut)
        inputs = getattr(learn.dls, "n_inp", 1)
        with still_pass(learn):
            kept = [captured(learn.model, where, *plain(batch[:inputs])) for batch in batches]
        return [replayed(learn.model, where, partial(_given, features)) for features in kept]

    with without_augmentation(learn) if hasattr(learn, "nbtune_origin") else nullcontext():
        return None if why_not(learn, cut, sample=2) else _tried(learn, cut, stand_in)


def _tried(learn: Any, cut: Cut, around: Callable[[list[Any]], list[Any]], fetch: bool = False) -> Cost | None:
    """The cost by trial steps, those on each batch inside its context of `around(batches)`."""
    try:
        with borrowed(learn):
            began = perf_counter()
            many = first_batch(learn, _MANY)
            item = (perf_counter() - began) / _MANY if fetch else 0.0
        if many is None:
            return None
        batches = [cut_batch(many, _FEW), many]
        times = [_timed(learn, cut, batch, context) for batch, context in zip(batches, around(batches), strict=True)]
        sizes = (_items(batches[0]), _items(batches[1]))
        totals = []
        for few, more in zip(*times, strict=True):
            step, forward = zip(few, more, strict=True)
            epoch = _line(step, sizes, learn.dls.train) + _line(forward, sizes, learn.dls.valid)
            totals.append(epoch + sum(_fetched(loader, item) for loader in learn.dls.loaders[:2]))
    except Exception:
        return None  # a plan without its price is still a plan; training itself will say what is wrong
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
