"""One vector an item from whatever a group of layers gives."""

from __future__ import annotations

from typing import Any

import torch

from nbtune._nested import tensors
from nbtune.errors import FreezeError

__all__ = ["pooled", "size_of"]


def pooled(output: Any) -> tuple[torch.Tensor, str]:
    """Features float32 [n, d] of an output, and what was averaged ("" for a vector an item).

    [n, c, h, w] is averaged over the map (also where channels come last, told by a square map), [n, t, d] over
    its tokens, padded ones included. Of several tensors the first one counts. Raises FreezeError without one.

    Example:
        >>> pooled(torch.ones(2, 3, 4, 4))[0].shape, pooled(torch.ones(2, 3, 4, 4))[1]
        (torch.Size([2, 3]), 'mean over 4 × 4 places')
    """
    found = next((t for t in tensors(output) if t.is_floating_point() and t.ndim > 1), None)
    if found is None:
        raise FreezeError(
            f"a group whose output is {type(output).__name__} without a tensor of features an item.",
            rule="a probe reads a tensor of floats whose first axis is the item.",
            likely="a group that hands over indices or states only.",
            next="ask at another group.",
        )
    found = found.float()
    if found.ndim == 2:
        return found, ""
    if found.ndim == 3:
        return found.mean(1), f"mean over {found.shape[1]} tokens"
    last = found.ndim == 4 and found.shape[1] == found.shape[2] != found.shape[3]
    axes = (1, 2) if last else tuple(range(2, found.ndim))
    places = " × ".join(str(found.shape[axis]) for axis in axes)
    one = all(found.shape[axis] == 1 for axis in axes)
    return found.mean(axes), "" if one else f"mean over {places} places"


def size_of(output: Any) -> int:
    """Numbers an item in an output."""
    return sum(t[0].numel() for t in tensors(output) if t.ndim > 0 and len(t))
