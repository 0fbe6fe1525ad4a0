"""Inputs that are no array in memory: picture files, pictures that a function gives, rows of a table."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from nbtune.bodies.decode import decode
from nbtune.tasks._scan import Look

__all__ = ["Fetched", "Files", "Rows", "joined", "lazy"]

Bytes = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int64]
S = TypeVar("S", bound="_Stack")


class _Stack:
    """A sequence whose parts, taken by an array of places, are of its own kind."""

    def __len__(self) -> int:
        raise NotImplementedError

    def one(self, place: int) -> Any:
        """The item at this place."""
        raise NotImplementedError

    def part(self: S, places: Places) -> S:
        """The items at these places, in this order."""
        raise NotImplementedError

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, (int, np.integer)):
            if not -len(self) <= index < len(self):
                raise IndexError(f"place {index} of {len(self)}")
            return self.one(int(index) % len(self))
        return self.part(np.arange(len(self))[index])

    def __iter__(self) -> Iterator[Any]:
        return (self.one(place) for place in range(len(self)))


@dataclass(frozen=True, eq=False)
class Files(_Stack):
    """Picture files, decoded when they are looked at: `files[i]` is uint8 [h, w] or [h, w, 3].

    A file that was replaced since it was looked at first is refused.
    """

    looks: tuple[Look, ...]

    def __len__(self) -> int:
        return len(self.looks)

    def one(self, place: int) -> Bytes:
        """The pixels of one file. Raises as `nbtune.bodies.decode.decode`."""
        return decode(self.looks[place].path, self.looks[place].stamp)

    def part(self, places: Places) -> Files:
        """The files at these places."""
        return Files(tuple(self.looks[place] for place in places))

    @property
    def paths(self) -> tuple[Path, ...]:
        """Where the files lie."""
        return tuple(look.path for look in self.looks)

    @property
    def sizes(self) -> set[tuple[int, int]]:
        """The sizes that occur, (height, width)."""
        return {look.size for look in self.looks}

    @property
    def hashes(self) -> tuple[str, ...]:
        """sha256 of each file."""
        return tuple(look.digest for look in self.looks)

    @property
    def digest(self) -> bytes:
        """Of all contents, in order."""
        return hashlib.sha256("".join(self.hashes).encode()).digest()


@dataclass(frozen=True, eq=False)
class Fetched(_Stack):
    """Pictures that `get(place)` gives, as uint8 [h, w] or [h, w, 3]; `sizes` and `digest` of a first look."""

    get: Callable[[int], Bytes]
    places: tuple[int, ...]
    marks: tuple[tuple[tuple[int, int], str], ...]  # size and digest, an item each

    def __len__(self) -> int:
        return len(self.places)

    def one(self, place: int) -> Bytes:
        """The pixels of one item."""
        return self.get(self.places[place])

    def part(self, places: Places) -> Fetched:
        """The pictures at these places."""
        chosen = tuple(self.places[place] for place in places)
        return Fetched(self.get, chosen, tuple(self.marks[place] for place in places))

    @property
    def sizes(self) -> set[tuple[int, int]]:
        """The sizes that occur, (height, width)."""
        return {size for size, _ in self.marks}

    @property
    def hashes(self) -> tuple[str, ...]:
        """sha256 of each item's pixels."""
        return tuple(mark for _, mark in self.marks)

    @property
    def digest(self) -> bytes:
        """Of all contents, in order."""
        return hashlib.sha256("".join(self.hashes).encode()).digest()


@dataclass(frozen=True, eq=False)
class Rows(_Stack):
    """Rows of a table: `cats` and `conts` name its categorical and its numeric columns."""

    frame: pd.DataFrame
    cats: tuple[str, ...]
    conts: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.frame)

    def one(self, place: int) -> dict[str, Any]:
        """One row, a value by column."""
        return dict(self.frame.iloc[place])

    def part(self, places: Places) -> Rows:
        """The rows at these places."""
        return Rows(self.frame.iloc[places].reset_index(drop=True), self.cats, self.conts)

    @property
    def digest(self) -> bytes:
        """Of all values and column names, in order."""
        known = hashlib.sha256("\n".join((*self.cats, "", *self.conts)).encode())
        plain = self.frame[[*self.cats, *self.conts]].astype(dict.fromkeys(self.cats, str))
        known.update(pd.util.hash_pandas_object(plain, index=False).to_numpy().astype("<u8").tobytes())
        return known.digest()


def lazy(x: Any) -> bool:
    """Whether these are pictures that are made when they are looked at."""
    return isinstance(x, (Files, Fetched))


def joined(parts: Sequence[Any]) -> Any:
    """Inputs of one kind, one after the other."""
    first = parts[0]
    if isinstance(first, Files):
        return Files(tuple(look for part in parts for look in part.looks))
    if isinstance(first, Fetched):
        marks = tuple(mark for part in parts for mark in part.marks)
        return Fetched(first.get, tuple(place for part in parts for place in part.places), marks)
    if isinstance(first, Rows):
        return Rows(pd.concat([part.frame for part in parts], ignore_index=True), first.cats, first.conts)
    return np.concatenate(parts)
