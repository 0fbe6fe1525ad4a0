"""Exercises of 13_few_shots: prototypes by cosine, and what more labels would bring."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite, log
from typing import Any

import numpy as np

from nbtune.lessons.exercise import FUNCTION, ONE_NUMBER, Exercise

__all__ = ["cosine", "more_labels"]

_X = np.array([[4.0, 0.1], [6.0, 0.0], [0.1, 1.0], [0.0, 0.6]])
_Y = np.array([3, 3, 7, 7])
_TURNED = np.array([[5.0, 0.0], [0.0, 5.0], [3.0, 4.0], [-4.0, 3.0]])  # rows of one length, and means of one length
_ASIDE = np.array([[1.0, 4.0], [1.0, -4.0], [4.0, 5.0], [4.0, 5.0]])  # no row of the first class lies along its mean
_UNEVEN = np.array([[9.0, 0.0], [0.0, 1.0], [1.0, 2.0], [2.0, 4.0]])  # the mean lies near the long row


def _cosine(function: Callable[[Any, Any, Any], Any]) -> str | None:
    if list(function(_X, _Y, np.array([[5.0, 0.0], [0.0, 0.8]]))) != [3, 7]:
        return "new rows that lie on the class means should get their labels (3 and 7 here, not 0 and 1)."
    if list(function(_X, _Y, np.array([[0.9, 0.5]]))) != [3]:
        return "[0.9, 0.5] points along the first class and is short; its direction counts, and not how far it is away."
    if list(function(_X, _Y, np.array([[3.0, 9.0]]))) != [7]:
        return "[3, 9] points along the second class and is long. Are the class means brought to length 1 too?"
    if list(function(_TURNED, _Y, np.array([[3.0, 5.0]]))) != [3]:
        return (
            "the rows [5, 0] and [0, 5] of one class have the mean [2.5, 2.5], and [3, 5] points along it more than "
            "along the other class's, [-0.5, 3.5]. Compare new rows with one mean a class, and not with single rows."
        )
    if list(function(_ASIDE, _Y, np.array([[3.0, 1.0]]))) != [3]:
        return (
            "the rows [1, 4] and [1, -4] of one class have the mean [1, 0], and [3, 1] points along it more than along "
            "[4, 5]. Are the means brought to length 1 after averaging? Rows of length 1 have a shorter mean."
        )
    if list(function(_UNEVEN, _Y, np.array([[5.0, 4.0]]))) != [7]:
        return (
            "the rows [9, 0] and [0, 1] of one class have the mean [4.5, 0.5], and [5, 4] points along [1, 2] more "
            "than along that. Which comes first in yours, the mean of the rows or their length 1?"
        )
    return None


cosine = Exercise(
    name="few_shots.cosine",
    question="Write read(X, y, new): for each row of new the label of the class mean with the largest cosine.",
    takes=FUNCTION,
    look=_cosine,
    right="cosine ignores the length of features; whether length matters depends on the body.",
    hints=(
        "Take the mean of the rows of each class, as prototype() does.",
        "Divide each mean, and each new row, by its own length: numpy.linalg.norm(rows, axis=1, keepdims=True).",
        "new @ means.T then holds the cosines; its argmax over the classes gives places in numpy.unique(y).",
    ),
    code="""
import numpy as np

def answer(X, y, new):
    classes = np.unique(y)
    means = np.stack([X[y == c].mean(0) for c in classes])
    means, new = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (means, new))
    return classes[(new @ means.T).argmax(1)]
""",
)


def _more_labels(function: Callable[..., float]) -> str | None:
    at_second, beyond = function(1, 0.2, 4, 0.1, 4), function(1, 0.2, 4, 0.1, 16)
    between = function(2, 0.3, 10, 0.12, 5)
    for value in (at_second, beyond, between):
        if not isfinite(value):
            return f"an error is a finite number; yours came out as {value}. What is divided, or taken the log of?"
    if not abs(at_second - 0.1) <= 1e-6:
        return "at n = n2 the answer is the second measurement itself; yours is another."
    if not abs(beyond - 0.05) <= 1e-6:
        if beyond < 0:
            return "an error below 0: that is a straight line. A power is straight when both axes are logarithms."
        return "from 1 to 4 labels the error was halved; from 4 to 16 the factor of labels is the same again."
    if not abs(between - 0.3 * (5 / 2) ** (log(0.12 / 0.3) / log(5))) <= 1e-6:
        return "factors of 4 come out right, others do not: find b from log(e1 / e2) and log(n2 / n1)."
    return None


more_labels = Exercise(
    name="few_shots.more_labels",
    question="Write error_at(n1, e1, n2, e2, n): the error at n labels, by error = a * n ** (-b).",
    takes=FUNCTION,
    look=_more_labels,
    gives=ONE_NUMBER,
    right="measured at two sizes, foreseen at a third. Near the errors that no label can mend it is too hopeful.",
    hints=(
        "Divide the two equations by each other: a disappears.",
        "e1 / e2 = (n2 / n1) ** b, so b = log(e1 / e2) / log(n2 / n1).",
        "The error at n is e1 * (n / n1) ** (-b).",
    ),
    code="""
from math import log

def answer(n1, e1, n2, e2, n):
    b = log(e1 / e2) / log(n2 / n1)
    return e1 * (n / n1) ** (-b)
""",
)
