"""A task from a pandas frame: names of picture files, or the rows of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any, Unpack

import pandas as pd

from nbtune.errors import InputError, InputTypeError, nearest
from nbtune.interrupts import imports_whole
from nbtune.tasks._build import Source, build
from nbtune.tasks._choices import Choices, options_of, written
from nbtune.tasks._dates import fix_of_column, read_times
from nbtune.tasks._pictures import looked_at
from nbtune.tasks._table import columns_of
from nbtune.tasks._walk import SUFFIXES
from nbtune.tasks.splits import Aside
from nbtune.tasks.stacks import Rows
from nbtune.tasks.task import Task

__all__ = ["column_of", "from_frame", "pictures_of", "rows_of"]

_OWN = ("x", "y", "folder", "group", "time", "split", "categories")


@imports_whole
def from_frame(
    df: pd.DataFrame,
    *,
    y: str | Sequence[str],
    x: str | Sequence[str] | None = None,
    folder: str | PathLike[str] = ".",
    group: str | None = None,
    time: str | None = None,
    split: str | None = None,
    categories: Sequence[str] = (),
    **options: Unpack[Choices],
) -> Task:
    """A task from a frame: `x` is a column of picture files (below `folder`), or the columns of a table.

    `x=None`: every column that is not otherwise named. Text and switches are categories, numbers are numbers, and
    `categories` names numbers that are codes; missing values are allowed in both. `y`: a column of classes or of
    numbers, of lists of labels, or several columns. `group` keeps patients or sites in one split, `time` tests the
    latest (numbers, datetimes, or text with the year first), `split` names given splits (train, valid, test; or True
    for valid); else splits are stratified.

    `options`: `target` ("single", "multi", "regression"), `metrics` and `objective`, proposed with a reason where
    not given; `label_delim` separates labels in a text; `valid=0.2`, `test=0.2`; `seed=0` draws who validates (the
    test split is the same for every seed); `leave_out` classes; `broken="skip"` leaves out what cannot be used and
    lists it in `task.card.skipped`; `name`, `licence`, `nature`.

    Raises:
        InputError, InputTypeError: columns, labels, files or splits that cannot be trained on, with their list.

    Example:
        >>> import pandas as pd
        >>> df = pd.DataFrame({"size": range(40), "kind": ["a", "b"] * 20, "price": [i * 2.5 for i in range(40)]})
        >>> from_frame(df, y="price")
        Task table: predict price. 24 training, 8 validation and 8 test rows, 1 number.
    """
    given = options_of("from_frame", _OWN, options)
    _check_frame(df)
    asked = {"x": x, "y": y, "group": group, "time": time, "split": split, "categories": categories, **options}
    code = written("from_frame", "df", asked)
    if isinstance(x, str) and _names_files(df[column_of(df, x, "x")]):
        return build(
            pictures_of(df, x, y, Path(folder).expanduser(), (group, time, split), call="from_frame", code=code,
                        notes=[], name=given.name or "pictures", said=f"a table of {len(df):,} picture files"),
            given,
        )  # fmt: skip
    names = [x] if isinstance(x, str) else None if x is None else list(x)
    source = rows_of(df, names, y, (group, time, split), categories, "from_frame", code)
    return build(source, given)


def pictures_of(
    frame: pd.DataFrame, x: str, y: Any, root: Path, aside: tuple[Any, ...], *, call: str, code: str, notes: list[str],
    name: str, said: str,
) -> Source:  # fmt: skip
    """Files that a column names, looked at, with their labels."""
    values, names = _labels(frame, y), frame[column_of(frame, x, "x")]
    offenders = {f"row {at}": "no file name" for at in frame.index[names.isna()]}
    rows = names.notna()
    frame, names, values = frame[rows], names[rows].astype(str), values[rows]
    twice = names[names.duplicated(keep=False)]
    first = ~names.duplicated()
    offenders |= _named_twice(twice, values)
    frame, names, values = frame[first], names[first], values[first]
    ids = names.tolist()
    pictures, bad, said_of = looked_at([root / one for one in ids], ids)
    known = replace(_asides(frame, aside, call), hashes=pictures.hashes)
    return Source(call, name, said, code, pictures, values.reset_index(drop=True), ids, known, {**bad, **offenders},
                  [*notes, *said_of])  # fmt: skip


def rows_of(
    frame: pd.DataFrame, x: list[str] | None, y: Any, aside: tuple[Any, ...], categories: Sequence[str], call: str,
    code: str, name: str = "table",
) -> Source:  # fmt: skip
    """The rows of a table, with their labels."""
    values = _labels(frame, y)
    targets = [y] if isinstance(y, str) else list(y)
    taken = {*targets, *(column for column in aside if column is not None)}
    chosen = [str(one) for one in frame.columns if one not in taken] if x is None else x
    for column in chosen:
        column_of(frame, column, "x")
    inside = [column for column in chosen if column in targets]
    if inside:
        raise InputError(
            f"x holds {', '.join(map(repr, inside))}, which is y.", rule="a label is not among its own inputs.",
            likely="all columns of the frame were given.",
            next=f"x={[one for one in chosen if one not in targets]!r:.200}",
        )  # fmt: skip
    cats, conts, inputs, notes = columns_of(frame[chosen], categories)
    ids = [f"row {one}" for one in frame.index]
    if len(set(ids)) < len(ids):
        ids = [f"row {at}" for at in range(len(frame))]
        notes.append("The frame's index has duplicates: rows are named by their place.")
    rows = Rows(inputs.reset_index(drop=True), cats, conts)
    return Source(call, name, f"a table of {len(frame):,} rows and {len(chosen)} columns", code, rows,
                  values.reset_index(drop=True), ids, _asides(frame, aside, call), {}, notes)  # fmt: skip


def column_of(frame: pd.DataFrame, name: Any, word: str) -> Any:
    """`name`, if it is a column. Raises InputError with the nearest ones."""
    if name in frame.columns:
        return name
    raise InputError(
        f"{word}={name!r:.60} is no column of the frame.", rule=f"{word} names columns of the frame.",
        likely="a misspelling, or a column that has become the index." if frame.index.name != name
        else "the index of the frame.",
        next="df.reset_index() first" if frame.index.name == name else nearest(str(name), map(str, frame.columns)),
    )  # fmt: skip


def _labels(frame: pd.DataFrame, y: Any) -> pd.Series | pd.DataFrame:
    if isinstance(y, str) or not isinstance(y, Sequence):
        return frame[column_of(frame, y, "y")]
    return frame[[column_of(frame, one, "y") for one in y]]


def _asides(frame: pd.DataFrame, columns: tuple[Any, ...], call: str) -> Aside:
    """The columns of group, time and split. Raises InputError for times that are text and do not sort."""
    group, time, split = (
        None if column is None else frame[column_of(frame, column, word)].to_numpy()
        for column, word in zip(columns, ("group", "time", "split"), strict=True)
    )
    return Aside(group, None if time is None else _times(time, columns[1], call), split)


def _times(values: Any, column: Any, call: str) -> Any:
    line = fix_of_column(column)
    if call != "from_folder":
        return read_times(values, f"time={column!r}", line)
    return read_times(values, f"time={column!r}", lambda made, options: (
        f"df = pd.read_csv(...); {line(made, options)}; then nt.tasks.from_frame(df, x=..., y=..., folder=...)"
    ))  # fmt: skip


def _named_twice(names: pd.Series, values: pd.Series | pd.DataFrame) -> dict[str, str]:
    """Files in several rows: offenders, with whether their labels agree."""
    found = {}
    for name in dict.fromkeys(names):
        labels = values[names.reindex(values.index) == name].astype(str)
        agree = len(labels.drop_duplicates()) == 1
        found[name] = "in several rows, with the same label" if agree else "in several rows, with different labels"
    return found


def _names_files(values: pd.Series) -> bool:
    known = values.dropna().head(50)
    return bool(len(known)) and sum(Path(str(one)).suffix.lower() in SUFFIXES for one in known) * 2 > len(known)


def _check_frame(df: Any) -> None:
    if isinstance(df, pd.DataFrame) and not df.empty and not df.columns.duplicated().any():
        return
    if isinstance(df, pd.DataFrame):
        twice = df.columns[df.columns.duplicated()].tolist()
        raise InputError(
            f"a frame with two columns called {twice[0]!r}." if twice else f"a frame of shape {list(df.shape)}.",
            rule="the frame has rows, and each column a name of its own.",
            likely="two tables side by side." if twice else "a filter that left nothing.",
            next="df.loc[:, ~df.columns.duplicated()]" if twice else "look at len(df) after each step",
        )  # fmt: skip
    path = isinstance(df, (str, PathLike))
    raise InputTypeError(
        f"from_frame({df!r:.60})." if path else f"from_frame of a {type(df).__name__}.",
        rule="from_frame takes a pandas DataFrame.",
        likely="the file of the table." if path else "arrays, which have no column names.",
        next=f"nt.tasks.from_frame(pd.read_csv({str(df)!r}), y=...)" if path else "nt.tasks.from_arrays(x, y)",
    )  # fmt: skip
