"""Exercises of 04_environment: bytes of a training, and the largest batch that fits."""

from __future__ import annotations

from collections.abc import Callable

from nbtune.lessons.exercise import FINITE_NUMBER, FUNCTION, Exercise

__all__ = ["largest_batch", "training_bytes"]


def _training_bytes(function: Callable[[int, int, str], float]) -> str | None:
    if (found := function(0, 100, "adam")) != 400:
        return f"100 still weights alone: yours gives {found}. Asked are bytes: 4 a weight, no gradient, no optimizer."
    if function(100, 0, "adam") != 1600:
        return f"100 trained weights with Adam: yours gives {function(100, 0, 'adam')}. Count four numbers a weight."
    if function(100, 0, "sgd") != 800:
        return "plain SGD remembers nothing, yet each trained weight has a gradient."
    if function(100, 0, "momentum") != 1200:
        return "momentum is one number for each trained weight, besides weight and gradient."
    if function(10, 1000, "momentum") != 4120:
        return "each case alone is right; together, trained and still weights should add up."
    return None


training_bytes = Exercise(
    name="environment.training_bytes",
    question="Write training_bytes(trained, still, trains_with): bytes of weights, gradients and optimizer in float32.",
    takes=FUNCTION,
    look=_training_bytes,
    gives=FINITE_NUMBER,
    right="a still weight takes 4 bytes, a trained one 8 with plain SGD, 12 with momentum and 16 with Adam.",
    hints=(
        "Every weight takes 4 bytes; every trained one 4 more for its gradient.",
        "The optimizer adds 4 bytes times 2, 1 or 0 for each trained weight.",
        'more = {"adam": 2, "momentum": 1, "sgd": 0}[trains_with]',
    ),
    code="""
def answer(trained, still, trains_with):
    more = {"adam": 2, "momentum": 1, "sgd": 0}[trains_with]
    return 4 * still + 4 * (2 + more) * trained
""",
)


def _largest_batch(function: Callable[[int, int, int], int]) -> str | None:
    if function(100, 90, 20) != 0:
        return "90 bytes of 100 are taken and an item needs 20: not even one fits, so 0."
    if function(700, 200, 10) == 50:
        return "50 items fit; which power of two is the largest that is no larger?"
    if function(700, 200, 10) != 32:
        return "of 700 bytes 200 are taken, and an item needs 10: 50 fit, so the answer is 32."
    if function(520, 200, 10) != 32:
        return "a batch that fits exactly is allowed; try largest_batch(520, 200, 10)."
    if function(100, 90, 10) != 1:
        return "one item is a batch too: 1 is a power of two."
    if function(100, 120, 10) != 0:
        return "where the fixed part alone is more than is free, nothing fits."
    return None


largest_batch = Exercise(
    name="environment.largest_batch",
    question="Write largest_batch(free, fixed, each): the largest power of two of items that fits, 0 if none does.",
    takes=FUNCTION,
    look=_largest_batch,
    gives=FINITE_NUMBER,
    right="and as `each` is measured for one batch, leave a margin: what else runs on the machine changes.",
    hints=(
        "How many items fit? (free - fixed) // each.",
        "Begin with 1 and double while twice as many still fit.",
        "If fewer than one fits, return 0 before you begin.",
    ),
    code="""
def answer(free, fixed, each):
    fit, size = (free - fixed) // each, 1
    if fit < 1:
        return 0
    while 2 * size <= fit:
        size *= 2
    return size
""",
)
