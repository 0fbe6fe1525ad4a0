"""A task with few labelled items: the same classes, validation and test, a part of the training items."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from nbtune.errors import InputError
from nbtune.tasks.split import check_seed, check_shots, pick

if TYPE_CHECKING:
    from nbtune.tasks.task import Task

__all__ = ["few"]


def few(task: Task, shots: int, seed: int) -> Task:
    """See `Task.few`."""
    from nbtune.tasks.task import digest_of

    if task.kind != "single":
        raise InputError(
            f"few() of a task whose targets are {'several labels' if task.kind == 'multi' else 'numbers'}.",
            rule="shots are counted by class, so each item has one class.",
            likely="a task made for regression or for several labels an item.",
            next="task.learner(...) on all items, or a smaller frame in nt.tasks.from_frame",
        )
    counts = [count for count in np.bincount(task.train.y).tolist() if count]
    check_shots(shots, counts)
    train = task.train.take(pick(task.train.y, shots, check_seed(seed)))
    card = replace(
        task.card, sizes={**task.card.sizes, "train": len(train)},
        class_counts=dict(zip(task.vocab, train.counts(len(task.vocab)), strict=True)),
        split_digest=digest_of(train, task.valid, task.test),
        split=" ".join(filter(None, (task.card.split, f"{shots} training items a class, seed {seed}."))),
    )  # fmt: skip
    code, _, note = task.code.partition("  # ")
    said = f"{code}.few({shots}, seed={seed})" if code != "..." else code
    return replace(task, train=train, card=card, code=said + (f"  # {note}" if note else ""))
