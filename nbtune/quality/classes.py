"""How many items each class has in each split, and which numbers stand far from the rest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nbtune.preflight.values import Finding
from nbtune.quality.words import listed, percent
from nbtune.tasks.split import SPLITS

if TYPE_CHECKING:
    from nbtune.tasks.task import Task

__all__ = ["FAR", "balance", "bare", "far_numbers", "finite"]

FAR = 3.5  # robust standard deviations (Iglewicz and Hoaglin 1993)
_FEW, _UNEVEN = 10, 10.0


def finite(task: Task, split: str) -> npt.NDArray[np.bool_]:
    """Which items of a split have a target: all but those whose number is NaN or infinite."""
    y = getattr(task, split).y
    if y.dtype.kind != "f":
        return np.ones(len(y), dtype=bool)
    return np.asarray(np.isfinite(y.reshape(len(y), -1)).all(1), dtype=bool)


def bare(task: Task) -> Iterator[Finding]:
    """Targets that are NaN, a single class, and what was left out when the task was made."""
    for split in SPLITS:
        gone = int((~finite(task, split)).sum())
        if gone:
            yield Finding(
                "stop", "targets", f"{gone:,} of {len(getattr(task, split)):,} {split} targets are NaN or infinite.",
                "The loss of their batch is NaN, and every weight after it.", "leave these items out",
            )  # fmt: skip
    if task.kind == "single" and len(np.unique(task.train.y)) < 2:
        name = task.vocab[int(task.train.y[0])]
        yield Finding(
            "stop", "classes", f"every training item is of one class, {name}.", "There is nothing to tell apart.",
            "split again, stratified by class; or look at how the labels were read",
        )  # fmt: skip
    if task.card.skipped:
        yield Finding(
            "note", "left out", task.card.left_out, "They were found when the task was made.", "task.card.skipped"
        )


def balance(task: Task) -> Iterator[Finding]:
    """Classes without items in a split, classes of few items, and shares that differ much."""
    if task.kind == "regression":
        return
    counts = {split: np.array(getattr(task, split).counts(len(task.vocab))) for split in SPLITS}
    names, train = np.array(task.vocab, dtype=object), counts["train"]
    what = "labels" if task.kind == "multi" else "classes"
    if (train == 0).any():
        yield Finding(
            "warn", what, f"{listed(names[train == 0])} of {len(names)} {what} {_has(int((train == 0).sum()))} no "
            "training item.", "They cannot be learned.", "split again, stratified; or leave them out",
        )  # fmt: skip
    for split in ("valid", "test"):
        gone = (counts[split] == 0) & (train > 0)
        if gone.any():
            yield Finding(
                "warn" if split == "test" else "note", what,
                f"{listed(names[gone])} {_has(int(gone.sum()))} no {split} item.",
                "Nothing tells how well they are read.", "split again, stratified by class",
            )  # fmt: skip
    few = (train > 0) & (train < _FEW)
    if few.any():
        told = [f"{name} {n}" for name, n in zip(names[few], train[few], strict=True)]
        yield Finding(
            "note" if few.all() else "warn", what,
            f"{int(few.sum())} of {len(names)} {what} have fewer than {_FEW} training items: {listed(told)}.",
            "What is learned of them varies much from one set of items to another.", "collect more of these first",
        )  # fmt: skip
    present = train[train > 0]
    if len(present) > 1 and present.max() > _UNEVEN * present.min():
        yield Finding(
            "warn", "balance", f"the largest class has {present.max() / present.min():.0f} times the items of the "
            f"smallest ({names[train.argmax()]} {train.max():,}, {percent(train.max() / train.sum())} of all).",
            "Accuracy is high for a model that never names the small ones.",
            "judge by macro-F1; more items of the small",
        )  # fmt: skip


def _has(count: int) -> str:
    return "has" if count == 1 else "have"


def far_numbers(task: Task) -> Any:
    """Items of train and valid whose target lies far from the training targets: a frame split, item, number, far.

    `far`: in robust standard deviations, by median and median absolute deviation.
    """
    import pandas as pd

    rows = []
    columns = task.train.y.reshape(len(task.train), -1)[finite(task, "train")]
    middle = np.median(columns, 0)
    spread = 1.4826 * np.median(np.abs(columns - middle), 0)
    for split in ("train", "valid"):
        items = getattr(task, split)
        y = items.y.reshape(len(items), -1)
        far = np.abs(y - middle) / np.where(spread > 0, spread, np.inf)
        worst = np.nan_to_num(far, nan=0.0).argmax(1)
        for at in np.flatnonzero(far[np.arange(len(y)), worst] > FAR):
            rows.append((split, items.ids[at], float(y[at, worst[at]]), float(far[at, worst[at]])))
    found = pd.DataFrame(rows, columns=["split", "item", "number", "far"])
    return found.sort_values("far", ascending=False, kind="stable", ignore_index=True)
