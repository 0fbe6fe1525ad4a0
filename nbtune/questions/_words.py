"""Metrics in words: which way is better, and in which unit a person reads them."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan, sqrt
from statistics import fmean, stdev
from typing import Any

from scipy import stats

from nbtune._display import counted
from nbtune._source import source
from nbtune.evaluate.intervals import Estimate

__all__ = [
    "figure", "figures", "is_share", "lower_is_better", "mean_of", "named", "points", "said", "span", "told", "value",
    "went_on", "within",
]  # fmt: skip

_LOWER = ("loss", "error", "mse", "mae", "msle", "rmse", "perplexity", "brier", "hamming", "exp_rmspe")
_SHARES = ("accuracy", "error_rate", "f1", "fbeta", "precision", "recall", "dice", "jaccard", "auc", "hamming")
_WORDS = {"f1": "macro F1", "f1_micro": "micro F1", "mae": "MAE", "rmse": "RMSE", "r2": "R²", "exact": "exact match",
          "precision": "macro precision", "recall": "macro recall"}  # fmt: skip


def said(metric: str) -> str:
    """A metric's name as a person writes it: MAE, macro F1."""
    return _WORDS.get(metric, metric)


def figure(number: float, like: float | None = None) -> str:
    """A number in the unit of what is measured, as finely as one of the size of `like`, else of its own.

    Example:
        >>> figure(0.2134), figure(44.123), figure(182345.6), figure(-0.00012), figure(6.82, like=44.1)
        ('0.213', '44.1', '182,346', '-0.00012', '6.8')
    """
    size = abs(number if like is None else like)
    if 0 < size < 0.01:
        return f"{number:.2g}"
    return f"{number:.3f}" if size < 10 else f"{number:.1f}" if size < 1000 else f"{number:,.0f}"


def figures(value: float, low: float, high: float) -> str:
    """A value and its limits, as finely as the largest of them: 8.1 [6.2, 10.3]."""
    like = max(abs(value), abs(low), abs(high))
    return f"{figure(value, like)} [{figure(low, like)}, {figure(high, like)}]"


def lower_is_better(metric: str) -> bool:
    """Is a lower value of this metric better? Told by its name."""
    return any(word in metric.lower() for word in _LOWER)


def is_share(metric: str) -> bool:
    """Is it a share from 0 to 1, which people read in per cent?"""
    return any(word in metric.lower() for word in _SHARES)


def value(metric: str, number: float) -> str:
    """A value of the metric: 95.3 %, or 0.213."""
    return "not finite" if isnan(number) else f"{100 * number:.1f} %" if is_share(metric) else figure(number)


def span(metric: str, estimate: Estimate) -> str:
    """A value with its interval: 95.3 % [93.3, 96.7]."""
    if isnan(estimate.low):
        return f"{value(metric, estimate.value)} (one run: no interval)"
    if not is_share(metric):
        return figures(estimate.value, estimate.low, estimate.high)
    return f"{value(metric, estimate.value)} [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"


def told(metric: str, estimate: Estimate) -> str:
    """A value with its interval, an accuracy without its name: 95.3 % [93.3, 96.7]; MAE 44.1 [39.9, 48.6]."""
    return span(metric, estimate) if metric == "accuracy" else f"{said(metric)} {span(metric, estimate)}"


def points(metric: str, difference: float) -> str:
    """The size of a difference: 1.2 points, or 0.013."""
    return f"{100 * difference:.1f} points" if is_share(metric) else figure(difference)


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


def went_on(trained: int) -> str:
    """What runs do not tell that began with trained weights; empty for weights that no fit has changed."""
    if not trained:
        return ""
    epochs = counted(trained, "epoch")
    return f" Each run went on from weights trained for {epochs}; a whole training is asked about before its first fit."


def named(**settings: Any) -> str:
    """Settings as a person writes them: lr 0.01, wd 0.1; what is None is left out."""
    return ", ".join(f"{name} {source(one)}" for name, one in settings.items() if one is not None)
