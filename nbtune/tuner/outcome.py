"""What came of it: a report on the test set, and a bundle of the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from nbtune import bundle
from nbtune._fastai.fits import fitting
from nbtune._fastai.predict import answers, foreign_parts, kind_of, predictions, vocabulary
from nbtune.cache import key_of
from nbtune.errors import BundleError, InputError, NbtuneError, TrainingError
from nbtune.evaluate import TEST, report
from nbtune.evaluate.labels import labels_report
from nbtune.evaluate.numbers import numbers_report
from nbtune.groups import Group
from nbtune.history import History
from nbtune.transaction import untouched
from nbtune.tuner.test_set import TestSet

__all__ = ["Outcomes"]


class Outcomes:
    """Reports of one Learner, each with the state of the model that it is about."""

    def __init__(self, learn: Any, test: TestSet) -> None:
        self.learn, self.test = learn, test
        self._reports: list[tuple[str, Any]] = []
        self._foreign: tuple[Any, Any, dict[str, Any]] | None = None  # loaders and model, and what they say

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

    def save(self, folder: str | Path, groups: tuple[Group, ...], history: History, limits: Mapping[str, str]) -> Path:
        """Write a bundle, with the metrics on the test set where they are of this state."""
        parts = self._parts()
        if limits:
            parts = {**parts, "task_card": {**parts["task_card"], "limits": dict(limits)}}
        test = [made for made in self.of_now() if made.data == TEST]
        return bundle.save(
            folder,
            model=self.learn.model,
            groups=groups,
            history=history.rows,
            metrics=test[0].metrics if test else None,
            **parts,
        )

    def predict(self, items: Any, batch_size: int) -> Any:
        """See `Tuner.predict`."""
        if fitting(self.learn):
            raise _in_fit()
        with untouched(self.learn), _as_tuner():
            return self.model().predict(items, batch_size=batch_size)

    def model(self) -> bundle.Model:
        """The network as it is now, with what its bundle would say of it. Raises InputError without one."""
        try:
            return bundle.live(self.learn.model, self._parts())
        except InputError as error:
            raise InputError(
                error.given, rule="it predicts on images, and on tables whose Learner task.learner made.",
                likely=error.likely.partition(",")[0] + ".", next="tuner.learn.predict(item), which is fastai's own",
            ) from error  # fmt: skip

    def unlike(self, items: Any) -> str:
        """See `Tuner.unlike`."""
        return self.model().unlike(items, self._training_pictures())

    def _training_pictures(self) -> Any:
        """Training pictures as the network gets them before they are normalised; None where they are not at hand."""
        pixels: Any = getattr(getattr(self.learn.dls.train, "dataset", None), "x", ())
        known = isinstance(pixels, torch.Tensor) and pixels.dtype == torch.uint8 and pixels.ndim == 4
        return pixels if known and len(pixels) else None

    def _parts(self) -> dict[str, Any]:
        """What a bundle says beside weights, groups and history."""
        learn = self.learn
        origin = getattr(learn, "nbtune_origin", None)
        if origin is not None:
            return bundle.parts_of(origin)
        known = self._foreign
        if known is None or known[0] is not learn.dls or known[1] is not learn.model:
            self._foreign = known = (learn.dls, learn.model, foreign_parts(learn))
        return known[2]

    def _named(self, dl: Any) -> str:
        origin = getattr(self.learn, "nbtune_origin", None)
        splits = {"train": "the training items", "valid": "the validation items", "test": TEST}
        known = [splits[name] for name in splits if origin is not None and getattr(origin.task, name) is dl]
        return known[0] if known else "the data given"

    def _state(self) -> str:
        return key_of(list(self.learn.model.state_dict().values()))


@contextmanager
def _as_tuner() -> Iterator[None]:
    """Errors of a Model in the words of a Tuner, whose network is at hand."""
    try:
        yield
    except BundleError as error:
        raise _bad_scores(error) from error
    except NbtuneError as error:
        better = error.next.replace("model.predict", "tuner.predict")
        raise type(error)(error.given, rule=error.rule, likely=error.likely, next=better) from error


def _in_fit() -> TrainingError:
    return TrainingError(
        "predict() while learn.fit() runs in another thread.",
        rule="one thing is done with a Learner at a time: its weights change while it trains.",
        likely="a panel that was drawn in while a cell trains.",
        next="predict again when that cell has ended.",
    )


def _bad_scores(error: BundleError) -> InputError:
    finite = "not finite" not in error.given
    return InputError(
        error.given,
        rule=error.rule,
        likely="a head for another number of classes than the data have." if finite else "a training that diverged.",
        next="learn.model(learn.dls.valid.one_batch()[0]).shape shows what it gives" if finite
        else "tuner.best() goes back to the best state, or train again with a smaller rate",
    )  # fmt: skip
