"""The learning rate range test (Smith, 2015), on a borrowed Learner that comes back to the bit."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nbtune.finder.advice import advise
from nbtune.finder.checks import check_count, check_learner, check_range, check_ratios
from nbtune.finder.curve import Fingerprint, LRCurve
from nbtune.finder.sweep import Sweep, one_test

__all__ = ["Fingerprint", "LRCurve", "range_test"]


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
    measured_for: Fingerprint | None = None,
    on_step: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> LRCurve:
    """Train `steps` batches while the rate grows from `start` to `end`, and undo all of it.

    The rates are a geometric series; the loader is repeated as often as needed. A test ends early when its
    average loss leaves its best behind, a loss is not finite, or `should_stop()` is true. `seeds` repeats it
    from the same weights with other random streams (data order, dropout) from `seed` on. `make_opt(learn)`
    makes a fresh optimizer (default: the Learner's own kind); `ratios` are the rates of its groups over the
    top rate, so that discriminative rates are tested together and the axis is the top rate. `on_step(done,
    total)` is called after every step; `measured_for` is kept with the curve. Of the callbacks only those
    that take part in a step are run; weights, optimizer, random streams, callbacks and files are as before,
    whatever ends the test.

    Source: Smith (2015), Cyclical Learning Rates for Training Neural Networks. Raises InputError or
    InputTypeError, before anything is touched, for a range, count or Learner that cannot be tested.
    """
    check_range(start, end)
    for name, value in (("steps", steps), ("seeds", seeds), ("seed", seed)):
        check_count(name, value)
    check_ratios(ratios)
    check_learner(learn)
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
    return _curve(lrs, sweeps, ratios, seeds, measured_for)


def _curve(lrs: Any, sweeps: list[Sweep], ratios: Any, seeds: int, measured_for: Fingerprint | None) -> LRCurve:
    """The value from what was measured; a test that was stopped by hand gives points but no advice."""
    steps = len(lrs)
    longest = max(max(len(sweep.measured) for sweep in sweeps), 1)
    losses = np.full((len(sweeps), longest), math.nan)
    for row, sweep in zip(losses, sweeps, strict=True):
        row[: len(sweep.measured)] = sweep.measured
    whole = [np.array(sweep.measured) for sweep in sweeps if sweep.ended != "stopped"]
    advice = advise(lrs, whole)
    reason = advice.reason if whole else "No suggestion: no test was complete."
    verdict = " ".join([reason, *_remarks(lrs, sweeps, seeds)])
    shares = None if ratios is None else tuple(float(ratio) for ratio in ratios)
    return LRCurve(lrs[:longest], losses, advice.suggestion, verdict, advice.readings, steps, shares, measured_for)


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
    return remarks
