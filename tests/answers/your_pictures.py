"""What readers may answer in 14_your_pictures."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from zlib import crc32

import numpy as np
from PIL import Image

import nbtune as nt


def images(group=None):
    """Forty images of noise in two classes."""
    draw = np.random.RandomState(0)
    return nt.tasks.from_arrays(draw.randint(0, 255, (40, 8, 8)).astype(np.uint8), ["a", "b"] * 20, group=group)


@cache
def folder():
    """Tiles with the names of the notebook's, of noise."""
    draw, where = np.random.RandomState(0), Path(tempfile.mkdtemp())
    for photo in ("brick", "grass", "gravel"):
        (where / photo).mkdir()
        for at in range(64):
            picture = Image.fromarray(draw.randint(0, 255, (8, 8)).astype(np.uint8))
            picture.save(where / photo / f"{at // 8}_{at % 8}.png")
    return where


def tiles(group):
    return nt.tasks.from_folder(folder(), group=group)


def row(path):
    return int(path.stem[0])


def column(path):
    return int(path.stem[2])


def rows():
    return nt.tasks.from_arrays(np.random.RandomState(0).rand(40, 3), ["a", "b"] * 20)


RIGHT = {
    "kept_together": [
        lambda: images(np.arange(40) // 4),
        lambda: tiles(lambda path: f"{path.parent.name} {row(path) // 2} {column(path) // 2}"),
        lambda: tiles(column),
    ],
    "enough_to_tell": [lambda: lambda p, width: int(np.ceil(p * (1 - p) * (1.96 / width) ** 2))],
}
WRONG = {
    "kept_together": [
        (lambda: rows(), "a table"),
        (lambda: images(), "which keyword".capitalize()),
        (lambda: images(np.arange(40)), "a group of its own"),
        (lambda: tiles(lambda path: f"{path.parent.name} {path.stem[0]}"), "the strips of the notebook"),
        (lambda: tiles(str), "a group of its own"),
        (lambda: tiles(lambda path: path.stem), "share a border"),
        (lambda: tiles(lambda path: crc32(path.name.encode()) % 50), "share a border"),
        (lambda: "pictures", "a Task"),
    ],
    "enough_to_tell": [
        (lambda: lambda p, width: 1000 * width, "narrower interval needs more"),
        (lambda: lambda p, width: 1 / width, "the root of their number"),
        (lambda: lambda p, width: 1 / width**2, "an accuracy of 0.5 needs more"),
        (lambda: lambda p, width: p * (1 - p) / width**2, "yours gives 100. For 95 % that width is 1.96"),
        (lambda: lambda p, width: 1.96 * p * (1 - p) / width**2, "the square with it"),
        (lambda: lambda p, width: p * (1 - p) * (2 * 1.96 / width) ** 2, "to one side"),
        (lambda: lambda p, width: float("nan"), "takes nan images"),
        (lambda: lambda p, width: float("inf"), "takes inf images"),
        (lambda: lambda p: 100, "TypeError"),
        (lambda: 100, "a function"),
    ],
}
