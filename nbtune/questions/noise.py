"""How much the metric moves by the seed alone, so that a difference can be judged."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import stdev
from typing import Any

from scipy import stats

from nbtune import rates
from nbtune._cut import Cut
from nbtune._display import COLD, GREY, Chart, chart, html_table, html_value, seconds
from nbtune._fastai.feed import Stopped
from nbtune._numbers import real, whole
from nbtune.cache import Store
from nbtune.errors import InputError
from nbtune.evaluate.intervals import Estimate
from nbtune.phases import PASSES
from nbtune.questions._words import mean_of, points, span, value, went_on, within
from nbtune.questions.checks import check_batches, check_seed, check_split
from nbtune.questions.trials import Setting, Trials, metric_of, progress, since
from nbtune.rates import resolve

__all__ = ["Noise", "noise"]


@dataclass(frozen=True, repr=False)
class Noise:
    """The same training with several seeds, as measured on the same validation items."""

    scores: tuple[float, ...]  # the metric of each run whose loss stayed finite
    seeds: tuple[int, ...]  # of those runs
    metric: str
    setting: Setting
    epochs: int
    planned: int  # runs asked for
    diverged: int
    seconds: float
    partial: bool = False  # stopped before it was done
    trained: int = 0  # epochs of training behind the weights that each run began with

    @property
    def mean(self) -> Estimate:
        """The mean over seeds with its 95 % t interval."""
        return mean_of(self.metric, self.scores)

    @property
    def sd(self) -> Estimate:
        """The standard deviation by seed with its 95 % interval (chi-squared); nan below two runs."""
        n = len(self.scores)
        if n < 2:
            return Estimate(math.nan, math.nan, math.nan)
        sd = stdev(self.scores)
        low, high = (sd * math.sqrt((n - 1) / float(stats.chi2.ppf(q, n - 1))) for q in (0.975, 0.025))
        return Estimate(sd, low, high)

    @property
    def difference(self) -> float:
        """Two runs with one seed each differ by less than this in 95 % of cases, by the seed alone; nan if unknown."""
        n = len(self.scores)
        return within(math.sqrt(2) * self.sd.value, n - 1) if n > 1 else math.nan

    @property
    def sentence(self) -> str:
        """What the seed alone does, and which differences say nothing."""
        n = len(self.scores)
        more = went_on(self.trained)
        more += f" Stopped after {n} of {self.planned} runs." if self.partial else ""
        more += f" {self.diverged} of the runs diverged and are left out." if self.diverged else ""
        if n < 2:
            return f"{n} run{'s' if n != 1 else ''} cannot tell the noise.{more}"
        sd, limits = points(self.metric, self.sd.value), [points(self.metric, x) for x in (self.sd.low, self.sd.high)]
        said = (
            f"{self.metric} on validation over {n} seeds: {span(self.metric, self.mean)}, standard deviation {sd} "
            f"({limits[0].split()[0]} to {limits[1]}): "
        )
        if self.sd.value == 0:
            said += "the seed made no difference at all here."
        else:
            apart = points(self.metric, self.difference)
            said += f"two runs that differ by less than {apart} cannot be told apart by one seed each."
        return f"{said} {seconds(self.seconds).capitalize()}.{more}"

    def frame(self) -> Any:
        """A pandas frame, a row a run: seed, metric."""
        import pandas as pd

        return pd.DataFrame({"seed": self.seeds, self.metric: self.scores})

    def plot(self) -> Chart:
        """Every run, their mean with its interval, and the width within which two runs are the same."""
        figure, ax = chart(self.sentence, height=1.8)
        heights = [0.06 * self.scores[:at].count(score) for at, score in enumerate(self.scores)]  # equal ones stack
        ax.plot(self.scores, heights, "o", color=COLD, alpha=0.6)
        if len(self.scores) > 1:
            mean = self.mean
            ax.errorbar(mean.value, 0.6, xerr=[[mean.value - mean.low], [mean.high - mean.value]], fmt="d", color=COLD)
            half = self.difference / 2
            ax.axvspan(mean.value - half, mean.value + half, color=GREY, alpha=0.15, linewidth=0)
        ax.set_yticks([0, 0.6], ["runs", "mean"])
        ax.set_ylim(-0.2, 0.8)
        ax.set_xlabel(f"{self.metric} (validation)")
        return figure

    def __repr__(self) -> str:
        return self.sentence

    def _repr_html_(self) -> str:
        rows = [(seed, value(self.metric, score)) for seed, score in zip(self.seeds, self.scores, strict=True)]
        table = html_table(["seed", f"{self.metric} (validation)"], rows[:10])
        return html_value("Noise of the seed", self.sentence, table)


def noise(
    learn: Any,
    cut: Cut,
    *,
    lr: Any,
    wd: float | None = None,
    epochs: int = 5,
    seeds: int = 10,
    augment: bool | None = None,
    store: Store,
    seed: int = 0,
    stopped: Callable[[], bool] = lambda: False,
) -> Noise:
    """Train the same `seeds` times from the Learner's present weights, with the seeds from `seed` on.

    A run is what `tuner.fit(epochs, lr, wd=wd)` gives with that seed: the order of the data, dropout and whatever
    else is drawn differ, the weights at the start do not. Measured by the Learner's first metric (the valid loss
    without one) on the validation items, which are the same for all, so their choice is no part of this noise.
    The Learner is as before afterwards, to the bit.

    Raises InputError or InputTypeError for values that make no sense, FreezeError where features cannot be kept.
    """
    setting = Setting(rates.check(lr), None if wd is None else real(wd, "wd", "weight decay", 0.0))
    epochs, seeds, seed = whole(epochs, "epochs", PASSES, 5), _at_least_two(seeds), check_seed(seed)
    resolve(setting.lr, [group.name for group in cut.groups], [at < cut.first for at in range(len(cut.groups))])
    check_split(learn)
    check_batches(learn, [None])
    began, made, metric = time.perf_counter(), {}, metric_of(learn)
    partial = False
    try:
        with Trials(learn, cut, store, "noise", augment, stopped) as trials, progress("noise", seeds * epochs) as tick:
            for number in range(seed, seed + seeds):
                run = None if stopped() else trials.run(setting, epochs, number, tick)
                if run is None or run.ended == "stopped":
                    partial = True
                    break
                made[number] = run
    except Stopped:
        partial = True
    scores = {number: run.values[metric] for number, run in made.items() if run.values}
    lost = len(made) - len(scores)
    return Noise(tuple(scores.values()), tuple(scores), metric, setting, epochs, seeds, lost, since(began), partial)


def _at_least_two(seeds: Any) -> int:
    count = whole(seeds, "seeds", "the number of runs", 10)
    if count == 1:
        raise InputError(
            "seeds=1.",
            rule="a spread needs two runs or more; ten tell it within a factor of two.",
            likely="the seed itself was meant; seeds is how many runs are made.",
            next="seeds=10",
        )
    return count
