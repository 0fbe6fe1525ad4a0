"""How far a linear model on the still body's features gets: what every fine-tuning must beat."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import nan
from typing import Any

from nbtune._display import COLD, WARM, Chart, chart, html_table, html_value, seconds
from nbtune._fastai.borrow import borrowed
from nbtune._fastai.feed import Stopped
from nbtune.cache import Store
from nbtune.errors import InputError, TrainingError
from nbtune.groups import Group
from nbtune.questions._words import is_share, lower_is_better, said, span
from nbtune.questions.checks import check_seed, check_split
from nbtune.questions.features import features_of, last_cut
from nbtune.questions.gain import Gain
from nbtune.questions.kinds import Labels, Numbers, Outcome, Probed, kind_for
from nbtune.questions.linear import FITS
from nbtune.questions.passes import loaders_of
from nbtune.questions.trials import progress, since

__all__ = ["Probe", "now", "probe", "right"]


@dataclass(frozen=True, repr=False)
class Probe(Probed):
    """A linear probe at the input of the last group, measured once on the validation items."""

    outcome: Outcome = field(repr=False)  # what it reads of the validation items: `Classes`, `Labels` or `Numbers`
    how: str  # how its penalty was chosen, in words
    folds: int  # of the cross-validation that chose it; 0: nothing could be held out, so a default
    items: int  # training items
    group: str  # the group whose input was read
    features: int  # numbers an item
    pooled: str  # what was averaged to get them, "" for nothing
    seconds: float
    cached: bool  # were kept features used
    why: str = ""  # why not
    partial: bool = False  # stopped before all values of the penalty were tried
    c: float = nan  # of a classifier: inverse strength of the penalty
    alpha: float = nan  # of a regression: strength of the penalty

    @property
    def kind(self) -> str:
        """What the targets are: single (classes), multi (several labels) or regression (numbers)."""
        return self.outcome.kind

    @property
    def n(self) -> int:
        """Validation items."""
        return len(self.outcome)

    @property
    def report(self) -> Any:
        """Of labels and numbers: the report on the validation items, with all metrics; of classes raises InputError."""
        if not isinstance(self.outcome, Labels | Numbers):
            raise InputError(
                "report of a probe of classes.", rule="a probe of labels or numbers has one; one of classes says which "
                "items it reads.", likely="a line for another task.", next="probe.accuracy, probe.correct",
            )  # fmt: skip
        return self.outcome.report

    def gain(self, now: Any) -> Gain:
        """What a model gains over this probe: above 0 is better, also where a lower error is.

        `now`: what the model reads of the validation items (`nbtune.questions.now(learn, probe.kind)`): of classes
        bool [n], which ones rightly; of labels their probabilities [n, k]; of numbers these [n, k], in the targets'
        units. Raises InputError for another number of items. Source of the interval: Efron (1979), paired over items.
        """
        return Gain(self.outcome.of(now).ahead(self.outcome), self.n, self.metric)

    @property
    def sentence(self) -> str:
        """The metric with its interval, and how it came about."""
        stopped = f" Stopped before all values of {self._penalty[0]} were tried." if self.partial else ""
        beside = f" ({self.outcome.beside})" if self.outcome.beside else ""
        return (
            f"Linear probe before {self.group}: {said(self.metric)} {span(self.metric, self.score)}{beside} "
            f"on {self.n} validation items, from {self.items} training items ({self.how}); "
            f"{self.features} features an item{f', {self.pooled}' if self.pooled else ''}. "
            f"{seconds(self.seconds).capitalize()}.{stopped}"
        )

    @property
    def _penalty(self) -> tuple[str, float]:
        return ("alpha", self.alpha) if self.kind == "regression" else ("C", self.c)

    def frame(self) -> Any:
        """A pandas frame, a row a validation item: correct; of labels and numbers what is so and what is read."""
        return self.outcome.frame()

    def plot(self) -> Chart:
        """The metric with its interval: the line to beat, and the best that there can be."""
        figure, ax = chart(self.sentence, height=1.4)
        a, lower = self.score, lower_is_better(self.metric)
        ax.axvspan(a.low, a.high, color=COLD, alpha=0.15, linewidth=0)
        ax.axvline(a.value, color=COLD)
        ax.annotate("linear probe", (a.value, 0.5), (6, 0), textcoords="offset points", color=COLD, va="center")
        ax.axvline(0.0 if lower else 1.0, color=WARM, linewidth=0)
        ax.set_yticks([])
        ax.set_xlabel(f"{said(self.metric)} (validation{', lower is better' if lower else ''})")
        return figure

    def __repr__(self) -> str:
        return self.sentence

    def _repr_html_(self) -> str:
        shown = f"{self.score:.1%}" if is_share(self.metric) else span(self.metric, self.score)
        name, value = self._penalty
        rows = [(f"{said(self.metric)} (validation)", shown), (name, f"{value:g}"), ("folds", self.folds)]
        return html_value("Linear probe", self.sentence, html_table(["", ""], rows))


def probe(
    learn: Any,
    groups: Sequence[Group],
    *,
    store: Store,
    seed: int = 0,
    stopped: Callable[[], bool] = lambda: False,
) -> Probe:
    """A linear probe at the input of the last group, everything before it still and without random transforms.

    Features are averaged over space or tokens, and standardised. Classes are read by logistic regression, several
    labels by one for each, numbers by ridge regression, as the Learner's loss says; the penalty is chosen by
    cross-validation on the training items; the validation items are used once, to measure. Features come from
    `store` where they are kept or can be, else from a pass over the items. The Learner is as before afterwards, to
    the bit.

    Source: Kornblith, Shlens & Le (2019), Do better ImageNet models transfer better? Raises InputError for
    targets that do not fit the loss or do not vary, or features that are not finite; FreezeError for a model with
    one group; TrainingError where `stopped()` before there are features.
    """
    seed, began = check_seed(seed), time.perf_counter()
    check_split(learn)
    cut, kind = last_cut(groups), kind_for(learn)
    name = groups[-1].name
    try:
        split, pooling, why = features_of(learn, cut, store, seed, stopped)
    except Stopped:
        raise TrainingError(
            "a probe that was stopped before it had features of all items.",
            rule="a probe reads the features of all training and validation items.",
            likely="stop() was called, or Stop was pressed.",
            next="tuner.probe(), which goes on with the features that are there.",
        ) from None
    kind.check(split, f"at the input of {name!r}")
    with progress("probe", FITS, "value of the penalty") as tick:
        found = kind.fit(split, seed, stopped, tick)
    return Probe(
        outcome=found.outcome, how=found.how, folds=found.folds, items=len(split.targets), group=name,
        features=split.train.shape[1], pooled=pooling, seconds=since(began), cached=not why, why=why,
        partial=found.partial, c=found.c, alpha=found.alpha,
    )  # fmt: skip


def right(learn: Any) -> Any:
    """Which validation items the Learner's classifier reads rightly now: bool [n], in their order."""
    return now(learn, "single")


def now(learn: Any, kind: str | None = None) -> Any:
    """What the Learner's model reads of the validation items now, in their order, for `Probe.gain`.

    Of classes (`kind` "single") bool [n], which ones rightly; of several labels ("multi") their probabilities [n, k];
    of numbers ("regression") these [n, k]. None: as the loss says.
    """
    with borrowed(learn):
        return kind_for(learn, kind).now(learn, loaders_of(learn)[1])
