"""The size that a network of the user's own is given pictures in, and keywords that belong to one kind of task."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbtune.bodies import Body
from nbtune.errors import InputError, InputTypeError

__all__ = ["check_own", "check_weights", "size_of"]

_RULE = "size is the side of a square, or (height, width), in pixels of 8 to 4,096."
_USUAL = 224  # what most networks for photographs were trained at


def size_of(sizes: set[tuple[int, int]], side: Any) -> tuple[int, int]:
    """The size asked for, else the one that all pictures have. Raises InputError where there is none."""
    if side is not None:
        return _checked(side)
    if len(sizes) == 1:
        return next(iter(sizes))
    low, high = min(sizes), max(sizes)
    raise InputError(
        f"pictures of {len(sizes)} sizes, from {low[0]}×{low[1]} to {high[0]}×{high[1]}, for a network of your own.",
        rule="a network is given pictures of one size, which a body by name knows and your network does not say.",
        likely="photographs as they were taken.", next=f"task.learner(network, size={_USUAL})",
    )  # fmt: skip


def _checked(side: Any) -> tuple[int, int]:
    pair = side if isinstance(side, (tuple, list)) else (side, side)
    whole = len(pair) == 2 and all(isinstance(one, (int, np.integer)) and not isinstance(one, bool) for one in pair)
    if not whole:
        raise InputTypeError(
            f"size={side!r:.60}.", rule=_RULE, likely="channels among the sides." if len(pair) == 3
            else "a value that is no whole number.", next=f"size={_USUAL}",
        )  # fmt: skip
    if not all(8 <= one <= 4096 for one in pair):
        raise InputError(f"size={side!r}.", rule=_RULE, likely="a factor instead of pixels.", next=f"size={_USUAL}")
    return int(pair[0]), int(pair[1])


def check_weights(body: Any, weights: Any, pretrained: bool, table: bool) -> None:
    """Raise InputError for a file of weights that nothing would read."""
    if weights is None or (isinstance(body, (str, Body)) and pretrained and not table):
        return
    own = not isinstance(body, (str, Body)) and not table
    what = "a table" if table else "a network of your own" if own else "fresh weights"
    raise InputError(
        f"weights={str(weights)!r:.80} for {what}.",
        rule="a file of weights is read into a body by name, with pretrained=True.",
        likely="a network that is to be filled first." if own else "two settings that exclude each other."
        if not table else "a call for pictures.",
        next=f"network.load_state_dict(nt.bodies.read_weights({str(weights)!r:.80})); task.learner(network)" if own
        else 'task.learner("tabular")' if table else f"task.learner({getattr(body, 'name', body)!r}, weights=...)",
    )  # fmt: skip


def check_own(table: bool, layers: Any, side: Any, augment: Any) -> None:
    """Raise InputError for keywords of a table's Learner where there are images, and the other way."""
    wrong = {"size": side} if table else {"layers": layers}
    if table and augment not in (None, False, "none"):
        wrong["augment"] = "..."
    found = {name: value for name, value in wrong.items() if value is not None}
    if found:
        name, value = next(iter(found.items()))
        raise InputError(
            f"{name}={value!r:.40} for {'a table' if table else 'images'}.",
            rule="size and augment are of images, layers is of tables.", likely="a call for another kind of task.",
            next='task.learner("tabular", layers=[200, 100])' if table else 'task.learner("letters")',
        )  # fmt: skip
