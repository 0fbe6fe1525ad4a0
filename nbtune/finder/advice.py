"""What the falls of a learning rate curve allow to say: a rate with its band, or why there is none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nbtune.finder.readings import FEWEST, PACE, READINGS, Fall, fall, pace, read

__all__ = ["MOST", "Advice", "advise"]

MOST = 3.0  # how far, as a factor, the seeds may lie apart
_DRAWN_OUT = 10.0  # rate at the end of a fall over that at its middle: above, the end is a late dip or chance
_ABOVE = 10.0  # end of a fall over the first rate: below, what the rates left out would have added counts
_EARLY = 0.75  # share of a fall in the first quarter: above, the level and noise that are read there are the fall's own
_NARROW = 100.0  # end / start below which a fall may come from the steps alone


@dataclass(frozen=True)
class Advice:
    """A learning rate or the reason why there is none."""

    suggestion: float | None
    reason: str  # a sentence or two
    readings: dict[str, float]  # each reading's median over seeds, as tested; those that could be made


def advise(lrs: Any, curves: Sequence[Any], most: float = MOST) -> Advice:
    """The median over seeds of the end of the fall, at the usual pace, or the reason for none.

    `curves` holds the losses of each complete test, finite, on the first steps of `lrs`, the whole series.
    The loss falls once the rates so far add up to enough, so with twice as many steps a decade it falls at
    half the rate: the end of the fall is scaled to 12.4 steps a decade, and tests of 40 and of 200 steps
    suggest about the same. That needs rates from well below the fall on: begun within it, the end comes out
    at a few times the first rate, whatever that is. There is no suggestion when the loss falls no more than
    its noise, still falls at the end, falls from the start on, over too narrow a range or for too long, or the
    seeds lie further apart than `most`. With a suggestion goes its reading, even if only all seeds together
    fall by more than their noise.
    """
    each = [read(lrs[: len(raw)], raw, len(lrs)) for raw in curves]
    readings = {
        name: _median([one[name] for one in each if name in one])
        for name in READINGS
        if any(name in one for one in each)
    }
    few = min((len(raw) for raw in curves), default=0)
    if few < FEWEST:
        return Advice(None, f"No suggestion: only {few} steps gave a finite loss.", readings)
    falls = [fall(lrs[: len(raw)], np.asarray(raw)) for raw in curves]
    last = float(lrs[max(len(raw) for raw in curves) - 1])
    votes = [one.end * pace(lrs) / PACE for one in falls]
    reason = _no_fall(lrs, falls) or _not_inside(lrs, falls, last, _median(votes)) or _unclear(falls, votes, most)
    if reason:
        return Advice(None, f"No suggestion: {reason}", readings)
    readings.pop("end of fall", None)
    readings = {"end of fall": _median([one.end for one in falls]), **readings}
    return Advice(_median(votes), _found(votes, pace(lrs)), readings)


def _no_fall(lrs: Any, falls: Sequence[Fall]) -> str:
    """Why there is no fall to read, or nothing."""
    span = f"from {lrs[0]:.2g} to {lrs[-1]:.2g}"
    if lrs[-1] / lrs[0] < _NARROW * (1 - 1e-9):
        told = f"the range {span} is too low or too narrow to tell a rate's effect from that of the steps"
        return f"{told}. Try {_wider(lrs)}."
    depth = float(np.mean([one.depth for one in falls]))
    noise = float(np.mean([one.noise for one in falls])) / math.sqrt(len(falls))
    if depth > noise:
        return ""
    told = f"the loss falls by {depth:.2g}, no more than its noise of {noise:.2g}"
    turned = any(one.turned for one in falls)
    if turned and lrs[0] <= 1e-6:
        return f"{told}, before it rises. More seeds or steps lower the noise: try seeds=5."
    if lrs[0] <= 1e-6 and lrs[-1] >= 1:
        return f"{told}. Look at the data and the loss, or try seeds=5 against the noise."
    high = turned or lrs[-1] >= 1
    fault = "ends too low" if lrs[0] <= 1e-6 else "starts too high" if high else "is too narrow"
    return f"{told}. The range {span} {fault}: try {_wider(lrs)}."


def _wider(lrs: Any) -> str:
    return f"lr_find(start={min(float(lrs[0]), 1e-7):.2g}, end={max(float(lrs[-1]), 10):.2g})"


def _not_inside(lrs: Any, falls: Sequence[Fall], last: float, rate: float) -> str:
    """Why the tested range does not hold the whole of the fall, or nothing."""
    # First, as a fall that is cut off at its beginning makes the other two wrong.
    if high := _begins_high(lrs, falls):
        return high
    higher = f"try end={max(10 * last, 10):.2g}" if last >= lrs[-1] else "the test broke off there"
    if sum(one.open for one in falls) * 2 > len(falls):
        return f"the loss still falls at {last:.2g}, the highest rate tested, so the best lies above it: {higher}."
    if rate > last:
        return f"the fall ends near {last:.2g}, the highest rate tested, and a rate above it is untried: {higher}."
    return ""


def _begins_high(lrs: Any, falls: Sequence[Fall]) -> str:
    """Why the range begins within the fall, or nothing."""
    early = float(np.median([one.early for one in falls]))
    if early <= _EARLY and _median([one.end for one in falls]) >= _ABOVE * lrs[0]:
        return ""
    lower = min(1e-7, float(lrs[0]) / 1000)
    return f"the loss falls from the first steps on, so {lrs[0]:.2g} is too high a start: try start={lower:.2g}."


def _unclear(falls: Sequence[Fall], votes: Sequence[float], most: float) -> str:
    """Why the falls do not say one rate, or nothing."""
    middle, end = (_median(rates) for rates in ([one.middle for one in falls], [one.end for one in falls]))
    if end > _DRAWN_OUT * middle:
        return f"half of the fall is done at {middle:.2g}, its end comes only at {end:.2g}. Try more steps, or seeds=5."
    if max(votes) / min(votes) <= most:
        return ""
    between = f"between {min(votes):.2g} and {max(votes):.2g}"
    return f"over {len(votes)} seeds the fall ends {between}, wider than ×{most:g}. Try more steps."


def _found(votes: Sequence[float], per_decade: float) -> str:
    """The suggestion in words, with its band over seeds where there is one."""
    low, high = f"{min(votes):.2g}", f"{max(votes):.2g}"
    band = f"{low} to {high}" if low != high else "the same"
    which = f" ({band} over {len(votes)} seeds)" if len(votes) > 1 else ""
    said = [f"Learning rate {_median(votes):.2g}{which}: above it the loss hardly falls further."]
    if abs(per_decade / PACE - 1) > 0.05:
        said.append(f"Scaled from {per_decade:.3g} steps a decade of rate to the usual {PACE:.3g}.")
    if len(votes) == 1:
        said.append("One seed gives no band: seeds=3 does.")
    return " ".join(said)


def _median(values: Sequence[float]) -> float:
    """The median on the logarithmic axis, on which rates are compared."""
    return float(np.exp(np.median(np.log(values))))
