"""Metrics in words: which way is better, and in which unit a person reads them."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan, sqrt
from statistics import fmean, stdev
from typing import Any

from scipy import stats

from nbtune._source import source
from nbtune.evaluate.intervals import Estimate

__all__ = ["lower_is_better", "mean_of", "named", "points", "span", "value", "within"]

_LOWER = ("loss", "error", "mse", "mae", "msle", "rmse", "perplexity", "brier", "hamming", "exp_rmspe")
_SHARES = ("accuracy", "error_rate", "f1", "fbeta", "precision", "recall", "dice", "jaccard", "auc", "hamming")


def lower_is_better(metric: str) -> bool:
    """Is a lower value of this metric better? Told by its name."""
    return any(word in metric.lower() for word in _LOWER)


def is_share(metric: str) -> bool:
    """Is it a share from 0 to 1, which people read in per cent?"""
    return any(word in metric.lower() for word in _SHARES)


def value(metric: str, number: float) -> str:
    """A value of the metric: 95.3 %, or 0.213."""
    return "not finite" if isnan(number) else f"{100 * number:.1f} %" if is_share(metric) else f"{number:.3f}"


def span(metric: str, estimate: Estimate) -> str:
    """A value with its interval: 95.3 % [93.3, 96.7]."""
    if isnan(estimate.low):
        return f"{value(metric, estimate.value)} (one run: no interval)"
    scale, digits = (100, 1) if is_share(metric) else (1, 3)
    low, high = scale * estimate.low, scale * estimate.high
    return f"{value(metric, estimate.value)} [{low:.{digits}f}, {high:.{digits}f}]"


def points(metric: str, difference: float) -> str:
    """The size of a difference: 1.2 points, or 0.013."""
    return f"{100 * difference:.1f} points" if is_share(metric) else f"{difference:.3g}"


def mean_of(metric: str, values: Sequence[float], sd: float | None = None, df: int | None = None) -> Estimate:
    """The mean of runs with its 95 % t interval; `sd` with `df` degrees of freedom instead of their own.

    The limits are nan where there is nothing to tell the spread from.
    """
    n, mean = len(values), fmean(values) if values else float("nan")
    if sd is None or df is None:
        sd, df = (stdev(values), n - 1) if n > 1 else (float("nan"), 0)
    if not n or df < 1:
        return Estimate(mean, float("nan"), float("nan"))
    half = within(sd, df) / sqrt(n)
    low, high = mean - half, mean + half
    return Estimate(mean, max(0.0, low), min(1.0, high)) if is_share(metric) else Estimate(mean, low, high)


def within(sd: float, df: int) -> float:
    """How far from its mean one more run lies in 95 % of cases, by Student's t with `df` degrees of freedom."""
    return float(stats.t.ppf(0.975, df)) * sd


def named(**settings: Any) -> str:
    """Settings as a person writes them: lr 0.01, wd 0.1; what is None is left out."""
    return ", ".join(f"{name} {source(one)}" for name, one in settings.items() if one is not None)
