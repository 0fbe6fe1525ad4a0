"""Files and folders that appear whole or not at all, and last."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

__all__ = ["lies_in", "sync_folder", "write_file", "write_new", "write_part"]


def lies_in(folder: Path, name: str) -> bool:
    """Is `name` a regular file of the folder itself? A link may lead anywhere, a pipe or a device never ends."""
    path = folder / name
    return path.is_file() and path.resolve().parent == folder.resolve()


def write_new(path: Path, content: bytes) -> None:
    """A file that was not there before, synced. Raises OSError."""
    with open(path, "xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def write_file(path: Path, content: bytes) -> None:
    """The file appears whole or not at all: a temporary one, synced, then renamed. Raises OSError."""
    part = path.with_name(f"{path.name}.{uuid4().hex}.tmp")
    try:
        write_new(part, content)
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_part(folder: Path, files: Mapping[str, bytes]) -> Path:
    """`files` in a new hidden folder beside `folder`, synced, to be renamed; nothing is left of it where it fails."""
    part = folder.parent / f".{folder.name}.{uuid4().hex}.part"
    try:
        part.mkdir()
        for name, content in files.items():
            write_new(part / name, content)
        sync_folder(part)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return part


def sync_folder(folder: Path) -> None:
    """Make names in `folder` durable (POSIX; elsewhere a folder cannot be opened)."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
