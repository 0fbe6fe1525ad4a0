"""A learning rate curve as a value: what was measured, what it suggests, and for which plan."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nbtune._cut import Cut, digests
from nbtune._display import COLD, GREY, WARM, Chart, chart, html_table, html_value
from nbtune.finder.readings import averaged, pace

__all__ = ["Fingerprint", "LRCurve"]


@dataclass(frozen=True)
class Fingerprint:
    """What a curve was measured for: another plan makes it stale, other weights are the course of training."""

    first: str  # name of the first group that trains
    norms: str  # what norm layers of the still part do; "" where nothing is still
    weights: str  # digest of all weights and buffers

    @staticmethod
    def of(model: Any, cut: Cut) -> Fingerprint:
        """The fingerprint of a model under a plan; reads every tensor once."""
        norms = cut.norms if cut.first else ""
        return Fingerprint(cut.groups[cut.first].name, norms, _digest(model))


def _digest(model: Any) -> str:
    each = digests(model.state_dict())
    return hashlib.blake2b("".join(f"{name}{each[name]}" for name in sorted(each)).encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, eq=False)
class LRCurve:
    """The loss against the learning rate, what it suggests, and how far that can be relied on.

    Two curves are equal when all that they hold is equal. The arrays are read-only.
    """

    lrs: Any  # float64 [steps]: top learning rate of each step, geometric
    losses: Any  # float64 [seeds, steps]: the batch losses as measured; nan where a test had ended
    suggestion: float | None  # top learning rate to use, or None
    verdict: str  # why this suggestion or none, and all that was unusual about the test
    readings: dict[str, float]  # end of fall, steepest, minimum/10, valley, slide as tested, where they exist
    steps: int  # planned steps a seed; fewer were made where the test diverged or was stopped
    ratios: tuple[float, ...] | None = None  # rate over top rate of each optimizer group; None: all equal
    measured_for: Fingerprint | None = None  # the plan and weights that were measured, for `stale`
    smoothed: Any = field(init=False, repr=False)  # float64 [seeds, steps]: average of `losses` over near rates

    def __post_init__(self) -> None:
        lrs, losses = np.array(self.lrs, dtype=float), np.atleast_2d(np.array(self.losses, dtype=float))
        averages = np.full_like(losses, math.nan)
        for row, average in zip(losses, averages, strict=True):
            measured = int(np.isfinite(row).sum())
            average[:measured] = averaged(row[:measured], pace(lrs))
        for name, array in (("lrs", lrs), ("losses", losses), ("smoothed", averages)):
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    @property
    def band(self) -> Any:
        """Lowest and highest smoothed loss over seeds, float64 [2, steps]; nan where no seed was measured."""
        lost = np.isnan(self.smoothed).all(axis=0)
        low, high = np.fmin.reduce(self.smoothed), np.fmax.reduce(self.smoothed)
        return np.where(lost, math.nan, [low, high])

    def frame(self) -> Any:
        """A pandas frame with columns seed, lr, loss, smoothed; a row a measured step."""
        import pandas as pd

        seeds, steps = self.losses.shape
        table = {
            "seed": np.repeat(np.arange(seeds), steps),
            "lr": np.tile(self.lrs, seeds),
            "loss": self.losses.ravel(),
            "smoothed": self.smoothed.ravel(),
        }
        return pd.DataFrame(table).dropna(subset="loss").reset_index(drop=True)

    def plot(self) -> Chart:
        """Smoothed loss (median over seeds, with their range as a band) on a logarithmic rate axis."""
        figure, ax = chart(self.verdict)
        for number, row in enumerate(self.losses):
            ax.plot(self.lrs, row, ".", color=GREY, markersize=2, alpha=0.5, label="" if number else "measured")
        middle = _middle(self.smoothed)
        if len(self.losses) > 1:
            ax.fill_between(self.lrs, *self.band, color=WARM, alpha=0.2, linewidth=0)
        ax.plot(self.lrs, middle, color=WARM, linewidth=2, label="smoothed")
        _mark(ax, self.readings, self.lrs, middle)
        if self.suggestion is not None:
            ax.axvline(self.suggestion, color=COLD, label=f"suggestion {self.suggestion:.2g}")
        ax.legend(frameon=False)
        ax.set_xscale("log")
        ax.set_xlabel("learning rate (log)")
        ax.set_ylabel("loss")
        _limits(ax, middle, float(np.nanmin(self.losses, initial=math.inf)))
        return figure

    def stale(self, now: Fingerprint) -> str:
        """Why this curve is not for the plan `now`, as a clause, or "". Weights that went on do not count.

        Example:
            >>> curve = LRCurve([1e-3], [[1.0]], None, "", {}, 1, None, Fingerprint("head", "still", "a"))
            >>> curve.stale(Fingerprint("layer4", "still", "b"))
            "it was measured with 'head' training first, now 'layer4' does"
        """
        then = self.measured_for
        if then is None:
            return ""
        if then.first != now.first:
            return f"it was measured with {then.first!r} training first, now {now.first!r} does"
        if then.norms != now.norms:
            return f"it was measured with norms={then.norms!r}, now it is norms={now.norms!r}"
        return ""

    def trained_since(self, now: Fingerprint) -> bool:
        """Have the weights changed since the test? Usual after a fit: information, no reason to warn."""
        return self.measured_for is not None and self.measured_for.weights != now.weights

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LRCurve) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[object, ...]:
        told = (self.suggestion, self.verdict, tuple(self.readings.items()), self.ratios, self.measured_for)
        return (self.lrs.tobytes(), self.losses.shape, self.losses.tobytes(), self.steps, *told)

    def __repr__(self) -> str:
        return self.verdict

    def _repr_html_(self) -> str:
        rows = [(name, f"{rate:.2g}") for name, rate in self.readings.items()]
        return html_value("Learning rate range test", self.verdict, html_table(["reading", "rate"], rows))


def _middle(curves: Any) -> Any:
    """The median over seeds at each step, of the seeds that came so far; nan where none did."""
    measured = [column[np.isfinite(column)] for column in curves.T]
    return np.array([np.median(column) if len(column) else math.nan for column in measured])


def _mark(ax: Any, readings: Any, lrs: Any, middle: Any) -> None:
    """The readings as ticks on the curve, their names in rows below it, on the side where the loss is higher."""
    rows = ax.get_xaxis_transform()  # x in rates, y as a share of the height
    line = {"arrowstyle": "-", "color": GREY, "alpha": 0.4, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0}
    edge = lrs[0] * (lrs[-1] / lrs[0]) ** 0.15  # left of it is no room for a name
    for row, (name, rate) in enumerate(sorted(readings.items(), key=lambda item: -item[1])):
        at = float(np.interp(math.log(rate), np.log(lrs), middle))
        ax.plot(rate, at, "|", color=GREY, markersize=12)
        foot, side = (rate, 0.02 + 0.06 * row), "right" if rate > edge else "left"
        ax.annotate("", (rate, at), foot, textcoords=rows, arrowprops=line)
        where = {"xycoords": rows, "textcoords": "offset points", "ha": side, "fontsize": 8, "color": GREY}
        ax.annotate(name, foot, (-3 if side == "right" else 3, 0), **where)


def _limits(ax: Any, middle: Any, low: float) -> None:
    """Keep the blow-up at the right end from flattening the rest; `low` is the lowest single loss."""
    first = float(middle[0])
    if not math.isfinite(low):  # nothing was measured
        return
    room = max(first - low, 0.1 * abs(first), 1e-6)
    ax.set_ylim(low - 0.25 * room, max(first, low) + room)
