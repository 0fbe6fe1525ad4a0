"""What is wrong with labels before they mean anything: missing, of mixed types, with white space."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nbtune.errors import InputError, InputTypeError

__all__ = ["check_spelling", "check_types", "missing", "names_of"]


def missing(values: pd.Series) -> npt.NDArray[np.bool_]:
    """Which values are NaN, infinite, None or an empty text."""
    if pd.api.types.is_float_dtype(values):
        return np.asarray(~np.isfinite(values.to_numpy(dtype=float, na_value=np.nan)), dtype=bool)
    return np.array([_absent(value) for value in values], dtype=bool)


def _absent(value: Any) -> bool:
    if isinstance(value, str):
        return not value.strip()
    if isinstance(value, (list, tuple, set, frozenset, np.ndarray)):
        return False
    return value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and value != value)


def check_types(values: pd.Series) -> None:
    """Raise InputTypeError for labels of several types: 1 and "1" would be two classes, or one by accident."""
    if values.dtype != object:
        return
    kinds = Counter(_kind(value) for value in values)
    if len(kinds) > 1:
        first = {kind: next(value for value in values if _kind(value) == kind) for kind in kinds}
        said = ", ".join(f"{n:,} of type {kind} (such as {first[kind]!r:.30})" for kind, n in kinds.items())
        raise InputTypeError(
            f"labels of mixed types: {said}.", rule="all labels are of one type.",
            likely="a column of a spreadsheet in which some numbers are kept as text.",
            next='df["label"] = df["label"].astype(str), if 1 and "1" are the same class',
        )  # fmt: skip


def _kind(value: Any) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "bool"
    if isinstance(value, (int, np.integer)):
        return "int"
    return "float" if isinstance(value, (float, np.floating)) else type(value).__name__


def check_spelling(names: Sequence[str], call: str) -> None:
    """Raise InputError for names with white space around them: " cat" is another class than "cat"."""
    odd = [name for name in names if name != name.strip()]
    if odd:
        twins = [name for name in odd if name.strip() in names]
        also = f" {twins[0].strip()!r} is a class too." if twins else ""
        raise InputError(
            f"{len(odd)} labels with white space around them: {', '.join(map(repr, odd[:6]))}.{also}",
            rule="a label has no white space at its ends: with it, it is another class.",
            likely="a space that was typed, or kept when a line was split.",
            next="rename these folders" if call == "from_folder" else 'df["label"] = df["label"].str.strip()',
        )  # fmt: skip


def names_of(values: pd.Series) -> list[str]:
    """Labels as texts; whole numbers kept as float lose their ".0"."""
    if pd.api.types.is_float_dtype(values):
        return [f"{value:.0f}" if value == round(value) else str(value) for value in values]
    return [str(value) for value in values]
