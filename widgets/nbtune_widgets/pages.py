"""Which items of a task are in view, and in which order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nbtune import Task
from nbtune.tasks.copies import Copies

__all__ = ["BY", "ONLY", "PAGE", "SPLITS", "Places", "Shown", "on_page", "order", "pages"]

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


def pages(every: Places) -> int:
    """How many pages these places fill; of none, one that is empty."""
    return max(1, -(-len(every) // PAGE))


def on_page(every: Places, number: int) -> Places:
    """The places of a page; pages count from 1."""
    return every[(number - 1) * PAGE : number * PAGE]


def _ids(copies: Copies | None, only: str) -> set[str]:
    assert copies is not None
    return {place.item for group in (copies.groups if only == "copies" else copies.conflicts) for place in group}
