"""Folders that appear by one rename, and files that are looked at before they are read."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from nbtune._files import lies_in, sync_folder, write_part
from nbtune.errors import BundleError, MissingFileError

__all__ = ["file_size", "hashed", "newest", "opened", "read_small", "write_folder"]

CHUNK = 1 << 20


def write_folder(folder: Path, files: Mapping[str, bytes], ours: Callable[[Path], bool]) -> None:
    """Write `files` as `folder`, all or nothing: into a hidden sibling, synced, then renamed.

    An existing folder is replaced; should the process die between the two renames that this takes, the old one
    lies beside it and `newest` finds it. `ours` says whether such a leftover may be removed. Raises OSError.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    _heal(folder, ours)
    part = write_part(folder, files)
    try:
        _swap(part, folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    sync_folder(folder.parent)


def newest(folder: Path) -> Path:
    """`folder`, or what a save that was cut short left of the one before."""
    previous = _previous(folder)
    return previous if previous.is_dir() and not folder.exists() else folder


def _previous(folder: Path) -> Path:
    return folder.parent / f".{folder.name}.previous"


def _heal(folder: Path, ours: Callable[[Path], bool]) -> None:
    previous = _previous(folder)
    if not folder.exists() and previous.is_dir():
        os.replace(previous, folder)
    elif ours(previous):
        shutil.rmtree(previous)


def _swap(part: Path, folder: Path) -> None:
    if not folder.exists():
        os.replace(part, folder)
        return
    previous = _previous(folder)
    os.replace(folder, previous)
    try:
        os.replace(part, folder)
    except BaseException:
        os.replace(previous, folder)
        raise
    shutil.rmtree(previous, ignore_errors=True)


@contextmanager
def opened(folder: Path, name: str) -> Iterator[BinaryIO]:
    """The regular file `name` of `folder`, open for reading.

    Raises MissingFileError when it is not there, BundleError when it is no regular file or lies elsewhere.
    """
    path = folder / name
    if not path.exists():
        raise MissingFileError(
            f"{folder.name!r} has no {name}.",
            rule="a bundle is a folder with bundle.json, weights.safetensors and README.md.",
            likely="a copy that is not complete.",
            next="copy the whole folder again from where it was saved",
        )
    if not lies_in(folder, name):
        raise BundleError(
            f"{name} in {folder.name!r} is a link out of the folder, or no regular file.",
            rule="every file of a bundle lies in its folder.",
            likely="A cache made of links, or a bundle that was tampered with.",
            next="copy the files themselves into the folder (cp -rL).",
        )
    try:
        file = open(path, "rb")  # noqa: SIM115 - what the reader raises is not to be caught here
    except OSError as error:
        raise BundleError(
            f"{name} in {folder.name!r} cannot be read: {error.strerror or error}.",
            rule="every file of a bundle can be read.",
            likely="a file of another user." if isinstance(error, PermissionError) else "a disk that failed.",
            next=f"chmod -R u+rX {shlex.quote(str(folder))}" if isinstance(error, PermissionError)
            else "copy the whole folder again from where it was saved",
        ) from error  # fmt: skip
    with file:
        yield file


def file_size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


def read_small(folder: Path, name: str, limit: int) -> bytes:
    """The whole file, if it has at most `limit` bytes. Raises BundleError or MissingFileError."""
    with opened(folder, name) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise BundleError(
            f"{name} has more than {limit:,} bytes.",
            rule=f"{name} has at most {limit:,} bytes.",
            likely="another file of this name, or a bundle that was tampered with.",
            next="copy the bundle again from where it was saved, or save the model once more",
        )
    return content


def hashed(file: BinaryIO) -> str:
    """sha256 of an open file from its start, in constant memory."""
    file.seek(0)
    digest = sha256()
    while chunk := file.read(CHUNK):
        digest.update(chunk)
    return digest.hexdigest()
