"""Labels in any common form as what a network learns: one class, several labels, or numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nbtune.errors import InputError
from nbtune.tasks._labels import check_spelling, check_types, missing, names_of
from nbtune.tasks._options import check_kind

__all__ = ["KINDS", "MANY", "Target", "read_target"]

KINDS = ("single", "multi", "regression")
MANY = 20  # distinct whole numbers that are taken for classes; more are taken for a quantity


@dataclass(frozen=True, eq=False)
class Target:
    """`kind`: single (y int64 [n]), multi (uint8 [n, k]) or regression (float32 [n] or [n, k]).

    `why` says how the kind was chosen. `vocab` names classes, labels, or the numbers to predict.
    """

    kind: str
    vocab: tuple[str, ...]
    y: npt.NDArray[Any]
    why: str

    def take(self, places: Any) -> Target:
        """The targets at these places; the vocab stays."""
        return Target(self.kind, self.vocab, self.y[places], self.why)


def as_columns(values: Any, name: str = "label") -> pd.Series | pd.DataFrame:
    """Labels as a Series, or as a DataFrame where an item has several columns."""
    if isinstance(values, (pd.Series, pd.DataFrame)):
        return values.reset_index(drop=True)
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    if isinstance(values, np.ndarray) and values.ndim == 2:
        frame = pd.DataFrame(values, columns=[f"{name}_{i}" for i in range(values.shape[1])])
        return frame[frame.columns[0]].rename(name) if values.shape[1] == 1 else frame
    if isinstance(values, np.ndarray):
        return pd.Series(values, name=name)
    return pd.Series(list(values), name=name, dtype=None if len(values) else object)


def unlabelled(values: pd.Series | pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Which items have no target: NaN, infinite, None or an empty text."""
    if isinstance(values, pd.DataFrame):
        return np.asarray(np.any([missing(values[name]) for name in values.columns], axis=0), dtype=bool)
    return missing(values)


def read_target(values: pd.Series | pd.DataFrame, kind: str | None, delim: str | None, call: str) -> Target:
    """The target of labelled items; `kind` None chooses one, and says why.

    Raises:
        InputError, InputTypeError: labels of mixed types or with white space, one class, more classes than fit, or
            values that are not of the kind.
    """
    check_kind(kind, KINDS)
    if isinstance(values, pd.DataFrame):
        return _of_columns(values, kind, call)
    listed = values.map(lambda value: isinstance(value, (list, tuple, set, frozenset, np.ndarray)))
    if delim is not None or bool(listed.any()):
        return _multi(values, listed, delim)
    check_types(values)
    chosen, why = (kind, "chosen by the user") if kind else _proposed(values)
    if chosen == "regression":
        return Target("regression", (str(values.name or "value"),), _numbers(values), why)
    if chosen == "multi":
        return _multi(values, listed, delim)
    return _single(values, why, call)


def _proposed(values: pd.Series) -> tuple[str, str]:
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return "single", "the labels are names"
    numbers = values.to_numpy(dtype=float)
    distinct = len(np.unique(numbers))
    if (numbers != np.round(numbers)).any():
        return "regression", "the labels are numbers with fractions"
    if distinct > MANY:
        return "regression", f"the labels are {distinct} different whole numbers, more than {MANY}"
    return "single", f"the labels are {distinct} different whole numbers, which are taken for classes"


def _single(values: pd.Series, why: str, call: str) -> Target:
    names = names_of(values)
    check_spelling(sorted(set(names)), call)
    vocab = _ordered(values, names)
    if len(vocab) < 2:
        raise InputError(
            f"{len(names):,} items of one class, {vocab[0]!r}." if vocab else "no items.",
            rule="there are two classes or more to tell apart.",
            likely="the folder of one class instead of the folder above it." if call == "from_folder"
            else "a filter that left one class, or another column than the labels'.",
            next="from_folder of all classes: a folder each" if call == "from_folder"
            else f"df[{values.name!r}].value_counts() shows what there is" if call == "from_frame"
            else "numpy.unique(y, return_counts=True) shows what there is",
        )  # fmt: skip
    if 2 * len(vocab) > len(names):
        raise InputError(
            f"{len(vocab):,} classes for {len(names):,} items.",
            rule="a class has two items or more, on average.",
            likely="a folder for each item instead of each class, or classes that are still to be filled."
            if call == "from_folder" else "names, numbers or texts instead of classes.",
            next="three pictures or more for each class; a table with the classes goes by labels="
            if call == "from_folder" else 'target="regression" if they are quantities; else another column as y',
        )  # fmt: skip
    place = {name: at for at, name in enumerate(vocab)}
    return Target("single", vocab, np.array([place[name] for name in names], dtype=np.int64), why)


