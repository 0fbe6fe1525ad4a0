"""What must hold of a task's splits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nbtune.errors import InputError
from nbtune.tasks.items import Items

if TYPE_CHECKING:
    from nbtune.tasks.task import Task

__all__ = ["check_disjoint", "check_split"]


def check_split(split: str, items: Items, task: Task) -> None:
    least, words = (2, "two items") if split == "train" else (1, "an item")
    if len(items) < least:
        raise InputError(
            f"a {split} split of {len(items)} items.", rule=f"the {split} split has {words} or more.",
            likely="everything was given to another split.", next="split again with a smaller share for the others.",
        )  # fmt: skip
    if (items.y.max() if task.kind == "single" else _width(items.y) - 1) >= len(task.vocab):
        raise InputError(
            f"class {items.y.max():g} in the {split} split.", rule=f"classes are 0 to {len(task.vocab) - 1}.",
            likely="a label is missing in the vocab.", next="make the vocab from all splits.",
        )  # fmt: skip
    if isinstance(items.x, np.ndarray) and items.x.shape[1:] != task.train.x.shape[1:]:
        raise InputError(
            f"{split} images of {list(items.x.shape[1:])}.", rule=f"all have {list(task.train.x.shape[1:])}.",
            likely="one split was not resized.", next="prepare all splits in the same way.",
        )  # fmt: skip


def check_disjoint(task: Task) -> None:
    seen: dict[str, str] = {}
    for split in ("train", "valid", "test"):
        for name in getattr(task, split).ids:
            if seen.setdefault(name, split) != split:
                raise InputError(
                    f"item {name!r} in {seen[name]} and {split}.", rule="an item stands in one split.",
                    likely="the splits were drawn independently.", next="draw them from one permutation.",
                )  # fmt: skip


def _width(y: Any) -> int:
    return 1 if y.ndim == 1 else int(y.shape[1])
