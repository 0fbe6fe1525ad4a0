"""Losses of a task's items, by their place in it: who looks for wrong labels begins with the highest."""

from __future__ import annotations

from nbtune import Task, Tuner
from nbtune.errors import InputError
from nbtune.questions import Losses
from nbtune_widgets.pages import SPLITS, Places

__all__ = ["ByLoss", "located"]


class ByLoss:
    """Cross-validated losses, measured when they are asked for, and anew when the model was trained since."""

    def __init__(self, task: Task, tuner: Tuner | None) -> None:
        self._task, self._tuner = task, tuner
        self._found: Losses | None = None
        self._rows: dict[tuple[str, int], int] = {}  # of what was found, by place
        self._trained = 0
        self.losses: dict[tuple[str, int], float] = {}  # of the items that were judged, by place

    @property
    def wanting(self) -> bool:
        """Whether there are none, or only some from before a training."""
        return self._found is None or self._stale

    @property
    def _stale(self) -> bool:
        return self._tuner is not None and len(self._tuner.history.phases) != self._trained

    def measure(self, tuner: Tuner) -> None:
        """Raises as `tuner.item_losses`, and InputError where the model has other items than the task."""
        found = tuner.item_losses()
        self._rows, self._found, self._trained = located(self._task, found), found, len(tuner.history.phases)
        losses = {place: float(found.losses[row]) for place, row in self._rows.items()}
        self.losses = {place: loss for place, loss in losses.items() if loss == loss}  # nan: not judged

    def words(self, place: tuple[str, int]) -> tuple[str, str]:
        """The loss of an item, and what it is read as where that is another class than its label."""
        found, row = self._found, self._rows.get(place)
        if found is None or row is None or found.read[row] < 0:
            return "", ""
        read = found.read[row]
        return f"{found.losses[row]:.2f}", found.vocab[read] if read != found.labels[row] else ""

    @property
    def sentence(self) -> str:
        return "" if self._found is None else self._found.sentence + (" Stale: trained since." if self._stale else "")


def located(task: Task, losses: Losses) -> dict[tuple[str, int], int]:
    """The row of the losses for each place, by the items' ids, or by place where the Learner's data have none.

    Raises InputError where the Learner has other items.
    """
    ids = {name: (split, at) for split in SPLITS[:2] for at, name in enumerate(getattr(task, split).ids)}
    found = {ids[name]: row for row, name in enumerate(losses.items) if name in ids}
    if found:
        _check_labels(task, losses, found)
        return found
    sizes = [losses.splits.count(split) for split in SPLITS[:2]]
    if sizes == [len(task.train), len(task.valid)]:
        return {(split, at): row for row, (split, at) in enumerate(_counted(sizes))}
    raise InputError(
        f"losses of {sizes[0]} training and {sizes[1]} validation items, none of which is the task's.",
        rule="the model is a Tuner or Learner on this task's items.",
        likely="a Learner of another task, or of your own data.",
        next='DataBrowser(task, task.learner("letters"))',
    )


def _check_labels(task: Task, losses: Losses, found: dict[tuple[str, int], int]) -> None:
    other = [place for place, row in found.items() if getattr(task, place[0]).y[place[1]] != losses.labels[row]]
    if other:
        split, at = other[0]
        raise InputError(
            f"losses of {len(other)} items under other labels, such as {getattr(task, split).ids[at]!r}.",
            rule="the model is a Tuner or Learner on this very task.",
            likely="a Learner that was made before the task was edited.",
            next='DataBrowser(task, task.learner("letters"))',
        )


def _counted(sizes: list[int]) -> Places:
    return [(split, at) for split, size in zip(SPLITS, sizes, strict=False) for at in range(size)]
