"""Which columns of a table are categories and which are numbers, and what cannot be either."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from nbtune.errors import InputError, InputTypeError, nearest
from nbtune.tasks._dates import fix_of_column, is_date, options_for, order_note, year_first

__all__ = ["columns_of"]

_NAMES = 20  # distinct texts from which a column with one for every row is taken for a name
_DATED = 0.9  # share of dates from which a column of text is taken for dates
_NAMED = 6  # columns with gaps that a note names
Columns = tuple[tuple[str, ...], tuple[str, ...], pd.DataFrame, list[str]]


def columns_of(frame: pd.DataFrame, categories: Sequence[str]) -> Columns:
    """Names of categorical and of numeric columns, the columns as text and float, and notes.

    Raises:
        InputError, InputTypeError: no column, mixed types, dates (as text too), names that differ in every row, or
            no values.
    """
    if not len(frame.columns):
        raise InputError(
            "a table without input columns.", rule="a table has a column or more to learn from.",
            likely="every column was named as y, group, time or split.", next="x= with the columns to learn from",
        )  # fmt: skip
    for name in categories:
        if name not in frame.columns:
            raise InputError(
                f"categories={list(categories)!r:.80}.", rule="categories names columns of x.",
                likely=f"{name!r} is misspelt, or not among x.", next=nearest(name, map(str, frame.columns)),
            )  # fmt: skip
    cats = [name for name in frame.columns if name in categories or _is_category(frame[name])]
    conts = [name for name in frame.columns if name not in cats]
    made = {}
    for name in frame.columns:
        made[str(name)] = _as_text(frame[name]) if name in cats else frame[name].astype(float)
    _check_values(frame, cats, conts)
    gaps = {str(name): int(frame[name].isna().sum()) for name in frame.columns if frame[name].isna().any()}
    notes = []
    if gaps:
        notes.append(
            f"Missing values in {len(gaps)} of {len(made)} columns ("
            + ", ".join(f"{name} {n:,}" for name, n in sorted(gaps.items(), key=lambda one: -one[1])[:_NAMED])
            + (f" and {len(gaps) - _NAMED} more" if len(gaps) > _NAMED else "")
            + "): a category of their own, or the training median with a mark that it was missing."
        )
    return tuple(map(str, cats)), tuple(map(str, conts)), pd.DataFrame(made), notes


def _is_category(column: pd.Series) -> bool:
    if pd.api.types.is_bool_dtype(column):
        return True
    if pd.api.types.is_numeric_dtype(column) and not isinstance(column.dtype, pd.CategoricalDtype):
        return False
    if pd.api.types.is_datetime64_any_dtype(column) or pd.api.types.is_timedelta64_dtype(column):
        raise _times(f"column {column.name!r} holds times.", f"time={column.name!r}; or", column.name)
    _check_mixed(column)
    _check_dates(column)
    return True


def _times(given: str, first: str, name: object) -> InputTypeError:
    return InputTypeError(
        given, rule="columns of a table are numbers or categories.",
        likely="the moment of a row, which splits by time, or from which numbers are to be made.",
        next=f"{first} df[{name!r}].dt.month, .dt.hour and the like as columns",
    )  # fmt: skip


def _check_dates(column: pd.Series) -> None:
    """Raise for a column of text that holds dates: as a category each day would be a kind of its own."""
    known = column.dropna()
    if isinstance(column.dtype, pd.CategoricalDtype) or not known.map(lambda one: isinstance(one, str)).all():
        return
    dates = {text: is_date(text) for text in known.unique()}
    if len(dates) <= _NAMES or float(known.map(dates).mean()) < _DATED:
        return
    shown, name = next(text for text, date in dates.items() if date), column.name
    zones = {moment and moment.tzinfo is None for moment in map(year_first, dates)}
    ready = None not in zones and len(zones) == 1  # text that time= takes as it is
    line = fix_of_column(name)("to_datetime", options_for(known)) + order_note(list(dates))
    first = f"time={name!r}; or {line}, then" if ready else f"{line}, then time={name!r} or"
    raise _times(f"column {name!r} holds times as text, such as {shown!r:.40}.", first, name)


def _check_mixed(column: pd.Series) -> None:
    """Raise for a column of which some values are numbers and some are texts."""
    known = column.dropna()
    if column.dtype == object and not known.map(lambda value: isinstance(value, (str, bool))).all():
        kinds = known.map(lambda value: type(value).__name__).value_counts()
        if len(kinds) > 1 or kinds.index[0] not in ("int", "float", "Decimal"):
            raise InputTypeError(
                f"column {column.name!r} has mixed types: {', '.join(f'{n:,} × {kind}' for kind, n in kinds.items())}.",
                rule="the values of a column are all numbers or all texts.",
                likely="some numbers were kept as text, or lists and records in a table.",
                next=f"df[{column.name!r}] = pd.to_numeric(df[{column.name!r}], errors='coerce'), or .astype(str)",
            )  # fmt: skip
    if isinstance(column.dtype, pd.CategoricalDtype):
        return
    numbers = pd.to_numeric(known.astype(str), errors="coerce")
    share = float(numbers.notna().mean()) if len(known) else 0.0
    if 0.5 < share < 1:
        odd = known[numbers.isna()].astype(str).unique()[:5]
        raise InputTypeError(
            f"column {column.name!r}: {share:.0%} of its texts are numbers, others are {', '.join(map(repr, odd))}.",
            rule="the values of a column are all numbers or all categories.",
            likely="a word for missing values, a unit, or a decimal comma.",
            next=f"pd.to_numeric(df[{column.name!r}], errors='coerce'), or categories=[{column.name!r}] "
            "after .astype('category')",
        )  # fmt: skip
    if share == 1 and len(known):
        raise InputTypeError(
            f"column {column.name!r} holds numbers that are kept as text.",
            rule="numbers are of a number's type; codes are of pandas' type category.",
            likely="a table that was read with dtype=str, or a decimal comma.",
            next=f"df[{column.name!r}] = pd.to_numeric(df[{column.name!r}]), or .astype('category') for codes",
        )  # fmt: skip


def _as_text(column: pd.Series) -> pd.Series:
    """Categories as text; missing values stay missing."""
    return column.astype(object).map(lambda value: str(value), na_action="ignore")


def _check_values(frame: pd.DataFrame, cats: list[str], conts: list[str]) -> None:
    empty = [str(name) for name in frame.columns if frame[name].isna().all()]
    endless = [str(name) for name in conts if frame[name].abs().max() == float("inf")]
    names = [str(name) for name in cats if _NAMES < frame[name].notna().sum() == frame[name].nunique()]
    for found, what, likely in (
        (empty, "without any value", "a column that was never filled in."),
        (endless, "with infinite values", "a division by 0."),
        (names, "whose value is another in every row", "a name, a number of a person, or a free text."),
    ):
        if found:
            raise InputError(
                f"{len(found)} columns {what}: {', '.join(found[:6])}.",
                rule="a column has finite values, and categories that occur more than once.", likely=likely,
                next=f"df.drop(columns={found[:6]!r})" if found is not endless
                else "df.replace([float('inf'), -float('inf')], float('nan'))",
            )  # fmt: skip
