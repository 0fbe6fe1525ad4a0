"""A phase of training as a value: what trains, how long, how fast. It checks itself when it is made."""

from __future__ import annotations

from dataclasses import dataclass, fields
from difflib import get_close_matches
from numbers import Integral
from typing import Any

from nbtune._numbers import no_group, plain, real, shown, whole
from nbtune.errors import InputError, InputTypeError
from nbtune.rates import check, source

__all__ = ["PASSES", "SKIPPED", "Phase"]

PASSES = "the number of passes over the training set"
SKIPPED = "the phase was to be skipped: then it is left out."

_SCHEDULES = ("one_cycle", "cosine", "linear", "flat")
_NORMS = ("still", "stats", "train")
_CACHE = ("auto", "on", "off", "half")


@dataclass(frozen=True)
class Phase:
    """One stretch of training under one freezing plan.

    Numbers are kept as plain ones, and an LR curve as the rate that it suggests, so that two phases that
    train the same are equal and the repr is source that makes the phase again (with `import nbtune as nt`).
    Raises InputError or InputTypeError, in four parts, for a value that makes no sense.

    Example:
        >>> Phase(4, first="head", lr=1e-3)
        Phase(4, first='head', lr=0.001)
    """

    epochs: int  # passes over the training set, 1 or more
    first: int | str = 0  # first group that trains: index (negative from the end) or name; 0 = all train
    lr: Any = None  # a number up to 100, slice, decay, one per group, dict by group, LRCurve; None = the default
    wd: float | None = None  # weight decay, 0 or more; None = the Learner's
    schedule: str = "one_cycle"  # "one_cycle", "cosine", "linear", "flat"
    norms: str = "still"  # norm layers of the still part: "still", "stats", "train"
    augment: bool | None = None  # with the random transforms; None: not in still phases of a task's Learner
    pct_start: float = 0.25  # one_cycle: share of the steps on which the rate rises
    div: float = 25.0  # one_cycle: begins at rate / div
    cache: str = "auto"  # activation cache: "auto", "on", "off", "half"
    views: int = 1  # augmented views an item in the cache

    def __post_init__(self) -> None:
        told = {
            "epochs": whole(self.epochs, "epochs", PASSES, 4, SKIPPED),
            "views": whole(self.views, "views", "the number of augmented views an item", 1, "no augmented views."),
            "first": _first(self.first),
            "lr": None if self.lr is None else check(self.lr),
            "wd": None if self.wd is None else real(self.wd, "wd", "weight decay", 0.0),
            "augment": _switch(self.augment),
            "pct_start": real(self.pct_start, "pct_start", "the share of rising steps", 0.0, 1.0, 0.25),
            "div": real(self.div, "div", "the divisor of the first rate", 1.0, good=25.0),
        }
        for name, value in told.items():
            object.__setattr__(self, name, value)
        _choice(self.schedule, "schedule", _SCHEDULES)
        _choice(self.norms, "norms", _NORMS)
        _choice(self.cache, "cache", _CACHE)

    def __repr__(self) -> str:
        given = [
            f"{field.name}={source(getattr(self, field.name))}"
            for field in fields(self)[1:]
            if getattr(self, field.name) != field.default
        ]
        return f"Phase({', '.join([str(self.epochs), *given])})"


def _first(value: Any) -> int | str:
    """The first group that trains as an int or a str. Raises InputTypeError for anything else."""
    value = plain(value)
    if isinstance(value, str) or (isinstance(value, Integral) and not isinstance(value, bool)):
        return value if isinstance(value, str) else int(value)
    likely, better = no_group(value)
    raise InputTypeError(
        f"first={shown(value)}.",
        rule="the first group that trains is an index or a name.",
        likely=likely,
        next=f"first={better!r}",
    )


def _switch(value: Any) -> bool | None:
    value = plain(value)
    if value is None or isinstance(value, bool):
        return value
    known = isinstance(value, (str, int, float))
    off = known and str(value).lower() in ("no", "off", "none", "false", "0", "0.0", "")
    raise InputTypeError(
        f"augment={shown(value)}.",
        rule="augment is True, False, or None for the default.",
        likely=f"a {'word' if isinstance(value, str) else 'number'} in the place of a switch."
        if known
        else "transforms, which belong to the Learner's data; augment only says whether they run.",
        next=f"augment={not off}",
    )


def _choice(value: Any, name: str, known: tuple[str, ...]) -> None:
    if isinstance(value, str) and value in known:
        return
    likely, better = "a word that another library uses.", known[0]
    if not isinstance(value, str):
        likely = "a switch in the place of a word." if isinstance(value, bool) else "an object in the place of a word."
        better = "off" if value is False and "off" in known else "on" if value is True and "on" in known else known[0]
    elif close := get_close_matches(value.lower(), known, 1, 0.5):
        likely, better = "a misspelt word.", close[0]
    raise InputError(
        f"{name}={shown(value) if not isinstance(value, str) else repr(value)}.",
        rule=f"{name} is one of {', '.join(map(repr, known))}.",
        likely=likely,
        next=f'{name}="{better}"',
    )
