"""A labels file whatever its separator and encoding are, and what they were."""

from __future__ import annotations

import csv
import io
from os import PathLike
from pathlib import Path

import pandas as pd

from nbtune.errors import InputError, MissingFileError

__all__ = ["read_table"]

_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


def read_table(root: Path, labels: str | PathLike[str]) -> tuple[pd.DataFrame, str]:
    """The table of a text file (below `root`, or anywhere), and how it was read, in a sentence.

    Raises:
        MissingFileError: there is none.
        InputError: it is empty, or no table.
    """
    place = next((p for p in (root / labels, Path(labels).expanduser()) if p.is_file()), None)
    if place is None:
        near = sorted(p.name for p in root.iterdir() if p.suffix.lower() in (".csv", ".tsv", ".txt"))
        raise MissingFileError(
            f"there is no labels file {str(labels)!r} in {str(root)!r}.", rule="labels names a file that is there.",
            likely="a misspelling." if near else "a file that lies elsewhere.",
            next=f"labels={near[0]!r}" if near else "labels= with the whole path",
        )  # fmt: skip
    text, encoding = _decoded(place)
    separator = _separator(text)
    frame = pd.read_csv(io.StringIO(text), sep=separator, skipinitialspace=True) if text.strip() else pd.DataFrame()
    if frame.empty or frame.shape[1] < 2:
        raise InputError(
            f"{place.name} has {frame.shape[0]} rows of {frame.shape[1]} columns.",
            rule="a labels file has a header, rows, and two columns or more.",
            likely="an empty file." if not text.strip() else "a list of names without labels, or a rare separator.",
            next="pd.read_csv(...) with its options, then nt.tasks.from_frame(df, x=..., y=..., folder=...)",
        )  # fmt: skip
    frame.columns = [str(column).strip() for column in frame.columns]
    return frame, f"{place.name} was read as {encoding}, separated by {_SEPARATORS[separator]}."


def _decoded(place: Path) -> tuple[str, str]:
    raw = place.read_bytes()
    for mark, encoding in _MARKS.items():
        if raw.startswith(mark):
            return raw.decode(encoding), encoding.upper().replace("-SIG", "")
    try:
        return raw.decode("utf-8"), "UTF-8"
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace"), "Windows-1252 (it is no UTF-8)"


def _separator(text: str) -> str:
    """The separator that gives the header and the next lines the same number of fields, two or more."""
    lines = [line for line in text.splitlines()[:20] if line.strip()]
    best, most = ",", 1
    for separator in _SEPARATORS:
        widths = {len(row) for row in csv.reader(lines, delimiter=separator)}
        if len(widths) == 1 and (width := widths.pop()) > most:
            best, most = separator, width
    return best
