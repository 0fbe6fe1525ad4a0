"""Exercises of 09_regularise: a paired difference with its error; augmented views kept."""

from __future__ import annotations

from collections.abc import Callable
from math import isclose, sqrt
from typing import Any

import pandas as pd

from nbtune.lessons.exercise import FUNCTION, Exercise, a, two_numbers
from nbtune.tuner import Tuner

__all__ = ["kept_views", "paired"]


def _paired(function: Callable[[Any, Any], Any]) -> str | None:
    accuracy = pd.DataFrame([[0.90, 0.70, 0.80], [0.88, 0.69, 0.75]], index=["with it", "without"])
    mean, error = (float(value) for value in function(accuracy.loc["with it"], accuracy.loc["without"]))
    spread = sqrt(((0.02 - 0.08 / 3) ** 2 + (0.01 - 0.08 / 3) ** 2 + (0.05 - 0.08 / 3) ** 2) / 2)
    if isclose(mean, -0.08 / 3, rel_tol=1e-6):
        return "the mean has the wrong sign: what is with the technique, minus what is without."
    if not isclose(mean, 0.08 / 3, rel_tol=1e-6):
        return "the mean of the differences is not right yet."
    if isclose(error, spread, rel_tol=1e-6):
        return "the mean is right. That is the spread of single differences; a mean of n of them is surer than one."
    if isclose(error, spread * sqrt(2 / 3) / sqrt(3), rel_tol=1e-6):
        return "nearly: with the mean taken from the same n values, the spread divides by n - 1, not by n."
    if not isclose(error, spread / sqrt(3), rel_tol=1e-6):
        return (
            "the mean is right, its error is not. Is it made of the differences seed by seed, or of the two rows apart?"
        )
    return None


paired = Exercise(
    name="regularise.paired",
    question="Write paired(with_it, without): the mean of the differences seed by seed, and its standard error, as two "
    "numbers.",
    takes=FUNCTION,
    look=_paired,
    gives=two_numbers("the mean and its standard error"),
    right="what the draws have in common drops out of the differences, so fewer seeds are needed.",
    hints=(
        "Both rows are in the order of the seeds: subtract one from the other, item by item.",
        "The standard deviation of the differences has n - 1 below (statistics.stdev).",
        "Divide it by the root of n.",
    ),
    code="""
from statistics import fmean, stdev


def answer(with_it, without):
    differences = [one - other for one, other in zip(with_it, without)]
    return fmean(differences), stdev(differences) / len(differences) ** 0.5
""",
)


def _kept_views(tuner: Tuner) -> str | None:
    if not len(tuner.history):
        return "it has not been trained yet."
    last = tuner.history.phases[-1]
    if not tuner.plan.still:
        return "nothing is still, so nothing can be kept."
    if not last.augmented:
        return "the last training saw the images without the random transforms. Which argument of fit turns them on?"
    if not last.cached:
        return f"the cache was not used, and the history says why: {last.why} Which argument keeps several views?"
    return None


kept_views = Exercise(
    name="regularise.kept_views",
    question="Train a head on a still body with augmentation and with the cache in use. Give the Tuner.",
    takes=a("a Tuner", Tuner),
    look=_kept_views,
    right="each image was deformed a few times, once and for all: less variety than live augmentation, "
    "at the price of a cache.",
    hints=(
        "Hold the body still; then look at the arguments of fit.",
        "augment=True alone makes every epoch see other images, which cannot be kept.",
        "views=4 keeps four deformed views of each image.",
    ),
    code="""
import nbtune as nt

task = nt.tasks.digits(shots=5, seed=0)
answer = nt.Tuner(task.learner("letters", seed=0), seed=0)
answer.freeze()
answer.fit(10, 3e-3, augment=True, views=4)
""",
)
