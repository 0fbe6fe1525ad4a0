"""Kept features of all items of a split, and the store that finds them by key."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from nbtune._cut import digests
from nbtune._display import short
from nbtune._nested import map_tensors, tensors
from nbtune.errors import FreezeError

__all__ = ["Kept", "Store", "free_memory", "key_of"]

_SHARE = 0.25  # of the free memory may be filled with features


def free_memory() -> int:
    """Bytes of main memory that are free now (a guess of 4 GB where the system does not say)."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return 4 << 30


def key_of(*parts: Any) -> str:
    """A digest of all that the features depend on; tensors by their bits."""
    total = hashlib.blake2b(digest_size=16)
    for part in parts:
        found = tensors(part) if not isinstance(part, (str, int, bool)) else []
        total.update(repr(sorted(digests(dict(enumerate_names(found))).items()) if found else part).encode())
    return total.hexdigest()


def enumerate_names(found: Sequence[torch.Tensor]) -> list[tuple[str, torch.Tensor]]:
    """Tensors with numbers as names."""
    return [(str(number), tensor) for number, tensor in enumerate(found)]


@dataclass
class Kept:
    """Features [n, ...], targets [n, ...] and, where the rest of the model needs them, inputs [n, ...]."""

    features: Any
    targets: Any
    inputs: Any  # the real inputs, or one blank item to be expanded
    real: bool

    @staticmethod
    def empty(n: int, features: Any, targets: Any, inputs: Any, real: bool, budget: int | None) -> Kept:
        """Room for `n` items like these. Raises FreezeError if it is more than the budget."""
        wanted = [*tensors(features), *tensors(targets), *(tensors(inputs) if real else [])]
        size = sum(n * t[0].numel() * t.element_size() for t in wanted)
        allowed = budget if budget is not None else int(free_memory() * _SHARE)
        if size > allowed:
            raise FreezeError(
                f"the features of {n} items take {short(size)}B, and {short(allowed)}B are allowed.",
                rule="kept features stay within the budget, a quarter of the free memory by default.",
                likely="an early cut: features are larger there than at the end of the body.",
                next="cut later, or train live.",
            )

        def room(value: Any) -> Any:
            return map_tensors(value, lambda t: torch.empty(n, *t.shape[1:], dtype=t.dtype, device=t.device))

        def blank(value: Any) -> Any:
            return map_tensors(value, lambda t: torch.zeros((), dtype=t.dtype, device=t.device).expand(1, *t.shape[1:]))

        return Kept(room(features), room(targets), room(inputs) if real else blank(inputs), real)

    @property
    def device(self) -> torch.device:
        return tensors(self.features)[0].device

    @property
    def bytes(self) -> int:
        """Memory that the features take."""
        return sum(t.numel() * t.element_size() for t in tensors(self.features))

    def put(self, places: Sequence[int], features: Any, targets: Any, inputs: Any) -> None:
        """Write a batch at `places`; what is beyond them in the batch is padding."""
        pairs = [(self.features, features), (self.targets, targets), *([(self.inputs, inputs)] if self.real else [])]
        for room, values in pairs:
            for target, value in zip(tensors(room), tensors(values), strict=True):
                target[places[0] : places[0] + len(places)] = value[: len(places)]

    def take(self, places: torch.Tensor) -> Any:
        """The features at `places`, as the boundary's output."""
        return map_tensors(self.features, lambda t: t[places])

    def batch(self, places: torch.Tensor) -> Any:
        """Inputs and targets at `places`, as the loader's batch."""
        size = len(places)
        inputs = map_tensors(self.inputs, lambda t: t[places] if self.real else t.expand(size, *t.shape[1:]))
        return (*inputs, *map_tensors(self.targets, lambda t: t[places]))


class Store(dict[str, Kept]):
    """Kept features by key, within `budget` bytes a split (None: a quarter of the free memory)."""

    def __init__(self, budget: int | None = None) -> None:
        super().__init__()
        self.budget, self.digest = budget, ""

    def put(self, digest: str, key: str, kept: Kept) -> None:
        """Keep under `key`, and drop what another still part (by its `digest`) had computed."""
        if digest != self.digest:
            self.clear()
            self.digest = digest
        self[key] = kept

    @property
    def bytes(self) -> int:
        """Memory that all features take."""
        return sum(kept.bytes for kept in self.values())

    def __repr__(self) -> str:
        return f"{len(self)} sets of features, {short(self.bytes)}B."
