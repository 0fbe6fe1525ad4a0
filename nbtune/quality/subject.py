"""What quality looks at: the task without targets that are no numbers, a body with its network, new data."""

from __future__ import annotations

import random
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from nbtune._numbers import kind as kind_of
from nbtune.errors import InputError, InputTypeError
from nbtune.quality.classes import finite
from nbtune.quality.seen import Plain
from nbtune.tasks.items import Items
from nbtune.tasks.split import SPLITS
from nbtune.tasks.stacks import Rows

if TYPE_CHECKING:
    from nbtune.tasks.task import Task

__all__ = ["network", "new_inputs", "readable", "reseed"]


def readable(task: Task) -> Task:
    """The task without items whose target is NaN or infinite; the same object where there are none."""
    masks = {split: finite(task, split) for split in SPLITS}
    if all(mask.all() for mask in masks.values()):
        return task
    kept = {split: getattr(task, split).take(np.flatnonzero(mask)) for split, mask in masks.items()}
    return replace(task, **kept)


def network(task: Task, body: Any) -> tuple[Any, Any]:
    """(body, model) of what was given: a name, a Body, a network, a Learner; small pictures where nothing was.

    Raises InputError for a body of a table, or a Learner without nbtune's body; else as `task.learner`.
    """
    if isinstance(task.train.x, Rows):
        if body is not None:
            raise InputError(
                f"quality(body={_short(body)}) of a table.", rule="the rows of a table are compared by their columns.",
                likely="a habit from pictures.", next="task.quality()",
            )  # fmt: skip
        return None, None
    if body is None:
        x = task.train.x
        looks = getattr(x, "looks", None)
        colour = any(not look.grey for look in looks) if looks is not None else np.ndim(x[0]) == 3
        return Plain(3 if colour else 1), None
    if hasattr(body, "dls"):
        origin = getattr(body, "nbtune_origin", None)
        if origin is None or not hasattr(origin.body, "prepare"):
            raise InputError(
                "quality(body=) of a Learner that was not made by task.learner.",
                rule="a body says how pictures are brought to its size and scale.",
                likely="a Learner of fastai's own.", next='task.quality("letters"), or task.quality(learn.model)',
            )  # fmt: skip
        return origin.body, body.model
    from nbtune.tasks._learner import _body

    chosen = _body(task, body, None, None)
    if task.kind == "regression":
        return chosen, chosen.build(len(task.vocab), True)
    return chosen, chosen.make(max(2, len(task.vocab)))


def _short(body: Any) -> str:
    return repr(body) if isinstance(body, str) else type(body).__name__


def reseed(seed: int) -> None:
    """All global streams, for heads and for whatever draws in between; the caller puts them back."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def new_inputs(task: Task, new: Any) -> Any:
    """The data that the model will meet, as inputs of the task's kind: a frame of its columns, or a list of pictures.

    Raises InputTypeError or InputError for what cannot be compared with the task's items.
    """
    if isinstance(new, Items):
        return new.x
    if hasattr(new, "train") and hasattr(new, "test"):
        raise InputTypeError(
            "new=a task.", rule="new is data without labels: pictures, or rows.",
            likely="the task itself, or another one.", next="task.quality(new=other.train)",
        )  # fmt: skip
    rows = task.train.x
    if isinstance(rows, Rows):
        return _rows(rows, new)
    if isinstance(new, np.ndarray):
        return new
    path = isinstance(new, str | PathLike)
    if path or isinstance(new, bytes) or not hasattr(new, "__iter__"):
        raise InputTypeError(
            f"new={kind_of(new)}.", rule="new is an array of pictures, or a list of arrays, PIL images or paths.",
            likely="a folder instead of its files." if path else "one picture without a list.",
            next="new=sorted(pathlib.Path(folder).glob('*.jpg'))" if path else "new=[picture]",
        )  # fmt: skip
    return _Given(list(new))


class _Given:
    """Pictures in a list, read when they are looked at."""

    def __init__(self, listed: list[Any]) -> None:
        self.listed = listed

    def __len__(self) -> int:
        return len(self.listed)

    def __getitem__(self, place: int) -> Any:
        one = self.listed[place]
        if isinstance(one, str | PathLike):
            from nbtune.bodies.decode import decode

            return decode(Path(one))
        return one


def _rows(rows: Rows, new: Any) -> Rows:
    names = [*rows.cats, *rows.conts]
    if not isinstance(new, pd.DataFrame):
        raise InputTypeError(
            f"new={kind_of(new)}.", rule="new rows are a pandas DataFrame with the columns of the table.",
            likely="values without the names of their columns.", next="new=pandas.DataFrame(values, columns=[...])",
        )  # fmt: skip
    absent = [name for name in names if name not in new.columns]
    if absent:
        raise InputError(
            f"new rows without {', '.join(map(repr, absent[:6]))}.",
            rule=f"they have the columns {', '.join(names[:12])}.",
            likely="another table, or columns that were renamed.", next="new=df.rename(columns={...})",
        )  # fmt: skip
    frame = new[names].reset_index(drop=True)
    text = {name: frame[name].astype(object).map(str, na_action="ignore") for name in rows.cats}
    return Rows(frame.assign(**text), rows.cats, rows.conts)
