"""How many items a batch has."""

from __future__ import annotations

import warnings

from nbtune.errors import InputError
from nbtune.tasks._whole import refuse_not_whole

__all__ = ["batch_size"]

_RULE = "bs is a whole number of items a batch, 1 or more, or None to choose by the number of items."


def batch_size(n: int, bs: int | None = None) -> tuple[int, bool]:
    """Batch size and `drop_last` for `n` training items: `bs`, lowered to `n` with a warning where it is above.

    By default 32, evened out so that no batch is short by much. A last batch under half of the size is left out of
    its epoch (another shuffle brings its items back), so none has one item (unless `bs` is 1) and none is empty.

    Raises:
        InputTypeError: `bs` is no whole number.
        InputError: it is below 1.
    """
    if bs is None:
        bs = -(-n // max(1, round(n / 32)))
    refuse_not_whole("bs", bs, _RULE, "None")
    if bs < 1:
        all_at_once = bs == -1
        raise InputError(
            f"bs={bs}.", rule=_RULE,
            likely="-1 as a word for all items." if all_at_once
            else "a division that came out as 0." if bs == 0 else "a subtraction that went below 0.",
            next=f"bs={n}" if all_at_once else "bs=None",
        )  # fmt: skip
    if bs > n:
        warnings.warn(f"Batch size {bs} is above the {n} training items: lowered to {n}.", stacklevel=4)
        bs = n
    return int(bs), 0 < n % bs < max(2, bs / 2)
