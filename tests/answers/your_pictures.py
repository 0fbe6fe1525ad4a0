"""What readers may answer in 14_your_pictures."""

from __future__ import annotations

import numpy as np

import nbtune as nt


def images(group=None):
    """Forty images of noise in two classes."""
    draw = np.random.RandomState(0)
    return nt.tasks.from_arrays(draw.randint(0, 255, (40, 8, 8)).astype(np.uint8), ["a", "b"] * 20, group=group)


def rows():
    return nt.tasks.from_arrays(np.random.RandomState(0).rand(40, 3), ["a", "b"] * 20)


RIGHT = {
    "kept_together": [lambda: images(np.arange(40) // 4)],
    "enough_to_tell": [lambda: lambda p, width: int(np.ceil(p * (1 - p) * (1.96 / width) ** 2))],
}
WRONG = {
    "kept_together": [
        (lambda: rows(), "a table"),
        (lambda: images(), "which keyword".capitalize()),
        (lambda: images(np.arange(40)), "a group of its own"),
        (lambda: "pictures", "a Task"),
    ],
    "enough_to_tell": [
        (lambda: lambda p, width: 1000 * width, "narrower interval needs more"),
        (lambda: lambda p, width: 1 / width, "the root of their number"),
        (lambda: lambda p, width: 1 / width**2, "an accuracy of 0.5 needs more"),
        (lambda: lambda p, width: p * (1 - p) / width**2, "1.96 standard errors"),
        (lambda: lambda p: 100, "TypeError"),
        (lambda: 100, "a function"),
    ],
}
