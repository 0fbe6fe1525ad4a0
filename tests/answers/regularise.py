"""What readers may answer in 09_regularise."""

from __future__ import annotations

import numpy as np
import pandas as pd

import nbtune as nt


def differences(with_it, without):
    return np.asarray(with_it) - np.asarray(without)


def right(with_it, without):
    d = differences(with_it, without)
    return d.mean(), d.std(ddof=1) / np.sqrt(len(d))


def apart(with_it, without):
    n = len(with_it)
    return differences(with_it, without).mean(), np.sqrt((np.var(with_it, ddof=1) + np.var(without, ddof=1)) / n)


def tuner(epochs=1, still=True, **options):
    result = nt.Tuner(nt.tasks.digits(shots=2).learner("letters", seed=0), seed=0)
    if still:
        result.freeze()
    if epochs:
        result.fit(epochs, 1e-3, **options)
    return result


def of_series(with_it, without):
    d = with_it - without
    return d.mean(), d.std() / len(d) ** 0.5


RIGHT = {
    "paired": [
        lambda: right,
        lambda: of_series,
        lambda: lambda a, b: list(of_series(a, b)),
        lambda: lambda a, b: np.array(of_series(a, b)),
        lambda: lambda a, b: (a - b).agg(["mean", "sem"]),
    ],
    "kept_views": [lambda: tuner(augment=True, views=2)],
}
WRONG = {
    "paired": [
        (lambda: lambda a, b: differences(a, b).mean(), "two numbers"),
        (lambda: lambda a, b: right(b, a), "sign"),
        (lambda: lambda a, b: (max(differences(a, b)), 0.1), "mean of the differences"),
        (lambda: lambda a, b: (differences(a, b).mean(), differences(a, b).std(ddof=1)), "surer"),
        (lambda: lambda a, b: (differences(a, b).mean(), differences(a, b).std() / 3**0.5), "n - 1"),
        (lambda: apart, "seed by seed"),
        (lambda: lambda a, b: "no", "two numbers"),
        (lambda: lambda a, b: set(of_series(a, b)), "two numbers"),
        (lambda: lambda a, b: pd.DataFrame([of_series(a, b)] * 2), "two numbers"),
        (lambda: lambda a, b: print(end=""), "None: is there a return?"),
    ],
    "kept_views": [
        (lambda: tuner(0), "not been trained"),
        (lambda: tuner(still=False), "nothing is still"),
        (lambda: tuner(), "random transforms"),
        (lambda: tuner(augment=True), "several views"),
    ],
}
