"""What a DataBrowser refuses, in four parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nbtune import Tuner
from nbtune.errors import InputError, InputTypeError, TrainingError, nearest
from nbtune_widgets.pages import SPLITS

__all__ = ["busy_model", "check", "check_page", "check_task", "need_model", "never_on_test", "no_mark"]


def check(name: str, value: Any, known: Sequence[Any]) -> None:
    """Raise InputError for a value that is not among those known."""
    if value in known:
        return
    place = type(value) is int and 0 <= value < len(known)
    raise InputError(
        f"{name}={value!r:.60}.",
        rule=f"{name} is one of {', '.join(map(str, known[:12]))}{' …' * (len(known) > 12)}.",
        likely="a place in that list instead of the name." if place else "another word for it, or a misspelt one.",
        next=f"{name}={known[value]!r}" if place else nearest(str(value), known[:40]),
    )


def check_page(page: Any, last: int) -> None:
    """Raise InputError for what is no page from 1 to `last`."""
    if type(page) is int and 1 <= page <= last:
        return
    raise InputError(
        f"page={page!r:.40}.",
        rule=f"a page is a whole number from 1 to {last} here.",
        likely="the pages count from 1." if page == 0
        else "a page of another split or class." if type(page) is int else "a number as text, or a share.",
        next=f"page={1 if page == 0 else last}",
    )  # fmt: skip


def never_on_test(split: str) -> None:
    """Raise InputError where the test split is to be ordered by loss."""
    if split == "test":
        raise InputError(
            "losses of the test split.",
            rule="items are ordered by loss on train and valid, never on test.",
            likely="a search for wrong labels, which belongs before the test.",
            next="browser.show(by='loss')",
        )


def no_mark(item: Any, split: str, example: str) -> InputError:
    """The error for a mark on an item of the test split, or on none."""
    if not split:
        return InputError(
            f"item {item!r:.60}.",
            rule="an item is named by its id.",
            likely="an item of another task or other shots.",
            next=f"one of task.train.ids, such as {example!r}",
        )
    return InputError(
        f"a mark on the test item {item!r}.",
        rule="the browser marks training and validation items: a test split that is corrected where somebody looked "
        "flatters what they looked with.",
        likely="a wrong label or a copy was seen there; a copy can be left out of train instead.",
        next='task.edited(marks, test="why, and how the items were chosen")',
    )


def need_model(model: Tuner | None, what: str) -> Tuner:
    """The model; raises InputError where there is none."""
    if model is not None:
        return model
    raise InputError(
        f"show({what}) without a model.",
        rule="losses and inputs come from a model.",
        likely="the browser was made with the task alone.",
        next="nt.widgets.DataBrowser(task, tuner)",
    )


def busy_model(running: str) -> TrainingError:
    """The error for the model's input while its loaders are in use."""
    return TrainingError(
        f"show(as_input=True) while {running}() is running.",
        rule="the model's input comes from its loaders, which do one thing at a time.",
        likely=f"{running}() was begun in a cell or by another panel.",
        next="wait for it, or tuner.stop(); marks can be made meanwhile",
    )


def check_task(given: Any) -> None:
    """Raise InputTypeError for anything but a task of one class an item."""
    if getattr(given, "kind", "single") != "single":
        raise InputTypeError(
            f"DataBrowser of a task of the kind {given.kind!r}.",
            rule="DataBrowser shows items of one class each.",
            likely="several labels an item, or numbers to predict.",
            next="task.plot(), which shows items of every kind",
        )
    if all(hasattr(getattr(given, split, None), "ids") for split in SPLITS):
        return
    model = hasattr(given, "learn") or hasattr(given, "dls")
    raise InputTypeError(
        f"DataBrowser({type(given).__name__}).",
        rule="DataBrowser shows a task, and takes a model beside it.",
        likely="the model instead of the task." if model else "a split or the data of a task, or its name.",
        next=f"nt.widgets.DataBrowser(task{', tuner' if model else ''})",
    )
