"""What an epoch costs, estimated from a few trial steps on at most eight items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from nbtune._cut import Cut
from nbtune._display import seconds
from nbtune._fastai.borrow import borrowed
from nbtune._fastai.steps import Clock, first_batch, trial
from nbtune.freeze import Still

__all__ = ["Cost", "epoch_cost"]

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
    """Seconds that one epoch (training and validation) would take under `cut`; None if it cannot be tried.

    Steps of two and of eight items are timed, three times each after a warm-up; a line through them gives
    the fixed cost of a step and the cost of an item. The Learner is left as it was, to the bit.
    """
    try:
        with borrowed(learn):
            batch = first_batch(learn, _MANY)
            if batch is None or learn.loss_func is None:
                return None
            few = first_batch(learn, _FEW)
        clock, still = Clock(), Still(cut.first, cut.norms, groups=cut.groups)
        lists = [[p for _, p in named] for _, named in cut.live(learn.model)]
        plan = [few] * (_REPEATS + 1) + [batch] * (_REPEATS + 1)
        trial(learn, plan, lists, [clock, *([still] if cut.first else [])])
    except (RuntimeError, ValueError, TypeError, IndexError, AttributeError, torch.OutOfMemoryError):
        return None  # a plan without its price is still a plan; training itself will say what is wrong
    train, valid = learn.dls.train, learn.dls.valid
    steps, forwards = _pairs(clock.steps), _pairs(clock.forwards)
    values = sorted(_line(s, train) + _line(f, valid) for s, f in zip(steps, forwards, strict=True))
    return Cost(values[len(values) // 2], values[0], values[-1])


def _pairs(times: list[float]) -> list[tuple[float, float]]:
    """Seconds with few and with many items, a pair a repetition, without the warm-ups."""
    half = _REPEATS + 1
    return list(zip(times[1:half], times[half + 1 :], strict=True))


def _line(pair: tuple[float, float], loader: Any) -> float:
    """Seconds for all of `loader`'s batches by the line through the two measured batch sizes."""
    few, many = pair
    item = max(0.0, (many - few) / (_MANY - _FEW))
    size = getattr(loader, "bs", None) or getattr(loader, "batch_size", None) or 1
    fixed = max(0.0, few - item * _FEW)
    return len(loader) * (fixed + item * size)
