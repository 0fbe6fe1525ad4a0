"""Kept features on disk: a folder an entry, whole or not there at all, its files looked at before they are used.

An entry is written in a folder beside it and appears by one rename. Its JSON says shapes, types and digests.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import platform
import re
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch

from nbtune.cache.kept import Filling, Kept, Wanted

__all__ = ["Part", "found", "others", "sweep"]

_SCHEMA = 1
_NOTE = "features.json"
_HOST = re.sub(r"\W", "", platform.node()) or "host"
_MINUTE, _DAY = 60, 86400
_HALVES = (torch.float16, torch.bfloat16)


class Part(Filling):
    """An entry on its way: columns are appended to files, in rows; `finish` makes the entry of it."""

    on_disk = True

    def __init__(self, wanted: Wanted, folder: Path, digest: str) -> None:
        self.folder, self.digest = folder, digest
        super().__init__(wanted)

    def room(self, device: Any) -> list[torch.Tensor]:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.path = self.folder / f".{self.wanted.key}.{_HOST}-{os.getpid()}-{uuid4().hex[:8]}.part"
        self.path.mkdir()
        for number in range(len(self.wanted.columns)):
            (self.path / f"{number}.bin").touch()
        return []

    def write(self, values: list[torch.Tensor]) -> None:
        for number, value in enumerate(values):
            with open(self.path / f"{number}.bin", "r+b") as file:
                file.truncate(self.rows * value[0].numel() * value.element_size())  # of a write that was cut short
                file.seek(0, os.SEEK_END)
                file.write(_raw(value))

    def finish(self) -> Kept:
        """Sync, rename, map. Another process's entry that is there already and sound is used instead."""
        final = self.folder / self.wanted.key
        files = [_described(self.path / f"{n}.bin", column) for n, column in enumerate(self.wanted.columns)]
        note = {"schema": _SCHEMA, "digest": self.digest, "rows": self.wanted.rows, "error": self.error, "files": files}
        (self.path / _NOTE).write_text(json.dumps(note, indent=1))
        for path in [*self.path.iterdir(), self.path]:
            _sync(path)
        try:
            os.rename(self.path, final)
        except OSError:
            if (there := found(self.folder, self.wanted)) is not None:
                self.drop()
                return there
            os.rename(self.path, final)  # what was there was not sound, and is gone
        _sync(self.folder)
        return _mapped(final, self.wanted, self.error)

    def drop(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


def found(folder: Path, wanted: Wanted) -> Kept | None:
    """The entry for what is wanted, every byte of it checked; one that is not sound is removed."""
    path = folder / wanted.key
    if not path.is_dir():
        return None
    try:
        note = json.loads((path / _NOTE).read_text())
        wanted = _as_kept(wanted, note)
        files = [_described(path / f"{n}.bin", column) for n, column in enumerate(wanted.columns)]
        if note["schema"] == _SCHEMA and note["rows"] == wanted.rows and note["files"] == files:
            return _mapped(path, wanted, float(note["error"]))
    except (OSError, ValueError, KeyError, TypeError):
        pass
    shutil.rmtree(path, ignore_errors=True)
    return None


def _as_kept(wanted: Wanted, note: dict[str, Any]) -> Wanted:
    """What is wanted, in the half precision that the entry was found to need."""
    types = {str(half): half for half in _HALVES}
    held = [types[file["dtype"]] for file in note["files"] if file["dtype"] in types]
    return replace(wanted, half=held[0]) if wanted.half and held else wanted


def others(folder: Path, digest: str, once: str = "") -> None:
    """Remove the entries that another still part had made, and those whose key begins with `once`."""
    for note in folder.glob(f"*/{_NOTE}"):
        try:
            fits = json.loads(note.read_text())["digest"] == digest
        except (OSError, ValueError, KeyError, TypeError):
            fits = False
        if not fits or (once and note.parent.name.startswith(once)):
            shutil.rmtree(note.parent, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Remove what dead processes left: of this machine after a minute, of others that share the folder after a day."""
    for path in folder.glob(".*.part"):
        named = re.fullmatch(r"\.\w+\.(\w+)-(\d+)-\w+\.part", path.name)
        if named is None:
            continue
        host, pid = named.groups()
        with_files = [path, *path.glob("*")]
        age = time.time() - max((p.stat().st_mtime for p in with_files if p.exists()), default=0.0)
        if age > _DAY if host != _HOST else age > _MINUTE and not _alive(int(pid)):
            shutil.rmtree(path, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's process
        return True
    return True


def _raw(value: torch.Tensor) -> Any:
    return value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data


def _described(path: Path, like: torch.Tensor) -> dict[str, Any]:
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"digest": digest, "bytes": path.stat().st_size, "shape": list(like.shape[1:]), "dtype": str(like.dtype)}


def _sync(path: Path) -> None:
    """Make a file durable, or the names in a folder (which only POSIX can open)."""
    if path.is_dir() and os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _mapped(path: Path, wanted: Wanted, error: float) -> Kept:
    """The entry's files as tensors; pages that were read are given back after every batch."""
    maps, columns = [], []
    for number, like in enumerate(wanted.columns):
        shape = (wanted.rows, *like.shape[1:])
        with open(path / f"{number}.bin", "rb") as file:
            if not like[0].numel():
                columns.append(torch.empty(shape, dtype=like.dtype))
                continue
            maps.append(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))  # a write by mistake stays in memory
        columns.append(torch.frombuffer(maps[-1], dtype=like.dtype).reshape(shape))

    def release() -> None:
        if hasattr(mmap, "MADV_DONTNEED"):
            for held in maps:
                held.madvise(mmap.MADV_DONTNEED)

    return Kept.of(wanted, columns, on_disk=True, error=error, release=release)
