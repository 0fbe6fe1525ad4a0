"""Labelled images as one frozen sequence, checked when it is made."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nbtune.errors import InputError, InputTypeError
from nbtune.tasks.stacks import Fetched, Files, Rows

__all__ = ["Items"]


@dataclass(frozen=True, eq=False)
class Items:
    """Inputs `x`, targets `y` and `ids`. An id names an item wherever it stands; `items[i]` is (input, target).

    `x`: images as uint8 [n, h, w] or [n, h, w, 3], or files, fetched pictures or rows (`nbtune.tasks.stacks`).
    `y`: classes int64 [n], index into the vocab; several labels uint8 [n, k] of 0 and 1; numbers float32 [n] or
    [n, k]. `group` and `time` [n] are what a split kept together or went by.

    Raises:
        InputTypeError: an array of another dtype.
        InputError: a wrong shape, mixed lengths, a negative class, or an id given twice.
    """

    x: Any
    y: npt.NDArray[Any]
    ids: tuple[str, ...]
    group: npt.NDArray[Any] | None = None
    time: npt.NDArray[Any] | None = None

    def __post_init__(self) -> None:
        _check_types(self.x, self.y)
        _check_shapes(self.x, self.y, self.ids)
        for array in (self.x, self.y):
            if isinstance(array, np.ndarray):
                array.setflags(write=False)

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        target = self.y[index]
        return self.x[index], target if target.ndim else target.item()

    def take(self, index: Sequence[int] | npt.NDArray[np.int64]) -> Items:
        """The items at these places, in this order."""
        where = np.asarray(index, dtype=np.int64)
        beside = (None if one is None else one[where] for one in (self.group, self.time))
        return Items(self.x[where], self.y[where], tuple(self.ids[i] for i in where), *beside)

    def counts(self, classes: int) -> tuple[int, ...]:
        """How many items each class has; items with several labels count for each, numbers for none."""
        if self.y.dtype.kind == "f":
            return ()
        if self.y.ndim == 2:
            return tuple(int(n) for n in self.y.sum(0, dtype=np.int64))
        return tuple(int(n) for n in np.bincount(self.y, minlength=classes))

    @property
    def digest(self) -> str:
        """sha256 of ids, targets and inputs."""
        known = hashlib.sha256("\n".join(self.ids).encode())
        plain = {"i": "<i8", "f": "<f4", "u": "u1"}[self.y.dtype.kind]
        known.update(np.ascontiguousarray(self.y, dtype=plain).tobytes())
        known.update(np.ascontiguousarray(self.x).tobytes() if isinstance(self.x, np.ndarray) else self.x.digest)
        return known.hexdigest()

    def __repr__(self) -> str:
        if isinstance(self.x, Rows):
            what = f"rows of {len(self.x.cats) + len(self.x.conts)} columns"
        elif isinstance(self.x, np.ndarray):
            what = f"items of {'×'.join(str(side) for side in self.x.shape[1:])}"
        else:
            what = "pictures"
        if self.y.dtype.kind == "f":
            return f"{len(self):,} {what} with {self.y[0].size if len(self) else 'no'} numbers to predict each."
        kinds = f"of {self.y.shape[1]} labels" if self.y.ndim == 2 else f"in {len(set(self.y.tolist()))} classes"
        return f"{len(self):,} {what} {kinds}."


def _check_types(x: Any, y: Any) -> None:
    if not isinstance(x, (Files, Fetched, Rows)) and (not isinstance(x, np.ndarray) or x.dtype != np.uint8):
        found = getattr(x, "dtype", type(x).__name__)
        raise InputTypeError(
            f"images of {found}.", rule="images are a numpy array of uint8, 0 to 255.",
            likely="pictures of several sizes in a list." if found in ("list", "object") else "floats.",
            next="np.stack(images), after bringing them to one size." if found in ("list", "object")
            else '(images * 255).round().astype("uint8") if they go from 0 to 1.',
        )  # fmt: skip
    several = isinstance(y, np.ndarray) and (y.dtype == np.float32 or (y.dtype == np.uint8 and y.ndim == 2))
    if not several and (not isinstance(y, np.ndarray) or y.dtype != np.int64):
        found = getattr(y, "dtype", type(y).__name__)
        raise InputTypeError(
            f"classes of {found}.", rule="classes are a numpy array of int64, places in the vocab.",
            likely="names instead of places, or another integer type.", next='classes.astype("int64").',
        )  # fmt: skip


def _check_shapes(x: Any, y: npt.NDArray[Any], ids: tuple[str, ...]) -> None:
    plain = isinstance(x, np.ndarray)
    if plain and (not (x.ndim == 3 or (x.ndim == 4 and x.shape[-1] == 3)) or 0 in x.shape[1:]):
        raise InputError(
            f"images of shape {list(x.shape)}.", rule="images are [n, h, w] or [n, h, w, 3].",
            likely="flat pixels, or channels first.", next="reshape, or numpy.moveaxis(images, 1, -1).",
        )  # fmt: skip
    numbers = y.ndim == 2 and y.dtype != np.int64
    if not (y.ndim == 1 or numbers) or not len(x) == len(y) == len(ids):
        raise InputError(
            f"{len(x)} images, classes of shape {list(y.shape)}, {len(ids)} ids.",
            rule="every image has one class and one id.", likely="they come from different splits.",
            next="make all three by one index.",
        )  # fmt: skip
    if len(y) and y.dtype == np.int64 and y.min() < 0:
        raise InputError(
            f"a class of {y.min()}.", rule="a class is 0 or more, a place in the vocab.",
            likely="-1 marks items without a label.", next="leave those items out.",
        )  # fmt: skip
    if len(set(ids)) != len(ids):
        raise InputError(
            f"{len(ids) - len(set(ids))} ids that were given before.", rule="an id names one item.",
            likely="the same item stands twice in the split.", next="drop the second one.",
        )  # fmt: skip
