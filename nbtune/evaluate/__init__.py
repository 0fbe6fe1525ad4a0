"""What a model is worth on items it has not seen: metrics with intervals, errors, comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix, log_loss, precision_recall_fscore_support

from nbtune._display import Chart, html_table, html_value
from nbtune.errors import InputError, nearest
from nbtune.evaluate.compare import Comparison, compare
from nbtune.evaluate.confusion import Worst, confusion_chart
from nbtune.evaluate.intervals import (
    Estimate,
    Floats,
    Ints,
    interval,
    resampled_counts,
    resampled_means,
    scores,
    wilson,
)
from nbtune.evaluate.outcomes import Outcomes, checked, whole
from nbtune.evaluate.reading import looks_warning, pattern
from nbtune.evaluate.threshold import Threshold, place, threshold

__all__ = ["TEST", "Comparison", "Estimate", "Report", "Threshold", "Worst", "report"]

TEST = "the test set"


def report(
    probs: Any,
    targets: Any,
    vocab: Sequence[object],
    *,
    items: Any = None,
    looks: int = 1,
    objective: str = "",
    data: str = TEST,
    n_boot: int = 1000,
    seed: int = 0,
) -> Report:
    """A Report on predictions: probabilities `probs` [n, classes] against class indices `targets` [n].

    `probs` is float with rows that sum to 1; `targets` is of an integer dtype in [0, classes). `items` shows
    the errors as pictures: uint8 images [n, h, w] or [n, h, w, 3], or a task's split (its `.x` and `.ids`).
    `looks` says how often these items have been evaluated, this time included; `data` what they are, in words.
    The intervals are of 95 %:
    Wilson's for proportions, else the percentile bootstrap over items (`n_boot` samples, private seed).
    Raises InputError or InputTypeError.

    Example:
        >>> report([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], [0, 1, 1], ["cat", "dog"]).metrics["accuracy"]
        0.667 [0.208, 0.939]
    """
    given = checked(probs, targets, vocab, items)
    looks, n_boot = whole("looks", looks, 1), whole("n_boot", n_boot, 2)
    predicted = given.probs.argmax(axis=1)
    losses = -np.log(np.clip(given.probs[np.arange(len(given.targets)), given.targets], np.finfo(float).eps, 1))
    confusion = confusion_matrix(given.targets, predicted, labels=np.arange(len(given.vocab)))
    metrics, gap, f1_limits = _estimates(given, predicted, losses, n_boot, seed)
    return Report(
        probs=given.probs,
        targets=given.targets,
        predicted=predicted,
        losses=losses,
        confusion=confusion.astype(np.int64),
        vocab=given.vocab,
        objective=objective,
        data=data,
        looks=looks,
        n_boot=n_boot,
        seed=seed,
        images=given.images,
        digests=given.digests,
        _metrics=metrics,
        _gap=gap,
        _f1_limits=f1_limits,
    )


class Metrics(dict[str, Estimate]):
    """Estimates by the metric's name; an unknown name is answered with the nearest known ones."""

    def __missing__(self, name: str) -> Estimate:
        raise InputError(
            f"metrics[{name!r}].",
            rule=f"a metric is one of {', '.join(self)}.",
            likely="a misspelt name, or a metric that this report does not have.",
            next=nearest(name, self),
        )