def _ordered(values: pd.Series, names: Sequence[str]) -> tuple[str, ...]:
    """Classes in their own order where they have one, numbers by size, else by name."""
    present = set(names)
    if isinstance(values.dtype, pd.CategoricalDtype):
        return tuple(name for name in map(str, values.dtype.categories) if name in present)
    try:
        return tuple(sorted(present, key=float))
    except ValueError:
        return tuple(sorted(present))


def _multi(values: pd.Series, listed: pd.Series, delim: str | None) -> Target:
    if delim is not None:
        parts = [[part for part in str(value).split(delim) if part] for value in values]
        why = f"the labels of an item are separated by {delim!r}"
    else:
        if not bool(listed.all()):
            kinds = Counter(type(value).__name__ for value in values)
            raise InputError(
                f"labels of mixed types: {', '.join(f'{n:,} × {kind}' for kind, n in kinds.items())}.",
                rule="every item has a list of labels, or every item has one.",
                likely="items of one label that were not put into a list.",
                next='df["label"].map(lambda value: value if isinstance(value, list) else [value])',
            )  # fmt: skip
        parts = [[str(part) for part in value] for value in values]
        why = "every item has a list of labels"
    vocab = tuple(sorted({part for one in parts for part in one}))
    check_spelling(vocab, "from_frame")
    if not vocab:
        raise InputError(
            f"{len(parts):,} items without any label.", rule="there is one label or more that some items have.",
            likely="another column than the labels'.", next="y=, with the column of the labels",
        )  # fmt: skip
    place = {name: at for at, name in enumerate(vocab)}
    y = np.zeros((len(parts), len(vocab)), dtype=np.uint8)
    for row, one in enumerate(parts):
        y[row, [place[part] for part in one]] = 1
    return Target("multi", vocab, y, why)


def _of_columns(values: pd.DataFrame, kind: str | None, call: str) -> Target:
    names = tuple(str(name) for name in values.columns)
    if len(names) == 1:
        return read_target(values[values.columns[0]], kind, None, call)
    numeric = all(pd.api.types.is_numeric_dtype(dtype) for dtype in values.dtypes)
    switches = numeric and bool(values.isin([0, 1]).all().all())
    if kind == "single" or not numeric or (kind == "multi" and not switches):
        raise InputError(
            f"{len(names)} columns of labels: {', '.join(names[:6])}.",
            rule="several columns are 0 and 1 (a label each) or numbers (a quantity each).",
            likely="columns of names, which belong into one column of lists."
            if not numeric else "classes in one-hot form." if kind == "single" else "quantities.",
            next="df[columns].idxmax(axis=1) as the one column" if kind == "single" and numeric
            else "y= with one column of lists" if not numeric else 'target="regression"',
        )  # fmt: skip
    if (kind or ("multi" if switches else "regression")) == "multi":
        return Target("multi", names, values.to_numpy(dtype=np.uint8), "all columns of labels are 0 and 1")
    return Target("regression", names, values.to_numpy(dtype=np.float32), "the columns of labels are numbers")


def _numbers(values: pd.Series) -> npt.NDArray[np.float32]:
    try:
        found = pd.to_numeric(values).to_numpy(dtype=np.float32)
    except (ValueError, TypeError) as error:
        wrong = values[pd.to_numeric(values, errors="coerce").isna()].iloc[0]
        raise InputError(
            f"a target of {wrong!r:.60} for regression.", rule="what regression predicts is a number.",
            likely="classes, or numbers with a unit or a comma.",
            next='target="single", or pd.to_numeric(df[column], errors="coerce") first',
        ) from error  # fmt: skip
    if len(found) and float(np.ptp(found)) == 0:
        raise InputError(
            f"{len(found):,} targets that are all {found[0]:g}.", rule="what regression predicts varies.",
            likely="a filter that left one value, or another column.", next="y= with the column to predict",
        )  # fmt: skip
    return np.asarray(found, dtype=np.float32)
