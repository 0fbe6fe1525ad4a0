"""Labelled images as one frozen sequence, checked when it is made."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nbtune.errors import InputError, InputTypeError

__all__ = ["Items"]


@dataclass(frozen=True, eq=False)
class Items:
    """Images `x` (uint8 [n, h, w] or [n, h, w, 3]), classes `y` (int64 [n], index into the vocab) and `ids`.

    An id names an item wherever it stands. `items[i]` is (image, class).

    Raises:
        InputTypeError: an array of another dtype.
        InputError: a wrong shape, mixed lengths, a negative class, or an id given twice.
    """

    x: npt.NDArray[np.uint8]
    y: npt.NDArray[np.int64]
    ids: tuple[str, ...]

    def __post_init__(self) -> None:
        _check_types(self.x, self.y)
        _check_shapes(self.x, self.y, self.ids)
        for array in (self.x, self.y):
            array.setflags(write=False)

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index: int) -> tuple[npt.NDArray[np.uint8], int]:
        return self.x[index], int(self.y[index])

    def take(self, index: Sequence[int] | npt.NDArray[np.int64]) -> Items:
        """The items at these places, in this order."""
        where = np.asarray(index, dtype=np.int64)
        return Items(self.x[where], self.y[where], tuple(self.ids[i] for i in where))

    def counts(self, classes: int) -> tuple[int, ...]:
        """How many items each class has."""
        return tuple(int(n) for n in np.bincount(self.y, minlength=classes))

    @property
    def digest(self) -> str:
        """sha256 of ids, classes and pixels."""
        known = hashlib.sha256("\n".join(self.ids).encode())
        known.update(np.ascontiguousarray(self.y, dtype="<i8").tobytes())
        known.update(np.ascontiguousarray(self.x).tobytes())
        return known.hexdigest()

    def __repr__(self) -> str:
        size = "×".join(str(side) for side in self.x.shape[1:])
        return f"{len(self):,} items of {size} in {len(set(self.y.tolist()))} classes."


def _check_types(x: Any, y: Any) -> None:
    if not isinstance(x, np.ndarray) or x.dtype != np.uint8:
        found = getattr(x, "dtype", type(x).__name__)
        raise InputTypeError(
            f"images of {found}.", rule="images are a numpy array of uint8, 0 to 255.",
            likely="floats, or a list of arrays.",
            next='(images * 255).round().astype("uint8") if they go from 0 to 1.',
        )  # fmt: skip
    if not isinstance(y, np.ndarray) or y.dtype != np.int64:
        found = getattr(y, "dtype", type(y).__name__)
        raise InputTypeError(
            f"classes of {found}.", rule="classes are a numpy array of int64, places in the vocab.",
            likely="names instead of places, or another integer type.", next='classes.astype("int64").',
        )  # fmt: skip


def _check_shapes(x: npt.NDArray[Any], y: npt.NDArray[Any], ids: tuple[str, ...]) -> None:
    if not (x.ndim == 3 or (x.ndim == 4 and x.shape[-1] == 3)) or 0 in x.shape[1:]:
        raise InputError(
            f"images of shape {list(x.shape)}.", rule="images are [n, h, w] or [n, h, w, 3].",
            likely="flat pixels, or channels first.", next="reshape, or numpy.moveaxis(images, 1, -1).",
        )  # fmt: skip
    if y.ndim != 1 or not len(x) == len(y) == len(ids):
        raise InputError(
            f"{len(x)} images, classes of shape {list(y.shape)}, {len(ids)} ids.",
            rule="every image has one class and one id.", likely="they come from different splits.",
            next="make all three by one index.",
        )  # fmt: skip
    if len(y) and y.min() < 0:
        raise InputError(
            f"a class of {y.min()}.", rule="a class is 0 or more, a place in the vocab.",
            likely="-1 marks items without a label.", next="leave those items out.",
        )  # fmt: skip
    if len(set(ids)) != len(ids):
        raise InputError(
            f"{len(ids) - len(set(ids))} ids that were given before.", rule="an id names one item.",
            likely="the same item stands twice in the split.", next="drop the second one.",
        )  # fmt: skip
