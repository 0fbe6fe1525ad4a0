"""Numbers that a person gave: plain, or refused in four parts with the cause that fits the very value."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

from nbtune.errors import InputError, InputTypeError

__all__ = ["HIGHEST", "kind", "no_group", "plain", "rate", "real", "shown", "whole"]

# The highest rate in well-known use is 30 (linear probe of MoCo; He et al., 2020): above 100 it is a slip.
HIGHEST = 100.0
_GOOD = 1e-3


def plain(value: Any) -> Any:
    """A 0-d array, a tensor of one number or a numpy number as Python's own; anything else as it is."""
    one = getattr(value, "shape", None) == () and hasattr(value, "item")
    return value.item() if one else value


def kind(value: object) -> str:
    """The type of a value with its article.

    Example:
        >>> kind(3), kind("a"), kind(None)
        ('an int', 'a str', 'None')
    """
    name = type(value).__name__
    return "None" if value is None else f"{'an' if name[0] in 'aeiouAEIOU' or name == 'ndarray' else 'a'} {name}"


def shown(value: object) -> str:
    """A value in a message: its repr, cut, with its type where the repr does not tell it."""
    text = f"{' '.join(repr(value).split()):.80}"
    return text if value is None or isinstance(value, (bool, int, float)) else f"{text}, {kind(value)}"


def whole(value: Any, name: str, what: str, good: int, zero: str = "") -> int:
    """`value` as an int of 1 or more. Raises InputTypeError or InputError; `zero` is why a person may write 0."""
    value, rule = plain(value), f"{name} is {what}: a whole number, 1 or more."
    if isinstance(value, bool) or not isinstance(value, Real):
        meant = _parsed(value)
        fits = meant is not None and meant >= 1 and meant == int(meant)
        better = int(meant) if meant is not None and fits else good
        raise InputTypeError(f"{name}={shown(value)}.", rule=rule, likely=_misplaced(value), next=f"{name}={better}")
    if not isinstance(value, Integral) or value < 1:
        likely, better = _not_whole(value, good, zero)
        raise InputError(f"{name}={value!r}.", rule=rule, likely=likely, next=f"{name}={better}")
    return int(value)


def _not_whole(value: Any, good: int, zero: str) -> tuple[str, int]:
    """Why a number is no whole number of 1 or more, and what was meant."""
    if math.isnan(value):
        return "a computed number that came out as nan.", good
    if math.isinf(value):
        return "no limit was meant, but training needs one; an early end is a callback's work.", good
    if value == 0:
        return zero or "a count that began at 0.", good
    if value < 0:
        return "a sign slipped in.", max(1, round(abs(value)))
    if value == int(value):
        return "a division, which gives a float also where nothing is left over.", int(value)
    return "a division that left a fraction.", max(1, round(value))


def real(value: Any, name: str, what: str, low: float, high: float = math.inf, good: float = 0.01) -> float:
    """`value` as a finite float from `low` to `high`. Raises InputTypeError or InputError."""
    value = plain(value)
    limits = f"from {low:g} to {high:g}" if high < math.inf else f"{low:g} or more"
    rule = f"{name} is {what}, a finite number {limits}."
    if isinstance(value, bool) or not isinstance(value, Real):
        meant = _parsed(value)
        better = good if meant is None or not low <= meant <= high or math.isinf(meant) else meant
        raise InputTypeError(f"{name}={shown(value)}.", rule=rule, likely=_misplaced(value), next=f"{name}={better:g}")
    number = _float(value)
    if math.isfinite(number) and low <= number <= high:
        return number
    likely, meant = _outside(number, low, high)
    better = meant if low <= meant <= high else good
    raise InputError(f"{name}={value!r:.80}.", rule=rule, likely=likely, next=f"{name}={better:g}")


