"""Values as the Python that makes them again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from nbtune._lr import Curve, Decay, Rates
from nbtune._numbers import plain

__all__ = ["source"]

_LONGEST = 1000  # entries of a list that is written out: more is data


def source(value: Any) -> str | None:
    """`value` as Python that makes it again with `import nbtune as nt`, or None where no line can write it.

    Numbers of numpy and torch are written as plain ones, to the bit; a file's path as its text; an LR curve
    as the rate that it suggests, which trains the same.

    Example:
        >>> from nbtune.rates import decay
        >>> source(slice(2e-3)), source({"lr": decay(1e-3, 0.5)}), source([object()])
        ('slice(0.002)', "{'lr': nt.rates.decay(0.001, 0.5)}", None)
    """
    value = plain(value)
    if value is None or isinstance(value, bool | str):
        return repr(value)
    if isinstance(value, int | float):
        exact = int(value) if isinstance(value, int) else float(value)
        return repr(exact) if math.isfinite(exact) else f'float("{exact}")'
    if isinstance(value, PurePath):
        return repr(str(value))
    if isinstance(value, Decay):
        return f"nt.rates.decay({value.top!r}{'' if value.factor == 0.8 else f', {value.factor!r}'})"
    if isinstance(value, Rates):
        return source(dict(zip(value.names, value.values, strict=True)))
    if isinstance(value, Curve) and not isinstance(value, type):
        return source(value.suggestion)
    if isinstance(value, slice):
        return _joined("slice(", _ends(value), ")")
    return _collection(value.tolist() if getattr(value, "ndim", 0) == 1 and hasattr(value, "tolist") else value)


def _ends(value: slice) -> list[Any]:
    """The shortest arguments that make the slice."""
    if value.step is not None:
        return [value.start, value.stop, value.step]
    return [value.stop] if value.start is None else [value.start, value.stop]


def _collection(value: Any) -> str | None:
    if type(value) is dict:
        pairs = [(source(key), source(one)) for key, one in value.items()] if len(value) <= _LONGEST else [(None, None)]
        return None if any(None in pair for pair in pairs) else f"{{{', '.join(f'{a}: {b}' for a, b in pairs)}}}"
    if type(value) is list:
        return _joined("[", value, "]")
    if type(value) is tuple:
        return _joined("(", value, ",)" if len(value) == 1 else ")")
    return None


def _joined(before: str, values: Sequence[Any], after: str) -> str | None:
    parts = [source(value) for value in values] if len(values) <= _LONGEST else [None]
    return None if None in parts else f"{before}{', '.join(map(str, parts))}{after}"
