"""What a learning rate may be besides a number: a table by group, a decay, a measured curve."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from nbtune._display import COLD, WARM, Chart, chart, html_table, html_value
from nbtune._numbers import plain, rate, real
from nbtune.errors import InputError

__all__ = ["Curve", "Decay", "Rates", "decay", "many", "nothing_trains"]


@runtime_checkable
class Curve(Protocol):
    """What a rate needs of an LRCurve, whose module would load torch."""

    suggestion: float | None
    verdict: str


@dataclass(frozen=True)
class Rates:
    """The learning rate of every group, in forward order; 0 for a group that is still.

    Raises InputError if names and values do not pair up, a value is negative or not finite, or all are 0.

    Example:
        >>> from nbtune.rates import resolve
        >>> resolve(slice(1e-5, 1e-3), ["stem", "layer1", "head"], [False, False, False])
        Learning rates: stem 1e-05, layer1 0.0001, head 0.001.
    """

    names: tuple[str, ...]  # groups, input to head
    values: tuple[float, ...]  # per step, as the optimizer takes it; 0.0 = still

    def __post_init__(self) -> None:
        if len(self.names) != len(self.values) or len(set(self.names)) != len(self.names):
            raise InputError(
                f"{many(len(self.values), 'rate')} for {many(len(self.names), 'name')}.",
                rule="every group has one rate, and no two groups share a name.",
                likely="the groups changed after the rates were made.",
                next="resolve(lr, names, still) makes the table from the groups as they are.",
            )
        for name, value in zip(self.names, self.values, strict=True):
            rate(value, f"the rate of {name}", zero=True)
        if not any(self.values):
            raise nothing_trains()

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
        to = rate(to, "to")
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
        >>> from nbtune.rates import resolve
        >>> resolve(decay(1e-3, 0.5), ["block0", "block1", "head"], [True, False, False])
        Learning rates: block0 still, block1 0.0005, head 0.001.
    """

    top: float  # learning rate of the last group that trains
    factor: float = 0.8  # in (0, 1]; 1 gives every group the same rate

    def __post_init__(self) -> None:
        object.__setattr__(self, "top", rate(self.top, "top"))
        if isinstance(plain(self.factor), (int, float)) and 1 < self.factor < math.inf:
            raise InputError(
                f"decay factor {self.factor:g}.",
                rule="the factor is above 0 and at most 1.",
                likely="it multiplies once per group below the head: above 1 the stem learns fastest.",
                next=f"decay({self.top:g}, {1 / self.factor:.3g})",
            )
        factor = real(self.factor, "factor", "what a rate falls by from group to group", 0.0, 1.0, 0.8)
        if not factor:
            raise InputError(
                "decay factor 0.",
                rule="the factor is above 0 and at most 1.",
                likely="only the head was meant to learn.",
                next=f'freeze the rest: first="head", lr={self.top:g}',
            )
        object.__setattr__(self, "factor", factor)


def decay(top: float, factor: float = 0.8) -> Decay:
    """Layer-wise decay of the learning rate from the head down (see `Decay`)."""
    return Decay(top, factor)


def many(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def nothing_trains() -> InputError:
    return InputError(
        "every group is still.",
        rule="at least one group trains.",
        likely="all groups were frozen, the head too.",
        next='tuner.freeze_to("head"), or tuner.unfreeze().',
    )
