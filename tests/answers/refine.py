"""What readers may answer in 11_refine: right ones, and wrong ones with a word that the advice must hold."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
from scipy import stats

import nbtune as nt


@cache
def swept(*lrs, wds=(0.0, 0.1)):
    tuner = nt.Tuner(nt.tasks.digits(shots=2, seed=0).learner("letters", seed=0), seed=0)
    tuner.freeze()
    return tuner.sweep(lrs=list(lrs), wds=list(wds), epochs=2, seeds=1)


def around(half):
    return lambda d: (np.mean(d) - half(np.asarray(d)), np.mean(d) + half(np.asarray(d)))


def t(d):
    return stats.t.ppf(0.975, len(d) - 1)


def of_a_series(d):
    half = t(d) * d.std() / len(d) ** 0.5
    return d.mean() - half, d.mean() + half


def no_return(d):
    half = t(d) * d.std() / len(d) ** 0.5
    (d.mean() - half, d.mean() + half)


RIGHT = {
    "interval": [
        lambda: around(lambda d: t(d) * stats.sem(d)),
        lambda: of_a_series,
        lambda: lambda d: np.array(of_a_series(d)),
        lambda: lambda d: pd.Series(of_a_series(d), index=["low", "high"]),
        lambda: lambda d: list(stats.t.interval(0.95, len(d) - 1, np.mean(d), stats.sem(d))),
    ],
    "inside": [lambda: swept(1e-6, 1e-3, 1e-2, 10.0)],
}
WRONG = {
    "interval": [
        (lambda: around(lambda d: t(d) * d.std(ddof=1)), "single differences"),
        (lambda: around(lambda d: t(d) * d.std() / len(d) ** 0.5), "n - 1"),
        (lambda: around(lambda d: 1.96 * stats.sem(d)), "Student"),
        (lambda: around(lambda d: 1.96 * d.std() / len(d) ** 0.5), "not by n - 1; and for few"),
        (lambda: around(lambda d: stats.t.ppf(0.95, len(d) - 1) * stats.sem(d)), "take 0.975"),
        (lambda: around(lambda d: stats.t.ppf(0.975, len(d)) * stats.sem(d)), "t gives"),
        (lambda: around(lambda d: stats.sem(d)), "t gives"),
        (lambda: lambda d: (np.min(d), np.max(d) + 1), "around the mean"),
        (lambda: lambda d: of_a_series(d)[::-1], "the low limit comes first"),
        (lambda: lambda d: t(d) * stats.sem(d), "two numbers, the low limit and the high one; it gave float"),
        (lambda: lambda d: (*of_a_series(d), 0.0), "two numbers"),
        (lambda: lambda d: {"low": 0.0, "high": 0.1}, "two numbers"),
        (lambda: lambda d: (np.nan, np.nan), "two numbers"),
        (lambda: no_return, "None: is there a return?"),
        (lambda: (0.0, 0.1), "a function"),
    ],
    "inside": [
        (lambda: swept(1e-3, 1e-2), "8 or more"),
        (lambda: swept(1e-3, 2e-3, 4e-3, 8e-3), "span"),
        (lambda: swept(3e-4, 1e-3, 3e-3, 1e-2, 3e-2), "a factor of 100; let them span 1000"),
        (lambda: swept(1e-8, 1e-7, 1e-6, 3e-3), "highest"),
        (lambda: 1e-2, "sweep"),
    ],
}
