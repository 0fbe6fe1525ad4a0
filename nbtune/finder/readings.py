"""Reading a learning rate curve: smoothing, noise, and where the loss falls. No training."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["FEWEST", "PACE", "READINGS", "Fall", "Running", "averaged", "diverged", "fall", "pace", "read"]

READINGS = ("end of fall", "steepest", "minimum/10", "valley", "slide")
FEWEST = 10  # steps: below, no reading has a point to stand on
PACE = 99 / 8  # steps a decade of rate that a suggestion is for: 100 steps from 1e-7 to 10
_SMOOTH = 0.25  # decades of rate over which a loss's weight falls to 1/e, on either side
_LAG = 0.5  # the same for the running average, which sees one side only
_SHARE = 0.9  # of the fall: where so much of it is done, it ends
_WINDOW = 10  # points over which a slope is taken: over one alone, a noisy batch makes the steepest
_POINTS = 100  # readings are made on the curve at this many points: fastai's constants are meant for 100
_SKIP_FIRST, _SKIP_LAST = 10, 5  # as fastai: the smoothing settles, the last steps blow up


@dataclass(frozen=True)
class Fall:
    """How one curve falls; losses in loss units."""

    depth: float  # from the level before any learning down to the lowest smoothed loss
    noise: float  # how far chance alone may take the lowest smoothed loss
    middle: float  # the rate at which half of the fall is done, as tested
    end: float  # the rate at which nine tenths of it are done
    early: float  # share of the smoothed fall that is done in the first quarter of the steps
    open: bool  # did the loss still fall at the last step
    turned: bool  # did the loss rise again by as much as it fell, or by more than its noise


def pace(lrs: Any) -> float:
    """Steps a decade of rate, of a geometric series."""
    return (len(lrs) - 1) / math.log10(lrs[-1] / lrs[0]) if len(lrs) > 1 else PACE


class Running:
    """Bias-corrected exponential average of what came so far; without the correction (Kingma & Ba, 2015) it
    would begin at zero. Its weights fall to 1/e over half a decade of rate, whatever the number of steps.
    """

    def __init__(self, per_decade: float, keep: float | None = None) -> None:
        self.keep = math.exp(-1 / (_LAG * per_decade)) if keep is None else keep
        self.total, self.weight = 0.0, 0.0

    def add(self, loss: float) -> float:
        self.total, self.weight = self.keep * self.total + loss, self.keep * self.weight + 1
        return self.total / self.weight


def averaged(losses: Any, per_decade: float) -> Any:
    """Average over the neighbours on either side, float64 of the same length: no lag, no edge effect.

    The weight falls to 1/e over a quarter of a decade of rate, whatever the number of steps. What lies higher
    above the first losses than the lowest lies below them counts as no higher: a blow-up does not reach back.
    """
    raw = np.asarray(losses, dtype=float)
    if not len(raw):
        return raw
    first = float(np.max(raw[: _flat(raw)]))
    raw = np.minimum(raw, first + (first - float(np.min(raw))))
    keep = math.exp(-1 / (_SMOOTH * per_decade))
    ones = np.ones_like(raw)
    return _both_sides(raw, keep) / _both_sides(ones, keep)


def _both_sides(values: Any, keep: float) -> Any:
    """The sum of all values, weighted by `keep` to the power of their distance, at each place."""
    return _behind(values, keep) + _behind(values[::-1], keep)[::-1] - values


def _behind(values: Any, keep: float) -> Any:
    total, sums = 0.0, np.empty(len(values))
    for at, value in enumerate(values):
        total = keep * total + value
        sums[at] = total
    return sums


def diverged(smoothed: float, best: float, first: float) -> bool:
    """Has the smoothed loss left its best by more than three times that best?

    For a positive loss this is fastai's "above four times the best". The floor of 5 % of the first loss keeps
    a loss that came near zero, or is negative, from ending the test by a mere wobble.
    """
    return smoothed - best > 3 * max(abs(best), 0.05 * abs(first))


def _flat(raw: Any) -> int:
    """The steps whose rates are taken as too small to learn: the first quarter."""
    return max(len(raw) // 4, 3)


def fall(lrs: Any, raw: Any) -> Fall:
    """How one curve of ten finite losses or more falls.

    Noise: the standard deviation of one loss in the first quarter, from the mean square of successive
    differences, which takes out a slow trend (von Neumann, 1941); from it, that of the lowest smoothed loss
    against the mean of the quarter; times a factor that grows where few steps tell the noise.
    """
    per_decade, flat = pace(lrs), _flat(raw)
    smoothed, level = averaged(raw, per_decade), float(np.mean(raw[:flat]))
    one = math.sqrt(float(np.mean(np.diff(raw[:flat]) ** 2)) / 2)
    # As a t-quantile at 0.9995, for the lowest of many: of pure noise, one curve in a thousand falls further.
    noise = (4.5 + 100 / (flat - 1) ** 2) * one * math.sqrt(_variance(per_decade) + 1 / flat)
    lowest = flat + int(np.argmin(smoothed[flat:]))
    depth = level - float(smoothed[lowest])
    if depth <= 1e-6 * abs(level):  # rounding
        depth = 0.0
    rise = float(np.max(smoothed[lowest:]) - smoothed[lowest])
    middle, end = (_first_below(lrs, smoothed, level - share * depth) for share in (0.5, _SHARE))
    low = float(np.min(smoothed)) + 0.25 * depth
    early = _done(float(smoothed[0]), float(smoothed[flat - 1]), float(smoothed[lowest]))
    return Fall(depth, noise, middle, end, early, _open(raw, per_decade, low, depth, one), rise > max(depth, noise))


def _done(first: float, now: float, lowest: float) -> float:
    """How much of the way from `first` down to `lowest` is done; 0 where there is none."""
    return (first - now) / (first - lowest) if first > lowest else 0.0


def _variance(per_decade: float) -> float:
    """Of a smoothed loss over that of one loss, far from the ends: the sum of the squared weights."""
    keep = math.exp(-1 / (_SMOOTH * per_decade))
    return (1 + keep**2) / (1 - keep**2) * ((1 - keep) / (1 + keep)) ** 2


def _open(raw: Any, per_decade: float, low: float, depth: float, one: float) -> bool:
    """Do the losses, as measured, still fall at the end, there where they are lowest?

    They do if over the last half decade they fall by a tenth of all their fall, and by more than chance: a loss
    that has come to zero does not, nor does one that comes down again from a blow-up.
    """
    width = min(max(round(per_decade / 4), 2), len(raw) // 2)
    before, last = float(np.mean(raw[-2 * width : -width])), float(np.mean(raw[-width:]))
    return last < low and before - last > max(0.1 * depth, 2 * one * math.sqrt(2 / width))


def _first_below(lrs: Any, smoothed: Any, bound: float) -> float:
    """The rate at which the curve first comes down to `bound`, between two steps."""
    at = int(np.argmax(smoothed <= bound)) if np.any(smoothed <= bound) else int(np.argmin(smoothed))
    if at == 0:
        return float(lrs[0])
    above, below = smoothed[at - 1], smoothed[at]
    share = float(np.clip((above - bound) / (above - below), 0, 1)) if above > below else 1.0
    return float(lrs[at - 1] * (lrs[at] / lrs[at - 1]) ** share)


def read(lrs: Any, raw: Any, steps: int) -> dict[str, float]:
    """The readings that a curve allows, by name; a reading that fails is left out.

    end of fall: where nine tenths of the fall are done and it slows down, which is Smith's upper bound (2015).
    steepest: where the loss falls fastest per factor of the rate. minimum/10: a tenth of the rate at the
    lowest loss. valley, slide: see fastai's documentation of `lr_find`; made on fastai's average, as they are meant.
    """
    from nbtune._fastai.readings import read_slide, read_valley

    if len(lrs) < FEWEST:
        return {}
    points = max(round(_POINTS * len(lrs) / steps), 4)
    log_lr = np.linspace(math.log(lrs[0]), math.log(lrs[-1]), points)
    inner = slice(_SKIP_FIRST, points - _SKIP_LAST)
    rate = np.exp(log_lr)[inner]
    if len(rate) < 4:
        return {}
    # Rounded, or the rounding of a flat part would look like a fall.
    loss = np.round(np.interp(log_lr, np.log(lrs), averaged(raw, pace(lrs))), 9)[inner]
    theirs = np.round(np.interp(log_lr, np.log(lrs), _as_fastai(raw, steps)), 9)[inner]
    one = fall(lrs, raw)
    readings = {
        "end of fall": one.end if one.depth > one.noise else math.nan,
        "steepest": _steepest(rate, loss),
        "minimum/10": float(rate[np.argmin(loss)]) / 10,
        "valley": read_valley(rate.tolist(), theirs.tolist()),
        "slide": read_slide(rate.tolist(), theirs.tolist()),
    }
    return {name: value for name, value in readings.items() if math.isfinite(value)}


def _as_fastai(raw: Any, steps: int) -> Any:
    """fastai's average: 0.98 a step at 100 steps, and the same picture at any other number of them."""
    running = Running(PACE, 1 - 2 / steps)
    return np.array([running.add(float(loss)) for loss in raw])


def _steepest(rate: Any, loss: Any) -> float:
    """The middle of the window over which the loss falls most."""
    width = min(_WINDOW, len(loss) - 1)
    at = int(np.argmin(loss[width:] - loss[:-width]))
    return math.sqrt(float(rate[at]) * float(rate[at + width]))
