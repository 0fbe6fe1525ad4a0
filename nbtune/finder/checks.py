"""What must hold before a range test touches anything."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np

from nbtune.errors import InputError, InputTypeError
from nbtune.finder.readings import FEWEST

__all__ = ["check_count", "check_learner", "check_range", "check_ratios"]

_WHOLE = "lr_find(start=1e-7, end=10)"


def check_range(start: Any, end: Any) -> None:
    """Raise unless both are finite numbers above 0, and `start` is the smaller."""
    for name, value in (("start", start), ("end", end)):
        _check_rate(name, value)
    if start >= end:
        same = start == end
        raise InputError(
            f"lr_find(start={float(start):g}, end={float(end):g}) runs {'nowhere' if same else 'the wrong way'}.",
            rule="start is below end.",
            likely="one rate was meant, which needs no test." if same else "the two are swapped.",
            next=f"tuner.fit(1, lr={float(start):g})"
            if same
            else f"lr_find(start={float(end):g}, end={float(start):g})",
        )


def _check_rate(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise InputTypeError(
            f"lr_find({name}={value!r:.80}), a {type(value).__name__}.",
            rule="start and end are learning rates: numbers above 0.",
            likely=_likely_type(value),
            next=_WHOLE,
        )
    if not math.isfinite(value) or value <= 0:
        raise InputError(
            f"lr_find({name}={float(value):g}).",
            rule="start and end are finite and above 0: the rates are a geometric series.",
            likely=_likely_rate(float(value)),
            next=_WHOLE,
        )


def _likely_type(value: Any) -> str:
    if isinstance(value, str):
        return "a number written as text."
    if value is None:
        return "None for the default; leave the argument out for that."
    if hasattr(value, "item"):
        return "a tensor or array: its number is value.item()."
    if isinstance(value, list | tuple | slice):
        return "several rates; the proportions between groups are lr_find(lr=...)."
    return "another argument's value."


def _likely_rate(value: float) -> str:
    if math.isnan(value):
        return "a computed rate: something before it was not a number."
    if value == math.inf:
        return "no upper limit was meant; a test ends by itself where the loss diverges."
    if value == 0:
        return "a linear range from 0: a geometric series cannot begin there."
    if math.isfinite(value) and value == round(value):
        return f"an exponent without its base: 1e{value:g}, not {value:g}."
    return "a sign too many."


def check_count(name: str, value: Any) -> None:
    """Raise unless `value` is a whole number: steps from 10, seeds from 1, seed from 0 on."""
    least, usual = {"steps": (FEWEST, 100), "seeds": (1, 3), "seed": (0, 0)}[name]
    rule = f"{name} is a whole number of at least {least}."
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise InputTypeError(
            f"lr_find({name}={value!r:.80}), a {type(value).__name__}.",
            rule=rule,
            likely=_likely_kind(name, value),
            next=f"lr_find({name}={usual})",
        )
    if value < least:
        raise InputError(
            f"lr_find({name}={int(value)}).",
            rule=rule,
            likely=_likely_count(name, int(value)),
            next=f"lr_find({name}={usual})",
        )


def _likely_kind(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "a switch; this is a count." if name != "seed" else "a switch; this is where the random streams begin."
    if isinstance(value, str):
        return "a number written as text."
    if isinstance(value, float) and not math.isfinite(value):
        return "a computed number that is not finite."
    if isinstance(value, Real):
        return "a division: // gives a whole number, / does not."
    if isinstance(value, Sequence | range | set | np.ndarray):
        return "the seeds themselves; give how many." if name == "seeds" else "a list where one number was meant."
    if value is None:
        return "None for the default; leave the argument out for that."
    return "another argument's value."


def _likely_count(name: str, value: int) -> str:
    if value < 0:
        return "a sign too many."
    if name == "seeds":
        return "the seed to begin with was meant; seeds is how many tests are made."
    if value == 0:
        return "a count that was not filled in, or a division that left 0."
    return "a quick trial: fewer steps give no curve to read."


def check_ratios(ratios: Any) -> None:
    """Raise unless None, or numbers above 0 whose largest is 1."""
    if ratios is None:
        return
    good = isinstance(ratios, Sequence | np.ndarray) and all(
        isinstance(r, Real) and not isinstance(r, bool) and 0 < float(r) <= 1 for r in ratios
    )
    if not good or not len(ratios) or max(ratios) != 1:
        raise InputError(
            f"ratios={ratios!r}.",
            rule="one number above 0 and at most 1 for each optimizer group; the largest is 1.",
            likely="rates instead of their proportions.",
            next="nbtune.rates.resolve(lr, names, still).ratios",
        )


def check_learner(learn: Any) -> None:
    """Raise unless a Learner with a loss."""
    if not all(hasattr(learn, name) for name in ("model", "dls", "fit", "cbs")):
        raise InputTypeError(
            f"a range test of {type(learn).__name__}.",
            rule="it needs a fastai Learner.",
            likely="the model was passed instead of the Learner.",
            next="Learner(dls, model, loss_func=...)",
        )
    if not callable(getattr(learn, "loss_func", None)):
        raise InputError(
            "a Learner without a loss function.",
            rule="a range test measures the training loss.",
            likely="loss_func was not given, and the data does not tell it.",
            next="learn.loss_func = CrossEntropyLossFlat()",
        )
