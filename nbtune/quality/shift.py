"""Can two sets of items be told apart? If a classifier cannot, what is learned on one may hold on the other."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nbtune._display import COLD, GREY, WARM, Chart, chart, html_table, html_value
from nbtune.evaluate.intervals import Estimate, wilson
from nbtune.quality.stopping import Stopped
from nbtune.quality.words import band
from nbtune.questions.linear import DEFAULT_C

__all__ = ["Shift", "apart"]

_MOST, _LEAST, _FOLDS = 2000, 20, 5


@dataclass(frozen=True, repr=False, eq=False)
class Shift:
    """A classifier two-sample test: how often a linear classifier tells which of two sets an unseen item is from.

    50 % is guessing. Equal numbers of both, five folds.
    """

    one: str
    other: str
    n: int  # of each
    accuracy: Estimate  # with Wilson's 95 % interval over all held-out items
    rows: Any = field(repr=False)  # int [n]: which of the other set's items were compared
    odd: Any = field(repr=False)  # float [n]: their probability of being of the other set

    @property
    def differs(self) -> bool:
        """The interval lies above guessing."""
        return self.accuracy.low > 0.5

    @property
    def sentence(self) -> str:
        """What was found, with its interval."""
        told = f"{self.one} and {self.other} are told apart in {band(self.accuracy)} of {2 * self.n:,} items"
        told += ", guessing 50 %"
        if not self.differs:
            return f"{told}: no difference is seen."
        how = "hardly" if self.accuracy.value < 0.6 else "partly" if self.accuracy.value < 0.8 else "plainly"
        return f"{told}: they differ, {how}."

    def frame(self) -> Any:
        """A row: one, other, n, accuracy, low, high."""
        import pandas as pd

        a = self.accuracy
        return pd.DataFrame(
            [(self.one, self.other, self.n, a.value, a.low, a.high)],
            columns=["one", "other", "n", "accuracy", "low", "high"],
        )

    def plot(self) -> Chart:
        """The accuracy with its interval, beside guessing."""
        figure, ax = chart(self.sentence, height=1.4)
        self.draw(ax, 0)
        ax.set_yticks([])
        return figure

    def draw(self, ax: Any, at: float) -> None:
        """On axes of another chart."""
        a = self.accuracy
        ax.axvline(0.5, color=GREY, linestyle=":")
        ax.annotate("guessing", (0.5, 1), (3, -2), xycoords=("data", "axes fraction"), textcoords="offset points",
                    va="top", fontsize="small", color=GREY)  # fmt: skip
        ax.plot([a.low, a.high], [at, at], color=WARM if self.differs else COLD)
        ax.plot(a.value, at, "o", color=WARM if self.differs else COLD)
        ax.set_xlim(0.3, 1.02)
        ax.set_xlabel("share of items told apart, with its 95 % interval")

    def __repr__(self) -> str:
        return self.sentence

    def _repr_html_(self) -> str:
        rows = [("told apart", f"{self.accuracy:.1%}"), ("items of each", self.n)]
        return html_value(f"{self.one} against {self.other}", self.sentence, html_table(["", ""], rows))


def apart(
    one: Any, other: Any, names: tuple[str, str], seed: int, stopped: Callable[[], bool], tick: Callable[[], None]
) -> Shift | None:
    """Compare two sets of vectors [n, d]; None where either has fewer than 20. Raises Stopped.

    Source: Lopez-Paz & Oquab (2017), Revisiting classifier two-sample tests.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold

    n = min(len(one), len(other), _MOST)
    if n < _LEAST:
        return None
    draw = np.random.RandomState(seed)
    first, second = (np.sort(draw.permutation(len(x))[:n]) for x in (one, other))
    x = np.concatenate([one[first], other[second]]).astype(np.float64)
    y = np.repeat([0, 1], n)
    odd = np.empty(2 * n)
    for rest, out in StratifiedKFold(_FOLDS, shuffle=True, random_state=seed).split(x, y):
        if stopped():
            raise Stopped(f"{names[0]} against {names[1]}")
        mean, spread = x[rest].mean(0), x[rest].std(0)
        scaled = (x - mean) / np.where(spread > 1e-12, spread, 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what has not converged is a classifier too
            model = LogisticRegression(C=DEFAULT_C, max_iter=300).fit(scaled[rest], y[rest])
        odd[out] = model.predict_proba(scaled[out])[:, 1]
        tick()
    right = int(((odd > 0.5) == y).sum())
    return Shift(*names, n, wilson(right, 2 * n), second, odd[n:])
