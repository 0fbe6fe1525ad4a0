"""Would more data help? Accuracy by the number of training items, and where the curve would go with twice as many."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nbtune._display import COLD, GREY, WARM, Chart, chart, html_table, html_value
from nbtune.evaluate.intervals import Estimate
from nbtune.quality.stopping import Stopped
from nbtune.quality.words import band
from nbtune.questions.linear import DEFAULT_C
from nbtune.tasks.split import pick

__all__ = ["FITS", "Curve", "learning_curve"]

SEEDS, SIZES = 5, 6
FITS = SEEDS * (SIZES - 1) + 1
_BOOTS = 1000
_LAST = 4  # sizes that the power law is drawn through


@dataclass(frozen=True, repr=False, eq=False)
class Curve:
    """Validation accuracy of a model fitted on parts of the training items, on the same features; for numbers R².

    For several labels the share of items with every label right. `right` [size][seed]: which validation items are
    read wrongly, or their squared error as a share of the variance.
    """

    sizes: tuple[int, ...]
    right: tuple[tuple[Any, ...], ...] = field(repr=False)
    points: tuple[Estimate, ...]  # at each size, with the 95 % interval over validation items and draws
    twice: Estimate  # at twice the items, if the curve goes on as a power law
    gain: Estimate  # twice less now
    metric: str  # "accuracy", "exact match" or "R²"
    valid: int
    model: str

    @property
    def helps(self) -> bool | None:
        """More items would help (the interval of the gain is above 0); None where that cannot be told."""
        if np.isnan(self.gain.value):
            return None
        return self.gain.low > 0

    @property
    def sentence(self) -> str:
        """What twice the items would bring, with its interval."""
        now = self.points[-1]
        told = f"{self.model} on {self.sizes[-1]:,} training items: {self.metric} {band(now)}"
        told += f" of {self.valid:,} validation items"
        if self.helps is None:
            return f"{told}; too few sizes to say whether more would help."
        points = f"{100 * self.gain.value:+.1f} points [{100 * self.gain.low:+.1f}, {100 * self.gain.high:+.1f}]"
        if not self.helps:
            return f"{told}. Twice as many would bring about {points}: no gain is seen."
        return f"{told}. Twice as many would bring about {points}, if the curve goes on as it does."

    def frame(self) -> Any:
        """A row a size: items, the metric, low, high; the last one at twice the items is not measured."""
        import pandas as pd

        rows = [(n, e.value, e.low, e.high, True) for n, e in zip(self.sizes, self.points, strict=True)]
        if self.helps is not None:
            rows.append((2 * self.sizes[-1], self.twice.value, self.twice.low, self.twice.high, False))
        return pd.DataFrame(rows, columns=["items", self.metric, "low", "high", "measured"])

    def plot(self) -> Chart:
        """The curve with its band, and the way on with its interval."""
        figure, ax = chart(self.sentence)
        self.draw(ax)
        return figure

    def draw(self, ax: Any) -> None:
        """On axes of another chart."""
        values, lows, highs = (np.array([getattr(e, at) for e in self.points]) for at in ("value", "low", "high"))
        ax.fill_between(self.sizes, lows, highs, color=COLD, alpha=0.15, linewidth=0)
        ax.plot(self.sizes, values, "o-", color=COLD, markersize=4, label="measured")
        if self.helps is not None:
            n = self.sizes[-1]
            ax.plot([n, 2 * n], [values[-1], self.twice.value], "--", color=WARM)
            ax.errorbar(
                2 * n, self.twice.value, [[self.twice.value - self.twice.low], [self.twice.high - self.twice.value]],
                fmt="^", color=WARM, capsize=3, label="if it goes on so",
            )  # fmt: skip
        ax.set_xscale("log")
        ax.set_xticks([*self.sizes, 2 * self.sizes[-1]], [f"{n:,}" for n in (*self.sizes, 2 * self.sizes[-1])])
        ax.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
        ax.set_xlabel("training items")
        ax.set_ylabel(f"{self.metric} (validation)", color=GREY)
        ax.legend(frameon=False)

    def __repr__(self) -> str:
        return self.sentence

    def _repr_html_(self) -> str:
        rows = [
            (f"{n:,}" + ("" if measured else " (not measured)"), f"{100 * v:.1f} % [{100 * low:.1f}, {100 * high:.1f}]")
            for n, v, low, high, measured in self.frame().itertuples(index=False)
        ]
        return html_value("Would more data help?", self.sentence, html_table(["training items", self.metric], rows))


def learning_curve(
    train: tuple[Any, Any], valid: tuple[Any, Any], kind: str, c: float, seed: int,
    stopped: Callable[[], bool], tick: Callable[[], None],
) -> Curve | None:  # fmt: skip
    """Fit on halves, quarters and so on of `train` (vectors, targets), five draws each; measure on `valid`.

    None where there are too few items. `c`: of the linear probe; nan for its default. The way to twice the items is a
    power law of the error through the last four sizes; the intervals are percentiles of 1,000 bootstrap samples of
    validation items and draws. Raises Stopped.

    Source: Cortes et al. (1994), Learning curves; Viering & Loog (2023), The shape of learning curves: a review.
    """
    (x, y), (vx, vy) = train, valid
    sizes = _sizes(y, kind)
    if len(sizes) < 2 or len(vy) < 2 or (kind == "regression" and float(vy.std()) == 0):
        return None
    right: list[list[Any]] = []
    for size in sizes:
        right.append([])
        for draw in range(SEEDS if size < len(y) else 1):
            if stopped():
                raise Stopped("learning curve")
            places = _part(y, size, kind, seed + draw)
            right[-1].append(_fit(x[places], y[places], vx, vy, kind, c))
            tick()
    points, twice, gain = _estimates(sizes, right, kind, seed)
    model = "Ridge regression" if kind == "regression" else "A linear probe"
    metric = {"regression": "R²", "multi": "exact match"}.get(kind, "accuracy")
    return Curve(sizes, tuple(map(tuple, right)), points, twice, gain, metric, len(vy), model)


def _sizes(y: Any, kind: str) -> tuple[int, ...]:
    """Halvings of the items, from as many as two a class or ten."""
    least = max(10, 2 * len(np.unique(y))) if kind == "single" else 10
    found = [len(y)]
    while len(found) < SIZES and found[0] // 2 >= least:
        found.insert(0, found[0] // 2)
    return tuple(found)


def _part(y: Any, size: int, kind: str, seed: int) -> Any:
    """`size` places, of classes with their own shares, but one of each at least."""
    draw = np.random.RandomState(seed)
    if size >= len(y):
        return np.arange(len(y))
    if kind != "single":
        return np.sort(draw.permutation(len(y))[:size])
    place = np.unique(y, return_inverse=True)[1].astype(np.int64)
    first = pick(place, 1, seed)
    rest = np.setdiff1d(draw.permutation(len(y)), first, assume_unique=False)
    return np.sort(np.concatenate([first, draw.permutation(rest)[: max(0, size - len(first))]]))


def _fit(x: Any, y: Any, vx: Any, vy: Any, kind: str, c: float) -> Any:
    """Which validation items are read wrongly (of several labels in any); of numbers squared errors over variance."""
    from sklearn.linear_model import LogisticRegression, RidgeCV
    from sklearn.multiclass import OneVsRestClassifier

    mean, spread = x.mean(0), x.std(0)
    spread = np.where(spread > 1e-12, spread, 1)
    if kind == "regression":
        model = RidgeCV(alphas=np.logspace(-1, 5, 13))
    else:
        model = LogisticRegression(C=DEFAULT_C if np.isnan(c) else c, max_iter=300)
        model = OneVsRestClassifier(model) if kind == "multi" else model
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # after 300 steps a probe is what it is
        read = model.fit((x - mean) / spread, y).predict((vx - mean) / spread)
    if kind == "regression":
        errors = (read.reshape(len(vy), -1) - vy.reshape(len(vy), -1)) ** 2
        return (errors / np.maximum(vy.reshape(len(vy), -1).var(0), 1e-12)).mean(1)
    wrong = (read.reshape(vy.shape) != vy).any(1) if kind == "multi" else read != vy
    return np.asarray(wrong, dtype=np.float64)


def _estimates(sizes: tuple[int, ...], right: list[list[Any]], kind: str, seed: int) -> Any:
    """Points, the way to twice the items, and the gain: of the error, by bootstrap."""
    errors = [np.stack(one) for one in right]  # [draws, items]
    n, rng = errors[0].shape[1], np.random.default_rng(seed)
    value = np.array([one.mean() for one in errors])
    boots = np.empty((_BOOTS, len(sizes)))
    for b in range(_BOOTS):
        counts = np.bincount(rng.integers(0, n, n), minlength=n) / n
        boots[b] = [(one[rng.integers(0, len(one), len(one))] @ counts).mean() for one in errors]
    points = tuple(_estimate(1 - v, 1 - boots[:, at]) for at, v in enumerate(value))
    if len(sizes) < 3:
        nothing = Estimate(np.nan, np.nan, np.nan)
        return points, nothing, nothing
    ahead, many = _twice(sizes, value[None], n)[0], _twice(sizes, boots, n)
    # What a power law does not hold of the last size is taken off both: the gain is along the law.
    return points, _estimate(1 - ahead, 1 - many), _estimate(value[-1] - ahead, boots[:, -1] - many)


def _twice(sizes: tuple[int, ...], errors: Any, n: int) -> Any:
    """The error at twice the last size: a power law through the last sizes, from the last one on."""
    last = np.log(np.array(sizes[-_LAST:], dtype=float))
    logs = np.log(np.maximum(errors[:, -_LAST:], 0.5 / n))  # none of n wrong: half of one
    x = last - last.mean()
    slope = ((logs - logs.mean(1, keepdims=True)) * x).sum(1) / (x**2).sum()
    return errors[:, -1] * 2.0 ** np.minimum(slope, 0.0)


def _estimate(value: float, replicates: Any) -> Estimate:
    low, high = np.percentile(replicates, (2.5, 97.5))
    return Estimate(float(value), float(min(low, value)), float(max(high, value)))
