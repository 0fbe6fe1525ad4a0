"""Figures and lists as a person reads them."""

from __future__ import annotations

from collections.abc import Sequence

from nbtune.evaluate.intervals import Estimate

__all__ = ["band", "listed", "percent"]


def percent(share: float) -> str:
    """A share in per cent, never rounded to none or all of them.

    Example:
        >>> percent(0.5), percent(0.0004), percent(0.9999)
        ('50 %', 'under 0.1 %', 'over 99.9 %')
    """
    if 0 < share < 0.001:
        return "under 0.1 %"
    if 0.999 < share < 1:
        return "over 99.9 %"
    return f"{100 * share:.{0 if share in (0, 1) or 0.1 <= share <= 0.9 else 1}f} %"


def band(estimate: Estimate) -> str:
    """A share with its interval: 95.3 % [93.3, 96.7]."""
    return f"{100 * estimate.value:.1f} % [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"


def listed(names: Sequence[object], most: int = 5) -> str:
    """The first names, and how many more.

    Example:
        >>> listed("abcdefg"), listed(["a"])
        ('a, b, c, d, e and 2 more', 'a')
    """
    said = ", ".join(str(name) for name in names[:most])
    return f"{said} and {len(names) - most:,} more" if len(names) > most else said
