"""Two reports on the same items, compared item by item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from nbtune._display import html_table, html_value
from nbtune.errors import InputError, InputTypeError
from nbtune.evaluate.intervals import Estimate, Floats, Ints, interval, resampled_counts, scores, wilson

if TYPE_CHECKING:
    from nbtune.evaluate import Report

__all__ = ["Comparison", "compare"]


@dataclass(frozen=True, repr=False)
class Comparison:
    """Two reports on the same items: differences are the first minus the second, with 95 % intervals.

    The interval of accuracy is never narrower than the exact test allows: an undecided difference holds 0.
    `p` is McNemar's exact p-value for accuracy (McNemar 1947), from the items that only one of them reads;
    `verdict` is "better", "worse" or "undecided" (p of 0.05 or more), said of the first.
    """

    accuracy: Estimate
    f1: Estimate
    only_first: int
    only_second: int
    n: int
    p: float
    other_answers: int  # items on which the two answers differ, right or wrong

    @property
    def verdict(self) -> str:
        if self.p >= 0.05:
            return "undecided"
        return "better" if self.only_first > self.only_second else "worse"

    @property
    def sentence(self) -> str:
        if not self.other_answers:
            which = f"all {self.n} items" if self.n > 1 else "the one item"
            return f"Both give the same answer on {which}."
        if not self.only_first and not self.only_second:
            wrong = (
                "1 wrong answer differs" if self.other_answers == 1 else f"{self.other_answers} wrong answers differ"
            )
            return f"Both are right on the same items; {wrong}."
        by = Estimate(*(100 * x for x in (self.accuracy.value, self.accuracy.low, self.accuracy.high)))
        points = f"{by:+.1f}"
        pairs = (
            f"of {self.n} items the first alone reads {self.only_first}, the second alone {self.only_second} "
            f"(McNemar, exact: p = {self.p:.2g})"
        )
        if self.verdict == "undecided":
            return f"No difference beyond the noise: {points} points of accuracy; {pairs}."
        return f"The first is {self.verdict}: {points} points of accuracy; {pairs}."

    def frame(self) -> pd.DataFrame:
        """A row a metric: difference, low, high."""
        rows = [("accuracy", self.accuracy), ("f1", self.f1)]
        return pd.DataFrame(
            [(name, e.value, e.low, e.high) for name, e in rows],
            columns=["metric", "difference", "low", "high"],
        )

    def __repr__(self) -> str:
        return self.sentence

    def _repr_html_(self) -> str:
        if not self.other_answers:
            return html_value("Comparison", self.sentence)
        rows = [("accuracy", f"{self.accuracy:+.3f}"), ("macro F1", f"{self.f1:+.3f}")]
        return html_value("Comparison", self.sentence, html_table(["metric", "first − second [95 %]"], rows))


def compare(first: Report, second: Any) -> Comparison:
    """Compare two reports on the same items. Raises InputError when the items are not the same."""
    _check(first, second)
    a, b = first.predicted == first.targets, second.predicted == second.targets
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    both = only_a + only_b
    accuracy, f1 = _differences(first, second, only_a, only_b)
    return Comparison(
        accuracy=accuracy,
        f1=f1,
        only_first=only_a,
        only_second=only_b,
        n=len(first),
        p=float(binomtest(only_a, both).pvalue) if both else 1.0,
        other_answers=int((first.predicted != second.predicted).sum()),
    )


def _check(first: Report, second: Any) -> None:
    if type(second) is not type(first):
        raise InputTypeError(
            f"compare() was given a {type(second).__name__}.",
            rule="compare takes another Report.",
            likely="a metric or a Tuner was given instead of its report.",
            next="before.compare(after), each from tuner.evaluate().",
        )
    differs = [part for part, digest in first.digests.items() if second.digests.get(part, digest) != digest]
    if differs:
        raise InputError(
            f"the two reports are on different items: {' and '.join(differs)} differ "
            f"({len(first)} and {len(second)} items).",
            rule="a paired comparison needs the same items in the same order.",
            likely="one report is on another split, or the data were shuffled.",
            next="evaluate both models on one split that is the same for both, such as task.valid.",
        )


def _differences(first: Report, second: Report, only_first: int, only_second: int) -> tuple[Estimate, Estimate]:
    """Accuracy and macro F1, first minus second, with paired bootstrap intervals over the items.

    With few items the bootstrap is too narrow (Efron & Tibshirani 1993), so accuracy has the wider of two intervals.
    """
    k, n = len(first.vocab), len(first)
    codes = (first.targets * k + first.predicted) * k + second.predicted
    rng = np.random.default_rng(first.seed)
    chunks = [_drawn(d, c, k, n) for d, c in resampled_counts(codes, first.n_boot, rng)]
    accuracy, f1 = (np.concatenate(part) for part in zip(*chunks, strict=True))
    value = first.metrics["accuracy"].value - second.metrics["accuracy"].value
    value_f1 = first.metrics["f1"].value - second.metrics["f1"].value
    # No disagreement was seen: the limit is what 0 of n disagreements still allows.
    half = wilson(0, n).high
    drawn = interval(value, accuracy, (max(-1.0, value - half), min(1.0, value + half)))
    exact = _exact(only_first, only_second, n)
    return (
        Estimate(value, min(drawn.low, exact.low), max(drawn.high, exact.high)),
        interval(value_f1, f1, (max(-1.0, value_f1 - half), min(1.0, value_f1 + half))),
    )


def _exact(only_first: int, only_second: int, n: int) -> Estimate:
    """The difference with the interval that belongs to McNemar's exact test (Clopper & Pearson 1934)."""
    apart = only_first + only_second
    value = (only_first - only_second) / n
    if not apart:
        return Estimate(value, value, value)
    share = binomtest(only_first, apart).proportion_ci(0.95, "exact")
    return Estimate(value, *((2 * limit - 1) * apart / n for limit in (share.low, share.high)))


def _drawn(distinct: Ints, counts: Ints, k: int, n: int) -> tuple[Floats, Floats]:
    true, a, b = distinct // (k * k), distinct // k % k, distinct % k
    accuracy = counts @ ((a == true).astype(np.int64) - (b == true)) / n
    f1 = np.nanmean(scores(true, a, counts, k)[2], axis=1) - np.nanmean(scores(true, b, counts, k)[2], axis=1)
    return accuracy, f1
