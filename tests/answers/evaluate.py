"""What readers may answer in 10_evaluate: right ones, and wrong ones with a word that the advice must hold."""

from __future__ import annotations

from fractions import Fraction

import numpy as np


def by_parts(found, missed, false_alarms):
    precision, recall = found / max(1, found + false_alarms), found / max(1, found + missed)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0


def no_return(found, missed, false_alarms):
    2 * found / max(1, 2 * found + missed + false_alarms)


def nothing_where_none_is_found(found, missed, false_alarms):
    return 2 * found / (2 * found + missed + false_alarms) if found else None


def recalls(confusion, axis=1):
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.diag(confusion) / confusion.sum(axis=axis)


RIGHT = {
    "f1": [
        lambda: by_parts,
        lambda: lambda a, b, c: 2 * a / (2 * a + b + c) if a else 0.0,
        lambda: lambda *counts: np.array(by_parts(*counts)),
        lambda: lambda *counts: Fraction(by_parts(*counts)),
    ],
    "balanced": [lambda: lambda c: float(np.nanmean(recalls(c)))],
    "enough": [lambda: 73, lambda: 73.0],
}
WRONG = {
    "f1": [
        (lambda: lambda a, b, c: (a / (a + c) + a / (a + b)) / 2, "plain mean"),
        (lambda: lambda a, b, c: a / (a + b + c), "0.75"),
        (lambda: lambda a, b, c: (a / (a + c)) * (a / (a + b)), "0.75"),
        (lambda: lambda a, b, c: (a / (a + c) * a / (a + b)) ** 0.5, "1 found, 9 missed"),
        (lambda: lambda a, b, c: 2 * a / (2 * a + b + c) if a else 1.0, "counts as 0"),
        (lambda: lambda a, b, c: 2 * a / (2 * a + b + c), "ZeroDivisionError"),
        (lambda: lambda a, b, c: 2 * a / (2 * a + b + c), "division by zero. It was called with (0, 0, 0)."),
        (lambda: no_return, "None: is there a return?"),
        (lambda: nothing_where_none_is_found, "None: is there a return? It was called with (0, 5, 0)."),
        (lambda: lambda a, b, c: f"{by_parts(a, b, c)}", "one number; it gave str '0.75'"),
        (lambda: lambda a, b, c: [by_parts(a, b, c)], "one number; it gave list [0.75]"),
        (lambda: lambda a, b, c: float("nan"), "0.75"),
        (lambda: 0.75, "a function"),
    ],
    "balanced": [
        (lambda: lambda c: np.trace(c) / c.sum() + 1, "0.8 and 0.9"),
        (lambda: lambda c: np.trace(c) / c.sum(), "never named"),
        (lambda: lambda c: recalls(c, axis=0).mean(), "columns"),
        (lambda: lambda c: recalls(c).mean(), "0 / 0"),
        (lambda: lambda c: np.nan_to_num(recalls(c)).mean(), "classes that occur"),
        (lambda: recalls, "one number; it gave ndarray array([0.8, 0.9])"),
        (lambda: lambda c: "0.85", "one number; it gave str '0.85'"),
        (lambda: lambda c: np.nan, "0.8 and 0.9"),
    ],
    "enough": [
        (lambda: 20, "too low"),
        (lambda: 100, "fewer are too"),
        (lambda: 72.5, "whole number"),
        (lambda: "73", "a number"),
        (lambda: float("nan"), "a finite number is asked for; this is nan"),
        (lambda: np.float32("inf"), "a finite number is asked for; this is inf"),
    ],
}
