"""Printed letters, rendered and warped: synthetic images of real glyphs."""

from __future__ import annotations

from functools import cache

import torch

from nbtune.interrupts import imports_whole
from nbtune.tasks.glyphs import ALPHABET, FONTS, draw
from nbtune.tasks.items import Items
from nbtune.tasks.split import check_seed, check_shots
from nbtune.tasks.task import Task, make_task

__all__ = ["letters"]

TRAIN, VALID, TEST = 20, 5, 5  # images a class
MOST = 500  # shots that can be asked for: rendering takes 0.4 ms an image


@cache
def _drawn(split: str, each: int, seed: int) -> Items:
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(len(ALPHABET)).repeat(each)
    parts = [draw(part, generator) for part in torch.split(y, 512)]
    ids = tuple(f"letters/{split}/{seed}/{i:06d}" for i in range(len(y)))
    return Items(torch.cat([torch.from_numpy(p) for p in parts]).numpy(), y.numpy(), ids)


@imports_whole
def letters(shots: int | None = None, seed: int = 0) -> Task:
    """Printed letters of eleven scripts in matplotlib's fonts, warped and reduced as the UCI digits were.

    `shots` training images a class (None: 20), drawn anew for each seed; valid and test (5 a class) never change.
    Letters that look like digits are left out, and no digit is drawn.

    Raises:
        InputTypeError: `shots` or `seed` is no whole number.
        InputError: `shots` is below 1 or above 500.
    """
    classes = len(ALPHABET)
    each, seed = check_shots(shots, [MOST] * classes, drawn=True) or TRAIN, check_seed(seed)
    # Bits above a user's seed, so that no seed of the training letters draws the fixed splits again.
    valid, test = _drawn("valid", VALID, 2**32 + 1), _drawn("test", TEST, 2**32 + 2)
    return make_task(
        "letters", "read a printed letter", tuple(ALPHABET), _drawn("train", each, seed), valid, test,
        source=f"rendered from {len(FONTS)} fonts that matplotlib ships (DejaVu, STIX, Computer Modern)",
        licence="the fonts' own free licences (Bitstream Vera, SIL OFL, Computer Modern)", nature="synthetic",
        note=f"Real glyphs of {classes} letters, with synthetic warps; letters like digits are left out.",
        code=f"nt.tasks.letters(shots={shots}, seed={seed})",
    )  # fmt: skip
