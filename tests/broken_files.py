"""Pictures that are odd or broken, written to a folder."""

from __future__ import annotations

import os
import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

__all__ = ["EXIF", "bomb", "class_folders", "good", "grey_ramp", "jpeg"]

EXIF = Image.Exif()
EXIF[0x0112] = 6  # turned by 90 degrees


def good(seed: int = 0, side: int = 24) -> Image.Image:
    """A picture that no other seed gives."""
    return Image.fromarray(np.random.RandomState(seed).randint(0, 256, (side, side, 3)).astype(np.uint8))


def class_folders(root: Path, classes: str = "ab", each: int = 6) -> Path:
    """`each` pictures of noise for each class."""
    for c, name in enumerate(classes):
        (root / name).mkdir(parents=True, exist_ok=True)
        for at in range(each):
            good(1000 * c + at).save(root / name / f"{at}.png")
    return root


def jpeg(image: Image.Image, **options: Any) -> bytes:
    """A picture as a JPEG file."""
    buffer = BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def grey_ramp(top: int, side: int = 16) -> np.ndarray[Any, Any]:
    """Values of 0 to `top`, rising from left to right."""
    return np.tile(np.linspace(0, top, side), (side, 1))


def bomb(path: Path, side: int = 20_000) -> None:
    """A PNG of side × side white pixels in a few kB, as those that are made to fill a memory."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(side + 1) * 8)  # the rest is missing: nobody may come so far
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
    assert os.path.getsize(path) < 10_000