def _outside(number: float, low: float, high: float) -> tuple[str, float]:
    """Why a number is out of its range, and what was meant (nan where nothing is known)."""
    if not math.isfinite(number):
        return _computed(number), math.nan
    if number < 0:
        return "a sign slipped in.", -number
    if high <= 1:
        return "per cent instead of a share.", number / 100
    if number and low == 1:
        return "its inverse: the number divides, it does not multiply.", 1 / number
    return "another argument's value.", math.nan


def rate(value: Any, what: str, *, zero: bool = False, forms: str = "a number") -> float:
    """`value` as a learning rate: finite, above 0 (with `zero`, 0 or above), at most `HIGHEST`.

    Raises InputTypeError, naming the `forms` that could stand here, or InputError.
    """
    value = plain(value)
    if isinstance(value, bool) or not isinstance(value, Real):
        meant = _parsed(value)
        better = meant if meant is not None and 0 < meant <= HIGHEST else _GOOD
        raise InputTypeError(
            f"{what} is {shown(value)}.",
            rule=f"a learning rate is {forms}.",
            likely=_misplaced(value),
            next=_instead(what, better),
        )
    number = _float(value)
    if not (0 < number <= HIGHEST or (zero and number == 0)):
        likely, better = _no_rate(number)
        raise InputError(
            f"{what} is {number:g}.",
            rule=f"a rate is finite, above 0 and at most {HIGHEST:g}.",
            likely=likely,
            next=_instead(what, better) if number else f"freeze what shall not learn; else {_instead(what, better)}",
        )
    return number


def _no_rate(number: float) -> tuple[str, float]:
    """Why a number can be no rate, and one that could."""
    if not math.isfinite(number):
        return _computed(number), _GOOD
    if number == 0:
        return "a group was meant to stay as it is; a rate of 0 would still cost its training.", _GOOD
    if -9 < number < -1 and number == round(number):
        return f"an exponent without its base: 1e{number:g}, not {number:g}.", float(f"1e{number:g}")
    if number < 0:
        return "a sign too many.", -number if number > -1 else _GOOD
    power = math.log10(number)
    if power == round(power):
        return "the minus sign of the exponent is missing.", 10**-power if power < 9 else _GOOD
    if number == round(number) and number < 1e6:
        return "a batch size or a number of steps in the place of the rate.", _GOOD
    return "a computed rate that grew out of bounds.", _GOOD


def _instead(what: str, better: float) -> str:
    """A line that works: `name=value` where the number has a name."""
    return f"{what}={better:g}" if what.isidentifier() else f"a rate such as {better:g}."


def _computed(number: float) -> str:
    if math.isnan(number):
        return "a computed number: something before it was not a number."
    return "a computed number that overflowed, or no limit was meant."


def _misplaced(value: object) -> str:
    """What a person did who gave something else than a number."""
    if value is None:
        return "a variable that was never set; None stands for no number here."
    if isinstance(value, bool):
        return "a switch where a number belongs."
    if isinstance(value, str):
        return "a name where a number belongs." if _parsed(value) is None else "a number written as text."
    if isinstance(value, (list, tuple, dict, set, frozenset, slice)) or getattr(value, "shape", None):
        return "several values where one number belongs."
    return "a function where its result belongs." if callable(value) else "an object where a number belongs."


def _parsed(value: object) -> float | None:
    """The finite number that a text holds, or None."""
    try:
        number = float(value) if isinstance(value, str) else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:  # an int or a fraction that no float can hold
        return math.inf if value > 0 else -math.inf


def no_group(value: Any) -> tuple[str, int | str]:
    """What a person did who gave something that names no group, and what was meant."""
    if value is None or value is False:
        return "nothing was to be still.", 0
    if value is True:
        return "only the head was to train.", "head"
    if isinstance(value, float):
        return "a computed index, which is a float.", int(value) if value == value // 1 else "head"
    if isinstance(getattr(value, "name", None), str):
        return "a group itself instead of its name.", str(value.name)
    several = isinstance(value, (list, tuple, set, slice))
    return "several groups; the first one that trains is enough." if several else "an object instead of a name.", "head"
