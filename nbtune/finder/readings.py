"""Reading a learning rate curve: smoothing, noise, where it falls and how far readings agree. No training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["MOST", "VOTE", "Advice", "advise", "diverged", "fall_and_noise", "read", "smooth"]

READINGS = ("steepest", "minimum/10", "valley", "slide")
VOTE = ("slide", "steepest", "minimum/10")  # the readings whose median is the suggestion
MOST = 3.0  # how far, as a factor, the median may be from the nearer of the other two
_WINDOW = 10  # points over which a slope is taken: over one alone, a noisy batch makes the steepest
_POINTS = 100  # readings are made on the curve at this many points: fastai's constants are meant for 100
_SKIP_FIRST, _SKIP_LAST = 10, 5  # as fastai: the smoothing settles, the last steps blow up


@dataclass(frozen=True)
class Advice:
    """A learning rate or the reason why there is none."""

    suggestion: float | None
    reason: str  # a sentence
    readings: dict[str, float]  # each reading's median over seeds; those that could be made


def smooth(losses: Sequence[float], steps: int) -> Any:
    """Bias-corrected exponential average of `losses`, float64 of the same length.

    The weight of a step falls to 1/e over half of `steps`, the length of the full test: 0.98 a step at 100,
    as in fastai, and the same picture at any other number of steps. Without the correction (Kingma & Ba,
    2015) the average would begin at zero.
    """
    beta, total, kept = 1 - 2 / steps, 0.0, np.empty(len(losses))
    for step, loss in enumerate(losses):
        total = beta * total + (1 - beta) * loss
        kept[step] = total / (1 - beta ** (step + 1))
    return kept


def diverged(smoothed: float, best: float, first: float) -> bool:
    """Has the smoothed loss left its best by more than three times that best?

    For a positive loss this is fastai's "above four times the best". The floor of 5 % of the first loss keeps
    a loss that came near zero, or is negative, from ending the test by a mere wobble.
    """
    return smoothed - best > 3 * max(abs(best), 0.05 * abs(first))


def fall_and_noise(raw: Any, smoothed: Any) -> tuple[float, float]:
    """How far the smoothed loss falls below its flat early part, and how far chance alone takes it (loss units).

    Flat part: the first quarter of the steps, where the rates are too small to learn. Noise: the standard
    deviation of one loss there, from the mean square of successive differences, which takes out a slow trend
    (von Neumann, 1941), times 10 / sqrt(steps), so that fewer steps must fall further. Of 3,000 curves of pure
    noise with 100 steps, three fell further than that.
    """
    flat = max(len(raw) // 4, 3)
    spread = math.sqrt(float(np.mean(np.diff(raw[:flat]) ** 2)) / 2)
    level = float(np.mean(raw[:flat]))
    fall = level - float(np.min(smoothed[flat:]))
    return fall if fall > 1e-6 * abs(level) else 0.0, spread * 10 / math.sqrt(len(raw))


def read(lrs: Any, smoothed: Any, steps: int) -> dict[str, float]:
    """The readings that a smoothed curve allows, by name; a reading that fails is left out.

    steepest: where the loss falls fastest per factor of the rate (Smith, 2015). minimum/10: a tenth of the
    rate at the lowest loss. valley, slide: see fastai's documentation of `lr_find`.
    """
    from nbtune._fastai.readings import read_slide, read_valley

    if len(lrs) < 4:
        return {}
    points = max(round(_POINTS * len(lrs) / steps), 4)
    log_lr = np.linspace(math.log(lrs[0]), math.log(lrs[-1]), points)
    loss = np.interp(log_lr, np.log(lrs), smoothed)[_SKIP_FIRST : points - _SKIP_LAST]
    loss = np.round(loss, 9)  # or the rounding of a flat part would look like a fall
    rate = np.exp(log_lr)[_SKIP_FIRST : points - _SKIP_LAST]
    if len(loss) < 4:
        return {}
    readings = {
        "valley": read_valley(rate.tolist(), loss.tolist()),
        "slide": read_slide(rate.tolist(), loss.tolist()),
        "steepest": _steepest(rate, loss),
        "minimum/10": float(rate[np.argmin(loss)]) / 10,
    }
    return {name: value for name, value in readings.items() if math.isfinite(value)}


def _steepest(rate: Any, loss: Any) -> float:
    """The middle of the window over which the loss falls most."""
    width = min(_WINDOW, len(loss) - 1)
    at = int(np.argmin(loss[width:] - loss[:-width]))
    return math.sqrt(float(rate[at]) * float(rate[at + width]))


def advise(lrs: Any, curves: Sequence[tuple[Any, Any]], steps: int, most: float = MOST) -> Advice:
    """The median over seeds of the middle one of the readings `VOTE`, or the reason for none.

    `curves` holds (raw, smoothed) of each complete test, finite, on the first steps of `lrs`. There is no
    suggestion when the loss falls less than its noise (medians over seeds), a reading cannot be made, the
    middle one has no other within the factor `most`, or the seeds lie further apart than that. Each reading
    fails in its own way (slide anywhere, minimum/10 too high while a loss keeps falling, steepest on a late
    dip): the middle one outvotes one of them. valley, which lies low, is shown only.
    """
    each = [read(lrs[: len(smoothed)], smoothed, steps) for _, smoothed in curves if len(smoothed)]
    readings = {
        name: _median([one[name] for one in each if name in one])
        for name in READINGS
        if any(name in one for one in each)
    }
    few = min((len(raw) for raw, _ in curves), default=0)
    if few < 4:
        return Advice(None, f"No suggestion: only {few} steps gave a finite loss.", readings)
    fall, noise = np.median([fall_and_noise(raw, smoothed) for raw, smoothed in curves], axis=0)
    if fall <= noise:
        reason = f"No suggestion: the loss falls by {fall:.2g}, no more than its noise of {noise:.2g}."
        return Advice(None, reason, readings)
    for name in VOTE:
        if name not in readings:
            return Advice(None, f"No suggestion: the curve has no {name} reading.", readings)
    votes = [sorted(one[name] for name in VOTE)[1] for one in each if all(name in one for name in VOTE)]
    return _agreement(readings, votes or [sorted(readings[name] for name in VOTE)[1]], most)


def _agreement(readings: dict[str, float], votes: Sequence[float], most: float) -> Advice:
    """The median of the seeds' votes, unless the readings or the seeds lie apart by more than `most`."""
    low, middle, high = sorted((readings[name], name) for name in VOTE)
    near = low if middle[0] / low[0] <= high[0] / middle[0] else high
    gap = max(near[0], middle[0]) / min(near[0], middle[0])
    if gap > most:
        all_three = ", ".join(f"{name} {rate:.2g}" for rate, name in (low, middle, high))
        return Advice(None, f"No suggestion: {all_three}: no two within a factor of {most:g}.", readings)
    band, rate = max(votes) / min(votes), _median(votes)
    seeds = f"over {len(votes)} seeds it lies between {min(votes):.2g} and {max(votes):.2g} (×{band:.1f})"
    if band > most:
        return Advice(None, f"No suggestion: {seeds}, wider than ×{most:g}.", readings)
    reason = f"Learning rate {rate:.2g}: {middle[1]} is the middle reading, and {near[1]} agrees ({near[0]:.2g})"
    return Advice(rate, f"{reason}; {seeds}." if len(votes) > 1 else f"{reason}.", readings)


def _median(values: Sequence[float]) -> float:
    """The median on the logarithmic axis, on which rates are compared."""
    return float(np.exp(np.median(np.log(values))))
