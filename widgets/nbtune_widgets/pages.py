"""Which items of a task are in view, and in which order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nbtune import Task
from nbtune.errors import InputError
from nbtune.questions import Losses
from nbtune.tasks.copies import Copies

__all__ = ["BY", "ONLY", "PAGE", "SPLITS", "Places", "Shown", "located", "order"]

PAGE = 48  # items
SPLITS = ("train", "valid", "test")
ONLY = ("all", "marked", "copies", "conflicts")
BY = ("split", "loss")

Places = list[tuple[str, int]]


@dataclass(frozen=True)
class Shown:
    """What of the task is in view; `label` None is every class."""

    split: str = "train"
    label: str | None = None
    only: str = "all"
    by: str = "split"
    page: int = 1
    as_input: bool = False


def order(task: Task, shown: Shown, marked: Any, copies: Copies | None, losses: dict[tuple[str, int], float]) -> Places:
    """All places that `shown` asks for; by loss, those without one are left out."""
    found: Places = []
    for split in SPLITS if shown.split == "all" else (shown.split,):
        items = getattr(task, split)
        keep = np.ones(len(items), dtype=bool)
        if shown.label is not None:
            keep &= items.y == task.vocab.index(shown.label)
        if shown.only != "all":
            wanted = set(marked) if shown.only == "marked" else _ids(copies, shown.only)
            keep &= np.fromiter((name in wanted for name in items.ids), bool, len(items))
        found += [(split, int(at)) for at in np.flatnonzero(keep)]
    if shown.by == "loss":
        found = sorted((place for place in found if place in losses), key=lambda place: -losses[place])
    elif shown.only in ("copies", "conflicts"):
        group = {p.item: number for number, g in enumerate(copies.groups if copies else ()) for p in g}
        found.sort(key=lambda place: group[getattr(task, place[0]).ids[place[1]]])
    return found


def _ids(copies: Copies | None, only: str) -> set[str]:
    assert copies is not None
    return {place.item for group in (copies.groups if only == "copies" else copies.conflicts) for place in group}


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
