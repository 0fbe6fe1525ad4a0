"""Which settings for the training part: a map by successive halving on kept features, with the noise of the seed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from statistics import fmean, variance
from typing import Any

from nbtune._cut import Cut
from nbtune._display import Chart, counted, html_table, html_value, seconds
from nbtune._fastai.feed import Stopped
from nbtune._numbers import whole
from nbtune.cache import Store
from nbtune.errors import TrainingError
from nbtune.evaluate.intervals import Estimate
from nbtune.phases import PASSES
from nbtune.questions._words import mean_of, named, span, went_on, within
from nbtune.questions.checks import check_batches, check_seed, check_split, grid
from nbtune.questions.map import draw
from nbtune.questions.race import Race
from nbtune.questions.trials import Setting, Trials, dropouts_of, metric_of, progress, since
from nbtune.rates import resolve

__all__ = ["Result", "Sweep", "sweep"]


@dataclass(frozen=True)
class Result:
    """What one setting gave on the validation items."""

    setting: Setting
    epochs: int  # of its longest runs
    scores: tuple[float, ...]  # the metric after those, one a seed; nan where the loss was not finite
    first: float  # the metric after the shortest runs, which every setting made with the same seed
    estimate: Estimate  # mean with the 95 % interval that the seed makes; limits nan for a single seed
    tied: bool  # trained as long as the best, and not to be told from it

    @property
    def words(self) -> str:
        """The setting as a person writes it."""
        one = self.setting
        return named(lr=one.lr, wd=one.wd, dropout=one.dropout, batch_size=one.bs)


@dataclass(frozen=True, repr=False)
class Sweep:
    """Settings of the training part, best first, as measured on the validation items."""

    results: tuple[Result, ...]
    metric: str
    epochs: int  # of a whole run
    seeds: int  # runs of each finalist
    short: int  # epochs of the shortest runs
    planned: int  # settings asked for
    seconds: float
    partial: bool = False  # stopped before it was done
    sd: float = field(default=math.nan)  # of the metric by seed alone, over the settings that were trained to the end
    trained: int = 0  # epochs of training behind the weights that each run began with

    @property
    def best(self) -> dict[str, Any]:
        """Keywords for `tuner.fit(epochs, **sweep.best)`: lr and wd. Raises TrainingError if nothing was measured."""
        if not self.results or math.isnan(self.results[0].estimate.value):
            raise TrainingError(
                "a sweep in which no setting was trained to a finite loss.",
                rule="the best setting is one that was measured.",
                likely="it was stopped at once." if self.partial else "rates so high that every run diverged.",
                next="ask again with lower rates, e.g. lrs=[1e-4, 1e-3, 1e-2].",
            )
        setting = self.results[0].setting
        return {"lr": setting.lr, "wd": setting.wd}

    @property
    def sentence(self) -> str:
        """The best setting with its metric and spread, and how many others are within the noise."""
        cut = f" Stopped: {len(self.results)} of {self.planned} settings were looked at." if self.partial else ""
        if not self.results or math.isnan(self.results[0].estimate.value):
            return f"No setting was measured.{cut}"
        top = self.results[0]
        runs = f"{len(top.scores)} seeds" if len(top.scores) > 1 else "one seed"
        chosen = " Chosen and measured on the same items, so it flatters." if len(self.results) > 1 else ""
        return (
            f"Best of {len(self.results)} on validation: {top.words}, {self.metric} {span(self.metric, top.estimate)} "
            f"after {counted(top.epochs, 'epoch')} (mean of {runs}); {self._others()}.{chosen} "
            f"{seconds(self.seconds).capitalize()}.{went_on(self.trained)}{cut}"
        )

    def _others(self) -> str:
        """What is known of the settings that are not the best."""
        top, others = self.results[0], self.results[1:]
        whole = [result for result in others if result.epochs == top.epochs]
        if math.isnan(self.sd):
            said = "one seed each tells no noise" if others else "one seed tells no noise"
        elif whole:
            tied = sum(result.tied for result in whole)
            said = f"by the seeds, {tied} of the {len(whole)} others trained as long cannot be told from it"
        else:
            said = "no other was trained as long"
        dropped = len(others) - len(whole)
        return said + (f"; not compared with it: {dropped} dropped after fewer epochs" if dropped else "")

    def frame(self) -> Any:
        """A pandas frame, a row a setting, best first; `low`, `high`: the 95 % limits that the seed makes."""
        import pandas as pd

        rows = [
            (r.setting.lr, r.setting.wd, r.setting.dropout, r.setting.bs, r.epochs, len(r.scores),
             r.estimate.value, r.estimate.low, r.estimate.high, r.first, r.tied)
            for r in self.results
        ]  # fmt: skip
        first = f"{self.metric} after {self.short}"
        names = ["lr", "wd", "dropout", "batch_size", "epochs", "seeds", self.metric, "low", "high", first, "tied"]
        return pd.DataFrame(rows, columns=names)

    def plot(self) -> Chart:
        """The map learning rate × weight decay: colour after the shortest runs, finalists framed with their mean."""
        return draw(self)

    def __repr__(self) -> str:
        return self.sentence

    def _repr_html_(self) -> str:
        rows = [
            (r.words, f"{r.epochs} × {len(r.scores)}", span(self.metric, r.estimate), "≈ best" if r.tied else "")
            for r in self.results[:10]
        ]
        table = html_table(["setting", "epochs × seeds", f"{self.metric} (validation)", ""], rows)
        return html_value("Settings for the part that trains", self.sentence, table)


def sweep(
    learn: Any,
    cut: Cut,
    *,
    lrs: Any,
    wds: Any = (None,),
    dropouts: Any = None,
    batch_sizes: Any = None,
    epochs: int = 5,
    seeds: int = 3,
    augment: bool | None = None,
    store: Store,
    seed: int = 0,
    stopped: Callable[[], bool] = lambda: False,
) -> Sweep:
    """Compare every combination of the settings by successive halving, each from the Learner's present weights.

    All are trained for a few epochs, a third for more, the last three for `epochs` with `seeds` seeds from `seed` on;
    the best of every rate goes on before the second best of any. A run is what `tuner.fit(epochs, lr, wd=wd)` gives
    with that seed. `lrs`: rates in any form that `fit` takes; `wds`: weight decays (None: the optimizer's own);
    `dropouts`: p of the dropout modules that train; `batch_sizes`. The first metric of the Learner decides (the valid
    loss without one, and where it ties), on the validation items. The Learner is as before afterwards, to the bit.

    Source: Jamieson & Talwalkar (2016), Non-stochastic best arm identification. Raises InputError or
    InputTypeError for values that make no sense, FreezeError where features cannot be kept.
    """
    settings = [Setting(*one) for one in grid(lrs, wds, dropouts, batch_sizes)]
    epochs, seeds = whole(epochs, "epochs", PASSES, 5), whole(seeds, "seeds", "the runs of each finalist", 3)
    seed = check_seed(seed)
    names = [group.name for group in cut.groups]
    for setting in settings:
        resolve(setting.lr, names, [at < cut.first for at in range(len(names))])
    check_split(learn)
    check_batches(learn, {setting.bs for setting in settings})
    if dropouts is not None:
        dropouts_of(learn.model, cut)
    began, race = time.perf_counter(), Race(settings, epochs, seeds, seed, metric_of(learn))
    ended = True
    try:
        with Trials(learn, cut, store, "sweep", augment, stopped) as trials, progress("sweep", race.total) as tick:
            ended = race.go(partial(trials.run, tick=tick), stopped)
    except Stopped:
        ended = False
    return _value(race, not ended, since(began))


def _value(race: Race, partial: bool, spent: float) -> Sweep:
    sd, df = _spread(race)
    order = race.order()
    results = tuple(_result(race, one, order[0], sd, df) for one in order)
    planned = len(race.settings)
    return Sweep(results, race.metric, race.epochs, race.seeds, race.plan[0][1], planned, spent, partial, sd)


def _spread(race: Race) -> tuple[float, int]:
    """The standard deviation by seed of the settings that were trained to the end, and its freedom.

    Their variances are averaged. They share the seeds, and with them the order of the items, so that three settings do
    not make three times the freedom.
    """
    every = [race.scores(one, race.epochs) for one in race.order()]
    known = [scores for scores in every if len(scores) > 1 and all(map(math.isfinite, scores))]
    if not known:
        return math.nan, 0
    return math.sqrt(fmean(map(variance, known))), min(map(len, known)) - 1


def _result(race: Race, one: int, best: int, sd: float, df: int) -> Result:
    epochs = race.longest(one)
    scores, of_best = race.scores(one, epochs), race.scores(best, race.longest(best))
    estimate = mean_of(race.metric, scores, sd, df)
    if len(scores) < 2:
        estimate = Estimate(estimate.value, math.nan, math.nan)
    room = within(sd, df) * math.sqrt(1 / len(scores) + 1 / len(of_best)) if df else math.nan
    tied = one != best and epochs == race.longest(best) and abs(fmean(scores) - fmean(of_best)) <= room + 1e-12
    first = race.scores(one, race.plan[0][1])
    return Result(race.settings[one], epochs, scores, first[0] if first else math.nan, estimate, tied)
