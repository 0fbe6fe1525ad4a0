"""Paper to draw on: from what the page or a person gives to a picture, and to its place in a page."""

from __future__ import annotations

import base64
import binascii
from io import BytesIO
from os import PathLike
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from nbtune.bodies.decode import most_pixels, pixels
from nbtune.bodies.images import as_uint8
from nbtune.bundle.model import opened
from nbtune.errors import InputError

__all__ = ["address", "as_image", "cut", "decoded", "file_name", "inverted", "sides"]

SIDE = 224  # pixels: the longer side of the paper
MARGIN = 0.03  # of the longer side of what is cut out, around it


def sides(size: tuple[int, int]) -> list[int]:
    """Width and height of the paper for a network of input `size` [h, w]."""
    return [max(32, round(SIDE * side / max(size))) for side in size[::-1]]


def file_name(n: int) -> str:
    """Of the n-th drawing."""
    return "drawing.png" if n == 1 else f"drawing-{n}.png"


def as_image(given: Any) -> Image.Image:
    """A path, PIL image, array or tensor (the first of several) as a grey or RGB image. Raises as `Model.predict`."""
    if isinstance(given, str | PathLike):
        return Image.fromarray(opened(given))
    if isinstance(given, Image.Image):
        return Image.fromarray(pixels(given))
    array = np.asarray(given.detach().cpu() if hasattr(given, "detach") else given)
    stack = as_uint8(array)
    if not len(stack):
        raise InputError(
            "no picture: the array is empty.", rule="put takes one picture.", likely="a filter that left none.",
            next="pad.put(task.valid.x[0])",
        )  # fmt: skip
    return Image.fromarray(stack[0])


def decoded(name: str, src: str) -> Image.Image:
    """What the page sends: a picture's file in base64, behind a comma or alone. Raises InputError."""
    try:
        content = base64.b64decode(src.rpartition(",")[2], validate=True)
        with Image.open(BytesIO(content)) as image:
            if image.width * image.height > most_pixels():
                raise ValueError(f"{image.width:,} × {image.height:,} pixels")
            image.load()
            return Image.fromarray(pixels(image))
    except (OSError, ValueError, SyntaxError, binascii.Error, Image.DecompressionBombError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{name} cannot be read as a picture: {str(error).partition('<')[0].strip()[:100] or type(error).__name__}",
            rule="Pillow can open and decode the whole file.", likely=_why(src, error),
            next="open it in a viewer, save it as PNG, and drop that",
        ) from error  # fmt: skip


def _why(src: str, error: Exception) -> str:
    if not src.rpartition(",")[2]:
        return "an empty file: a download that broke off."
    if isinstance(error, UnidentifiedImageError):
        return "a file that is no picture, or of a kind that Pillow does not read, such as SVG or HEIC."
    if "pixels" in str(error):
        return "a picture that is far too large, such as a scan or a map."
    return "a picture that was cut off, such as by a download that broke off."


def cut(drawn: Image.Image, blank: int, size: tuple[int, int]) -> Image.Image:
    """The ink of a drawing in the middle of paper of the shape `size` [h, w], with a margin."""
    ink = np.asarray(drawn) != blank
    rows, columns = (np.flatnonzero(ink.any(axis)) for axis in (1, 0))
    part = drawn.crop((int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1))
    unit = max(part.width / size[1], part.height / size[0]) * (1 + 2 * MARGIN)
    sheet = Image.new("L", (max(part.width, round(unit * size[1])), max(part.height, round(unit * size[0]))), blank)
    sheet.paste(part, ((sheet.width - part.width) // 2, (sheet.height - part.height) // 2))
    return sheet


def inverted(image: Image.Image) -> Image.Image:
    """Light for dark."""
    return Image.fromarray(255 - np.asarray(image))


def address(image: Image.Image) -> str:
    """A PNG that holds it, at most 448 pixels a side."""
    held, small = BytesIO(), image
    if max(image.size) > 2 * SIDE:
        small = image.copy()
        small.thumbnail((2 * SIDE, 2 * SIDE))
    small.save(held, "PNG")
    return f"data:image/png;base64,{base64.b64encode(held.getvalue()).decode()}"
