"""A task from arrays: images, or the rows of a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np
import pandas as pd

from nbtune.bodies.images import as_uint8
from nbtune.errors import InputError, InputTypeError
from nbtune.interrupts import imports_whole
from nbtune.tasks._build import Source, build
from nbtune.tasks._choices import Choices, options_of, written
from nbtune.tasks._dates import read_times
from nbtune.tasks.frame import rows_of
from nbtune.tasks.splits import Aside
from nbtune.tasks.targets import as_columns
from nbtune.tasks.task import Task

__all__ = ["from_arrays"]

_OWN = ("columns", "vocab", "group", "time", "split")


@imports_whole
def from_arrays(
    x: Any, y: Any, *, columns: Sequence[str] | None = None, vocab: Sequence[object] | None = None, group: Any = None,
    time: Any = None, split: Any = None, **options: Unpack[Choices],
) -> Task:  # fmt: skip
    """A task from images [n, h, w] or [n, h, w, 3] (uint8 of 0 to 255, float of 0 to 1), or from rows [n, columns].

    `y` [n] are classes, names or numbers; [n, k] of 0 and 1 several labels, else several numbers; or lists of labels.
    `vocab` names the classes 0, 1, … of whole numbers; `columns` the columns of rows. `group`, `time` and `split`
    have an entry an item. `options` and splits: see `nbtune.tasks.from_frame`.

    Raises:
        InputError, InputTypeError: arrays that are no images or rows, other lengths, or labels or splits that
            cannot be trained on.

    Example:
        >>> from sklearn.datasets import load_wine
        >>> wine = load_wine()
        >>> from_arrays(wine.data, wine.target, columns=wine.feature_names, vocab=["a", "b", "c"], name="wine")
        Task wine: tell 3 classes apart (a, b, c). 106 training, 36 validation and 36 test rows, 3 classes.
    """
    given = options_of("from_arrays", _OWN, options)
    array = _as_array(x)
    values = as_columns(y)
    _check_lengths(array, values, {"group": group, "time": time, "split": split})
    values = _named(values, vocab)
    if time is not None:
        time = read_times(time, "time", lambda made, options: f"time=pd.{made}(time{options})")
    code = written("from_arrays", "x, y", {"columns": columns, "vocab": vocab, **options})
    if array.ndim == 2:
        return build(_rows(array, values, columns, (group, time, split), code), given)
    ids = [f"item {at}" for at in range(len(array))]
    source = Source(
        "from_arrays", given.name or "arrays", f"{len(array):,} images in an array", code, as_uint8(array), values, ids,
        Aside(group, time, split),
    )  # fmt: skip
    return build(source, given)


def _rows(array: Any, values: Any, columns: Sequence[str] | None, aside: tuple[Any, ...], code: str) -> Source:
    names = [f"x{at}" for at in range(array.shape[1])] if columns is None else [str(name) for name in columns]
    if len(names) != array.shape[1] or len(set(names)) != len(names):
        raise InputError(
            f"{len(names)} column names ({len(set(names))} different) for {array.shape[1]} columns.",
            rule="every column of x has a name of its own.", likely="the label's name among them, or another table's.",
            next="columns=None names them x0, x1, …",
        )  # fmt: skip
    frame = pd.DataFrame(array, columns=names).infer_objects()
    targets = values.to_frame() if isinstance(values, pd.Series) else values
    inner = [f"target {name}" if name in names else str(name) for name in targets.columns]
    frame[inner] = targets.to_numpy() if len(inner) > 1 else targets
    known = {
        word: np.asarray(one) for word, one in zip(("group", "time", "split"), aside, strict=True) if one is not None
    }
    for word, one in known.items():
        frame[f" {word}"] = one
    beside = tuple(f" {word}" if word in known else None for word in ("group", "time", "split"))
    return rows_of(frame, names, inner[0] if len(inner) == 1 else inner, beside, (), "from_arrays", code, "arrays")


def _as_array(x: Any) -> Any:
    if isinstance(x, pd.DataFrame):
        raise InputTypeError(
            "from_arrays of a DataFrame.", rule="from_arrays takes arrays.", likely="a table that has column names.",
            next="nt.tasks.from_frame(df, y=...)",
        )  # fmt: skip
    if hasattr(x, "detach"):
        x = x.detach().cpu().numpy()
    try:
        array = np.asarray(x)
    except ValueError:
        array = np.zeros(0, dtype=object)
    if array.dtype == object and array.ndim == 1:
        raise InputTypeError(
            f"x is {len(x):,} values of type {type(x[0]).__name__ if len(x) else 'nothing'}, which make no array.",
            rule="images have one size in an array; rows have one length.",
            likely="pictures of different sizes, or of PIL.",
            next="nt.tasks.from_torch(list(zip(images, labels)), vocab=...), which takes pictures of any size",
        )  # fmt: skip
    if array.ndim < 2 or not len(array):
        raise InputError(
            f"x of shape {list(array.shape)}.", rule="x is images [n, h, w] or [n, h, w, 3], or rows [n, columns].",
            likely="an empty selection." if not array.size else "one column without its axis.",
            next="look at len(x) after each step" if not array.size else "x.reshape(-1, 1)",
        )  # fmt: skip
    return array


def _check_lengths(array: Any, values: Any, beside: dict[str, Any]) -> None:
    lengths = {"y": len(values), **{name: len(one) for name, one in beside.items() if one is not None}}
    wrong = {name: n for name, n in lengths.items() if n != len(array)}
    if wrong:
        raise InputError(
            f"{len(array):,} items in x, and {', '.join(f'{n:,} in {name}' for name, n in wrong.items())}.",
            rule="every item has one entry in each.", likely="a selection that was made in one of them only.",
            next="make the same selection in all",
        )  # fmt: skip


def _named(values: Any, vocab: Sequence[object] | None) -> Any:
    """Whole numbers as the names that `vocab` gives them."""
    if vocab is None or isinstance(values, pd.DataFrame):
        if vocab is not None and isinstance(values, pd.DataFrame) and len(vocab) == values.shape[1]:
            return values.set_axis([str(name) for name in vocab], axis=1)
        return values
    names = [str(name) for name in vocab]
    known = values[values.notna()]
    whole = pd.api.types.is_numeric_dtype(values) and bool((known == known.round()).all())
    if not whole or len(set(names)) < len(names) or known.min() < 0 or known.max() >= len(names):
        raise InputError(
            f"vocab of {len(names)} names for labels from {known.min()} to {known.max()}." if whole
            else f"vocab for labels of {values.dtype}.",
            rule="vocab has a different name for each whole number from 0 to the highest label.",
            likely="labels that count from 1." if whole and known.max() == len(names)
            else "labels that are names already, "
            "or another vocab.",
            next="y - 1" if whole and known.max() == len(names) else "vocab=None",
        )  # fmt: skip
    made = values.map(lambda value: names[int(value)], na_action="ignore")
    return pd.Series(pd.Categorical(made, categories=names), name=values.name)
