"""What came of it: a report on the test set, and a bundle of the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nbtune import bundle
from nbtune._fastai.predict import answers, foreign_parts, kind_of, predictions, vocabulary
from nbtune.cache import key_of
from nbtune.evaluate import TEST, report
from nbtune.evaluate.labels import labels_report
from nbtune.evaluate.numbers import numbers_report
from nbtune.groups import Group
from nbtune.history import History
from nbtune.tuner.test_set import TestSet

__all__ = ["Outcomes"]


class Outcomes:
    """Reports of one Learner, each with the state of the model that it is about."""

    def __init__(self, learn: Any, test: TestSet) -> None:
        self.learn, self.test = learn, test
        self._reports: list[tuple[str, Any]] = []

    def report(self, dl: Any = None) -> Any:
        """A report on the test set, or on `dl`, of the kind that the loss is for; the look is counted."""
        loader, items = self.test.loader(self.learn, dl)
        kind = kind_of(self.learn)
        find, describe = {"multi": (answers, labels_report), "regression": (answers, numbers_report)}.get(
            kind, (predictions, report)
        )
        probs, targets = find(self.learn, loader)
        looks = self.test.look(targets, items)
        origin = getattr(self.learn, "nbtune_origin", None)
        objective = origin.task.objective if origin is not None else ""
        names = vocabulary(self.learn, probs.shape[1])
        data = TEST if dl is None else self._named(dl)
        made: Any = describe(probs, targets, names, items=items, looks=looks, objective=objective, data=data)
        self._reports.append((self._state(), made))
        return made

    def of_now(self) -> list[Any]:
        """The last report on each set of data that is of the model as it is now, the test set's first."""
        now = self._state()
        found = {made.data: made for state, made in self._reports if state == now}
        return sorted(found.values(), key=lambda made: made.data != TEST)

    def save(self, folder: str | Path, groups: tuple[Group, ...], history: History) -> Path:
        """Write a bundle, with the metrics on the test set where they are of this state."""
        origin = getattr(self.learn, "nbtune_origin", None)
        test = [made for made in self.of_now() if made.data == TEST]
        return bundle.save(
            folder,
            model=self.learn.model,
            groups=groups,
            history=history.rows,
            metrics=test[0].metrics if test else None,
            **(bundle.parts_of(origin) if origin is not None else foreign_parts(self.learn)),
        )

    def _named(self, dl: Any) -> str:
        origin = getattr(self.learn, "nbtune_origin", None)
        splits = {"train": "the training items", "valid": "the validation items", "test": TEST}
        known = [splits[name] for name in splits if origin is not None and getattr(origin.task, name) is dl]
        return known[0] if known else "the data given"

    def _state(self) -> str:
        return key_of(list(self.learn.model.state_dict().values()))
