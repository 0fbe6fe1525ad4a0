"""A task from a folder of pictures: a folder a class, given splits above them, or a labels file beside them."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any, Unpack

import pandas as pd

from nbtune.errors import InputError, InputTypeError
from nbtune.interrupts import imports_whole
from nbtune.tasks._broken import UNKNOWN
from nbtune.tasks._build import Source, build
from nbtune.tasks._choices import Choices, options_of, written
from nbtune.tasks._csv import read_table
from nbtune.tasks._dates import read_times
from nbtune.tasks._given import NAMES
from nbtune.tasks._labels import missing
from nbtune.tasks._pictures import looked_at
from nbtune.tasks._walk import Walk, existing_folder, folders_of_pictures, walk
from nbtune.tasks.frame import pictures_of
from nbtune.tasks.splits import Aside
from nbtune.tasks.task import Task

__all__ = ["from_folder"]

_OWN = ("labels", "x", "y", "group", "time", "split")
_HEAD = 65_536  # bytes of a text file that are searched for names of pictures


@imports_whole
def from_folder(
    path: str | PathLike[str],
    *,
    labels: str | PathLike[str] | None = None,
    x: str | None = None,
    y: Any = None,
    group: str | Callable[[Path], object] | None = None,
    time: str | Callable[[Path], object] | None = None,
    split: str | None = None,
    **options: Unpack[Choices],
) -> Task:
    """A task from pictures in folders: `cat/1.jpg`, or `train/cat/1.jpg`, or any place with `labels="labels.csv"`.

    Class folders are split by themselves (stratified; `group` keeps patients or sites together, `time` tests the
    latest: functions of a path, or columns of the labels file); `train`, `valid` and `test` folders are kept as
    given. Of a labels file `x` is the column of names, `y` that of labels (found where there is no doubt).
    `options`: see `nbtune.tasks.from_frame`. Every file is read once, in threads, and looked at before anything
    is trained; what is broken is listed, and `broken="skip"` leaves it out and lists it in `task.card.skipped`. For
    5,000 JPEG files of 157 MB in all that took 1.8 s on two busy cores, with the files in the system's cache.

    Raises:
        MissingFileError: no such folder or labels file.
        InputError, InputTypeError: broken files, or labels, classes and splits that cannot be trained on.
    """
    given = options_of("from_folder", _OWN, options)
    root = existing_folder(path)
    asked = {"labels": labels, "x": x, "y": y, "group": group, "time": time, "split": split, **options}
    code = written("from_folder", repr(str(path)), asked)
    if labels is not None:
        return build(_from_file(root, labels, (x, y, group, time, split), given.name, code), given)
    if x is not None or y is not None or split is not None:
        raise InputTypeError(
            "from_folder with x=, y= or split=, and without labels=.",
            rule="x, y and split are columns of a labels file.", likely="the labels file was not named.",
            next=f"from_folder({str(path)!r}, labels={(_tables(root) or ['labels.csv'])[0]!r})",
        )  # fmt: skip
    return build(_from_tree(root, group, time, given.name or root.resolve().name, code), given)


def _from_tree(root: Path, group: Any, time: Any, name: str, code: str) -> Source:
    found = walk(root)
    deep = {NAMES[f.name.lower()]: f for f in found.folders if f.name.lower() in NAMES}
    nested = "train" in deep and len(found.folders) == len(deep)
    if not found.files and not found.broken:
        raise _no_pictures(root, found)
    offenders, files, classes, splits = dict(found.broken), [], [], []
    for file in found.files:
        parts = file.relative_to(root).parts
        if len(parts) < 2 + nested:
            offenders["/".join(parts)] = "not in the folder of a class"
            continue
        files.append(file)
        classes.append(parts[nested])
        splits.append(parts[0])
    if not files and not found.folders:
        raise _flat(root, found)
    ids = [file.relative_to(root).as_posix() for file in files]
    pictures, bad, notes = looked_at(files, ids)
    empty = [f.name for f in found.folders if not any(one.is_relative_to(f) for one in files)] if not nested else []
    offenders |= dict.fromkeys((f"{name}/" for name in empty), "a class folder without pictures")
    if found.others:
        kinds = ", ".join(f"{n:,} × {suffix}" for suffix, n in found.others.most_common(6))
        notes.append(f"Files that are no pictures were passed over: {kinds}.")
    grouped, timed = _called("group", group, files), _called("time", time, files)
    bad = {**_unknown("group", grouped, ids), **_unknown("time", timed, ids), **bad}
    aside = Aside(grouped, timed, splits if nested else None, pictures.hashes)
    return Source(
        "from_folder", name, f"the folder {root.resolve().name!r}", code, pictures, pd.Series(classes, dtype=object),
        ids, aside, {**offenders, **bad}, notes,
    )  # fmt: skip


def _called(name: str, made: Any, files: list[Path]) -> Any:
    """What a function of a path gives for each. Raises for no function, no value at all, or text that is no time."""
    if made is None:
        return None
    if not callable(made):
        raise InputTypeError(
            f"{name}={made!r:.60} without labels=.",
            rule=f"{name} is a function of a path, or a column of a labels file.",
            likely="a column, and the labels file was not named.",
            next=f'{name}=lambda path: path.stem.split("_")[0], or labels="labels.csv"',
        )  # fmt: skip
    found = [made(file) for file in files]
    if found and all(one is None for one in found):
        raise InputError(
            f"{name}= gave None for all {len(files):,} files.", rule=f"{name} is a function that gives a value a path.",
            likely="a function without a return, or one that knows none of these files.",
            next=f'{name}=lambda path: path.stem.split("_")[0], or a return at the end of the function',
        )  # fmt: skip
    if name == "group":
        return found
    return read_times(found, "time", lambda call, options: f"return pd.{call}(text{options}) in the function of time=")


def _unknown(name: str, found: Any, ids: list[str]) -> dict[str, str]:
    """Files of which the function gave no value."""
    if found is None:
        return {}
    gaps = missing(pd.Series(list(found), dtype=object))
    return {one: UNKNOWN[name] for one, gap in zip(ids, gaps, strict=True) if gap}


def _from_file(root: Path, labels: Any, columns: tuple[Any, ...], name: str | None, code: str) -> Source:
    frame, said = read_table(root, labels)
    x, y, group, time, split = columns
    for word, one in (("group", group), ("time", time)):
        if callable(one):
            raise InputTypeError(
                f"{word}= is a function, with labels=.", rule=f"with a labels file {word} is one of its columns.",
                likely="a call for class folders.", next=f"{word}= with one of {', '.join(map(str, frame.columns))}",
            )  # fmt: skip
    names = x or _names_column(frame, root)
    target = y if y is not None else _label_column(frame, {names, group, time, split})
    return pictures_of(
        frame, names, target, root, (group, time, split), call="from_folder", code=code, notes=[said],
        name=name or root.resolve().name, said=f"the folder {root.resolve().name!r} with {Path(labels).name}",
    )  # fmt: skip


def _names_column(frame: pd.DataFrame, root: Path) -> str:
    """The first column most of whose values are files below the folder."""
    for column in frame.columns:
        values = frame[column].dropna().head(50)
        if len(values) and sum((root / str(value)).is_file() for value in values) * 2 > len(values):
            return str(column)
    raise InputError(
        f"a labels file with the columns {', '.join(map(str, frame.columns))}.",
        rule="one column names files below the folder.",
        likely="names without their suffix, or relative to another folder.",
        next=f'x={str(frame.columns[0])!r}, with its values as they are below the folder, such as "a/1.jpg"',
    )  # fmt: skip


def _label_column(frame: pd.DataFrame, taken: set[Any]) -> str:
    rest = [str(column) for column in frame.columns if column not in taken]
    likely = [column for column in rest if column.strip().lower() in ("label", "labels", "class", "target", "y")]
    if len(rest) == 1 or len(likely) == 1:
        return (likely or rest)[0]
    raise InputError(
        f"a labels file with the columns {', '.join(rest) or 'of names alone'}.",
        rule="y names the column of the labels, where there is more than one that it could be.",
        likely="a table with other columns beside the labels." if rest else "a separator that was not recognised.",
        next=f"y={rest[-1]!r}" if rest else "look at the first line of the file",
    )  # fmt: skip


def _tables(root: Path) -> list[str]:
    return sorted(p.name for p in root.iterdir() if p.suffix.lower() in (".csv", ".tsv", ".txt"))


def _flat(root: Path, found: Walk) -> InputError:
    tables = _tables(root)
    named = [name for name in tables if _names_pictures(root / name, found.files)]
    above = root.parent if root.name not in ("", "..") else root.resolve().parent
    several = [name for name in folders_of_pictures(above) if name.lower() not in NAMES]
    if named or (tables and len(several) < 2):
        likely = "a labels file that was not named."
        better = f"from_folder({str(root)!r}, labels={(named or tables)[0]!r})"
    elif len(several) > 1:
        shown = ", ".join(several[:4]) + (" …" if len(several) > 4 else "")
        likely = f"the folder of one class instead of the one above it, which holds {shown}."
        better = f"from_folder({str(above)!r})"
    else:
        likely, better = "pictures that are not sorted yet.", f"a folder below {str(root)!r} for each class"
    return InputError(
        f"{len(found.files):,} pictures in {str(root)!r} itself, and no folder of a class.",
        rule="pictures stand in a folder for each class, or a labels file says what they are.",
        likely=likely, next=better,
    )  # fmt: skip


def _names_pictures(table: Path, files: list[Path]) -> bool:
    """Whether the text of a file names some of the pictures."""
    try:
        text = table.read_bytes()[:_HEAD].replace(b"\0", b"")  # of UTF-16 every second byte is one
    except OSError:
        return False
    return any(file.name.encode() in text for file in files)


def _no_pictures(root: Path, found: Walk) -> InputError:
    kinds = ", ".join(f"{n:,} × {suffix}" for suffix, n in found.others.most_common(6))
    return InputError(
        f"no picture below {str(root)!r}{f', but {kinds}' if kinds else ''}.",
        rule="pictures are files such as .jpg, .png, .gif, .bmp, .tif or .webp.",
        likely="archives that are to be unpacked first." if {".zip", ".tar", ".gz"} & set(found.others)
        else "an empty folder, or another than the one that was meant." if not kinds else "files of another kind.",
        next=f"look at list(Path({str(root)!r}).rglob('*'))[:10]",
    )  # fmt: skip
