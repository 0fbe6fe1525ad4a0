"""What the still part of a model computes, computed once: where to cut, what is kept, and where it lies."""

from __future__ import annotations

from nbtune.cache.boundary import Boundary, boundary, captured, replayed, resting
from nbtune.cache.kept import Filling, Kept, Overflow, Wanted
from nbtune.cache.keys import key_of, state_of
from nbtune.cache.store import ONCE, Store, told

__all__ = [
    "ONCE",
    "Boundary",
    "Filling",
    "Kept",
    "Overflow",
    "Store",
    "Wanted",
    "boundary",
    "captured",
    "key_of",
    "replayed",
    "resting",
    "state_of",
    "told",
]