@dataclass(frozen=True, repr=False, eq=False)
class Report:
    """What a classifier does on n items of k classes.

    Arrays: `probs` float64 [n, k], `targets` and `predicted` int64 [n], `losses` float64 [n] (−log of the
    probability of the true class), `confusion` int64 [k true, k predicted].
    """

    probs: Floats
    targets: Ints
    predicted: Ints
    losses: Floats
    confusion: Ints
    vocab: tuple[str, ...]
    objective: str
    data: str  # what the items are: "the test set"
    looks: int
    n_boot: int
    seed: int
    images: Any
    digests: dict[str, str]
    _metrics: tuple[tuple[str, Estimate], ...] = field(repr=False)
    _gap: Estimate = field(repr=False)
    _f1_limits: tuple[tuple[float, float], ...] = field(repr=False)

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def metrics(self) -> Metrics:
        """accuracy; precision, recall and F1 (macro); log_loss, each with its 95 % interval.

        Macro is the plain mean over the classes that occur as target or as prediction; 0 / 0 counts as 0
        (scikit-learn's `zero_division=0`). F1 is the harmonic mean of a class's precision and recall.
        """
        return Metrics(self._metrics)

    @property
    def sentence(self) -> str:
        """What the figures say, in plain words."""
        accuracy = self.metrics["accuracy"]
        right, n = int(np.trace(self.confusion)), len(self)
        first = (
            f"{right} of {n} {'item is' if n == 1 else 'items are'} right: {100 * accuracy.value:.1f} % "
            f"[{100 * accuracy.low:.1f}, {100 * accuracy.high:.1f}]."
        )
        return " ".join(filter(None, (first, pattern(self.confusion, self.vocab, self._gap), self.warning)))

    @property
    def warning(self) -> str:
        """What to keep in mind when the test set has been looked at before; empty for the first look."""
        return looks_warning(self.looks) if self.data == TEST else ""

    def frame(self) -> pd.DataFrame:
        """A row a metric: metric, value, low, high."""
        rows = [(name, e.value, e.low, e.high) for name, e in self._metrics]
        return pd.DataFrame(rows, columns=["metric", "value", "low", "high"])

    def per_class(self) -> pd.DataFrame:
        """A row a class: precision and recall (Wilson), F1 (bootstrap), each with limits; support; predicted.

        A class that was never predicted has precision 0 [0, 1], one without items recall 0 [0, 1].
        """
        hits, support, called = (
            np.diag(self.confusion),
            self.confusion.sum(axis=1),
            self.confusion.sum(axis=0),
        )
        rows = []
        for c, name in enumerate(self.vocab):
            precision, recall = wilson(int(hits[c]), int(called[c])), wilson(int(hits[c]), int(support[c]))
            f1 = Estimate(_harmonic(precision.value, recall.value), *self._f1_limits[c])
            cells = {
                f"{metric}{part}": value
                for metric, e in (("precision", precision), ("recall", recall), ("f1", f1))
                for part, value in (("", e.value), ("_low", e.low), ("_high", e.high))
            }
            rows.append({"class": name, **cells, "support": int(support[c]), "predicted": int(called[c])})
        return pd.DataFrame(rows)

    def confusion_frame(self) -> pd.DataFrame:
        """The confusion matrix with class names: rows are true, columns predicted."""
        return pd.DataFrame(
            self.confusion,
            index=pd.Index(self.vocab, name="true"),
            columns=pd.Index(self.vocab, name="predicted"),
        )

    def worst(self, n: int = 9) -> Worst:
        """The `n` most confident errors, the most confident first (all errors where there are fewer)."""
        n = whole("n", n, 1)
        wrong = np.flatnonzero(self.predicted != self.targets)
        said = self.probs[wrong, self.predicted[wrong]]
        chosen = wrong[np.argsort(-said, kind="stable")[:n]]
        images = None if self.images is None else tuple(np.asarray(self.images[i]) for i in chosen)
        return Worst(rows=self._rows(chosen), images=images, errors=len(wrong), n=len(self))

    def cell(self, true: str, predicted: str) -> pd.DataFrame:
        """The items of one cell of the confusion matrix, the most confident first: a row an item.

        `index` is the item's place in what was evaluated. Raises InputError for an unknown class.
        """
        t, p = place(self.vocab, true), place(self.vocab, predicted)
        chosen = np.flatnonzero((self.targets == t) & (self.predicted == p))
        return self._rows(chosen[np.argsort(-self.probs[chosen, p], kind="stable")])

    def threshold(self, name: str, at: float = 0.5) -> Threshold:
        """Class `name` against the rest: what is found and missed where its probability must reach `at`.

        Raises InputError for an unknown class, or for `at` outside 0 to 1.
        """
        return threshold(self.probs, self.targets, self.vocab, name, at)

    def _rows(self, chosen: Ints) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "index": chosen,
                "true": [self.vocab[t] for t in self.targets[chosen]],
                "predicted": [self.vocab[p] for p in self.predicted[chosen]],
                "probability": self.probs[chosen, self.predicted[chosen]],
                "loss": self.losses[chosen],
            }
        )

    def compare(self, other: Report) -> Comparison:
        """This report against another on the same items (paired). Raises InputError on other items."""
        return compare(self, other)

    def plot(self) -> Chart:
        """The confusion matrix as a picture."""
        return confusion_chart(self.confusion, self.vocab)

    def __repr__(self) -> str:
        accuracy, f1 = self.metrics["accuracy"], self.metrics["f1"]
        return f"Accuracy {accuracy}, macro F1 {f1} on {self.data} ({_items(len(self))}). {self.warning}".strip()

    def _repr_html_(self) -> str:
        rows = [(name, f"{e.value:.3f}", f"[{e.low:.3f}, {e.high:.3f}]") for name, e in self._metrics]
        table = html_table(["metric", "value", "95 % interval"], rows)
        return html_value(f"Report on {self.data}", f"{_as_sentence(self.objective)} {self.sentence}".strip(), table)


