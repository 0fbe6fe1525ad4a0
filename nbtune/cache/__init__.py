"""What the still part of a model computes, computed once: where to cut, what is kept, and where it lies."""

from __future__ import annotations

from nbtune.cache.boundary import Boundary, boundary, captured, replayed
from nbtune.cache.kept import Kept, Store, key_of

__all__ = ["Boundary", "Kept", "Store", "boundary", "captured", "key_of", "replayed"]
