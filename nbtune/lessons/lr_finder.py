"""Exercises of 06_lr_finder: a curve for the whole network; the steepest fall."""

from __future__ import annotations

from collections.abc import Callable
from math import isclose
from typing import Any

import numpy as np

from nbtune.finder import LRCurve
from nbtune.lessons.exercise import FINITE_NUMBER, FUNCTION, Exercise, a

__all__ = ["steepest", "whole_network"]


def _whole_network(curve: LRCurve) -> str | None:
    if curve.measured_for is not None and curve.measured_for.norms:
        return (
            f"only {curve.measured_for.first} and what follows trained when this was measured. Let every group train."
        )
    if curve.ratios is None or min(curve.ratios) == max(curve.ratios):
        return "all groups were tested at the same rate. Which form of lr gives their proportions?"
    share = curve.ratios[0] / curve.ratios[-1]
    if not isclose(share, 0.001, rel_tol=0.05):
        return f"a thousandth, 0.001, was asked for; here the stem learns at {share:.2g} times the head's rate."
    if len(curve.losses) < 3:
        return f"{len(curve.losses)} seed(s) give no band worth the name. Which argument repeats the test?"
    if curve.suggestion is None:
        return f"the curve suggests no rate, and says why: {curve.verdict}"
    return None


whole_network = Exercise(
    name="lr_finder.whole_network",
    question="Measure a curve for the whole network, in which the stem learns at a thousandth of the head's rate, with "
    "three seeds or more, and which suggests a rate. Give the curve.",
    takes=a("an LRCurve, as tuner.lr_find gives it", LRCurve),
    look=_whole_network,
    right="its axis is the rate of the head; fit(lr=curve) takes it in the same proportions.",
    hints=(
        "A curve is of one plan: say first what trains.",
        "lr_find(lr=slice(lo, hi)) tests groups in these proportions; only the ratio of the two counts.",
        "tuner.unfreeze(), then tuner.lr_find(lr=slice(1 / 1000, 1), seeds=3).",
    ),
    code="""
import nbtune as nt

task = nt.tasks.digits(shots=2, seed=0)
tuner = nt.Tuner(task.learner("letters", seed=0), seed=0)
tuner.unfreeze()
answer = tuner.lr_find(lr=slice(1 / 1000, 1), seeds=3, steps=50)
""",
)


def _losses(lrs: Any, centre: float) -> Any:
    """A loss that falls steepest at `centre` on a logarithmic axis, and blows up above 3."""
    fall = 1 / (1 + np.exp(-2 * np.log(lrs / centre)))
    return 2.3 - 2 * fall + 20 / (1 + np.exp(-6 * np.log(lrs / 3)))


def _not_a_rate(given: float, lrs: Any) -> str | None:
    asked = f"a rate between {lrs[0]:g} and {lrs[-1]:g} is asked for, and this gave {given:g}"
    if given < 0:
        return f"{asked}: the logarithm of a rate, or a slope?"
    if isclose(given, lrs[-1]):
        return f"{asked}, the last of them: there the loss blows up. Look at the slope."
    if given == round(given):
        return f"{asked}: a place in the list?"
    return None if lrs[0] <= given <= lrs[-1] else f"{asked}."


def _steepest(function: Callable[[Any, Any], Any]) -> str | None:
    lrs = np.geomspace(1e-7, 10, 100)
    for centre in (1e-3, 1e-2):
        losses = _losses(lrs, centre)
        given = float(function(lrs, losses))
        if advice := _not_a_rate(given, lrs):
            return advice
        if 0.8 < given / lrs[losses.argmin()] < 1.25:
            return "that is where the loss is lowest, and the rate there is nearly too high. Look at the slope."
        if given > 1:
            return "that is in the blow-up: which way does the loss go there, and which sign has the slope of a fall?"
        if not 0.8 < given / centre < 1.25:
            return "it is a place on the fall, and not its steepest. Is your slope taken along the axis as it is drawn?"
    return None


steepest = Exercise(
    name="lr_finder.steepest",
    question="Write steepest(lrs, losses): the rate at which the loss falls most steeply, as the curve "
    "is drawn: over the logarithm of the rate. Both are arrays of the same length.",
    takes=FUNCTION,
    look=_steepest,
    gives=FINITE_NUMBER,
    right="that is one of the classical readings. It ignores noise, so on a measured curve smooth first.",
    hints=(
        "The curve is drawn over the logarithm of the rate.",
        "numpy.gradient(values, places) gives slopes; a fall is negative.",
        "Take lrs at the argmin of the gradient of losses along numpy.log(lrs).",
    ),
    code="""
import numpy as np


def answer(lrs, losses):
    return lrs[np.gradient(losses, np.log(lrs)).argmin()]
""",
)
