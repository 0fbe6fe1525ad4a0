"""Marks on items, with undo and redo: they belong to items, so they outlive every change of what is shown."""

from __future__ import annotations

from typing import Any

import pandas as pd

from nbtune.tasks.edited import Edit, Mark

__all__ = ["Marks", "changes", "words"]


class Marks:
    """The mark of each item by its id, in the order in which they were made."""

    def __init__(self) -> None:
        self._now: dict[str, Mark] = {}
        self._done: list[tuple[str, Mark | None, Mark | None]] = []  # item, mark before, mark after
        self._undone: list[tuple[str, Mark | None, Mark | None]] = []

    def __len__(self) -> int:
        return len(self._now)

    def get(self, item: str) -> Mark | None:
        return self._now.get(item)

    def put(self, item: str, mark: Mark | None) -> None:
        """Give an item this mark, or none; what was undone before cannot come back then."""
        before = self.get(item)
        if mark != before:
            self._set(item, mark)
            self._done.append((item, before, mark))
            self._undone.clear()

    def undo(self) -> str:
        """Take the last change back; what it was, or "" where there is none."""
        return self._step(self._done, self._undone, 1)

    def redo(self) -> str:
        """Make the last change that was taken back again."""
        return self._step(self._undone, self._done, 2)

    @property
    def steps(self) -> tuple[int, int]:
        """How many changes can be taken back, and made again."""
        return len(self._done), len(self._undone)

    def frame(self) -> Any:
        """Split, item, what, label, as `task.edited` takes it."""
        return pd.DataFrame(list(self._now.values()), columns=list(Mark._fields), dtype=object)

    def _step(self, away: list[Any], to: list[Any], which: int) -> str:
        if not away:
            return ""
        change = away.pop()
        to.append(change)
        self._set(change[0], change[which])
        return f"{change[0]}: {words(change[which])}"

    def _set(self, item: str, mark: Mark | None) -> None:
        self._now.pop(item, None)
        if mark is not None:
            self._now[item] = mark


def words(mark: Mark | None) -> str:
    """What a mark says of its item."""
    return "no mark" if mark is None else "left out" if mark.what == "exclude" else f"is {mark.label}"


def changes(edit: Edit) -> Any:
    """The first 20 items that an edit would change: item, split, label now, what, label then."""
    return edit.frame().head(20)[["item", "split", "now", "what", "label"]].astype(str).to_numpy().tolist()
