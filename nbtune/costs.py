"""What an epoch costs, estimated from a few trial steps on at most eight items."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from nbtune._cut import Cut
from nbtune._display import seconds
from nbtune._fastai.borrow import borrowed, without_augmentation
from nbtune._fastai.feed import plain, still_pass, tried, why_not
from nbtune._fastai.steps import Clock, first_batch, trial
from nbtune.features import captured, replayed
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
    the fixed cost of a step and the cost of an item. The Learner is left as it was, to the bit.
    """
    return _tried(learn, cut, lambda batches: [nullcontext() for _ in batches])


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
        return None if why_not(learn, cut) else _tried(learn, cut, stand_in)


def _tried(learn: Any, cut: Cut, around: Callable[[list[Any]], list[Any]]) -> Cost | None:
    """The cost by trial steps, those on each batch inside its context of `around(batches)`."""
    steps: list[list[float]] = []
    forwards: list[list[float]] = []
    try:
        with borrowed(learn):
            batches = [first_batch(learn, size) for size in (_FEW, _MANY)]
        if batches[0] is None:
            return None
        lists = [[p for _, p in named] for _, named in cut.live(learn.model)]
        for batch, context in zip(batches, around(batches), strict=True):
            clock = Clock()
            still = [Still(cut.first, cut.norms, groups=cut.groups, cache="off")] if cut.first else []
            with context:
                trial(learn, [batch] * (_REPEATS + 1), lists, [clock, *still])
            steps.append(clock.steps[1:])
            forwards.append(clock.forwards[1:])
    except (RuntimeError, ValueError, TypeError, IndexError, AttributeError, torch.OutOfMemoryError):
        return None  # a plan without its price is still a plan; training itself will say what is wrong
    train, valid = learn.dls.train, learn.dls.valid
    pairs = zip(zip(*steps, strict=True), zip(*forwards, strict=True), strict=True)
    values = sorted(_line(step, train) + _line(forward, valid) for step, forward in pairs)
    return Cost(values[len(values) // 2], values[0], values[-1])


def _given(features: Any) -> Any:
    return features


def _line(pair: tuple[float, float], loader: Any) -> float:
    """Seconds for all of `loader`'s batches by the line through the two measured batch sizes."""
    few, many = pair
    item = max(0.0, (many - few) / (_MANY - _FEW))
    size = getattr(loader, "bs", None) or getattr(loader, "batch_size", None) or 1
    fixed = max(0.0, few - item * _FEW)
    return len(loader) * (fixed + item * size)
