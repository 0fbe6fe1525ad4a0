"""One or several numbers an item: ridge regression, measured as reports of numbers are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nbtune._fastai.predict import answers
from nbtune.errors import InputError
from nbtune.evaluate.intervals import Estimate
from nbtune.evaluate.numbers import NumbersReport, numbers_report
from nbtune.questions._words import figure, figures, lower_is_better, said
from nbtune.questions.kinds.outcome import Fitted, Stops, Ticks, same_items
from nbtune.questions.kinds.ridge import LEAST, ridge
from nbtune.questions.linear import Split, finite, standardised, threads

__all__ = ["NumberKind", "Numbers"]

_LEAD = {"mae": "mae", "rmse": "rmse", "_rmse": "rmse", "r2": "r2", "r2_score": "r2"}  # with fastai's own names
_ON = "the validation items"


@dataclass(frozen=True, eq=False)
class Numbers:
    """Numbers read of the validation items, in the targets' own units, and what they are worth."""

    report: NumbersReport
    metric: str
    mean: Any = field(repr=False)  # float64 [k]: the training items' mean, what is said without looking
    kind: str = "regression"

    def __len__(self) -> int:
        return len(self.report)

    @property
    def score(self) -> Estimate:
        """The metric, with its bootstrap interval over items; of several numbers their mean."""
        return self.report.metrics[self.metric]

    @property
    def baseline(self) -> float:
        """The metric of a guess that is always the training items' mean."""
        guess = np.broadcast_to(self.mean, self.report.targets.shape)
        found = numbers_report(guess, self.report.targets, self.report.names, n_boot=2).metrics
        return found[self.metric].value

    @property
    def beside(self) -> str:
        """R² (or the MAE, where R² leads), and the metric of the training items' mean."""
        other = "mae" if self.metric == "r2" else "r2"
        found = self.report.metrics[other]
        told = f"{said(other)} {figures(found.value, found.low, found.high)}"
        return f"{told}; the training items' mean alone has {said(self.metric)} {figure(self.baseline)}"

    def ahead(self, other: Numbers) -> Estimate:
        """The other's error less this one's (of R², this less the other's), by the paired bootstrap over items."""
        if lower_is_better(self.metric):
            return other.report.compare(self.report, self.metric)
        return self.report.compare(other.report, self.metric)

    def of(self, now: Any) -> Numbers:
        """`now`: numbers [n, k] in the targets' units. Raises InputError for another shape."""
        mine = self.report
        found = same_items(now, mine.predicted.shape, 'probe.gain(nbtune.questions.now(learn, "regression"))')
        return Numbers(numbers_report(found, mine.targets, mine.names, data=_ON), self.metric, self.mean)

    def frame(self) -> Any:
        """A pandas frame, three columns a number: as it is, as it is read, and the error."""
        import pandas as pd

        mine = self.report
        columns: dict[str, Any] = {}
        for k, name in enumerate(mine.names):
            true, found = mine.targets[:, k], mine.predicted[:, k]
            columns |= {f"{name}": true, f"{name} predicted": found, f"{name} error": found - true}
        return pd.DataFrame(columns)


class NumberKind:
    """Targets of one or several numbers; `metrics`: the Learner's, of which the first known one leads."""

    def __init__(self, metrics: Sequence[str], names: Sequence[str]) -> None:
        self.metric = next((_LEAD[name] for name in metrics if name in _LEAD), "mae")
        self.names = tuple(names)

    def check(self, split: Split, where: str) -> None:
        """Raise InputError for targets that are not finite or do not vary, or features that are not finite."""
        for name, targets in (("training", split.targets), ("validation", split.valid_targets)):
            broken = int((~np.isfinite(targets.reshape(len(targets), -1).astype(np.float64))).any(axis=1).sum())
            if broken:
                raise InputError(
                    f"targets that are not finite for {broken} of {len(targets)} {name} items.",
                    rule="a regression needs finite targets.", likely="gaps in the column of the targets.",
                    next="leave these items out: df.dropna(subset=[column]).",
                )  # fmt: skip
        if not np.ptp(split.targets.astype(np.float64), axis=0).any():
            raise InputError(
                f"a linear probe on {len(split.targets)} training items with one target, "
                f"{float(split.targets.reshape(-1)[0]):g}.",
                rule="what a regression reads varies.", likely="a filter that left one value, or a set too small.",
                next="look at the targets of learn.dls.train; split at random.",
            )  # fmt: skip
        finite(split, where)

    def fit(self, split: Split, seed: int, stopped: Stops, tick: Ticks) -> Fitted:
        """Ridge regression of standardised targets, with one alpha for all of them.

        alpha has the least mean squared error in leave-one-out cross-validation on the training items.
        """
        x, valid = standardised(split.train, split.valid)
        y, goal = (one.reshape(len(one), -1).astype(np.float64) for one in (split.targets, split.valid_targets))
        mean, spread = y.mean(0), y.std(0)
        spread[spread == 0] = 1
        with threads(x.size):
            weights, alpha, partial = ridge(x, (y - mean) / spread, stopped, tick)
        read, few = valid @ weights * spread + mean, len(y) < LEAST
        how = "by default: too few to hold one out" if few else "by leave-one-out cross-validation of these"
        names = self.names if len(self.names) == y.shape[1] else [f"number {k + 1}" for k in range(y.shape[1])]
        outcome = Numbers(numbers_report(read, goal, names, data=_ON), self.metric, mean)
        return Fitted(outcome, f"alpha {alpha:g} {how}", 0 if few else len(y), partial, alpha=alpha)

    def now(self, learn: Any, loader: Any) -> Any:
        """The numbers in the targets' units: [n, k]."""
        return answers(learn, loader)[0]
