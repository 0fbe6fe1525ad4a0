"""Intervals of 95 %: Wilson's for a proportion, the percentile bootstrap over items for the rest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isnan, sqrt

import numpy as np
from numpy.typing import NDArray

from nbtune.errors import InputError

__all__ = [
    "Estimate",
    "Floats",
    "Ints",
    "interval",
    "resampled_counts",
    "resampled_means",
    "scores",
    "wilson",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

Z = 1.959963984540054  # the 97.5 % point of the normal distribution
CELLS = 2_000_000  # numbers held at once while resampling: 16 MB


@dataclass(frozen=True, repr=False)
class Estimate:
    """A value and the limits of its 95 % interval.

    Example:
        >>> Estimate(0.953, 0.933, 0.967)
        0.953 [0.933, 0.967]
        >>> f"{Estimate(0.953, 0.933, 0.967):.1%}"
        '95.3% [93.3%, 96.7%]'
    """

    value: float
    low: float
    high: float

    def __float__(self) -> float:
        return float(self.value)

    def __format__(self, spec: str) -> str:
        spec = spec or ".3f"
        return f"{self.value:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"

    def __repr__(self) -> str:
        return f"{self}"


def wilson(right: int, n: int) -> Estimate:
    """The proportion `right` / `n` with its score interval (Wilson 1927); 0 of 0 is 0 [0, 1]. Raises InputError."""
    if not 0 <= right <= n:
        raise InputError(
            f"wilson({right!r}, {n!r}).", rule="of n items, none to all are right: 0 <= right <= n.",
            likely="the two were exchanged, or counted from different items.",
            next=f"wilson({n!r}, {right!r})" if 0 <= n <= right else "count both over the same items",
        )  # fmt: skip
    if n == 0:
        return Estimate(0.0, 0.0, 1.0)
    share, shrink = right / n, 1 + Z * Z / n
    middle = (share + Z * Z / (2 * n)) / shrink
    half = Z * sqrt(share * (1 - share) / n + Z * Z / (4 * n * n)) / shrink
    # At the ends the limit is exact; rounding would leave it a hair inside or outside.
    low = 0.0 if right == 0 else max(0.0, middle - half)
    high = 1.0 if right == n else min(1.0, middle + half)
    return Estimate(share, low, high)


def interval(value: float, replicates: Floats, otherwise: tuple[float, float]) -> Estimate:
    """`value` with the percentile interval of its bootstrap `replicates` (Efron 1979), NaN left out.

    Where all replicates are equal the bootstrap says nothing (errors that did not occur cannot be
    drawn): then the limits are `otherwise`. The interval always holds the value.
    """
    known = replicates[~np.isnan(replicates)]
    if known.size == 0 or float(np.ptp(known)) < 1e-12 or isnan(value):
        low, high = otherwise
    else:
        low, high = (float(limit) for limit in np.percentile(known, (2.5, 97.5)))
    return Estimate(float(value), min(low, float(value)), max(high, float(value)))


def resampled_counts(codes: Ints, n_boot: int, rng: np.random.Generator) -> Iterator[tuple[Ints, Ints]]:
    """Bootstrap samples of the items as counts of each distinct code: (distinct [c], counts [b, c]) by chunk.

    Drawing the counts at once is the same as drawing the items one by one, and costs c instead of n.
    """
    distinct, counts = np.unique(codes, return_counts=True)
    share = counts / counts.sum()
    step = max(1, CELLS // len(distinct))
    for start in range(0, n_boot, step):
        yield distinct, rng.multinomial(len(codes), share, size=min(step, n_boot - start))


def resampled_means(values: Floats, n_boot: int, rng: np.random.Generator) -> Floats:
    """Means of `n_boot` bootstrap samples of `values` [n] -> [n_boot]."""
    n = len(values)
    step = max(1, CELLS // n)
    sizes = [min(step, n_boot - start) for start in range(0, n_boot, step)]
    return np.concatenate([values[rng.integers(0, n, size=(size, n))].mean(axis=1) for size in sizes])


def scores(true: Ints, predicted: Ints, counts: Ints, k: int) -> tuple[Floats, Floats, Floats]:
    """Precision, recall and F1 of each class in each sample: three arrays [b, k].

    `counts` [b, c] says how often the cell (`true` [c], `predicted` [c]) is in the sample. A class without
    prediction has precision 0 and one without item recall 0 (`zero_division=0`); a class with neither is NaN.
    """
    hits = true == predicted
    tp = _sums(counts[:, hits], true[hits], k)
    support, called = _sums(counts, true, k), _sums(counts, predicted, k)
    absent = np.where(support + called == 0, np.nan, 0.0)
    precision = tp / np.maximum(called, 1) + absent
    recall = tp / np.maximum(support, 1) + absent
    return precision, recall, 2 * tp / np.maximum(support + called, 1) + absent


def _sums(counts: Ints, keys: Ints, k: int) -> Ints:
    """Counts [b, c] summed over the cells that share a key: [b, k]."""
    out = np.zeros((counts.shape[0], k), dtype=np.int64)
    if keys.size:
        order = np.argsort(keys, kind="stable")
        present, starts = np.unique(keys[order], return_index=True)
        out[:, present] = np.add.reduceat(counts[:, order], starts, axis=1)
    return out
