"""Kept features of all items of a split, and room in memory that is filled batch by batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from nbtune._nested import map_tensors, tensors

__all__ = ["Filling", "Kept", "Overflow", "Wanted"]


class Overflow(Exception):  # noqa: N818 (no error of the user's: another type is tried)
    """A finite value is too large for half precision."""


@dataclass(frozen=True)
class Wanted:
    """What is to be kept of one split, told by a few of its items."""

    key: str
    split: str  # "training" or "validation"
    items: int
    features: Any  # of a few items: nested tensors [few, ...]
    targets: Any
    inputs: Any
    real: bool = False  # are the inputs kept as well, since the rest of the model reads them
    views: int = 1  # augmented views an item
    half: torch.dtype | None = None  # floating features are kept in this type

    @property
    def rows(self) -> int:
        return self.items * self.views

    @property
    def columns(self) -> list[torch.Tensor]:
        """A few rows of every tensor that is kept, in the type in which it is kept."""
        return self.of(self.features, self.targets, self.inputs)

    def of(self, features: Any, targets: Any, inputs: Any) -> list[torch.Tensor]:
        """The columns of a batch."""
        found = [t.to(self.half) if self.half and t.is_floating_point() else t for t in tensors(features)]
        return [*found, *tensors(targets), *(tensors(inputs) if self.real else [])]

    @property
    def bytes(self) -> int:
        """Room for all rows."""
        return sum(self.rows * column[0].numel() * column.element_size() for column in self.columns)


def _nothing() -> None:
    pass


@dataclass(repr=False)
class Kept:
    """Features, targets and, where the rest of the model needs them, inputs; each [views x items, ...].

    Row `view * items + item` is an item's view. `home` is the device on which the model trains.
    """

    features: Any
    targets: Any
    inputs: Any  # the real inputs, or one blank item to be expanded
    real: bool
    split: str = "training"
    views: int = 1
    on_disk: bool = False
    error: float = 0.0  # of half precision: largest difference, as a share of the item's largest feature
    home: torch.device = field(default=torch.device("cpu"))
    dtypes: tuple[torch.dtype, ...] = ()  # of the features as the model gives them
    release: Callable[[], None] = _nothing  # gives memory of a mapped file back

    @staticmethod
    def of(wanted: Wanted, columns: list[torch.Tensor], **more: Any) -> Kept:
        """What `columns` hold, in the nested form of the wanted features, targets and inputs."""
        rest = iter(columns)

        def filled(value: Any) -> Any:
            return map_tensors(value, lambda _: next(rest))

        def blank(value: Any) -> Any:
            return map_tensors(value, lambda t: torch.zeros((), dtype=t.dtype, device=t.device).expand(1, *t.shape[1:]))

        first = tensors(wanted.features)
        return Kept(
            filled(wanted.features), filled(wanted.targets),
            filled(wanted.inputs) if wanted.real else blank(wanted.inputs), wanted.real, wanted.split, wanted.views,
            home=first[0].device, dtypes=tuple(t.dtype for t in first), **more,
        )  # fmt: skip

    def __repr__(self) -> str:
        return f"Features of {self.items} {self.split} items, {self.bytes} bytes."

    @property
    def device(self) -> torch.device:
        """Where the features lie."""
        return tensors(self.features)[0].device

    @property
    def items(self) -> int:
        return len(tensors(self.features)[0]) // self.views

    @property
    def bytes(self) -> int:
        """Room that all of it takes, in memory or on disk."""
        held = [*tensors(self.features), *tensors(self.targets), *(tensors(self.inputs) if self.real else [])]
        return sum(t.numel() * t.element_size() for t in held)

    def take(self, places: torch.Tensor) -> Any:
        """The features at `places`, as the boundary's output."""
        types = iter(self.dtypes)
        found = map_tensors(self.features, lambda t: t[places].to(self.home, next(types, t.dtype)))
        self.release()
        return found

    def batch(self, places: torch.Tensor) -> Any:
        """Inputs and targets at `places`, as the loader's batch."""
        size = len(places)

        def at(value: Any) -> Any:
            return map_tensors(value, lambda t: t[places].to(self.home))

        blank = map_tensors(self.inputs, lambda t: t.expand(size, *t.shape[1:])) if not self.real else at(self.inputs)
        return (*blank, *at(self.targets))


class Filling:
    """Room for what is wanted, filled in order; whoever is stopped goes on with the first batch that is not in."""

    on_disk = False

    def __init__(self, wanted: Wanted, device: Any = None) -> None:
        self.wanted, self.batches, self.rows, self.error = wanted, 0, 0, 0.0
        self.columns = self.room(device)

    def room(self, device: Any) -> list[torch.Tensor]:
        shapes = [(self.wanted.rows, *column.shape[1:]) for column in self.wanted.columns]
        pairs = zip(shapes, self.wanted.columns, strict=True)
        return [torch.empty(shape, dtype=like.dtype, device=device or like.device) for shape, like in pairs]

    def put(self, count: int, features: Any, targets: Any, inputs: Any) -> None:
        """The next `count` rows: the first ones of a batch; what follows in it is padding.

        Raises Overflow if they do not fit in half precision, OSError where they cannot be written.
        """
        values = [value[:count] for value in self.wanted.of(features, targets, inputs)]
        error = self._lost(values, [t[:count] for t in tensors(features)]) if self.wanted.half else 0.0
        self.write(values)
        # Last, so that an interrupt before it leaves the batch out: it is written again then.
        self.batches, self.rows, self.error = self.batches + 1, self.rows + count, max(self.error, error)

    def write(self, values: list[torch.Tensor]) -> None:
        for column, value in zip(self.columns, values, strict=True):
            column[self.rows : self.rows + len(value)] = value

    def _lost(self, values: list[torch.Tensor], exact: list[torch.Tensor]) -> float:
        """The largest error of rounding to half precision, as a share of an item's largest feature."""
        worst = 0.0
        for value, true in zip(values, exact, strict=False):
            if not true.is_floating_point():
                continue
            if bool((value.isinf() & true.isfinite()).any()):
                raise Overflow
            rest = (value.to(true.dtype) - true).nan_to_num(0, 0, 0).reshape(len(true), -1).abs().amax(1)
            size = true.nan_to_num(0, 0, 0).reshape(len(true), -1).abs().amax(1)
            worst = max(worst, float((rest / size.clamp_min(torch.finfo(true.dtype).tiny)).max()))
        return worst

    @property
    def bytes(self) -> int:
        return self.wanted.bytes

    def finish(self) -> Kept:
        """All rows are in."""
        return Kept.of(self.wanted, self.columns, error=self.error)

    def drop(self) -> None:
        """Give the room back."""
        self.columns = []
