"""A phase of training as a value: what trains, how long, how fast. It checks itself when it is made."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Any

from nbtune.errors import InputError, InputTypeError, nearest

__all__ = ["Phase"]

_SCHEDULES = ("one_cycle", "cosine", "linear", "flat")
_NORMS = ("still", "stats", "train")
_CACHE = ("auto", "on", "off")


@dataclass(frozen=True)
class Phase:
    """One stretch of training under one freezing plan.

    Raises InputError or InputTypeError, in four parts, for a value that makes no sense.

    Example:
        >>> Phase(4, first="head", lr=1e-3)
        Phase(4, first='head', lr=0.001)
    """

    epochs: int  # passes over the training set, 1 or more
    first: int | str = 0  # first group that trains: index (negative from the end) or name; 0 = all train
    lr: Any = None  # float, slice, decay, one per group, dict by group, LRCurve; None = the default
    wd: float | None = None  # weight decay, 0 or more; None = the Learner's
    schedule: str = "one_cycle"  # "one_cycle", "cosine", "linear", "flat"
    norms: str = "still"  # norm layers of the still part: "still", "stats", "train"
    augment: bool | None = None  # with the random transforms; None: not in still phases of a task's Learner
    pct_start: float = 0.25  # one_cycle: share of the steps on which the rate rises
    div: float = 25.0  # one_cycle: begins at rate / div
    cache: str = "auto"  # activation cache: "auto", "on", "off"
    views: int = 1  # augmented views an item in the cache

    def __post_init__(self) -> None:
        _whole(self.epochs, "epochs", "the number of passes over the training set", "4")
        _whole(self.views, "views", "the number of augmented views an item", "1")
        if self.wd is not None:
            _real(self.wd, "wd", "weight decay", low=0.0, likely="a sign slipped in.", next="wd=0.01")
        _real(self.pct_start, "pct_start", "the share of rising steps", low=0.0, high=1.0)
        _real(self.div, "div", "the divisor of the first rate", low=1.0)
        _choice(self.schedule, "schedule", _SCHEDULES)
        _choice(self.norms, "norms", _NORMS)
        _choice(self.cache, "cache", _CACHE)
        if isinstance(self.first, bool) or not isinstance(self.first, (int, str)):
            raise InputTypeError(
                f"first={self.first!r}.",
                rule="the first group that trains is an index or a name.",
                likely="a group itself instead of its name.",
                next='first="head"',
            )

    def __repr__(self) -> str:
        given = [
            f"{field.name}={getattr(self, field.name)!r}"
            for field in fields(self)[1:]
            if getattr(self, field.name) != field.default
        ]
        return f"Phase({', '.join([str(self.epochs), *given])})"


def _whole(value: Any, name: str, what: str, good: str) -> None:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise InputTypeError(
            f"{name}={value!r}.",
            rule=f"{name} is {what}: a whole number, 1 or more.",
            likely="a text or a list where a number belongs.",
            next=f"{name}={good}",
        )
    if not math.isfinite(value) or not isinstance(value, Integral) or value < 1:
        raise InputError(
            f"{name}={value!r}.",
            rule=f"{name} is {what}: a whole number, 1 or more.",
            likely="0 to skip the phase, or a division that left a fraction.",
            next=f"{name}={good}; leave the call out to skip it.",
        )


def _real(
    value: Any,
    name: str,
    what: str,
    low: float,
    high: float = math.inf,
    likely: str = "another unit (per cent instead of a share).",
    next: str = "",
) -> None:
    limits = f"from {low:g} to {high:g}" if high < math.inf else f"{low:g} or more"
    next = next or f"leave {name} out for the default."
    if isinstance(value, bool) or not isinstance(value, Real):
        raise InputTypeError(
            f"{name}={value!r}.",
            rule=f"{name} is {what}, a number {limits}.",
            likely="a text where a number belongs.",
            next=next,
        )
    if not math.isfinite(value) or not low <= float(value) <= high:
        raise InputError(f"{name}={value!r}.", rule=f"{name} is {what}, a number {limits}.", likely=likely, next=next)


def _choice(value: Any, name: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(
            f"{name}={value!r}.",
            rule=f"{name} is one of {', '.join(map(repr, known))}.",
            likely="a misspelt name.",
            next=nearest(str(value), known),
        )
