"""Learning rates per group: what a person may write, and the table of rates it means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from nbtune._lr import Curve, Decay, Rates, decay, many, nothing_trains
from nbtune._numbers import rate, shown
from nbtune._source import source
from nbtune.errors import InputError, InputTypeError, nearest

__all__ = ["Decay", "Rates", "check", "decay", "resolve", "source"]

_FORMS = "a number, slice(lo, hi), decay(top, factor), a dict by group name, one rate per group, or an LR curve"


def check(lr: Any, name: str = "lr") -> Any:
    """`lr` in plain numbers, checked as far as that can be done without knowing the groups.

    A float, a slice of floats, a tuple of floats, a dict of floats by group name, or a Decay; an LR curve
    becomes the rate that it suggests, and a `Rates` the dict that it means. `name`: what the argument is called.

    Raises InputTypeError or InputError as `resolve` does, but for what depends on the groups.

    Example:
        >>> check([1e-4, 1e-3]), check(slice(2e-3))
        ((0.0001, 0.001), slice(None, 0.002, None))
    """
    if isinstance(lr, Decay):
        return lr
    if isinstance(lr, Rates):
        return dict(zip(lr.names, lr.values, strict=True))
    if isinstance(lr, Curve) and not isinstance(lr, type):
        return rate(_suggested(lr), "the rate that the LR curve suggests")
    if isinstance(lr, Mapping):
        return _checked_names(lr, name)
    if isinstance(lr, slice):
        return _checked_ends(lr, name)
    if isinstance(lr, Iterable) and not isinstance(lr, str | bytes | set | frozenset) and getattr(lr, "ndim", 1) == 1:
        several = tuple(rate(value, f"{name}[{at}]", zero=True) for at, value in enumerate(lr))
        return several if any(several) else _refuse_zeros(several, name)
    return rate(lr, name, forms=_FORMS)


def _checked_names(lr: Mapping[Any, Any], name: str) -> dict[str, float]:
    for key in lr:
        if not isinstance(key, str):
            raise InputTypeError(
                f"{name} has a rate for {shown(key)}.",
                rule="a dict of rates has group names as its keys.",
                likely="a group's index instead of its name."
                if isinstance(key, int)
                else "a group instead of its name.",
                next=f'{name}={{"head": 0.001}}, with the names in tuner.groups.',
            )
    rates = {str(key): rate(value, f"the rate of {key}", zero=True) for key, value in lr.items()}
    return rates if any(rates.values()) else _refuse_zeros(rates, name)


def _refuse_zeros(rates: Any, name: str) -> Any:
    """Raise InputError: several rates of which none is above 0."""
    raise InputError(
        f"{name}={rates!r:.80} has no rate above 0." if rates else f"{name} holds no rate.",
        rule="every group that trains has a rate above 0, so there is at least one.",
        likely="a group without a rate was meant to be still: freezing does that."
        if rates
        else "a collection that was to be filled, or a filter that left nothing.",
        next=f"{name}=0.001 for every group, or {name}=None for the default.",
    )


def _checked_ends(lr: slice, name: str) -> slice:
    if lr.stop is None or lr.step is not None:
        raise InputError(
            f"{name}={lr}.",
            rule="slice(lo, hi) or slice(hi), without a step.",
            likely="the end is missing." if lr.step is None else "a third number; the number of groups is known.",
            next=f"{name}=slice(1e-5, 1e-3)",
        )
    high = rate(lr.stop, "the end of the slice")
    if lr.start is None:
        return slice(high)
    low = rate(lr.start, "the start of the slice")
    if low > high:
        raise InputError(
            f"{name}=slice({low:g}, {high:g}) runs downwards.",
            rule="the start, for the first group that trains, is at most the end, for the head.",
            likely="the two ends are swapped: early groups need the smaller steps.",
            next=f"{name}=slice({high:g}, {low:g})",
        )
    return slice(low, high)


def _suggested(curve: Curve) -> float:
    """The curve's suggestion. Raises InputError with its verdict if it makes none."""
    if curve.suggestion is None:
        raise InputError(
            f"an LR curve without a suggestion: {curve.verdict}",
            rule="a curve is taken as a rate only where it suggests one.",
            likely="too few steps or seeds, or the loss does not fall.",
            next="curve.plot(), then give the rate as a number; or tuner.lr_find(seeds=5).",
        )
    return curve.suggestion


