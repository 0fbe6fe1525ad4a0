"""A picture of any common kind as pixels: the same for training and for predicting."""

from __future__ import annotations

from os import PathLike, stat_result
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from nbtune.errors import InputError, MissingFileError

__all__ = ["decode", "most_pixels", "pixels", "treatment"]

Bytes = npt.NDArray[np.uint8]
_GREY = ("1", "L", "LA", "La")
_ORIENTATION = 0x0112  # of EXIF


def most_pixels() -> int:
    """How many pixels a picture may have: Pillow's own limit, above which it warns of a decompression bomb."""
    return Image.MAX_IMAGE_PIXELS or 1 << 40


def pixels(image: Image.Image) -> Bytes:
    """Pixels of 0 to 255, [h, w] of a grey picture and [h, w, 3] of any other; of an animation its first frame.

    Turned as its EXIF data say; 16 bits divided by 257; palettes and CMYK converted to RGB; transparency left out.

    Raises:
        InputError: pixels of 32 bits on no scale that is known.
    """
    image.load()  # a PNG may have its EXIF data behind the pixels
    turned = image.getexif().get(_ORIENTATION, 1) in range(2, 9)
    upright = ImageOps.exif_transpose(image) if turned else image  # which would copy it in any case
    if upright.mode.startswith("I;16"):
        return _from_16(np.asarray(upright))
    if upright.mode in ("I", "F"):
        return _from_32(np.asarray(upright))
    mode = "L" if upright.mode in _GREY else "RGB"
    return np.asarray(upright if upright.mode == mode else upright.convert(mode))


def _from_16(values: npt.NDArray[Any]) -> Bytes:
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _from_32(values: npt.NDArray[Any]) -> Bytes:
    """Of 0 to 1 (float), 0 to 255, or 0 to 65,535."""
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 65535):
        raise InputError(
            f"a picture of 32-bit pixels from {low:.4g} to {high:.4g}.",
            rule="pixels of 32 bits are 0 to 1, 0 to 255 or 0 to 65,535.",
            likely="measurements, such as heights or temperatures, kept as a picture.",
            next="scale them to 0 to 255 and save them as PNG",
        )  # fmt: skip
    if values.dtype.kind == "f" and high <= 1:
        return np.floor(values * 255 + 0.5).astype(np.uint8)
    return (values + 0.5).astype(np.uint8) if high <= 255 else _from_16(values)


def treatment(image: Image.Image) -> tuple[str, ...]:
    """What `pixels` will do to an opened picture, in words; the file's pixels are not read for it."""
    found = []
    # Pillow would decode a PNG in search of EXIF data behind the pixels.
    exif = image.getexif() if image.format == "JPEG" or "exif" in image.info else {}
    if exif.get(_ORIENTATION, 1) in range(2, 9):
        found.append("turned as its EXIF data say")
    if getattr(image, "is_animated", False):
        found.append("animated: its first frame is taken")
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        found.append("more than 8 bits: scaled to 8")
    if image.mode in ("P", "PA"):
        found.append("a palette: converted to RGB")
    if image.mode in ("CMYK", "YCCK"):
        found.append("CMYK: converted to RGB")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        found.append("transparency: left out")
    return tuple(found)


def decode(path: str | PathLike[str], stamp: tuple[int, int] | None = None) -> Bytes:
    """The pixels of a picture's file. `stamp`: its bytes and time of change when it was looked at, (size, ns).

    Raises:
        MissingFileError: there is no such file.
        InputError: it is not the file of that stamp any more, or it cannot be decoded.
    """
    place = Path(path)
    try:
        if stamp is not None and _stamp(place.stat()) != stamp:
            raise _replaced(place)
        with Image.open(place) as image:
            if image.width * image.height > most_pixels():
                raise ValueError(f"{image.width:,} × {image.height:,} pixels")
            image.load()
            return pixels(image)
    except FileNotFoundError as error:
        raise MissingFileError(
            f"{str(place)!r} is not there any more.", rule="a picture stays where it is while it is used.",
            likely="it was moved or deleted since the task was made.", next="make the task again",
        ) from error  # fmt: skip
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{str(place)!r} cannot be read as a picture: {str(error)[:100]}",
            rule="Pillow can open and decode the whole file.", likely="damage within the file.",
            next='make the task again with broken="skip", after moving this file away',
        ) from error  # fmt: skip


def _stamp(found: stat_result) -> tuple[int, int]:
    return found.st_size, found.st_mtime_ns


def _replaced(place: Path) -> InputError:
    return InputError(
        f"{str(place)!r} is not the file that it was.", rule="a picture stays as it is while it is used.",
        likely="it was replaced or edited since the task was made.", next="make the task again",
    )  # fmt: skip
