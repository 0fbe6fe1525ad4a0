"""Where kept features lie, within budgets: on the model's device, in main memory, or in a folder."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from nbtune._display import short
from nbtune.cache import disk
from nbtune.cache.kept import Filling, Kept, Wanted
from nbtune.cache.memory import free_memory
from nbtune.errors import FreezeError

__all__ = ["ONCE", "Store", "told"]

_SHARE = 0.25  # of the free memory, the device's as the computer's, may be filled with features
_DISK_SHARE = 0.5  # of what is free on the disk
ONCE = "once"  # begins the key of what no later fit can know again, so it is dropped before the next


class Store(dict[str, Kept]):
    """Kept features by key, of one still part at a time.

    `budget`: bytes of memory for all of them (None: a quarter of what is free). What does not fit is mapped
    from files in `folder`, where there is one, within `disk` bytes (None: half of what is free on the disk).

    Example:
        >>> Store(budget=64_000_000)
        No features are kept.
    """

    def __init__(self, folder: str | Path | None = None, budget: int | None = None, disk: int | None = None) -> None:
        super().__init__()
        self.folder = None if folder is None else Path(folder)
        self.budget, self.disk, self.digest = budget, disk, ""
        self.partial: dict[str, Filling] = {}  # by key: what a stopped filling has so far

    def of(self, digest: str) -> None:
        """From now on keep what the still part with this digest computes; what another had computed is dropped."""
        for key in [key for key in [*self, *self.partial] if key.startswith(ONCE)]:
            self._drop(key)
        if digest != self.digest:
            self._forget()
            self.digest = digest
        if self.folder is not None and self.folder.is_dir():
            disk.sweep(self.folder)
            disk.others(self.folder, digest, ONCE)

    def find(self, wanted: Wanted) -> Kept | None:
        """What is kept of `wanted`, in memory or in the folder (whose bytes are checked once)."""
        if wanted.key not in self and self.folder is not None:
            kept = disk.found(self.folder, wanted)
            if kept is not None:
                self[wanted.key] = kept
        return self.get(wanted.key)

    def place(self, wanted: Sequence[Wanted], device: torch.device) -> Any:
        """Where all of `wanted` together would lie: a device or the folder. Raises FreezeError where nowhere."""
        keys = {one.key for one in wanted}
        size = sum(one.bytes for one in wanted if one.key not in self and one.key not in self.partial)
        begun = [self.partial[key].on_disk for key in keys if key in self.partial]
        for place in dict.fromkeys((device, torch.device("cpu"))):
            if not any(begun) and self._made_room(size, self._left(place), keys, on_disk=False):
                return place
        if self.folder is not None and self._made_room(size, self._disk_left(), keys, on_disk=True):
            return self.folder
        raise self._full(wanted, size)

    def _made_room(self, size: int, left: int, keys: set[str], on_disk: bool) -> bool:
        """Is there room for `size` bytes, if need be without what is kept under other keys? That is dropped then."""
        others: dict[str, Kept | Filling] = {**self.partial, **self}
        spare = [key for key, held in others.items() if key not in keys and held.on_disk == on_disk]
        if left < size <= left + sum(others[key].bytes for key in spare):
            for key in spare:
                self._drop(key)
            return True
        return size <= left

    def _drop(self, key: str) -> None:
        self.give_up(key)
        kept = self.pop(key, None)
        if kept is not None and kept.on_disk and self.folder is not None:
            shutil.rmtree(self.folder / key, ignore_errors=True)

    def _full(self, wanted: Sequence[Wanted], size: int) -> FreezeError:
        room = f"{short(self._left(torch.device('cpu')))}B of memory may be used"
        told = "; with a run_dir they could lie on disk"
        if self.folder is not None:
            told = f", and {short(self._disk_left())}B of disk"
        return FreezeError(
            f"the features of {_counted(wanted)} take {short(size)}B: {room}{told}.",
            rule="kept features stay within the budgets: by default a quarter of free memory, half of free disk.",
            likely="an early cut: features are larger there than at the end of the body.",
            next='nt.Tuner(learn, run_dir="runs/one"), nt.Still(store=Store("folder")), or cut later.',
        )

    def _left(self, place: torch.device) -> int:
        """Bytes that may still be filled there."""
        held = [kept for kept in self.values() if not kept.on_disk]
        if self.budget is not None:
            begun = sum(part.bytes for part in self.partial.values() if not part.on_disk)
            return self.budget - sum(kept.bytes for kept in held) - begun
        free = torch.cuda.mem_get_info(place)[0] if place.type == "cuda" else free_memory()
        there = sum(kept.bytes for kept in held if kept.device.type == place.type)
        return int((free + there) * _SHARE) - there

    def _disk_left(self) -> int:
        if self.disk is not None:
            return self.disk - self.sizes[1]
        place = next(path for path in [self.folder, *self.folder.absolute().parents] if path and path.exists())  # type: ignore[union-attr]
        return int(shutil.disk_usage(place).free * _DISK_SHARE)

    def begin(self, wanted: Wanted, place: Any) -> Filling:
        """Room to fill, or what a stopped filling left of it."""
        if wanted.key not in self.partial:
            new = disk.Part(wanted, place, self.digest) if isinstance(place, Path) else Filling(wanted, place)
            self.partial[wanted.key] = new
        return self.partial[wanted.key]

    def finish(self, filling: Filling) -> Kept:
        """All rows are in: keep them under their key."""
        kept = filling.finish()
        del self.partial[filling.wanted.key]
        self[filling.wanted.key] = kept
        return kept

    def give_up(self, key: str) -> None:
        """Drop what a filling has so far."""
        if (part := self.partial.pop(key, None)) is not None:
            part.drop()

    def _forget(self) -> None:
        for key in list(self.partial):
            self.give_up(key)
        super().clear()

    def clear(self) -> None:
        """Drop everything, in memory and on disk."""
        self._forget()
        self.digest = ""
        if self.folder is not None and self.folder.is_dir():
            disk.others(self.folder, "")
            disk.sweep(self.folder)

    @property
    def sizes(self) -> tuple[int, int]:
        """Bytes in memory and on disk."""
        return _sizes(list(self.values()))

    @property
    def bytes(self) -> int:
        """Room that all features take, in memory and on disk."""
        return sum(self.sizes)

    def __repr__(self) -> str:
        begun = [f"{part.rows} of {part.wanted.rows} {part.wanted.split} items" for part in self.partial.values()]
        more = f" Of a filling that was stopped: {', '.join(begun)}." if begun else ""
        if not self:
            return f"No features are kept.{more}"
        return f"{told(list(self.values()))}{more}"


def _sizes(entries: Sequence[Kept]) -> tuple[int, int]:
    on_disk = sum(kept.bytes for kept in entries if kept.on_disk)
    return sum(kept.bytes for kept in entries) - on_disk, on_disk


def told(entries: Sequence[Kept]) -> str:
    """What is kept, with its size."""
    pairs = zip(_sizes(entries), ("in memory", "on disk"), strict=True)
    return f"features of {_counted(entries)}: {', '.join(f'{short(size)}B {where}' for size, where in pairs if size)}."


def _counted(entries: Sequence[Wanted] | Sequence[Kept]) -> str:
    """How many items of which split."""
    counts = [
        f"{entry.items} {entry.split}" + (f" ({entry.views} views each)" if entry.views > 1 else "")
        for entry in entries
    ]
    return f"{' and '.join(counts)} items"
