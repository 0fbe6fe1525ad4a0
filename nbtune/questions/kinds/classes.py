"""One class an item: logistic regression, measured by accuracy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nbtune._fastai.predict import predictions
from nbtune.evaluate.intervals import Estimate, interval, resampled_means, wilson
from nbtune.questions.kinds.outcome import Fitted, Stops, Ticks, same_items
from nbtune.questions.linear import Split, check, linear

__all__ = ["ClassKind", "Classes"]


@dataclass(frozen=True, eq=False)
class Classes:
    """Which validation items are read rightly."""

    correct: Any = field(repr=False)  # bool [n], read-only
    kind: str = "single"
    metric: str = "accuracy"
    beside: str = ""

    def __len__(self) -> int:
        return len(self.correct)

    @property
    def score(self) -> Estimate:
        """The accuracy, with Wilson's 95 % interval."""
        return wilson(int(self.correct.sum()), len(self))

    def ahead(self, other: Classes) -> Estimate:
        """Accuracy less the other's. Source of the interval: Efron (1979), paired over the items."""
        difference = self.correct.astype(float) - other.correct
        replicates = resampled_means(difference, 2000, np.random.default_rng(0))
        half = wilson(0, len(self)).high  # no disagreement was seen: what 0 of n still allows
        value = float(difference.mean())
        return interval(value, replicates, (max(-1.0, value - half), min(1.0, value + half)))

    def of(self, now: Any) -> Classes:
        """`now`: bool [n], which items a model reads. Raises InputError for another number of items."""
        return Classes(same_items(now, self.correct.shape, "probe.gain(nbtune.questions.right(learn))"))

    def frame(self) -> Any:
        """A pandas frame: correct."""
        import pandas as pd

        return pd.DataFrame({"correct": self.correct})


class ClassKind:
    """Targets of one class an item."""

    def check(self, split: Split, where: str) -> None:
        """Raise InputError for targets that are no classes, one class, or features that are not finite."""
        check(split, where)

    def fit(self, split: Split, seed: int, stopped: Stops, tick: Ticks) -> Fitted:
        """See `nbtune.questions.linear.linear`."""
        found = linear(split, seed, stopped, tick)
        found.correct.flags.writeable = False
        chosen = f"C {found.c:g} by {found.folds}-fold cross-validation" if found.folds else f"C {found.c:g} by default"
        more = "" if found.folds else ": one item a class, so nothing can be held out"
        return Fitted(Classes(found.correct), f"{chosen} of these{more}", found.folds, found.partial, c=found.c)

    def now(self, learn: Any, loader: Any) -> Any:
        """Which items are read rightly: bool [n]."""
        probs, targets = predictions(learn, loader)
        return probs.argmax(axis=1) == targets.reshape(-1)
