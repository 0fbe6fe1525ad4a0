"""fastai's two readings of a learning rate curve, each with the ways in which it fails made plain."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from fastai.callback.schedule import slide, valley

__all__ = ["read_slide", "read_valley"]

_SLIDE_WIDTH = 15  # fastai's default interval; with no more points than that it has no reading


def read_valley(lrs: Sequence[float], losses: Sequence[float]) -> float:
    """Between a third and a half of the longest falling run (fastai's `valley`); nan if the loss never falls.

    On a loss that never falls fastai's function wraps around and returns the last rate.
    """
    if len(losses) < 4 or min(losses[1:]) >= losses[0]:
        return math.nan
    return float(valley(list(lrs), list(losses), len(losses))[0])


def read_slide(lrs: Sequence[float], losses: Sequence[float]) -> float:
    """The interval slide rule, read from the right (fastai's `slide`); nan where it has no reading.

    It has none with too few points, and when its interval runs past the left end: then no place of the curve
    met its criterion, and fastai's function returns the first rate.
    """
    if len(losses) <= _SLIDE_WIDTH + 1:
        return math.nan
    rate = float(slide(list(lrs), torch.tensor(losses, dtype=torch.float64), 0)[0])
    return math.nan if rate <= lrs[0] * (1 + 1e-9) else rate
