"""One class against the rest: what a threshold on its probability finds, and what that costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import pandas as pd

from nbtune._display import html_table, html_value
from nbtune.errors import InputError, nearest
from nbtune.evaluate.intervals import Estimate, Floats, Ints, wilson

__all__ = ["Threshold", "place", "threshold"]


@dataclass(frozen=True, repr=False)
class Threshold:
    """Items called `name` where its probability is `at` or more; the intervals are Wilson's, of 95 %.

    `found`, `missed` and `false_alarms` are counts of items. They hold for a threshold that was chosen elsewhere:
    one that is chosen by these figures is flattered by them.
    """

    name: str
    at: float
    found: int
    missed: int
    false_alarms: int
    n: int

    @property
    def precision(self) -> Estimate:
        """The share of what is called `name` that is `name`; of nothing called 0 [0, 1]."""
        return wilson(self.found, self.found + self.false_alarms)

    @property
    def recall(self) -> Estimate:
        """The share of `name` that is called so; of no item 0 [0, 1]."""
        return wilson(self.found, self.found + self.missed)

    @property
    def sentence(self) -> str:
        """What the threshold does, in plain words."""
        called, there = self.found + self.false_alarms, self.found + self.missed
        precision = f"precision {self.precision}" if called else "no precision, as nothing is called so"
        recall = f"recall {self.recall}" if there else "no recall, as no item is one"
        return (
            f"'{self.name}' from {self.at:.2f} on: {called} of {self.n} items are called so, {self.false_alarms} of "
            f"them wrongly, and {self.missed} of {there} are missed; {precision}, {recall}."
        )

    def frame(self) -> pd.DataFrame:
        """A row a metric: metric, value, low, high."""
        rows = [(name, e.value, e.low, e.high) for name, e in (("precision", self.precision), ("recall", self.recall))]
        return pd.DataFrame(rows, columns=["metric", "value", "low", "high"])

    def __repr__(self) -> str:
        return self.sentence

    def _repr_html_(self) -> str:
        rows = [("precision", f"{self.precision}"), ("recall", f"{self.recall}")]
        return html_value("Threshold", self.sentence, html_table(["metric", "value [95 %]"], rows))


def threshold(probs: Floats, targets: Ints, vocab: Sequence[str], name: object, at: object) -> Threshold:
    """Class `name` against the rest at a probability of `at`. Raises InputError."""
    c = place(vocab, name)
    if isinstance(at, bool) or not isinstance(at, int | float) or not isfinite(at) or not 0 <= at <= 1:
        percent = isinstance(at, int | float) and 1 < at <= 100
        raise InputError(
            f"a threshold of {at!r}.",
            rule="a threshold is a probability from 0 to 1.",
            likely="per cent instead of a share." if percent else "another number than a probability.",
            next=f"report.threshold({name!r}, {at / 100 if percent and isinstance(at, int | float) else 0.5})",
        )
    called, there = probs[:, c] >= float(at), targets == c
    found = int((called & there).sum())
    return Threshold(vocab[c], float(at), found, int(there.sum()) - found, int(called.sum()) - found, len(targets))


def place(vocab: Sequence[str], name: object) -> int:
    """Where a class stands in the vocab. Raises InputError for an unknown name."""
    if name not in vocab:
        number = isinstance(name, int) and not isinstance(name, bool) and 0 <= name < len(vocab)
        raise InputError(
            f"there is no class {name!r}.",
            rule="a class is given by its name, as in report.vocab.",
            likely="its number was given." if number else "a misspelt name, or a class of another task.",
            next=repr(vocab[name]) if number and isinstance(name, int) else nearest(str(name), vocab),
        )
    return list(vocab).index(str(name))
