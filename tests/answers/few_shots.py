"""What readers may answer in 13_few_shots: right ones, and wrong ones with a word that the advice must hold."""

from __future__ import annotations

import numpy as np


def means_of(x, y):
    return np.stack([x[y == c].mean(0) for c in np.unique(y)])


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def by_cosine(x, y, new):
    return np.unique(y)[(unit(new) @ unit(means_of(x, y)).T).argmax(1)]


def by_distance(x, y, new):
    return np.unique(y)[((new[:, None] - means_of(x, y)[None]) ** 2).sum(2).argmin(1)]


def by_nearest_cosine(x, y, new):
    return y[(unit(new) @ unit(x).T).argmax(1)]


def by_mean_of_cosines(x, y, new):
    return np.unique(y)[(unit(new) @ means_of(unit(x), y).T).argmax(1)]


def by_means_of_unit_rows(x, y, new):
    return by_cosine(unit(x), y, new)


def by_distance_of_unit_rows(x, y, new):
    return by_distance(unit(x), y, unit(new))


def power_or(value, nth):
    """The law, but `value` at one of the places that the check asks for."""
    return lambda n1, e1, n2, e2, n: value if n == nth else by_power(n1, e1, n2, e2, n)


def by_power(n1, e1, n2, e2, n):
    return (
        np.exp(np.interp(np.log(n), np.log([n1, n2]), np.log([e1, e2])))
        if n <= n2
        else e2 * (e2 / e1) ** (np.log(n / n2) / np.log(n2 / n1))
    )


RIGHT = {"cosine": [lambda: by_cosine], "more_labels": [lambda: by_power]}
WRONG = {
    "cosine": [
        (lambda: by_distance, "direction"),
        (lambda: lambda x, y, new: (unit(new) @ unit(means_of(x, y)).T).argmax(1), "not 0 and 1"),
        (lambda: lambda x, y, new: np.unique(y)[(unit(new) @ means_of(x, y).T).argmax(1)], "length 1"),
        (lambda: by_nearest_cosine, "not with single rows"),
        (lambda: by_mean_of_cosines, "after averaging"),
        (lambda: by_distance_of_unit_rows, "after averaging"),
        (lambda: by_means_of_unit_rows, "comes first"),
        (lambda: 3, "a function"),
    ],
    "more_labels": [
        (lambda: lambda n1, e1, n2, e2, n: e1 + (e2 - e1) * (n - n1) / (n2 - n1), "straight"),
        (lambda: lambda n1, e1, n2, e2, n: e2 * (n2 / n), "factor of labels"),
        (lambda: lambda n1, e1, n2, e2, n: e1 * n1 / n, "second measurement"),
        (lambda: lambda n1, e1, n2, e2, n: e1 * (n / n1) ** -0.5, "from log"),
        (lambda: lambda *a: float("nan"), "as nan"),
        (lambda: power_or(np.nan, 16), "as nan"),
        (lambda: power_or(-np.inf, 5), "as -inf"),
    ],
}
