"""Dates that are kept as text: which texts are dates, which sort by themselves, and the line that reads the others."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from warnings import catch_warnings, simplefilter

import numpy as np
import numpy.typing as npt
import pandas as pd

from nbtune.errors import InputError
from nbtune.tasks._labels import missing

__all__ = ["Fix", "fix_of_column", "is_date", "options_for", "order_note", "read_times", "year_first"]

Fix = Callable[[str, str], str]  # from a function of pandas and its options to the line that calls it
_MONTH = (
    "(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|"
    "nov(?:ember)?|dec(?:ember)?)"
)
_CLOCK = r"(?:[T ,]+\d{1,2}:\d{2}.*)?"
_YEAR_FIRST = re.compile(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})(.*)")
_NUMBERS = re.compile(rf"(\d{{1,4}})([-/.])(\d{{1,2}})\2(\d{{2,4}}|\d){_CLOCK}")
_NAMED = re.compile(
    rf"(?:[a-z]+,? +)?(?:\d{{1,2}}\.?[ /-]{_MONTH}[.,]?[ /-]+\d{{2,4}}|{_MONTH}\.? +\d{{1,2}},? +\d{{4}}){_CLOCK}", re.I
)
_RULE = "time is numbers, datetimes, or text with the year first (2020-01-31, 2020-01-31 10:00)."


def read_times(values: Any, word: str, fix: Fix) -> Any:
    """Moments that sort as they are. Numbers and datetimes stay; so does text with the year first, where it sorts.

    `word` is what was given, and `fix` writes the line that makes other moments of it.

    Raises:
        InputError: text that is no date, or dates of which the text does not say what is day and what is month.
    """
    if getattr(getattr(values, "dtype", None), "kind", "O") not in "OUS":
        return values
    column = pd.Series(list(values), dtype=object)
    gone = missing(column)
    known = column[~gone]
    texts = known[known.map(lambda one: isinstance(one, str)).astype(bool)]
    if not len(texts):
        return values
    if len(texts) < len(known):
        raise _mixed(known, texts, word)
    moments = {text: year_first(text) for text in texts.unique()}
    found = [moment for moment in moments.values() if moment is not None]
    zones = sum(moment.tzinfo is not None for moment in found)
    if len(found) < len(moments):
        raise _refused(texts, word, fix)
    if 0 < zones < len(found):
        raise InputError(
            f"{word}: {zones:,} of {len(found):,} different moments have a time zone, the others have none.",
            rule="moments are compared, so all have a time zone or none has.", likely="two sources in one column.",
            next=fix("to_datetime", ", format='ISO8601', utc=True"),
        )  # fmt: skip
    if _sorts(list(moments), zones > 0):
        return column.mask(gone, None).to_numpy(dtype=object)
    return _stamps([None if one else moments[text] for text, one in zip(column, gone, strict=True)])


def year_first(text: str) -> datetime | None:
    """The moment of a text such as 2020-01-31 10:00, 2020/1/31, 2020-01 or 2020-W05; None for others."""
    text = text.strip()
    found = _YEAR_FIRST.fullmatch(text)
    if found:
        year, _, month, day, clock = found.groups()
        text = f"{year}-{month:0>2}-{day:0>2}{clock}"
    elif re.fullmatch(r"\d{4}-\d{2}", text):
        text += "-01"
    elif not re.match(r"\d{4}-W\d", text):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def is_date(text: str) -> bool:
    """Whether a text is a date: three numbers with a separator, a year and a month, or an English name of a month."""
    text = text.strip()
    found = _NUMBERS.fullmatch(text)
    if not found:  # pandas reads no weeks
        return bool(_NAMED.fullmatch(text)) or (year_first(text) is not None and "W" not in text)
    first, mark, second, third = found.groups()
    low, high = sorted((int(third) if len(first) == 4 else int(first), int(second)))
    if not 1 <= low <= 12 or high > 31 or len(first) == 3 or len(third) == 3:
        return False
    if len(first) == 4:
        return len(third) <= 2 and int(second) <= 12
    # Two digits of a year are also those of a version or of a chapter: only 01.02.20 and 1/2/20 are dates.
    return len(third) == 4 or (len(third) == 2 and (mark == "/" or len(first) == len(second) == 2))


def fix_of_column(name: Any) -> Fix:
    """The line for a column of a frame."""
    return lambda made, options: f"df[{name!r}] = pd.{made}(df[{name!r}]{options})"


def options_for(texts: pd.Series) -> str:
    """Options of pd.to_datetime for these dates, tried on them; texts among them that are no dates become gaps.

    Where no options read them as they are meant, such as dates in two orders, the format is left to the user.
    """
    distinct = pd.Series(texts.unique(), dtype=object)
    dates = distinct[distinct.map(is_date).astype(bool)]
    found = [match for match in map(_NUMBERS.fullmatch, dates.str.strip()) if match and len(match[1]) < 4]
    days, months = any(int(one[1]) > 12 for one in found), any(int(one[3]) > 12 for one in found)
    order: dict[str, Any] = {"dayfirst": days or not months} if found else {}
    gaps = {"errors": "coerce"} if len(dates) < len(distinct) else {}
    for options in (order, {"format": "ISO8601"}, {"format": "ISO8601", "utc": True}, {"format": "mixed", **order}):
        if not (days and months) and _reads(dates, options):
            return "".join(f", {name}={value!r}" for name, value in {**options, **gaps}.items())
    return ", format=..."


def order_note(texts: Sequence[str]) -> str:
    """What is to be said of the order where no date tells whether its day or its month comes first."""
    found = [match for match in map(_NUMBERS.fullmatch, texts) if match and len(match[1]) < 4]
    open_ = found and all(int(one[1]) <= 12 and int(one[3]) <= 12 and one[2] != "." for one in found)
    return " (dayfirst=False, if the month comes first)" if open_ else ""


def _reads(dates: pd.Series, options: dict[str, Any]) -> bool:
    with catch_warnings():  # of formats that cannot be guessed: a line that warns is not the one to advise
        simplefilter("error")
        try:
            return bool(pd.api.types.is_datetime64_any_dtype(pd.to_datetime(dates, **options)))
        except (ValueError, TypeError, OverflowError, Warning):
            return False


def _sorts(texts: Sequence[str], zones: bool) -> bool:
    """Whether texts of moments sort as the moments do: all are written alike, in one time zone."""
    shapes = {re.sub(r"\d", "0", text) for text in texts}
    return len(shapes) == 1 and (not zones or all(text.endswith("Z") for text in texts))


def _stamps(moments: Sequence[datetime | None]) -> npt.NDArray[np.datetime64]:
    plain = [one if one is None or one.tzinfo is None else one.astimezone(UTC).replace(tzinfo=None) for one in moments]
    return np.array(["NaT" if one is None else one for one in plain], dtype="datetime64[us]")


def _mixed(known: pd.Series, texts: pd.Series, word: str) -> InputError:
    other = known.drop(texts.index).iloc[0]
    return InputError(
        f"{word}: {len(texts):,} texts (such as {texts.iloc[0]!r:.40}) among {len(known):,} values "
        f"(such as {other!r:.40}).",
        rule=_RULE, likely="a word for missing values, or two tables in one.",
        next="make them one type, and words for missing values None",
    )  # fmt: skip


def _refused(texts: pd.Series, word: str, fix: Fix) -> InputError:
    """The error for texts that do not sort as moments."""
    known = {text: is_date(text) for text in texts.unique()}
    odd = [text for text, date in known.items() if not date]
    if len(odd) * 2 > len(known):
        return _no_dates(texts, word, fix)
    dates = [text for text, date in known.items() if date]
    step = fix("to_datetime", options_for(texts))
    if odd:
        return InputError(
            f"{word}: {len(odd):,} of {len(known):,} different texts are no dates: {', '.join(map(repr, odd[:5]))}.",
            rule=_RULE, likely="a word for missing values among dates.",
            next=f"{step}; what is no date is then a gap, which broken='skip' leaves out",
        )  # fmt: skip
    return InputError(
        f"{word}: dates as text, such as {dates[0]!r:.40}, which sort by their letters and not by their time.",
        rule=_RULE, likely="dates of pd.read_csv or of a file's name, which are text until they are read.",
        next=step + order_note(dates),
    )  # fmt: skip


def _no_dates(texts: pd.Series, word: str, fix: Fix) -> InputError:
    shown = ", ".join(map(repr, texts.unique()[:3].tolist()))
    if pd.to_numeric(texts, errors="coerce").notna().all():
        return InputError(
            f"{word}: numbers that are kept as text, such as {shown}.", rule=_RULE,
            likely="a table that was read with dtype=str: as text, '10' comes before '9'.",
            next=fix("to_numeric", ""),
        )  # fmt: skip
    digits = re.search(r"\d+", texts.iloc[0])
    return InputError(
        f"{word}: text that is no date, such as {shown}.", rule=_RULE,
        likely="another column than that of the moments, or numbers with a word before them.",
        next="time= with dates or numbers" + (f": of {digits.string!r:.40} the number {digits[0]}" if digits else ""),
    )  # fmt: skip
