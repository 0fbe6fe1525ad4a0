"""What every value says that a probe's outcome stands in: of one boundary, of the last one, of a body."""

from __future__ import annotations

from typing import Any

from nbtune.errors import InputError
from nbtune.evaluate.intervals import Estimate
from nbtune.questions._words import said
from nbtune.questions.kinds.classes import Classes
from nbtune.questions.kinds.outcome import Outcome

__all__ = ["Probed"]


class Probed:
    """A value with an `outcome`: its metric and score, and of classes the accuracy and which items are right."""

    outcome: Outcome

    @property
    def metric(self) -> str:
        """What `score` is: accuracy of classes; of labels f1, of numbers mae, or the Learner's own first metric."""
        return self.outcome.metric

    @property
    def score(self) -> Estimate:
        """The metric on the validation items with its 95 % interval: Wilson's of an accuracy, else by bootstrap."""
        return self.outcome.score

    @property
    def accuracy(self) -> Estimate:
        """Of classes, with Wilson's 95 % interval. Raises InputError for other targets."""
        return self._classes("accuracy").score

    @property
    def correct(self) -> Any:
        """Of classes: bool [n], which validation items are read rightly. Raises InputError for other targets."""
        return self._classes("correct").correct

    def _classes(self, name: str) -> Classes:
        if isinstance(self.outcome, Classes):
            return self.outcome
        what = "several labels an item" if self.outcome.kind == "multi" else "numbers"
        raise InputError(
            f"{name} of a probe of {what}.", rule="only one class an item is right or wrong as a whole.",
            likely="a line for another task.",
            next=f"probe.score, which is {said(self.outcome.metric)}, or probe.outcome.report",
        )  # fmt: skip
