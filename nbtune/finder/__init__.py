"""The learning rate range test (Smith, 2015), on a borrowed Learner that comes back to the bit."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np

from nbtune._display import COLD, GREY, WARM, Chart, chart, html_table, html_value
from nbtune.errors import InputError, InputTypeError
from nbtune.finder.readings import advise, smooth
from nbtune.finder.sweep import Sweep, one_test

__all__ = ["LRCurve", "range_test"]

_FEWEST = 10  # steps: below, no reading has a point to stand on


@dataclass(frozen=True, eq=False)
class LRCurve:
    """The loss against the learning rate, what it suggests, and how far that can be relied on.

    Two curves are equal when all that they hold is equal. The arrays are read-only.
    """

    lrs: Any  # float64 [steps]: top learning rate of each step, geometric
    losses: Any  # float64 [seeds, steps]: the batch losses as measured; nan where a test had ended
    suggestion: float | None  # top learning rate to use, or None
    verdict: str  # why this suggestion or none, and all that was unusual about the test
    readings: dict[str, float]  # steepest, minimum/10, valley, slide (median over seeds), where they exist
    steps: int  # planned steps a seed; fewer were made where the test diverged or was stopped
    ratios: tuple[float, ...] | None = None  # rate over top rate of each optimizer group; None: all equal
    fingerprint: str = ""  # of the state that was measured, for the owner to tell later that it is stale
    smoothed: Any = field(init=False, repr=False)  # float64 [seeds, steps]: bias-corrected average of `losses`

    def __post_init__(self) -> None:
        lrs, losses = np.array(self.lrs, dtype=float), np.atleast_2d(np.array(self.losses, dtype=float))
        averages = np.full_like(losses, math.nan)
        for row, average in zip(losses, averages, strict=True):
            measured = int(np.isfinite(row).sum())
            average[:measured] = smooth(row[:measured], self.steps)
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
        for row in self.losses:
            ax.plot(self.lrs, row, ".", color=GREY, markersize=2, alpha=0.5)
        middle = _middle(self.smoothed)
        if len(self.losses) > 1:
            ax.fill_between(self.lrs, *self.band, color=WARM, alpha=0.2, linewidth=0)
        ax.plot(self.lrs, middle, color=WARM, linewidth=2)
        for name, rate in self.readings.items():
            at = float(np.interp(math.log(rate), np.log(self.lrs), middle))
            ax.plot(rate, at, "|", color=GREY, markersize=12)
            ax.annotate(name, (rate, at), (2, 8), textcoords="offset points", fontsize=8, color=GREY, rotation=45)
        if self.suggestion is not None:
            ax.axvline(self.suggestion, color=COLD, label=f"suggestion {self.suggestion:.2g}")
            ax.legend(frameon=False)
        ax.set_xscale("log")
        ax.set_xlabel("learning rate (log)")
        ax.set_ylabel("loss")
        _limits(ax, middle, float(np.nanmin(self.losses, initial=math.inf)))
        return figure

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LRCurve) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[object, ...]:
        told = (self.suggestion, self.verdict, tuple(self.readings.items()), self.ratios, self.fingerprint)
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


def _limits(ax: Any, middle: Any, low: float) -> None:
    """Keep the blow-up at the right end from flattening the rest; `low` is the lowest single loss."""
    first = float(middle[0])
    if not math.isfinite(low):  # nothing was measured
        return
    room = max(first - low, 0.1 * abs(first), 1e-6)
    ax.set_ylim(low - 0.1 * room, max(first, low) + room)


def range_test(
    learn: Any,
    *,
    make_opt: Callable[[Any], Any] | None = None,
    start: float = 1e-7,
    end: float = 10,
    steps: int = 100,
    seeds: int = 1,
    ratios: Sequence[float] | None = None,
    seed: int = 0,
    on_step: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> LRCurve:
    """Train `steps` batches while the rate grows from `start` to `end`, and undo all of it.

    The rates are a geometric series; the loader is repeated as often as needed. A test ends early when its
    smoothed loss leaves its best behind, a loss is not finite, or `should_stop()` is true. `seeds` repeats it
    from the same weights with other random streams (data order, dropout) from `seed` on. `make_opt(learn)`
    makes a fresh optimizer (default: the Learner's own kind); `ratios` are the rates of its groups over the
    top rate, so that discriminative rates are tested together and the axis is the top rate. `on_step(done,
    total)` is called after every step. Of the callbacks only those that take part in a step are run; weights,
    optimizer, random streams, callbacks and files are as before, whatever ends the test.

    Source: Smith (2015), Cyclical Learning Rates for Training Neural Networks. Raises InputError or
    InputTypeError, before anything is touched, for a range, count or Learner that cannot be tested.
    """
    _check_range(start, end)
    for name, value, least in (("steps", steps, _FEWEST), ("seeds", seeds, 1), ("seed", seed, 0)):
        _check_count(name, value, least)
    _check_ratios(ratios)
    _check_learner(learn)
    lrs = np.geomspace(start, end, steps)
    sweeps: list[Sweep] = []
    for number in range(seeds):
        before = steps * number
        report = (lambda done, b=before: on_step(b + done, steps * seeds)) if on_step else None
        sweep = Sweep(lrs, ratios, report, should_stop)
        one_test(learn, sweep, make_opt, seed + number)
        sweeps.append(sweep)
        if sweep.ended == "stopped":
            break
    return _curve(lrs, sweeps, ratios, seeds)


def _curve(lrs: Any, sweeps: list[Sweep], ratios: Sequence[float] | None, seeds: int) -> LRCurve:
    """The value from what was measured; a test that was stopped by hand gives points but no advice."""
    steps = len(lrs)
    longest = max(max(len(sweep.measured) for sweep in sweeps), 1)
    losses = np.full((len(sweeps), longest), math.nan)
    for row, sweep in zip(losses, sweeps, strict=True):
        row[: len(sweep.measured)] = sweep.measured
    whole = [sweep for sweep in sweeps if sweep.ended != "stopped"]
    curves = [(np.array(sweep.measured), smooth(sweep.measured, steps)) for sweep in whole]
    advice = advise(lrs, curves, steps)
    reason = advice.reason if whole else "No suggestion: no test was complete."
    verdict = " ".join([reason, *_remarks(lrs, sweeps, seeds)])
    shares = None if ratios is None else tuple(float(ratio) for ratio in ratios)
    return LRCurve(lrs[:longest], losses, advice.suggestion, verdict, advice.readings, steps, shares)


def _remarks(lrs: Any, sweeps: list[Sweep], seeds: int) -> list[str]:
    """What was unusual about the tests, a sentence each."""
    remarks = [sweeps[0].note] if sweeps[0].note else []
    broken = [lrs[len(sweep.measured)] for sweep in sweeps if sweep.ended == "not finite"]
    if broken:
        remarks.append(f"The loss was not finite at a rate of {min(broken):.2g}; the curve ends before it.")
    last = sweeps[-1]
    if last.ended == "stopped":
        which = f" of test {len(sweeps)} of {seeds}" if seeds > 1 else ""
        remarks.append(f"Stopped after step {len(last.measured)} of {len(lrs)}{which}.")
    if all(sweep.ended == "" and int(np.argmin(sweep.averages)) >= len(lrs) - 6 for sweep in sweeps):
        remarks.append(f"The loss still fell at the end: the best rate may lie above {lrs[-1]:.2g}.")
    return remarks


def _check_range(start: Any, end: Any) -> None:
    for name, value in (("start", start), ("end", end)):
        if isinstance(value, bool) or not isinstance(value, Real):
            raise InputTypeError(
                f"lr_find({name}={value!r}), a {type(value).__name__}.",
                rule="start and end are learning rates: numbers above 0.",
                likely="a number written as text." if isinstance(value, str) else "another argument's value.",
                next="lr_find(start=1e-7, end=10)",
            )
        if not math.isfinite(value) or value <= 0:
            raise InputError(
                f"lr_find({name}={float(value):g}).",
                rule="start and end are finite and above 0: the rates are a geometric series.",
                likely="an exponent without its base: 1e-7, not -7." if value < 0 else "a linear range.",
                next="lr_find(start=1e-7, end=10)",
            )
    if start >= end:
        raise InputError(
            f"lr_find(start={float(start):g}, end={float(end):g}) runs the wrong way or nowhere.",
            rule="start is below end.",
            likely="the two are swapped.",
            next=f"lr_find(start={min(float(end), 1e-7):g}, end={max(float(start), 10):g})",
        )


def _check_count(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise InputTypeError(
            f"lr_find({name}={value!r}), a {type(value).__name__}.",
            rule=f"{name} is a whole number of at least {least}.",
            likely="a result of a division, or a list where its length was meant.",
            next=f"lr_find({name}={max(least, 1)})",
        )
    if value < least:
        raise InputError(
            f"lr_find({name}={int(value)}).",
            rule=f"{name} is a whole number of at least {least}.",
            likely="a quick trial: fewer steps give no curve to read." if name == "steps" else "a typo.",
            next=f"lr_find({name}={max(least, 1)})",
        )


def _check_ratios(ratios: Any) -> None:
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


def _check_learner(learn: Any) -> None:
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
