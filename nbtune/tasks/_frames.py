"""How the UCI digits were made, as two functions: count ink in blocks, then enlarge the counts."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["BLOCK", "COUNTS", "SIDE", "enlarge"]

COUNTS = 8  # blocks on a side
BLOCK = 4  # pixels of the original frame on a side of a block
SIDE = COUNTS * BLOCK


@cache
def _kernel() -> npt.NDArray[np.float64]:
    """The 32×8 matrix of linear interpolation between block centres, held flat at the border."""
    centres = np.clip((np.arange(SIDE) + 0.5) / BLOCK - 0.5, 0, COUNTS - 1)
    low = np.minimum(centres.astype(int), COUNTS - 2)
    share = centres - low
    kernel = np.zeros((SIDE, COUNTS))
    kernel[np.arange(SIDE), low] = 1 - share
    kernel[np.arange(SIDE), low + 1] += share
    return kernel


def enlarge(counts: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Block counts [n, 8, 8] of 0 to 16 as images [n, 32, 32] of 0 to 255, by bilinear interpolation."""
    scaled = np.round(np.asarray(counts, dtype=np.float64) * (255 / BLOCK**2))
    wide = _kernel() @ scaled @ _kernel().T
    return np.floor(wide + 0.5).astype(np.uint8)
