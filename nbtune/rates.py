"""Learning rates per group: what a person may write, and the table of rates it means."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from nbtune._display import COLD, WARM, Chart, chart, html_table, html_value
from nbtune.errors import InputError, InputTypeError, nearest

__all__ = ["Decay", "Rates", "decay", "resolve"]

_FORMS = "a number, slice(lo, hi), decay(top, factor), a dict by group name, or one rate per group"


@dataclass(frozen=True)
class Rates:
    """The learning rate of every group, in forward order; 0 for a group that is still.

    Raises InputError if names and values do not pair up, a value is negative or not finite, or all are 0.

    Example:
        >>> resolve(slice(1e-5, 1e-3), ["stem", "layer1", "head"], [False, False, False])
        Learning rates: stem 1e-05, layer1 0.0001, head 0.001.
    """

    names: tuple[str, ...]  # groups, input to head
    values: tuple[float, ...]  # per step, as the optimizer takes it; 0.0 = still

    def __post_init__(self) -> None:
        if len(self.names) != len(self.values) or len(set(self.names)) != len(self.names):
            raise InputError(
                f"{len(self.values)} rates for {len(self.names)} names.",
                rule="every group has one rate, and no two groups share a name.",
                likely="the groups changed after the rates were made.",
                next="resolve(lr, names, still) makes the table from the groups as they are.",
            )
        for name, value in zip(self.names, self.values, strict=True):
            _number(value, f"the rate of {name}", zero=True)
        if not any(self.values):
            raise _nothing_trains()

    @property
    def top(self) -> float:
        """The largest rate: the one that an LR curve is about."""
        return max(self.values)

    @property
    def training(self) -> dict[str, float]:
        """Rate by name, of the groups that train only: what the optimizer holds."""
        return {name: value for name, value in zip(self.names, self.values, strict=True) if value}

    @property
    def ratios(self) -> tuple[float, ...]:
        """Rate over top rate, of the groups that train only; each in (0, 1]."""
        return tuple(value / self.top for value in self.training.values())

    def scaled(self, to: float) -> Rates:
        """The same proportions with `to` as the top rate."""
        to = _number(to, "to")
        return Rates(self.names, tuple(value / self.top * to for value in self.values))

    def frame(self) -> Any:
        """A pandas frame with columns group, lr; a row a group."""
        import pandas as pd

        return pd.DataFrame({"group": self.names, "lr": self.values})

    def plot(self) -> Chart:
        """A bar a group on a logarithmic axis; still groups have no bar and are marked."""
        figure, ax = chart(repr(self))
        floor = min(self.training.values()) / 3
        ax.bar(self.names, [max(value - floor, 0.0) for value in self.values], bottom=floor, color=WARM)
        for at, value in enumerate(self.values):
            text, colour = (f"{value:.2g}", WARM) if value else ("❄ still", COLD)
            ax.annotate(text, (at, value or floor), (0, 3), textcoords="offset points", ha="center", color=colour)
        ax.set_yscale("log")
        ax.set_ylim(floor, self.top * 2)
        ax.set_ylabel("learning rate (log)")
        ax.grid(False, axis="x")
        return figure

    def __repr__(self) -> str:
        pairs = zip(self.names, self.values, strict=True)
        texts = [f"{name} {value:.3g}" if value else f"{name} still" for name, value in pairs]
        return f"Learning rates: {', '.join(texts)}."

    def _repr_html_(self) -> str:
        rows = [(n, f"▲ {v:.3g}" if v else "❄ still") for n, v in zip(self.names, self.values, strict=True)]
        sentence = f"{len(self.training)} of {len(self.names)} groups train, at most at {self.top:.3g}."
        return html_value("Learning rates", sentence, html_table(["group", "learning rate"], rows))


@dataclass(frozen=True)
class Decay:
    """Layer-wise decay: `top` for the head, and `factor` times the rate above for each group below.

    Source: discriminative fine-tuning (Howard & Ruder, 2018), as layer-wise decay in ELECTRA (Clark et al.,
    2020) and BEiT (Bao et al., 2022). Raises InputError or InputTypeError on a value that makes no sense.

    Example:
        >>> resolve(decay(1e-3, 0.5), ["block0", "block1", "head"], [True, False, False])
        Learning rates: block0 still, block1 0.0005, head 0.001.
    """

    top: float  # learning rate of the last group that trains
    factor: float = 0.8  # in (0, 1]; 1 gives every group the same rate

    def __post_init__(self) -> None:
        _number(self.top, "top")
        if _number(self.factor, "factor") > 1:
            raise InputError(
                f"decay factor {self.factor:g}.",
                rule="the factor is above 0 and at most 1.",
                likely="it multiplies once per group below the head: above 1 the stem learns fastest.",
                next=f"decay({self.top:g}, {1 / self.factor:.3g})",
            )


def decay(top: float, factor: float = 0.8) -> Decay:
    """Layer-wise decay of the learning rate from the head down (see `Decay`)."""
    return Decay(top, factor)


def resolve(lr: Any, names: Sequence[str], still: Sequence[bool]) -> Rates:
    """The rate of every group from what a person wrote; `names` and `still` are in forward order.

    Every form is spread over the groups that train only: they are what the optimizer holds, and fastai
    spreads a slice over the optimizer's groups. `lr` is one of

    - a number: the same rate for all;
    - `slice(lo, hi)`: geometric from the first group that trains to the last; `slice(hi)`: `hi / 10` for
      all but the last (both as in fastai, after Howard & Ruder, 2018);
    - `decay(top, factor)`: layer-wise decay;
    - a sequence: one rate per group (0 for a still one), or one per group that trains;
    - a dict by name with every group that trains (0 allowed for a still one); or a `Rates`.

    Raises InputTypeError for anything else, InputError for a value that is negative, zero, not finite, of
    the wrong length, for an unknown group, or where no group trains.
    """
    if len(names) != len(still):
        raise _length(len(still), names, names, "flags")
    live = [name for name, is_still in zip(names, still, strict=True) if not is_still]
    if not live:
        raise _nothing_trains()
    values = dict(zip(live, _spread(lr, names, live), strict=True))
    return Rates(tuple(names), tuple(values.get(name, 0.0) for name in names))


def _spread(lr: Any, names: Sequence[str], live: Sequence[str]) -> list[float]:
    """One rate for each of `live`."""
    if isinstance(lr, Rates):
        lr = dict(zip(lr.names, lr.values, strict=True))
    if isinstance(lr, Mapping):
        return _by_name(lr, names, live)
    if isinstance(lr, slice):
        return _by_slice(lr, len(live))
    if isinstance(lr, Decay):
        return [lr.top * lr.factor**below for below in reversed(range(len(live)))]
    if isinstance(lr, Iterable) and not isinstance(lr, str | bytes) and getattr(lr, "ndim", 1) == 1:
        return _by_position(list(lr), names, live)
    return [_number(lr, "lr")] * len(live)


def _by_slice(lr: slice, n: int) -> list[float]:
    if lr.stop is None or lr.step is not None:
        raise InputError(
            f"lr={lr}.",
            rule="slice(lo, hi) or slice(hi), without a step.",
            likely="an end that is missing, or a third number.",
            next="lr=slice(1e-5, 1e-3)",
        )
    high = _number(lr.stop, "the end of the slice")
    if lr.start is None:
        return [high / 10] * (n - 1) + [high]
    low = _number(lr.start, "the start of the slice")
    if low > high:
        raise InputError(
            f"lr=slice({low:g}, {high:g}) runs downwards.",
            rule="the start, for the first group that trains, is at most the end, for the head.",
            likely="the two ends are swapped: early groups need the smaller steps.",
            next=f"lr=slice({high:g}, {low:g})",
        )
    return [high * (low / high) ** (below / max(n - 1, 1)) for below in reversed(range(n))]


def _by_position(lr: list[Any], names: Sequence[str], live: Sequence[str]) -> list[float]:
    if len(lr) == len(names):
        return _by_name(dict(zip(names, lr, strict=True)), names, live)
    if len(lr) == len(live):
        return _by_name(dict(zip(live, lr, strict=True)), names, live)
    raise _length(len(lr), names, live, "rates")


def _by_name(lr: Mapping[Any, Any], names: Sequence[str], live: Sequence[str]) -> list[float]:
    for name, value in lr.items():
        if name not in names:
            raise InputError(
                f"lr has a rate for {name!r}, which is no group.",
                rule=f"the groups are {', '.join(names)}.",
                likely="a typo, or a name of another model.",
                next=nearest(str(name), names),
            )
        if name not in live and _number(value, f"the rate of {name}", zero=True):
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
    return [_number(lr[name], f"the rate of {name}") for name in live]


def _number(value: Any, what: str, zero: bool = False) -> float:
    """`value` as a float that is finite and above 0 (with `zero`, 0 or above)."""
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        value = value.item()  # a 0-d array or tensor, as a finder's reading may be
    if isinstance(value, bool) or not isinstance(value, Real):
        raise InputTypeError(
            f"{what} is {value!r}, a {type(value).__name__}.",
            rule=f"a learning rate is {_FORMS}.",
            likely="a number written as text." if isinstance(value, str) else "another argument's value.",
            next="lr=1e-3, or lr=slice(1e-5, 1e-3)",
        )
    number = float(value)
    if not math.isfinite(number) or number < 0 or (number == 0 and not zero):
        raise InputError(
            f"{what} is {number:g}.",
            rule="a rate is finite and above 0.",
            likely=_likely(number),
            next="freeze a group that shall not learn; otherwise a rate such as 1e-3.",
        )
    return number


def _likely(number: float) -> str:
    if number == 0:
        return "a group was meant to stay as it is; a rate of 0 would still cost its training."
    if number < 0:
        return "a sign too many, or an exponent without its base: 1e-3, not -3."
    return "a computed rate that overflowed, or an LR curve without a finite reading."


def _length(given: int, names: Sequence[str], live: Sequence[str], what: str) -> InputError:
    some = "" if len(live) == len(names) else f", or one for each of the {len(live)} that train"
    return InputError(
        f"{given} {what} for {len(names)} groups.",
        rule=f"one for each of the {len(names)} groups ({', '.join(names)}){some}.",
        likely="they were written for another model, or for another freezing.",
        next="a dict by group name says which is which.",
    )


def _nothing_trains() -> InputError:
    return InputError(
        "every group is still.",
        rule="at least one group trains.",
        likely="all groups were frozen, the head too.",
        next='tuner.freeze_to("head"), or tuner.unfreeze().',
    )
