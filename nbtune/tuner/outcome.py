"""What came of it: a report on the test set, and a bundle of the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nbtune import bundle
from nbtune._fastai.predict import foreign_parts, predictions, vocabulary
from nbtune.cache import key_of
from nbtune.evaluate import Report, report
from nbtune.groups import Group
from nbtune.history import History
from nbtune.tuner.test_set import TestSet

__all__ = ["Outcomes"]


class Outcomes:
    """Reports of one Learner, each with the state of the model that it is about."""

    def __init__(self, learn: Any, test: TestSet) -> None:
        self.learn, self.test = learn, test
        self._reports: list[tuple[str, Report]] = []

    def report(self, dl: Any = None) -> Report:
        """A Report on the test set, or on `dl`; the look is counted."""
        loader, items = self.test.loader(self.learn, dl)
        probs, targets = predictions(self.learn, loader)
        looks = self.test.look(targets, items)
        origin = getattr(self.learn, "nbtune_origin", None)
        objective = origin.task.objective if origin is not None else ""
        names = vocabulary(self.learn, probs.shape[1])
        made = report(probs, targets, names, items=items, looks=looks, objective=objective)
        self._reports.append((self._state(), made))
        return made

    def of_now(self) -> Report | None:
        """The last report, if it is of the model as it is now."""
        now = self._state()
        return next((made for state, made in reversed(self._reports) if state == now), None)

    def save(self, folder: str | Path, groups: tuple[Group, ...], history: History) -> Path:
        """Write a bundle, with the metrics of the last report where it is of this state."""
        origin, last = getattr(self.learn, "nbtune_origin", None), self.of_now()
        return bundle.save(
            folder,
            model=self.learn.model,
            groups=groups,
            history=history.rows,
            metrics=None if last is None else last.metrics,
            **(bundle.parts_of(origin) if origin is not None else foreign_parts(self.learn)),
        )

    def _state(self) -> str:
        return key_of(list(self.learn.model.state_dict().values()))
