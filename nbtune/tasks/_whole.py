"""What somebody likely meant who gave something else than a whole number."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np

from nbtune.errors import InputTypeError

__all__ = ["guess", "is_whole", "refuse_not_whole"]


def is_whole(value: Any) -> bool:
    """Whether it is an integer of Python or numpy; True and False are none here."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_))


def refuse_not_whole(name: str, value: Any, rule: str, usual: str, most: int | None = None) -> None:
    """Raise InputTypeError unless `value` is whole; `usual` is suggested where no number of 1 to `most` was meant."""
    if is_whole(value):
        return
    likely, meant = guess(value)
    better = usual if meant is None or (most is not None and meant > most) else str(meant)
    raise InputTypeError(f"{name}={value!r:.60}.", rule=rule, likely=likely, next=f"{name}={better}")


def guess(value: Any) -> tuple[str, int | None]:
    """The likely cause in words, and the whole number of 1 or more that was meant, if that shows."""
    if value is None:
        return "a variable that was never set.", None
    if isinstance(value, (bool, np.bool_)):
        return f"a switch: {value} where a number belongs.", None
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Real):
        return _fraction(float(value))
    if hasattr(value, "__len__"):
        return f"several values at once, in a {type(value).__name__}: one call takes one.", None
    return f"another argument's value, of type {type(value).__name__}.", None


def _text(text: str) -> tuple[str, int | None]:
    try:
        number = float(text)
    except ValueError:
        return "a word where a number belongs." if text.strip() else "an empty text, such as an empty field.", None
    whole = math.isfinite(number) and number == int(number) and number >= 1
    return "a number in quotes, as a form or a command line gives it.", int(number) if whole else None


def _fraction(value: float) -> tuple[str, int | None]:
    if math.isnan(value):
        return "a missing value, or 0 divided by 0.", None
    if math.isinf(value):
        return "a division by 0, or infinity for no limit.", None
    if value == int(value):
        return "a division or a table's column: both make floats.", int(value) if value >= 1 else None
    if 0 < value < 1:
        return "a share where a count belongs.", None
    return "a division that did not come out even.", round(value) if value > 1 else None
