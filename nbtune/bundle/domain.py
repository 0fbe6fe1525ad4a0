"""Whether a picture is like the data: said beside a prediction, whose probabilities do not know it."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["some", "unlike"]

_FLAT, _OFF = 0.15, 1.0  # in the spreads that pixels are normalised by
_SIDE, _MOST = 16, 1000  # pictures are compared by 16×16 means with at most so many
_SHARE = 0.99


def unlike(batch: Tensor, known: Any = None) -> str:
    """Why the first picture is unlike the data, in a sentence; "" where nothing says so.

    `batch` and `known` are float [n, c, h, w], normalised by the body's mean and spread. With training pictures as
    `known`, the distance to the nearest of them is held against their distances among themselves.
    """
    one = batch[:1]
    level, spread = float(one.mean()), float(one.std())
    if spread < _FLAT:
        return "It is almost one even tone: there is nothing in it to read."
    if abs(level) > _OFF:
        how = "lighter" if level > 0 else "darker"
        what = "the pictures that its mean and spread are of"  # the data's for letters, those of the weights else
        return f"It is much {how} than {what}: by {abs(level):.1f} times that spread, on average."
    return "" if known is None or len(known) < 20 else _distance(one, known)


def some(pictures: Any) -> Any:
    """At most a thousand of them, evenly chosen."""
    return pictures[:: max(1, -(-len(pictures) // _MOST))]


def _distance(one: Tensor, known: Tensor) -> str:
    """By the nearest training picture (a nearest-neighbour novelty test)."""
    flat, mine = (F.adaptive_avg_pool2d(part, _SIDE).flatten(1) for part in (known, one))
    among = torch.cdist(flat, flat)
    among.fill_diagonal_(float("inf"))
    nearest = among.min(1).values
    distance = float(torch.cdist(mine, flat).min())
    if distance <= float(nearest.quantile(_SHARE)):
        return ""
    times = distance / max(float(nearest.median()), 1e-12)
    return (
        f"It is {times:.1f} times as far from the nearest of {len(known)} training pictures as those usually are from "
        f"each other, and further than {_SHARE:.0%} of them."
    )