def resolve(lr: Any, names: Sequence[str], still: Sequence[bool]) -> Rates:
    """The rate of every group from what a person wrote; `names` and `still` are in forward order.

    Every form is spread over the groups that train only: they are what the optimizer holds, and fastai
    spreads a slice over the optimizer's groups. `lr` is one of

    - a number: the same rate for all; an LR curve: the rate that it suggests;
    - `slice(lo, hi)`: geometric from the first group that trains to the last; `slice(hi)`: `hi / 10` for
      all but the last (both as in fastai, after Howard & Ruder, 2018);
    - `decay(top, factor)`: layer-wise decay;
    - a sequence: one rate per group (0 for a still one), or one per group that trains;
    - a dict by name with every group that trains (0 allowed for a still one); or a `Rates`.

    Raises InputTypeError for anything else, InputError for a value that is negative, zero, not finite, above
    100, of the wrong length, for an unknown group, or where no group trains.
    """
    if len(names) != len(still):
        raise _length(("flag", [float(flag) for flag in still]), names, names)
    live = [name for name, is_still in zip(names, still, strict=True) if not is_still]
    if not live:
        raise nothing_trains()
    values = dict(zip(live, _spread(check(lr), names, live), strict=True))
    if not all(values.values()):
        raise _vanished([name for name in live if not values[name]])
    return Rates(tuple(names), tuple(values.get(name, 0.0) for name in names))


def _spread(lr: Any, names: Sequence[str], live: Sequence[str]) -> list[float]:
    """One rate for each of `live`, from what `check` gives."""
    below = range(len(live) - 1, -1, -1)  # groups that train below the last one
    if isinstance(lr, dict):
        return _by_name(lr, names, live)
    if isinstance(lr, tuple):
        return _by_position(lr, names, live)
    if isinstance(lr, Decay):
        return [lr.top * lr.factor**number for number in below]
    if isinstance(lr, slice) and lr.start is None:
        return [lr.stop / 10] * (len(live) - 1) + [lr.stop]
    if isinstance(lr, slice):
        return [lr.stop * (lr.start / lr.stop) ** (number / max(len(live) - 1, 1)) for number in below]
    return [lr] * len(live)


def _by_position(lr: tuple[float, ...], names: Sequence[str], live: Sequence[str]) -> list[float]:
    for told in (names, live):
        if len(lr) == len(told):
            return _by_name(dict(zip(told, lr, strict=True)), names, live)
    raise _length(("rate", lr), names, live)


def _by_name(lr: Mapping[str, float], names: Sequence[str], live: Sequence[str]) -> list[float]:
    for name, value in lr.items():
        if name not in names:
            raise InputError(
                f"lr has a rate for {name!r}, which is no group.",
                rule=f"the groups are {', '.join(names)}.",
                likely="a typing slip." if get_close_matches(name, names, cutoff=0.5) else "a name of another model.",
                next=nearest(name, names),
            )
        if name not in live and value:
            raise InputError(
                f"lr gives {name} a rate of {value:g}, but {name} is still.",
                rule="a still group has no rate, or 0.",
                likely="the rates were written before the group was frozen.",
                next=f"leave {name} out, or let it train: tuner.freeze_to({name!r}).",
            )
    missing = [name for name in live if name not in lr]
    if missing:
        raise InputError(
            f"lr has no rate for {', '.join(missing)}.",
            rule=f"every group that trains has a rate: {', '.join(live)}.",
            likely="more groups train than when the rates were written.",
            next=f"add {missing[0]!r}, or freeze it.",
        )
    return [rate(lr[name], f"the rate of {name}") for name in live]


def _vanished(names: Sequence[str]) -> InputError:
    """Rates that were divided until no float above 0 was left."""
    return InputError(
        f"the rate of {names[0]} falls to 0.",
        rule="every group that trains has a rate above 0.",
        likely="a decay or a slice that falls too steeply for so many groups.",
        next="lr=nt.rates.decay(1e-3, 0.8), or freeze the first groups.",
    )


def _length(given: tuple[str, Sequence[float]], names: Sequence[str], live: Sequence[str]) -> InputError:
    """One rate (or flag) for each group was expected; `given`: what they are, and their values."""
    word, values = given
    some = "" if len(live) == len(names) else f", or one for each of the {len(live)} that train"
    low, high = min((value for value in values if value), default=0.001), max(values, default=0.001)
    causes = {1: "one rate for all, in brackets.", 2: "the two ends of a range, which is a slice."}
    rates = word == "rate"
    line = f"lr={high:g}" if low == high else f"lr=slice({low:g}, {high:g})"
    return InputError(
        f"{many(len(values), word)} for {many(len(names), 'group')}.",
        rule=f"one for each of the {many(len(names), 'group')} ({', '.join(names)}){some}.",
        likely=(causes if rates else {}).get(len(values), "they were written for another model or another freezing."),
        next=line if rates else "one flag a group, in forward order.",
    )
