"""Groups and times that stand in two splits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from nbtune.preflight.values import Finding
from nbtune.quality.words import listed
from nbtune.tasks.split import SPLITS

if TYPE_CHECKING:
    from nbtune.tasks.task import Task

__all__ = ["groups", "times"]


def groups(task: Task) -> Iterator[Finding]:
    """Groups of which items stand in two splits."""
    known: dict[str, Any] = {split: getattr(task, split).group for split in SPLITS}
    if any(one is None for one in known.values()):
        return
    sets = {split: set(map(str, one)) for split, one in known.items()}
    for other in ("test", "valid"):
        both = sorted(sets["train"] & sets[other])
        if both:
            items = int(np.isin([str(one) for one in known[other]], both).sum())
            yield Finding(
                "warn", "leakage", f"{len(both):,} groups stand in train and in {other}, with {items:,} {other} items: "
                f"{listed(both)}.", "What is peculiar to a group is learned and asked again: new groups will do worse.",
                "split again with group=",
            )  # fmt: skip


def times(task: Task) -> Iterator[Finding]:
    """Training items later than test items, where items have times."""
    train, test = task.train.time, task.test.time
    if train is None or test is None or not len(train) or not len(test):
        return
    later = int((np.asarray(train) >= np.asarray(test).min()).sum())
    if later:
        yield Finding(
            "warn", "leakage", f"{later:,} training items are not older than the oldest test item.",
            "The future is known in training, and will not be in use.", "split again with time=",
        )  # fmt: skip
