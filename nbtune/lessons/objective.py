"""Exercises of 01_objective: how many items a claim needs, and the threshold that costs least."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nbtune.evaluate.intervals import wilson
from nbtune.lessons.exercise import FINITE_NUMBER, FUNCTION, NUMBER, Exercise

__all__ = ["best_threshold", "items_needed"]


def _half(n: int) -> float:
    found = wilson(round(0.95 * n), n)
    return (found.high - found.low) / 2


# Half the width jumps a little wherever round(0.95 * n) does: from 470 to 473 it is above 0.02 once more.
NEEDED = next(n for n in range(1, 5000) if _half(n) <= 0.02)


def _items_needed(number: float) -> str | None:
    n = round(number)
    if n < 1:
        return "a number of images is 1 or more."
    if n < 0.95 * NEEDED:
        return f"with {n} images the interval of 95 % is ± {100 * _half(n):.2f} points; that is still too wide."
    if n > 1.05 * NEEDED:
        return f"with {n} images it is ± {100 * _half(n):.2f} points: narrow enough, but so it is with fewer."
    return None


items_needed = Exercise(
    name="objective.items_needed",
    question="How many test images does it take to know an accuracy of 95 % to within ± 2 points?",
    takes=NUMBER,
    look=_items_needed,
    right=f"{NEEDED} is the smallest. For ± 1 point it takes about four times as many, for ± 4 points a quarter.",
    hints=(
        "The picture above has the answer: where does the curve cross ± 2 points?",
        "wilson(round(0.95 * n), n) gives the interval; half of high - low has to be 0.02 or less.",
        "Try n = 200, 400, 800 and close in, or let a loop do it.",
    ),
    code="""
from nbtune.evaluate.intervals import wilson

def half(n):
    found = wilson(round(0.95 * n), n)
    return (found.high - found.low) / 2

answer = next(n for n in range(1, 5000) if half(n) <= 0.02)
""",
)

_P = np.array([0.02, 0.10, 0.30, 0.35, 0.60, 0.80, 0.95])
_TRUE = np.array([0, 0, 1, 0, 0, 1, 1])


def _cost(at: float, miss: float, alarm: float) -> float:
    called = at <= _P
    return float(miss * (_TRUE & ~called).sum() + alarm * ((1 - _TRUE) & called).sum())


def _best_threshold(function: Callable[..., Any]) -> str | None:
    grid = [step / 100 for step in range(1, 100)]
    for miss, alarm in ((10, 1), (1, 10), (1, 1)):
        at = float(function(_P, _TRUE, miss, alarm))
        if not 0.01 - 1e-9 <= at <= 0.99 + 1e-9:
            return f"a threshold between 0.01 and 0.99 was asked for; yours is {at:.2f}."
        if at == float(function(0.3 * _P, _TRUE, miss, alarm)):
            given = "try the thresholds on the p and is_wanted that it is given, not on those of the notebook"
            return f"yours is {at:.2f} whatever p is. A rule from the prices alone trusts p at its word; {given}."
        best = min(_cost(round(one, 2), miss, alarm) for one in grid)
        if _cost(round(at, 2), miss, alarm) > best + 1e-9:
            ways = f"with a miss at {miss} and a false alarm at {alarm} yours is {at:.2f}, and another one costs less"
            return f"{ways}. Which errors rise when the threshold rises?"
    return None


best_threshold = Exercise(
    name="objective.best_threshold",
    question="Write best_threshold(p, is_wanted, miss, alarm): the threshold with the lowest mean cost.",
    takes=FUNCTION,
    look=_best_threshold,
    gives=FINITE_NUMBER,
    right="chosen on validation items, and measured on others: on its own items it looks a little cheaper than it is.",
    hints=(
        "For one threshold: called = p >= at. A miss is wanted and not called, a false alarm called and not wanted.",
        "The cost is miss * number of misses + alarm * number of false alarms.",
        "min(thresholds, key=cost) gives the threshold for which the function cost is lowest.",
    ),
    code="""
import numpy as np

def answer(p, is_wanted, miss, alarm):
    def cost(at):
        called = p >= at
        return miss * np.sum((is_wanted == 1) & ~called) + alarm * np.sum((is_wanted == 0) & called)

    return min((step / 100 for step in range(1, 100)), key=cost)
""",
)
