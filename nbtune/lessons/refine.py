"""Exercises of 11_refine: the interval of a mean difference; a sweep whose best setting lies inside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from nbtune.lessons.exercise import FUNCTION, Exercise, a, two_numbers
from nbtune.questions import Sweep

__all__ = ["inside", "interval"]

_SAMPLES = ([0.01, 0.02, 0.03], [0.0, -0.01, 0.02, 0.01, 0.03], [-0.02, 0.02, -0.01, 0.04, 0.0, 0.01, 0.01])


def _interval(function: Callable[[Any], Any]) -> str | None:
    for sample in map(pd.Series, _SAMPLES):
        low, high = function(sample.copy())
        if low > high:
            return "the low limit comes first; yours are the other way round."
        error = sample.std(ddof=1) / np.sqrt(len(sample))
        half = stats.t.ppf(0.975, len(sample) - 1) * error
        if abs((low + high) / 2 - sample.mean()) > 1e-9:
            return "the interval does not lie around the mean of the differences."
        found = (high - low) / 2
        if abs(found - half * np.sqrt(len(sample))) < 1e-6:
            return "that is where single differences lie; the mean of n of them is known better, by the root of n."
        if abs(found - half * np.sqrt((len(sample) - 1) / len(sample))) < 1e-6:
            return "numpy's std divides by n; for a sample it is n - 1: std(ddof=1)."
        if abs(found - 1.96 * error) < 1e-4:
            return "1.96 holds for many differences; for few the factor is larger, from Student's t."
        if abs(found - 1.96 * error * np.sqrt((len(sample) - 1) / len(sample))) < 1e-4:
            return "std() divides by n and not by n - 1; and for few differences the factor is larger than 1.96."
        if abs(found - stats.t.ppf(0.95, len(sample) - 1) * error) < 1e-6:
            return "that is the 90 % interval: 0.95 leaves 5 % above it; take 0.975."
        if abs(found - half) > 1e-6:
            return f"around the mean of {sample.tolist()} yours is ± {found:.4f}, and t gives ± {half:.4f}."
    return None


interval = Exercise(
    name="refine.interval",
    question="Write interval(differences): the limits of the 95 % interval of the mean of paired differences.",
    takes=FUNCTION,
    look=_interval,
    gives=two_numbers("the low limit and the high one"),
    right="with three differences the factor is 4.3 and not 2: three draws show only what is large.",
    hints=(
        "The mean of n differences is known to their standard deviation divided by the root of n.",
        "The standard deviation of a sample divides by n - 1: numpy.std(differences, ddof=1).",
        "half = scipy.stats.t.ppf(0.975, n - 1) * std / n ** 0.5; the limits are mean - half and mean + half.",
    ),
    code="""
import numpy as np
from scipy import stats

def answer(differences):
    n, mean = len(differences), np.mean(differences)
    half = stats.t.ppf(0.975, n - 1) * np.std(differences, ddof=1) / n ** 0.5
    return mean - half, mean + half
""",
)


def _inside(sweep: Sweep) -> str | None:
    if len(sweep.results) < 8:
        return f"{len(sweep.results)} settings were looked at; 8 or more were asked for."
    rates = sorted({float(result.setting.lr) for result in sweep.results})
    if rates[-1] / rates[0] < 1000 * (1 - 1e-9):
        return f"the rates span a factor of {rates[-1] / rates[0]:.3g}; let them span 1000 or more."
    best = float(sweep.best["lr"])
    if best in (rates[0], rates[-1]):
        end, way = ("lowest", "lower") if best == rates[0] else ("highest", "higher")
        return f"the best rate, {best:g}, is the {end} that was tried. Look at {way} ones too."
    return None


inside = Exercise(
    name="refine.inside",
    question="Make a sweep of 8 settings or more over rates that span a factor of 1000, the best of them inside.",
    takes=a("what tuner.sweep(...) gives", Sweep),
    look=_inside,
    right="the best is not at an end of what you tried. What was dropped early was worse after few epochs only.",
    hints=(
        "tuner.sweep takes lrs and wds; every combination is a setting.",
        "Rates are spread by factors: 1e-5, 1e-3, 1e-1 and so on. Is one clearly too low, one clearly too high?",
        "lrs=[1e-5, 1e-3, 1e-2, 10.0] has two that cannot win; wds=[0.0, 0.1] makes it 8 settings.",
    ),
    code="""
import nbtune as nt

task = nt.tasks.digits(shots=2, seed=0)
tuner = nt.Tuner(task.learner("letters", seed=0), seed=0)
tuner.freeze()
answer = tuner.sweep(lrs=[1e-5, 1e-3, 1e-2, 10.0], wds=[0.0, 0.1], epochs=3, seeds=2)
""",
)
