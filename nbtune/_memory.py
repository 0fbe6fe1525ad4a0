"""Out of memory: how it is told from other errors, and the largest batch with which a step can be made."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

import torch

__all__ = ["Fit", "lacks_memory", "largest"]

_TRIES, _SECONDS = 12, 20.0  # of the search for a batch size: each try is one step


@dataclass(frozen=True)
class Fit:
    """What the search for a batch size found: of `size`, `size / 2`, `size / 4` … those that were tried."""

    fits: int | None  # with which a step was made
    lacked: int | None  # the smallest that lacked memory
    failed: int | None = None  # where something else failed, which ends the search
    error: str = ""  # what it was, in a line


def lacks_memory(error: BaseException) -> bool:
    """Is it torch's error where a GPU or the computer has no memory left, or python's?"""
    said = isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    return said or isinstance(error, torch.OutOfMemoryError | MemoryError)


def largest(size: int, step: Callable[[int], None]) -> Fit:
    """The largest of `size` and its halves with which `step` has memory enough, by trying them."""
    ends, lacked = time.monotonic() + _SECONDS, None
    for _ in range(_TRIES):
        try:
            step(size)
            return Fit(size, lacked)
        except Exception as error:
            text = f"{type(error).__name__}: {(str(error).strip().splitlines() or ['no message'])[0]:.120}"
            other = not lacks_memory(error)
            traceback.clear_frames(error.__traceback__)
        if other:  # such as a batch norm, which refuses a batch of one
            return Fit(None, lacked, size, text)
        lacked = size
        if size == 1 or time.monotonic() > ends:
            break
        size //= 2
    return Fit(None, lacked)
