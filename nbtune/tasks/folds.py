"""Cross-validation: a task as k tasks on the same test set."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings, simplefilter

import numpy as np

from nbtune.errors import InputError
from nbtune.tasks._whole import refuse_not_whole
from nbtune.tasks.items import Items
from nbtune.tasks.split import check_seed
from nbtune.tasks.splits import Aside, components, strata
from nbtune.tasks.stacks import joined, lazy
from nbtune.tasks.targets import Target

if TYPE_CHECKING:
    from nbtune.tasks.task import Task

__all__ = ["folds"]

_RULE = "k is a whole number of folds, 2 or more, and no class or set of groups has fewer."


def folds(task: Task, k: int, seed: int) -> tuple[Task, ...]:
    """See `Task.folds`."""
    refuse_not_whole("k", k, _RULE, "5")
    check_seed(seed)
    pool = _pooled(task.train, task.valid)
    codes = strata(Target(task.kind, task.vocab, pool.y, ""))
    aside = Aside(pool.group, pool.time, None, pool.x.hashes if lazy(pool.x) else None)
    _check(task, k, codes, aside)
    made = []
    for number, (train, valid) in enumerate(_places(codes, aside, k, seed), 1):
        train_items, valid_items = pool.take(np.sort(train)), pool.take(np.sort(valid))
        digest = hashlib.sha256("".join(i.digest for i in (train_items, valid_items, task.test)).encode()).hexdigest()
        card = replace(
            task.card, name=f"{task.name}, fold {number} of {k}", split_digest=digest,
            sizes={"train": len(train_items), "valid": len(valid_items), "test": len(task.test)},
            class_counts=dict(zip(task.vocab, train_items.counts(len(task.vocab)), strict=False)),
            split=f"Fold {number} of {k}, seed {seed}. {task.card.split}".strip(),
        )  # fmt: skip
        code = f"{task.code}.folds({k}, seed={seed})[{number - 1}]"
        made.append(replace(task, name=card.name, card=card, train=train_items, valid=valid_items, code=code))
    return tuple(made)


def _pooled(train: Items, valid: Items) -> Items:
    beside = [None if a is None or b is None else np.concatenate([a, b])
              for a, b in ((train.group, valid.group), (train.time, valid.time))]  # fmt: skip
    return Items(joined([train.x, valid.x]), np.concatenate([train.y, valid.y]), (*train.ids, *valid.ids), *beside)


def _check(task: Task, k: int, codes: Any, aside: Aside) -> None:
    counts = np.bincount(codes[codes >= 0])
    least = int(counts[counts > 0].min()) if task.kind == "single" and aside.time is None else len(codes)
    what = "items of the smallest class"
    if aside.group is not None and len(np.unique(components(aside, len(codes)))) < least:
        least, what = len(np.unique(components(aside, len(codes)))), "groups"
    if not 2 <= k <= least:
        raise InputError(
            f"k={k} with {least:,} {what}." if k > least else f"k={k}.", rule=_RULE,
            likely="one fold, which validates on nothing new." if k == 1 else "folds for a larger data set."
            if k > least else "a count that came out below 1.", next=f"task.folds({max(2, min(5, least))})",
        )  # fmt: skip


def _places(codes: Any, aside: Aside, k: int, seed: int) -> Iterator[tuple[Any, Any]]:
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, TimeSeriesSplit

    with catch_warnings():  # of strata of numbers that are smaller than k
        simplefilter("ignore")
        if aside.time is not None:
            order = np.argsort(np.asarray(aside.time), kind="stable")
            for train, valid in TimeSeriesSplit(k).split(order):
                yield order[train], order[valid]
        elif aside.group is not None or (aside.hashes and len(set(aside.hashes)) < len(aside.hashes)):
            yield from StratifiedGroupKFold(k, shuffle=True, random_state=seed).split(
                codes, codes, components(aside, len(codes))
            )
        else:
            yield from StratifiedKFold(k, shuffle=True, random_state=seed).split(codes, codes)