def _as_sentence(text: str) -> str:
    text = text.strip()
    if not text:
        return ""
    return text[0].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def _items(n: int) -> str:
    return f"{n} item{'s' if n != 1 else ''}"


def _estimates(
    data: Outcomes, predicted: Ints, losses: Floats, n_boot: int, seed: int
) -> tuple[tuple[tuple[str, Estimate], ...], Estimate, tuple[tuple[float, float], ...]]:
    """The metrics, macro precision minus recall, and the limits of each class's F1."""
    k, n = len(data.vocab), len(data.targets)
    rng = np.random.default_rng(seed)
    chunks = [
        scores(distinct // k, distinct % k, counts, k)
        for distinct, counts in resampled_counts(data.targets * k + predicted, n_boot, rng)
    ]
    drawn = [np.concatenate(part) for part in zip(*chunks, strict=True)]
    macro = [np.nanmean(part, axis=1) for part in drawn]
    accuracy = wilson(int((predicted == data.targets).sum()), n)
    # Where no error, or nothing right, was drawn, the macro figures equal accuracy: so do their limits.
    ends = (accuracy.low, accuracy.high)
    values = _values(data, predicted)
    loss = interval(_log_loss(data), resampled_means(losses, n_boot, rng), (0.0, float("inf")))
    names = ("precision", "recall", "f1")
    estimates = [(name, interval(values[name], m, ends)) for name, m in zip(names, macro, strict=True)]
    gap = interval(values["precision"] - values["recall"], macro[0] - macro[1], (-1.0, 1.0))
    return (
        (("accuracy", accuracy), *estimates, ("log_loss", loss)),
        gap,
        _f1_limits(data.targets, predicted, drawn[2], k),
    )


def _values(data: Outcomes, predicted: Ints) -> dict[str, float]:
    precision, recall, f1, _ = precision_recall_fscore_support(
        data.targets, predicted, average="macro", zero_division=0
    )
    return {"precision": float(precision), "recall": float(recall), "f1": float(f1)}


def _log_loss(data: Outcomes) -> float:
    return float(log_loss(data.targets, data.probs, labels=np.arange(len(data.vocab))))


def _f1_limits(targets: Ints, predicted: Ints, drawn: Floats, k: int) -> tuple[tuple[float, float], ...]:
    limits = []
    for c in range(k):
        hits = int(((targets == c) & (predicted == c)).sum())
        precision, recall = wilson(hits, int((predicted == c).sum())), wilson(hits, int((targets == c).sum()))
        value = _harmonic(precision.value, recall.value)
        # Without an error, or without a hit, in any sample: the harmonic mean of the two Wilson limits.
        ends = (_harmonic(precision.low, recall.low), _harmonic(precision.high, recall.high))
        found = interval(value, drawn[:, c], ends)
        limits.append((found.low, found.high))
    return tuple(limits)


def _harmonic(a: float, b: float) -> float:
    return 2 * a * b / (a + b) if a + b else 0.0
