"""Numbers and names as people read them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["few", "rate", "rates", "seconds", "short", "span"]

MOST = 8  # rates named one by one


def short(number: float) -> str:
    """A count or a size in at most three digits with its unit: 9.5 k, 148 k, 2.1 M."""
    for limit, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if number >= limit:
            return f"{number / limit:.3g}{unit}"
    return f"{number:.0f}"


def rate(value: float) -> str:
    """A learning rate in two digits at most: 3e-3, 2.5e-4."""
    number, power = f"{value:.1e}".split("e")
    return f"{number.removesuffix('.0')}e{int(power)}"


def rates(pairs: Sequence[tuple[str, float]]) -> str:
    """Of each group; of many groups, of the first and the last."""
    if len(pairs) > MOST:
        (first, low), (last, high) = pairs[0], pairs[-1]
        return f"{len(pairs)} groups from {first} {rate(low)} to {last} {rate(high)}"
    return " · ".join(f"{name} {rate(value)}" for name, value in pairs)


def span(values: Iterable[float]) -> str:
    """The lowest and the highest rate."""
    known = sorted(values) or [0.0]
    return rate(known[0]) if known[0] == known[-1] else f"{rate(known[0])} to {rate(known[-1])}"


def few(names: Sequence[str]) -> str:
    """Names, as far as they are not many."""
    return ", ".join(names) if len(names) <= 4 else f"{names[0]} to {names[-1]} ({len(names)} groups)"


def seconds(value: float) -> str:
    """A time in the unit that suits it: 3.1 s, 4 min 10 s."""
    if value < 59.5:
        return f"{value:.2g} s" if value < 9.95 else f"{value:.0f} s"
    whole = round(value)
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"
