"""The picture files below a folder, in order; links are followed, and those that lead back are named."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from nbtune.errors import InputError, MissingFileError

__all__ = ["SUFFIXES", "Walk", "existing_folder", "folders_of_pictures", "walk"]

SUFFIXES = frozenset(
    [
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".bmp",
        ".dib",
        ".gif",
        ".tif",
        ".tiff",
        ".webp",
        ".pgm",
        ".ppm",
        ".pbm",
        ".pnm",
        ".avif",
        ".jp2",
    ]
)


@dataclass
class Walk:
    """Pictures by path below the root; `broken` names what could not be entered; `others` counts suffixes."""

    root: Path
    files: list[Path] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)  # first level only
    broken: dict[str, str] = field(default_factory=dict)
    others: Counter[str] = field(default_factory=Counter)


def walk(root: Path) -> Walk:
    """All pictures below `root`, sorted by name; hidden files are left out."""
    found = Walk(root)
    _enter(found, root, (os.path.realpath(root),))
    return found


def _enter(found: Walk, folder: Path, above: tuple[str, ...]) -> None:
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        path = folder / entry.name
        name = path.relative_to(found.root).as_posix()
        if entry.name.startswith("."):
            continue
        try:
            is_folder = entry.is_dir()
        except OSError:
            found.broken[name] = "a link that leads back to itself"
            continue
        if is_folder:
            real = os.path.realpath(path)
            if real in above:
                found.broken[name] = "a link that leads back to a folder above it"
                continue
            if folder == found.root:
                found.folders.append(path)
            try:
                _enter(found, path, (*above, real))
            except PermissionError:
                found.broken[name] = "a folder that may not be read"
        elif path.suffix.lower() in SUFFIXES:
            found.files.append(path)
        else:
            found.others[path.suffix.lower() or "no suffix"] += 1


def folders_of_pictures(above: Path) -> list[str]:
    """Names of the folders in `above` that hold a picture themselves; those that may not be read are left out."""
    try:
        with os.scandir(above) as entries:
            inside = sorted(entry.name for entry in entries if entry.name[0] != "." and entry.is_dir())
        return [name for name in inside if _holds_picture(above / name)]
    except OSError:
        return []


def _holds_picture(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(Path(entry.name).suffix.lower() in SUFFIXES for entry in entries)
    except OSError:
        return False


def existing_folder(path: object) -> Path:
    """`path` as a folder. Raises MissingFileError where there is none, InputError for a file."""
    place = Path(path).expanduser()  # type: ignore[arg-type]
    try:
        if place.is_dir():
            return place
        is_file = place.exists()
    except OSError:
        is_file = False
    if is_file:
        table = place.suffix.lower() in (".csv", ".tsv", ".txt")
        raise InputError(
            f"{str(place)!r} is a file.", rule="from_folder takes a folder.",
            likely="the labels file instead of the folder of the pictures." if table else "one picture, or an archive.",
            next=f"from_folder({str(place.parent)!r}{f', labels={place.name!r}' if table else ''})",
        )  # fmt: skip
    if place.is_symlink():
        raise MissingFileError(
            f"{str(place)!r} is a link to {os.readlink(place)!r}, which leads to no folder.",
            rule="from_folder takes a folder that exists.",
            likely="a link that leads back to itself, or to a place that was moved or not mounted.",
            next=f"ls -l {str(place)!r}, then give the folder itself",
        )  # fmt: skip
    near = sorted(entry.name for entry in place.parent.iterdir() if entry.is_dir()) if place.parent.is_dir() else []
    raise MissingFileError(
        f"there is no folder {str(place)!r}.", rule="from_folder takes a folder that exists.",
        likely="a misspelling, or a path relative to another folder."
        if near else f"the working directory is another: it is {str(Path.cwd())!r}.",
        next=f"{str(place.parent)!r} has {', '.join(near[:8])}" if near else "give the whole path",
    )  # fmt: skip
