"""Items with the same content: those that stand in two splits, and those whose labels differ."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nbtune._display import WARM, Chart, chart, html_table, html_value
from nbtune.tasks.split import SPLITS

if TYPE_CHECKING:
    from nbtune.tasks.task import Task

__all__ = ["Copies", "Place", "copies", "label_of"]

_SHOWN = 20


class Place(NamedTuple):
    """Where an item stands."""

    split: str
    item: str
    label: str


@dataclass(frozen=True, repr=False)
class Copies:
    """Groups of items whose content is equal to the last bit; what only looks alike is not among them."""

    groups: tuple[tuple[Place, ...], ...]
    items: int  # looked at
    unread: tuple[str, ...] = ()  # ids of items that could not be read

    @property
    def across(self) -> tuple[tuple[Place, ...], ...]:
        """Groups that stand in two or more splits: what is known from training is measured again."""
        return tuple(group for group in self.groups if len({place.split for place in group}) > 1)

    @property
    def conflicts(self) -> tuple[tuple[Place, ...], ...]:
        """Groups whose items have different labels: one of these is wrong, or the task is not decidable there."""
        return tuple(group for group in self.groups if len({place.label for place in group}) > 1)

    @property
    def sentence(self) -> str:
        """How many, across splits and with other labels."""
        unread = f" {len(self.unread):,} could not be read." if self.unread else ""
        if not self.groups:
            return f"No two of {self.items:,} items are equal to the last bit.{unread}"
        count = sum(map(len, self.groups))
        return (
            f"{count:,} of {self.items:,} items have an exact copy, in {len(self.groups):,} groups: "
            f"{len(self.across):,} across splits, {len(self.conflicts):,} with labels that differ.{unread}"
        )

    def frame(self) -> Any:
        """A pandas frame, a row an item: group, split, item, label, across, conflict."""
        import pandas as pd

        across, conflicts = set(self.across), set(self.conflicts)
        rows = [
            (number, *place, group in across, group in conflicts)
            for number, group in enumerate(self.groups)
            for place in group
        ]
        return pd.DataFrame(rows, columns=["group", "split", "item", "label", "across", "conflict"])

    def plot(self) -> Chart:
        """Items with a copy, by split."""
        figure, ax = chart(self.sentence, height=1.8)
        found = self.frame()
        ax.barh(SPLITS, [int((found["split"] == split).sum()) for split in SPLITS], color=WARM)
        ax.invert_yaxis()
        ax.set_xlabel("items with an exact copy")
        return figure

    def __repr__(self) -> str:
        return self.sentence

    def _repr_html_(self) -> str:
        rows = [
            (
                ", ".join(f"{p.split} {p.item} ({p.label})" for p in group),
                "yes" if group in self.across else "",
                "yes" if group in self.conflicts else "",
            )
            for group in self.groups[:_SHOWN]
        ]
        table = html_table(["items (label)", "across splits", "labels differ"], rows) if rows else ""
        return html_value("Copies", self.sentence, table)


def copies(task: Task) -> Copies:
    """See `Task.copies`."""
    found: dict[bytes, list[Place]] = defaultdict(list)
    unread = []
    for split in SPLITS:
        items = getattr(task, split)
        known = getattr(getattr(items, "x", None), "hashes", None)  # of files: nothing has to be decoded
        for at, name in enumerate(items.ids):
            try:
                content = known[at].encode() if known else _digest(items[at][0])
            except Exception:  # of a file: which one is told, and the others are compared
                unread.append(name)
                continue
            found[content].append(Place(split, name, label_of(task, items.y[at])))
    groups = tuple(tuple(places) for places in found.values() if len(places) > 1)
    return Copies(groups, sum(len(getattr(task, split)) for split in SPLITS), tuple(unread))


def label_of(task: Task, y: Any) -> str:
    """A target as text: a class, labels, or numbers."""
    kind = getattr(task, "kind", "single")
    if kind == "single":
        return task.vocab[int(y)]
    if kind == "multi":
        return ", ".join(name for name, has in zip(task.vocab, y, strict=True) if has) or "none"
    return ", ".join(f"{float(number):g}" for number in np.ravel(y))


def _digest(content: Any) -> bytes:
    """Of an array its shape and bits; of anything else, such as a row, what it says of itself."""
    if isinstance(content, np.ndarray) and content.dtype != object:
        known = hashlib.blake2b(repr((content.shape, content.dtype.str)).encode(), digest_size=16)
        known.update(np.ascontiguousarray(content).tobytes())
        return known.digest()
    values = content.to_dict() if hasattr(content, "to_dict") else content
    return hashlib.blake2b(repr(values).encode(), digest_size=16).digest()
