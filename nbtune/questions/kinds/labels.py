"""Several labels an item: a logistic regression for each label, measured as reports of several labels are."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nbtune._fastai.predict import answers
from nbtune.errors import InputError
from nbtune.evaluate.intervals import Estimate, wilson
from nbtune.evaluate.labels import LabelsReport, labels_report
from nbtune.questions.kinds.outcome import Fitted, Stops, Ticks, same_items
from nbtune.questions.linear import DEFAULT_C, Split, chosen_c, finite, logistic, standardised, threads

__all__ = ["LabelKind", "Labels"]

_FOLDS = 5
_LEAD = ("f1", "f1_micro", "precision", "recall")
_ON = "the validation items"


@dataclass(frozen=True, eq=False)
class Labels:
    """Probabilities of the labels of the validation items, and what they are worth."""

    report: LabelsReport
    metric: str
    kind: str = field(default="multi")

    def __len__(self) -> int:
        return len(self.report)

    @property
    def score(self) -> Estimate:
        """The metric, with its bootstrap interval over items."""
        return self.report.metrics[self.metric]

    @property
    def beside(self) -> str:
        """The share of items with every label right."""
        exact = self.report.metrics["exact"]
        return f"every label right on {100 * exact.value:.1f} % [{100 * exact.low:.1f}, {100 * exact.high:.1f}]"

    def ahead(self, other: Labels) -> Estimate:
        """The metric less the other's, by the paired bootstrap over items."""
        found = self.report.compare(other.report, self.metric)
        if found.low < found.high:
            return found
        half = wilson(0, len(self)).high  # no disagreement was seen: what 0 of n still allows
        return Estimate(found.value, max(-1.0, found.value - half), min(1.0, found.value + half))

    def of(self, now: Any) -> Labels:
        """`now`: probabilities [n, labels]. Raises InputError for another shape."""
        mine = self.report
        probs = same_items(now, mine.probs.shape, 'probe.gain(nbtune.questions.now(learn, "multi"))')
        return Labels(labels_report(probs, mine.targets, mine.vocab, data=_ON), self.metric)

    def frame(self) -> Any:
        """A pandas frame, two columns a label: whether an item has it, and its probability."""
        import pandas as pd

        mine = self.report
        columns: dict[str, Any] = {}
        for k, name in enumerate(mine.vocab):
            columns |= {f"{name}": mine.targets[:, k] > 0, f"{name} probability": mine.probs[:, k]}
        return pd.DataFrame(columns)


class LabelKind:
    """Targets of several labels an item; `metrics`: the Learner's, of which the first known one leads."""

    def __init__(self, metrics: Sequence[str], names: Sequence[str]) -> None:
        self.metric = next((name for name in metrics if name in _LEAD), "f1")
        self.names = tuple(names)

    def check(self, split: Split, where: str) -> None:
        """Raise InputError for targets other than 0 and 1, labels that never vary, or features that are not finite."""
        for name, targets in (("training", split.targets), ("validation", split.valid_targets)):
            if not np.isin(targets, (0, 1)).all():
                raise InputError(
                    f"{name} targets with values such as {targets[~np.isin(targets, (0, 1))].reshape(-1)[0]:g} "
                    "under a loss of several labels.",
                    rule="each label of an item is 0 or 1.", likely="numbers, or one class an item as its place.",
                    next="another loss: MSELossFlat() for numbers, CrossEntropyLossFlat() for one class an item.",
                )  # fmt: skip
        if not np.ptp(_columns(split.targets), axis=0).any():
            raise InputError(
                f"a linear probe on {len(split.targets)} training items that all have the same labels.",
                rule="a label is learnt from items that have it and items that have not.",
                likely="a splitter that sorted the items, or a set too small.",
                next="look at the labels of learn.dls.train; split at random.",
            )
        finite(split, where)

    def fit(self, split: Split, seed: int, stopped: Stops, tick: Ticks) -> Fitted:
        """A logistic regression for each label, with one C for all.

        C has the least mean log loss over items and labels in five-fold cross-validation on the training items.
        """
        x, valid = standardised(split.train, split.valid)
        y, goal = _columns(split.targets), _columns(split.valid_targets)
        folds = min(_FOLDS, len(y))
        with threads(x.size), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # after a thousand steps a probe is what it is
            c, partial = _chosen(x, y, folds, seed, stopped, tick)
            probs = np.stack([_read(logistic(c, 1000), x, column, valid) for column in y.T], axis=1)
        names = self.names if len(self.names) == y.shape[1] else [str(number) for number in range(y.shape[1])]
        report = labels_report(probs, goal, names, data=_ON)
        return Fitted(
            Labels(report, self.metric), f"one for each label, C {c:g} by {folds}-fold cross-validation of these",
            folds, partial, c=c,
        )  # fmt: skip

    def now(self, learn: Any, loader: Any) -> Any:
        """The probability of each label: [n, labels]."""
        return answers(learn, loader)[0]


def _columns(targets: Any) -> Any:
    return np.asarray(targets).reshape(len(targets), -1).astype(np.int64)


def _chosen(x: Any, y: Any, folds: int, seed: int, stopped: Stops, tick: Ticks) -> tuple[float, bool]:
    from sklearn.model_selection import KFold

    parts = [
        (rest, out, column, logistic(DEFAULT_C, 300))
        for rest, out in KFold(folds, shuffle=True, random_state=seed).split(x)
        for column in y.T
        if 0 < column[rest].sum() < len(rest)  # a label that none or all have tells nothing of C
    ]

    def held(c: float) -> float:
        losses = []
        for rest, out, column, model in parts:
            if stopped():  # of many labels one C takes long
                return float("inf")
            losses.append(_loss(model.set_params(C=c), x, column, rest, out))
        return float(np.mean(losses))

    return chosen_c(held, stopped, tick, step=2) if parts else (DEFAULT_C, False)


def _loss(model: Any, x: Any, column: Any, rest: Any, out: Any) -> float:
    probs = model.fit(x[rest], column[rest]).predict_proba(x[out])
    return float(-np.log(np.maximum(probs[np.arange(len(out)), column[out]], 1e-300)).mean())


def _read(model: Any, x: Any, column: Any, valid: Any) -> Any:
    """The label's probability; of one that no training item has, or every one, it is 0 or 1."""
    if not np.ptp(column):
        return np.full(len(valid), float(column[0]))
    return model.fit(x, column).predict_proba(valid)[:, 1]
