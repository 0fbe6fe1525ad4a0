"""What a classifier of several labels is worth on items it has not seen: F1 with intervals, label by label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import numpy as np
import pandas as pd

from nbtune._display import COLD, Chart, chart, html_table, html_value
from nbtune.errors import InputError
from nbtune.evaluate import TEST, Metrics
from nbtune.evaluate.intervals import Estimate, Floats, Ints, interval, wilson
from nbtune.evaluate.outcomes import whole
from nbtune.evaluate.reading import looks_warning

__all__ = ["LabelsReport", "labels_report"]

THRESHOLD = 0.5  # probability from which a label is said


def labels_report(
    probs: Any, targets: Any, vocab: Sequence[object], *, items: Any = None, looks: int = 1, objective: str = "",
    data: str = TEST, n_boot: int = 1000, seed: int = 0,
) -> LabelsReport:  # fmt: skip
    """A report on the probability of each label [n, k] against targets [n, k] of 0 and 1.

    A label is said where its probability is above 0.5. f1 (macro) is the plain mean over the labels that occur as
    target or as prediction, f1_micro counts all labels of all items together; precision and recall are macro;
    exact is the share of items with every label right. The intervals are of 95 %: Wilson's for exact, else by
    percentile bootstrap over items (Efron 1979). Raises InputError.

    Example:
        >>> labels_report([[0.9, 0.2], [0.8, 0.7]], [[1, 0], [1, 1]], ["sky", "sea"]).metrics["f1"].value
        1.0
    """
    p, t = np.asarray(probs, dtype=np.float64), np.asarray(targets)
    if p.ndim != 2 or p.shape != t.shape or p.shape[1] != len(vocab) or not len(p):
        raise InputError(
            f"probabilities {list(p.shape)}, targets {list(t.shape)} and {len(vocab)} labels.",
            rule="every item has a probability and a target for each label.", likely="those of another split or task.",
            next="labels_report(probs, task.test.y, task.vocab)",
        )  # fmt: skip
    if not (np.isfinite(p).all() and p.min() >= 0 and p.max() <= 1 and np.isin(t, (0, 1)).all()):
        raise InputError(
            f"probabilities from {p.min():.4g} to {p.max():.4g}, targets {np.unique(t)[:5].tolist()}.",
            rule="probabilities are 0 to 1, targets are 0 or 1.",
            likely="scores (logits), or a training that diverged.",
            next="probs = 1 / (1 + numpy.exp(-scores))",
        )  # fmt: skip
    looks, n_boot, t = whole("looks", looks, 1), whole("n_boot", n_boot, 2), t.astype(np.int64)
    said = (p > THRESHOLD).astype(np.int64)
    names = tuple(map(str, vocab))
    metrics, limits = _estimates(said, t, n_boot, seed)
    digests = {"targets": sha256(t.tobytes()).hexdigest()}
    return LabelsReport(
        p, t, said, names, objective, data, looks, n_boot, seed, digests, metrics, limits, getattr(items, "ids", None)
    )


@dataclass(frozen=True, repr=False, eq=False)
class LabelsReport:
    """What a classifier of several labels does: `probs` float64, `targets` and `predicted` int64, all [n, k]."""

    probs: Floats
    targets: Ints
    predicted: Ints
    vocab: tuple[str, ...]
    objective: str
    data: str
    looks: int
    n_boot: int
    seed: int
    digests: dict[str, str]
    _metrics: tuple[tuple[str, Estimate], ...] = field(repr=False)
    _f1: tuple[Estimate, ...] = field(repr=False)
    ids: tuple[str, ...] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def metrics(self) -> Metrics:
        """f1, f1_micro, precision, recall (macro) and exact, each with its 95 % interval."""
        return Metrics(self._metrics)

    @property
    def warning(self) -> str:
        """What to keep in mind when the test set has been looked at before; empty for the first look."""
        return looks_warning(self.looks) if self.data == TEST else ""

    @property
    def sentence(self) -> str:
        """What the figures say, in plain words."""
        f1, exact = self.metrics["f1"], self.metrics["exact"]
        never = [
            name for k, name in enumerate(self.vocab) if self.targets[:, k].any() and not self.predicted[:, k].any()
        ]
        silent = f"Never said: {', '.join(never[:6])}{' …' if len(never) > 6 else ''}." if never else ""
        first = (f"Macro F1 {f1} over {len(self.vocab)} labels; every label is right on {exact:.1%} "
                 f"of {len(self)} items.")  # fmt: skip
        return " ".join(filter(None, (first, silent, self.warning)))

    def frame(self) -> pd.DataFrame:
        """A row a metric: metric, value, low, high."""
        return pd.DataFrame([(n, e.value, e.low, e.high) for n, e in self._metrics],
                            columns=["metric", "value", "low", "high"])  # fmt: skip

    def per_label(self) -> pd.DataFrame:
        """A row a label: precision and recall (Wilson), F1 (bootstrap), each with limits; support; predicted."""
        rows = []
        for k, name in enumerate(self.vocab):
            hits, support, said = (int(one.sum()) for one in (
                self.targets[:, k] & self.predicted[:, k], self.targets[:, k], self.predicted[:, k]))  # fmt: skip
            cells = {
                f"{metric}{part}": value
                for metric, e in (
                    ("precision", wilson(hits, said)),
                    ("recall", wilson(hits, support)),
                    ("f1", self._f1[k]),
                )
                for part, value in (("", e.value), ("_low", e.low), ("_high", e.high))
            }
            rows.append({"label": name, **cells, "support": support, "predicted": said})
        return pd.DataFrame(rows)

    def worst(self, n: int = 9) -> pd.DataFrame:
        """The `n` most confident errors: index, id, label, what is true, probability."""
        n = whole("n", n, 1)
        off = np.where(self.predicted != self.targets, np.abs(self.probs - THRESHOLD), -1.0)
        order = np.argsort(-off, axis=None, kind="stable")[:n]
        chosen = [at for at in order if off.flat[at] >= 0]
        rows, labels = np.unravel_index(np.array(chosen, dtype=np.int64), off.shape)
        made: dict[str, Any] = {"index": rows}
        if self.ids is not None:
            made["id"] = [self.ids[at] for at in rows]
        made |= {"label": [self.vocab[k] for k in labels], "has it": self.targets[rows, labels] > 0,
                 "probability": self.probs[rows, labels]}  # fmt: skip
        return pd.DataFrame(made)

    def compare(self, other: LabelsReport, metric: str = "f1") -> Estimate:
        """A metric of this less that of the other, on the same items (paired bootstrap), else raises InputError."""
        if not isinstance(other, LabelsReport) or (other.digests, other.vocab) != (self.digests, self.vocab):
            raise InputError(
                "a report on other items." if isinstance(other, LabelsReport) else f"a {type(other).__name__}.",
                rule="a comparison is item by item, on the same items.", likely="a report of another split or task.",
                next="a.compare(b) with both of tuner.evaluate() on one test set",
            )  # fmt: skip
        value = self.metrics[metric].value - other.metrics[metric].value
        drawn = [_drawn_of(one, metric) for one in (self, other)]
        return interval(value, drawn[0] - drawn[1], (0.0, 0.0))

    def _counts(self) -> Ints:
        return _drawn(len(self), self.n_boot, self.seed)

    def plot(self) -> Chart:
        """F1 of each label with its interval, the most frequent label first."""
        order = np.argsort(-self.targets.sum(0), kind="stable")[:30]
        figure, ax = chart(self.sentence, height=0.8 + 0.25 * len(order))
        values = np.array([self._f1[k].value for k in order])
        ends = np.array([[self._f1[k].value - self._f1[k].low, self._f1[k].high - self._f1[k].value] for k in order]).T
        ax.barh([self.vocab[k] for k in order], values, xerr=ends, color=COLD, ecolor="#333333")
        ax.invert_yaxis()
        ax.set_xlabel("F1")
        return figure

    def __repr__(self) -> str:
        e = self.metrics
        return (
            f"Macro F1 {e['f1']}, micro F1 {e['f1_micro']} on {self.data} ({len(self)} items). {self.warning}".strip()
        )

    def _repr_html_(self) -> str:
        rows = [(name, f"{e.value:.3f}", f"[{e.low:.3f}, {e.high:.3f}]") for name, e in self._metrics]
        return html_value(
            f"Report on {self.data}", self.sentence, html_table(["metric", "value", "95 % interval"], rows)
        )


def _drawn(n: int, n_boot: int, seed: int) -> Ints:
    """How often each item is in each bootstrap sample: [b, n]."""
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=n_boot)


_PLACES = ("precision", "recall", "f1", "f1_micro")  # in what `_macro` gives


def _drawn_of(one: LabelsReport, metric: str) -> Floats:
    """A metric of a report on each of its bootstrap samples: [b]."""
    counts = one._counts()
    if metric == "exact":
        return np.asarray(counts @ (one.predicted == one.targets).all(1) / len(one))
    found: Floats = _macro(one.predicted, one.targets, counts)[_PLACES.index(metric)]
    return found


def _macro(said: Ints, true: Ints, counts: Ints) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Macro precision, recall and F1 [b], micro F1 [b] and the labels' F1 [b, k] on samples given as counts [b, n]."""
    hits, called, support = (counts @ one for one in (said & true, said, true))
    absent = np.where(called + support == 0, np.nan, 0.0)
    precision, recall = hits / np.maximum(called, 1) + absent, hits / np.maximum(support, 1) + absent
    f1 = 2 * hits / np.maximum(called + support, 1) + absent
    micro = 2 * hits.sum(1) / np.maximum((called + support).sum(1), 1)
    nothing = np.isnan(f1).all(1)
    means = [np.where(nothing, np.nan, np.nansum(one, 1) / np.maximum((~np.isnan(one)).sum(1), 1))
             for one in (precision, recall, f1)]  # fmt: skip
    return means[0], means[1], means[2], micro, f1


def _estimates(said: Ints, true: Ints, n_boot: int, seed: int) -> Any:
    exact = wilson(int((said == true).all(1).sum()), len(true))
    ends = (exact.low, exact.high)
    once = _macro(said, true, np.ones((1, len(true)), dtype=np.int64))
    many = _macro(said, true, _drawn(len(true), n_boot, seed))
    found = {name: interval(float(np.nan_to_num(once[at][0])), many[at], ends) for at, name in enumerate(_PLACES)}
    labels = tuple(
        interval(float(np.nan_to_num(once[4][0, k])), many[4][:, k], (0.0, 1.0)) for k in range(true.shape[1])
    )
    order = ("f1", "f1_micro", "precision", "recall")
    return (*((name, found[name]) for name in order), ("exact", exact)), labels
