"""Does a training over- or underfit? One sentence, with its evidence and how sure it is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from nbtune._display import figure

__all__ = ["WIDEST", "Epoch", "Judgement", "judge"]

Floats = NDArray[np.float64]

EPOCHS = 3  # whole epochs, before which a course cannot be told from chance
ITEMS = 20  # validation items, below which their spread is not known well enough
WINDOW, WIDEST = 3, 10  # the fewest and the most epochs over which a change is looked for


@dataclass(frozen=True, eq=False)
class Epoch:
    """What one epoch tells of the fit."""

    train: float  # mean loss over the epoch's training items, as they passed
    valid: float  # mean loss over the validation items after it
    train_error: float = 0.0  # standard error of `train` over its batches
    items: Floats | None = None  # the loss of each validation item, or of each batch where single ones are not known
    metric: float = math.nan  # the first metric


@dataclass(frozen=True, eq=False)
class Judgement:
    """What the losses of a phase say of over- and underfitting; `bool()` is true where that is a problem.

    `verdict`: "overfits", "underfits", "diverges", "learns", "level", or "unknown". Changes and their noise (half
    of a 95 % interval) are in units of the loss; nan where they are not known.
    """

    verdict: str
    sentence: str
    gap: float = math.nan  # valid loss above train loss, in the last epoch
    gap_noise: float = math.nan
    rise: float = math.nan  # valid loss above its lowest, mean of the epochs since, at most the last fifth
    rise_noise: float = math.nan
    items: int = 0  # validation items
    best: int = 0  # epoch of the lowest valid loss, from 1

    def __bool__(self) -> bool:
        return self.verdict in ("overfits", "underfits", "diverges")

    def __repr__(self) -> str:
        return self.sentence


def judge(epochs: Sequence[Epoch], metric: str = "") -> Judgement:
    """What the epochs of one phase say of its fit.

    The valid loss is compared with its lowest item by item (a paired difference: the same items), with Student's t
    corrected by Bonferroni for having chosen the lowest of several epochs, and with the scatter from epoch to epoch. A
    rise beyond that noise while the train loss went on falling is overfitting; without that it is divergence.

    Example:
        >>> judge([Epoch(1.0, 1.1)])
        Over- or underfitting cannot be judged before 3 whole epochs of a phase (1 so far).
    """
    if reason := _unknown(epochs):
        return Judgement("unknown", reason, items=_items(epochs))
    best = min(range(len(epochs)), key=lambda at: epochs[at].valid)
    now, low = epochs[-1], epochs[best]
    gap, gap_noise = now.valid - now.train, _gap_noise(now)
    since = epochs[best + 1 :][-_window(epochs) :]
    rise, rise_noise = _change([low], since, epochs, choices=len(epochs)) if since else (0.0, math.nan)
    shown = f"gap to train {figure(gap)} ± {figure(gap_noise)}"
    known: dict[str, Any] = {
        "gap": gap, "gap_noise": gap_noise, "rise": rise, "rise_noise": rise_noise,
        "items": _items(epochs), "best": best + 1,
    }  # fmt: skip
    if len(since) > 1 and rise > rise_noise:
        fell = low.train - now.train
        falls = fell > 2 * math.hypot(now.train_error, low.train_error) or (fell > 0 and gap > gap_noise)
        return Judgement("overfits" if falls else "diverges", _risen(low, now, known, falls, metric), **known)
    window = min(_window(epochs), len(epochs) - 1)
    fall, fall_noise = _change([now], [epochs[-1 - window]], epochs)
    train_fall = epochs[-1 - window].train - now.train
    train_moves = train_fall > 2 * math.hypot(now.train_error, epochs[-1 - window].train_error)
    under = now.train > now.valid - gap_noise
    if fall > fall_noise:
        change = f"valid loss fell {figure(fall)} ± {figure(fall_noise)} in {window} epochs"
        if under and train_moves:
            return Judgement(
                "underfits", f"Underfits so far: {change}, and train loss is not clearly below it ({shown}).", **known
            )
        return Judgement("learns", f"Still learns: {change}; no sign of overfitting ({shown}).", **known)
    return Judgement("level", _level(since, best, known, under and not train_moves, shown, now.train), **known)


def _unknown(epochs: Sequence[Epoch]) -> str:
    """Why nothing can be said, or ""."""
    if epochs and not any(math.isfinite(epoch.valid) for epoch in epochs):
        return "Over- or underfitting cannot be judged: there is no valid loss."
    if not all(math.isfinite(value) for epoch in epochs for value in (epoch.train, epoch.valid)):
        return "Over- or underfitting cannot be judged: a loss was not finite."
    if len(epochs) < EPOCHS:
        return f"Over- or underfitting cannot be judged before {EPOCHS} whole epochs of a phase ({len(epochs)} so far)."
    if (count := _items(epochs)) < ITEMS:
        what = f"{count} validation items are" if count else "the losses of the validation items are not known, they"
        return f"Over- or underfitting cannot be judged: {what} too few to know the noise of the valid loss."
    return ""


def _window(epochs: Sequence[Epoch]) -> int:
    """Epochs over which a change is looked for: a fifth of the phase, within limits."""
    return min(WIDEST, max(WINDOW, len(epochs) // 5))


def _items(epochs: Sequence[Epoch]) -> int:
    return len(epochs[-1].items) if epochs and epochs[-1].items is not None else 0


def _gap_noise(now: Epoch) -> float:
    assert now.items is not None
    return 1.96 * math.hypot(_standard_error(now.items), now.train_error)


def _standard_error(values: Floats) -> float:
    return float(np.std(values, ddof=1) / math.sqrt(len(values)))


def _change(
    before: Sequence[Epoch], after: Sequence[Epoch], epochs: Sequence[Epoch], choices: int = 1
) -> tuple[float, float]:
    """How much higher the valid loss is in `after`, and half of a 95 % interval of that; infinite if not known."""
    change = float(np.mean([one.valid for one in after]) - np.mean([one.valid for one in before]))
    held = [[one.items for one in part if one.items is not None] for part in (before, after)]
    if not all(held) or len({len(items) for part in held for items in part}) != 1:
        return change, math.inf
    pairs = np.mean(held[1], axis=0) - np.mean(held[0], axis=0)
    points = 1 - 0.025 / choices
    sampling = stats.t.ppf(points, len(pairs) - 1) * _standard_error(pairs)
    scatter = _scatter([one.valid for one in epochs]) * math.sqrt(1 / len(before) + 1 / len(after))
    return change, float(math.hypot(sampling, stats.norm.ppf(points) * scatter))


_SCATTER = 20  # last epochs from which the scatter is known


def _scatter(valid: Sequence[float]) -> float:
    """Standard deviation of a series about its smooth course, from second differences; 0 for a straight one.

    A bend of the course counts as scatter: that errs towards saying less.
    """
    bends = np.diff(valid[-_SCATTER:], 2) / math.sqrt(6)
    return float(np.sqrt(np.mean(bends**2))) if len(bends) else 0.0


def _risen(low: Epoch, now: Epoch, known: Mapping[str, Any], falls: bool, metric: str) -> str:
    rise = (
        f"valid loss is {figure(known['rise'])} ± {figure(known['rise_noise'])} above its lowest "
        f"({figure(low.valid)}, epoch {known['best']})"
    )
    if not falls:
        went = f"{figure(low.train)} to {figure(now.train)}"
        return f"Diverges: {rise} and train loss did not fall ({went}): try a lower rate."
    fell = f"train loss fell from {figure(low.train)} to {figure(now.train)}"
    also = ""
    if math.isfinite(low.metric) and math.isfinite(now.metric) and metric:
        also = f"; {metric} went from {figure(low.metric)} to {figure(now.metric)}"
    return f"Overfits: {rise} while {fell}{also}."


def _level(since: Sequence[Epoch], best: int, known: Mapping[str, Any], under: bool, shown: str, train: float) -> str:
    if under:
        return (
            f"Learns no more: neither loss moves beyond its noise, and train loss is not clearly below valid "
            f"({shown}). Where a train loss of {figure(train)} is not low enough it underfits: try another rate."
        )
    if not since:
        return f"No sign of overfitting yet: the last epoch has the lowest valid loss, within noise ({shown})."
    rise = f"{figure(known['rise'])} ± {figure(known['rise_noise'])}"
    plural = "epoch" if len(since) == 1 else "epochs"
    ago = f"not improved since epoch {best + 1}, by {rise} in the last {len(since)} {plural}"
    return f"No sign of overfitting beyond noise: valid loss has {ago} ({shown})."
