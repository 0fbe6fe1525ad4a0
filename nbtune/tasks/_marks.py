"""Marks on a task's items, checked before anything is made of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from nbtune._numbers import kind
from nbtune.errors import InputError, InputTypeError, nearest
from nbtune.tasks.split import SPLITS

if TYPE_CHECKING:
    from nbtune.tasks.task import Task

__all__ = ["COLUMNS", "Mark", "marks_of"]

COLUMNS = ("split", "item", "what", "label")
_RULE = 'marks is a frame with the columns split, item, what ("label" or "exclude") and label, a row an item.'
_EXAMPLE = 'pandas.DataFrame([{"split": "train", "item": task.train.ids[0], "what": "exclude", "label": ""}])'


class Mark(NamedTuple):
    """A wrong label with the class that it should be, or an item to leave out (with the label "")."""

    split: str
    item: str
    what: str
    label: str = ""


def marks_of(task: Task, marks: Any, reason: str | None) -> tuple[Mark, ...]:
    """The rows of a frame as marks on `task`.

    Raises InputTypeError for what is no table, InputError for columns, items, classes or splits that are not there,
    two marks on one item, a split that would be empty, or the test split without a reason.
    """
    if (several := getattr(task, "kind", "single")) != "single":
        targets = "numbers" if several == "regression" else "several labels an item"
        raise InputError(
            f"edited() of a task whose targets are {targets}.",
            rule="marks give an item one class.", likely="a browser's habit, on another kind of task.",
            next="correct the table or the folder that the task was made from, and make it again.",
        )  # fmt: skip
    found = [_mark(task, *row) for row in _rows(marks)]
    _check_places(task, found)
    _check_once(found)
    _check_test(found, reason)
    for split in SPLITS:
        out = sum(mark.split == split and mark.what == "exclude" for mark in found)
        least = 2 if split == "train" else 1
        if out and len(getattr(task, split)) - out < least:
            raise InputError(
                f"marks that leave {out} of {len(getattr(task, split))} {split} items out.",
                rule=f"{least} or more {split} items stay.", likely="marks made by a condition that holds for all.",
                next='marks = marks[marks["what"] == "label"]',
            )  # fmt: skip
    return tuple(found)


def _rows(marks: Any) -> list[tuple[Any, ...]]:
    import pandas as pd

    if isinstance(marks, list | tuple):  # as the code of an edited task writes them
        whole = all(isinstance(row, list | tuple) and len(row) == len(COLUMNS) for row in marks)
        marks = pd.DataFrame(marks, columns=list(COLUMNS)) if whole else marks
    if not isinstance(marks, pd.DataFrame):
        browser = isinstance(getattr(marks, "marks", None), pd.DataFrame)
        raise InputTypeError(
            f"edited() of {kind(marks)}.", rule=_RULE,
            likely="the browser instead of its marks." if browser else "rows without the names of their columns.",
            next="task.edited(browser.marks)" if browser else f"task.edited({_EXAMPLE})",
        )  # fmt: skip
    missing = [name for name in COLUMNS if name not in marks.columns]
    if missing:
        raise InputError(
            f"marks without the column {missing[0]!r}: they have {', '.join(map(str, marks.columns)) or 'none'}.",
            rule=_RULE, likely="another frame, or columns renamed.", next=_EXAMPLE,
        )  # fmt: skip
    return list(marks[list(COLUMNS)].itertuples(index=False, name=None))


def _mark(task: Task, split: Any, item: Any, what: Any, label: Any) -> Mark:
    if split not in SPLITS:
        raise InputError(
            f"a mark in the split {split!r}.", rule=f"a split is {', '.join(SPLITS[:-1])} or {SPLITS[-1]}.",
            likely="another name for it.", next=nearest(str(split), SPLITS),
        )  # fmt: skip
    if what not in ("label", "exclude"):
        raise InputError(
            f"a mark {what!r} on {item!r}.", rule='what is "label" (a new class) or "exclude" (left out).',
            likely="the new class in the column what." if what in task.vocab else "another word for one of them.",
            next='what="label"' if what in task.vocab else 'what="exclude"',
        )  # fmt: skip
    return Mark(split, str(item), what, _name(task, item, label) if what == "label" else "")


def _name(task: Task, item: Any, label: Any) -> str:
    """The class; a file that was read back may hold 3 or 3.0 where the class is "3"."""
    names = [str(label)]
    if isinstance(label, float) and math.isfinite(label):
        names.append(f"{label:.0f}" if label == int(label) else str(label))
    known = next((name for name in names if name in task.vocab), None)
    if known is None:
        absent = label is None or label != label or label == ""
        raise InputError(
            f"the label {label!r} for {item!r}." if not absent else f"a mark on {item!r} without its new label.",
            rule=f"a label is one of the task's {len(task.vocab)} classes.",
            likely="an item to leave out." if absent else "a misspelt class, or one of another task.",
            next='what="exclude"' if absent else nearest(str(label), task.vocab[:40]),
        )  # fmt: skip
    return known


def _check_places(task: Task, marks: list[Mark]) -> None:
    where = {name: split for split in SPLITS for name in getattr(task, split).ids}
    for mark in marks:
        if where.get(mark.item) != mark.split:
            there = where.get(mark.item)
            found = f"but it stands in {there}" if there else "which has no such item"
            raise InputError(
                f"a mark on {mark.item!r} in {mark.split}, {found}.",
                rule="a mark names an item by its id and the split that it stands in.",
                likely="the task was split anew since." if there
                else "marks of another task, of other shots, or of items that were left out before.",
                next=f"split={there!r}" if there else f"task.{mark.split}.ids has the ids.",
            )  # fmt: skip


def _check_once(marks: list[Mark]) -> None:
    seen: dict[str, Mark] = {}
    for mark in marks:
        if mark.item in seen:
            same = seen[mark.item] == mark
            raise InputError(
                f"two marks on {mark.item!r}.", rule="an item has one mark.",
                likely="the same marks were joined twice." if same else "marks of two people that differ.",
                next="marks.drop_duplicates()" if same else 'marks.drop_duplicates("item", keep="last")',
            )  # fmt: skip
        seen[mark.item] = mark


def _check_test(marks: list[Mark], reason: str | None) -> None:
    if reason is not None and not isinstance(reason, str):
        raise InputTypeError(
            f"test={reason!r:.40}.", rule="test is a sentence: why the test split may be edited.",
            likely="a switch; here the reason goes on the card.", next='test="two annotators agreed, without a model"',
        )  # fmt: skip
    touched = sum(mark.split == "test" for mark in marks)
    if touched and not (reason or "").strip():
        raise InputError(
            f"{touched} {'mark' if touched == 1 else 'marks'} in the test split without a reason.",
            rule="the test split stays as it is, or the card says why not: to correct it where a model errs flatters "
            "the model, and scores before and after cannot be compared.",
            likely="a wrong label or a copy was seen there; a copy can be left out of train instead.",
            next='marks[marks["split"] != "test"], or task.edited(marks, test="why, and how the items were chosen")',
        )  # fmt: skip
