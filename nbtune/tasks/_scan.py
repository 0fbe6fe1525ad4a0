"""A first look at picture files, in threads: which can be read, and what will be done to them."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from PIL import Image, UnidentifiedImageError

from nbtune.bodies.decode import most_pixels, treatment

__all__ = ["THREADS", "Look", "look_at", "scan"]

THREADS = min(8, 2 * (os.cpu_count() or 1))  # reading waits for the disk; hashing and decoding leave the lock
_TAIL = 64  # bytes at the end of a JPEG file, among which its end marker stands
_LEAST = 2  # pixels a side: a picture of one pixel holds no shape


@dataclass(frozen=True, slots=True)
class Look:
    """What a file is: `problem` "" where it can be read; `stamp` is (bytes, time of change in ns)."""

    path: Path
    problem: str = ""
    treated: tuple[str, ...] = ()
    size: tuple[int, int] = (0, 0)
    grey: bool = False
    stamp: tuple[int, int] = (0, 0)
    digest: str = ""


def scan(paths: Sequence[Path]) -> list[Look]:
    """A look at each file, in order. Every byte is read once, for a digest; only doubtful files are decoded."""
    with warnings.catch_warnings():  # here, not in the threads: the filters are common to all
        warnings.simplefilter("ignore")
        with ThreadPoolExecutor(THREADS) as pool:
            return list(pool.map(look_at, paths, chunksize=16))


def look_at(path: Path) -> Look:
    """A look at one file; never raises for what is wrong with it."""
    try:
        with path.open("rb") as file:
            stat = os.fstat(file.fileno())
            stamp = stat.st_size, stat.st_mtime_ns
            if not stat.st_size:
                return Look(path, "empty (0 bytes)", stamp=stamp)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            return _picture(path, file, stamp, digest)
    except FileNotFoundError:
        return Look(path, "a link that leads nowhere" if path.is_symlink() else "missing")
    except IsADirectoryError:
        return Look(path, "a folder")
    except PermissionError:
        return Look(path, "not permitted to be read")
    except OSError as error:
        return Look(path, "a link that leads back to itself" if error.errno == 40 else f"unreadable ({error.strerror})")


def _picture(path: Path, file: IO[bytes], stamp: tuple[int, int], digest: str) -> Look:
    try:
        with Image.open(file) as image:
            wide, high, grey = *image.size, image.mode in ("1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L")
            problem = _too_odd(wide, high)
            treated = () if problem else treatment(image)
            if not problem:
                _whole(image, file, stamp[0])
    except Image.DecompressionBombError:
        return Look(path, f"more than {most_pixels() / 1e6:.0f} megapixels", stamp=stamp, digest=digest)
    except UnidentifiedImageError:
        return Look(path, "no picture, or of a kind that Pillow does not read", stamp=stamp, digest=digest)
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        return Look(path, _words(error), stamp=stamp, digest=digest)
    except Exception as error:  # decoders of rare formats raise anything for damaged files
        return Look(path, f"damaged ({type(error).__name__})", stamp=stamp, digest=digest)
    turned = any("EXIF" in word for word in treated)
    return Look(path, problem, treated, (wide, high) if turned else (high, wide), grey, stamp, digest)


def _too_odd(wide: int, high: int) -> str:
    if wide * high > most_pixels():
        return f"more than {most_pixels() / 1e6:.0f} megapixels"
    return f"{wide}×{high} pixels" if min(wide, high) < _LEAST else ""


def _whole(image: Image.Image, file: IO[bytes], length: int) -> None:
    """Raise unless the file is complete: a JPEG by its end marker, a PNG by its check sums, else by decoding it."""
    if image.format == "PNG":
        image.verify()
        return
    if image.format == "JPEG":
        here = file.tell()
        file.seek(max(0, length - _TAIL))
        if b"\xff\xd9" in file.read():
            return
        file.seek(here)
    image.load()


def _words(error: Exception) -> str:
    text = str(error).lower()
    cut = "truncated" in text or "broken png" in text or "not enough" in text or "end of file" in text
    return "truncated" if cut or isinstance(error, EOFError) else f"damaged ({str(error)[:60]})"
