"""What readers may answer in 11_refine: right ones, and wrong ones with a word that the advice must hold."""

from __future__ import annotations

from functools import cache

import numpy as np
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


RIGHT = {
    "interval": [lambda: around(lambda d: t(d) * stats.sem(d))],
    "inside": [lambda: swept(1e-6, 1e-3, 1e-2, 10.0)],
}
WRONG = {
    "interval": [
        (lambda: around(lambda d: t(d) * d.std(ddof=1)), "single differences"),
        (lambda: around(lambda d: t(d) * d.std() / len(d) ** 0.5), "n - 1"),
        (lambda: around(lambda d: 1.96 * stats.sem(d)), "Student"),
        (lambda: around(lambda d: stats.sem(d)), "t gives"),
        (lambda: lambda d: (np.min(d), np.max(d) + 1), "around the mean"),
        (lambda: (0.0, 0.1), "a function"),
    ],
    "inside": [
        (lambda: swept(1e-3, 1e-2), "8 or more"),
        (lambda: swept(1e-3, 2e-3, 4e-3, 8e-3), "span"),
        (lambda: swept(1e-8, 1e-7, 1e-6, 3e-3), "highest"),
        (lambda: 1e-2, "sweep"),
    ],
}
