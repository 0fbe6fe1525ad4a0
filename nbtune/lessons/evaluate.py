"""Exercises of 10_evaluate: F1 from counts, balanced accuracy, how many items a claim needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nbtune.evaluate.intervals import wilson
from nbtune.lessons.exercise import FUNCTION, NUMBER, ONE_NUMBER, Exercise

__all__ = ["balanced", "enough", "f1"]


def _f1(function: Callable[[int, int, int], float]) -> str | None:
    if not abs(function(6, 2, 2) - 0.75) <= 1e-6:
        return "with 6 found, 2 missed and 2 false alarms precision and recall are both 0.75; yours is not."
    if abs(function(1, 9, 0) - 0.55) < 1e-6:
        return "that is the plain mean of precision and recall. Which mean stays near the lower of the two?"
    if not abs(function(1, 9, 0) - 2 / 11) <= 1e-6:
        return "equal precision and recall come out right; 1 found, 9 missed and no false alarm do not."
    if any(function(*counts) != 0 for counts in ((0, 5, 0), (0, 0, 4), (0, 0, 0))):
        return "where nothing is found F1 counts as 0."
    return None


f1 = Exercise(
    name="evaluate.f1",
    question="Write f1(found, missed, false_alarms): the F1 of a class from three counts.",
    takes=FUNCTION,
    look=_f1,
    gives=ONE_NUMBER,
    right="found counts twice against missed and false alarms: 2 found / (2 found + missed + false alarms), "
    "and 0 where nothing is found.",
    hints=(
        "Precision is found / (found + false_alarms), recall found / (found + missed).",
        "Put both into 2PR / (P + R) and simplify: a fraction with 2 * found above remains.",
        "2 * found / (2 * found + missed + false_alarms); look at what happens when found is 0.",
    ),
    code="""
def answer(found, missed, false_alarms):
    return 2 * found / (2 * found + missed + false_alarms) if found else 0.0
""",
)


def _balanced(function: Callable[[Any], float]) -> str | None:
    rare = np.array([[95, 0], [5, 0]])
    if not abs(function(np.array([[8, 2], [1, 9]])) - 0.85) <= 1e-6:
        if abs(function(np.array([[8, 2], [1, 9]])) - (8 / 9 + 9 / 11) / 2) < 1e-6:
            return "these are columns, which give precisions. Recall asks of what IS a class: its row."
        return "for [[8, 2], [1, 9]] the recalls are 0.8 and 0.9; what is their mean?"
    if abs(function(rare) - 0.95) < 1e-6:
        return "for [[95, 0], [5, 0]] yours is the accuracy; a class that is never named has recall 0."
    if not abs(function(rare) - 0.5) <= 1e-6:
        return "the recalls of [[95, 0], [5, 0]] are 1 and 0, and each class counts alike."
    if not np.isfinite(function(np.array([[5, 0, 0], [1, 4, 0], [0, 0, 0]]))):
        return "a class without items has no recall (0 / 0); leave it out of the mean."
    if abs(function(np.array([[5, 0, 0], [1, 4, 0], [0, 0, 0]])) - 0.9) > 1e-6:
        return "only classes that occur count: the mean is over those with items in their row."
    return None


balanced = Exercise(
    name="evaluate.balanced",
    question="Write balanced(confusion): the mean of the recalls of all classes that occur.",
    takes=FUNCTION,
    look=_balanced,
    gives=ONE_NUMBER,
    right="each class counts alike, however rare it is; a reader that never names one of two classes gets 0.5.",
    hints=(
        "What is right stands on the diagonal: numpy.diag(confusion).",
        "Recall of a class is its diagonal entry over the sum of its row, confusion.sum(axis=1).",
        "Choose the rows whose sum is above 0, divide there, take the mean.",
    ),
    code="""
import numpy as np

def answer(confusion):
    items = confusion.sum(axis=1)
    there = items > 0
    return (np.diag(confusion)[there] / items[there]).mean()
""",
)


def _enough(number: float) -> str | None:
    n = int(number)
    if n != number or n < 1:
        return "a number of images is a whole number, 1 or more."
    if wilson(n, n).low < 0.95:
        return f"with {n} of {n} read the interval begins at {wilson(n, n).low:.3f}: that is too low still."
    if wilson(n - 1, n - 1).low >= 0.95:
        return f"{n} are enough, and fewer are too: where does the lower limit pass 0.95?"
    return None


enough = Exercise(
    name="evaluate.enough",
    question="The smallest number of images, all read, for which the 95 % interval begins at 0.95 or above.",
    takes=NUMBER,
    look=_enough,
    right="even without a single error it takes more than seventy images of a class to claim a recall of 95 %.",
    hints=(
        "wilson(n, n).low is the lower limit when all of n are read.",
        "It rises with n: try n = 10, 100 and close in, or let a loop do it.",
        "next(n for n in range(1, 1000) if wilson(n, n).low >= 0.95)",
    ),
    code="""
from nbtune.evaluate.intervals import wilson

answer = next(n for n in range(1, 1000) if wilson(n, n).low >= 0.95)
""",
)
