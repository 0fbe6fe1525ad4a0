"""Bodies measured on one task by a linear probe, with what each costs: which to tune."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import nan
from typing import Any

from nbtune._display import COLD, GREY, Chart, chart, html_table, html_value, seconds, short
from nbtune.evaluate.intervals import Estimate
from nbtune.questions._words import figures, is_share, lower_is_better, points, said, span, told
from nbtune.questions.kinds import Outcome, Probed

__all__ = ["Measured", "Ranking", "compare"]


@dataclass(frozen=True)
class Measured(Probed):
    """One body on the task."""

    name: str
    outcome: Outcome = field(repr=False)  # what a linear probe reads of the validation items
    behind: Estimate  # how much better the best is, item by item, with the paired bootstrap's 95 % interval
    params: int
    size: int  # side of the input
    features: int  # numbers an item that the probe reads
    item: float  # seconds an item of the body, in the pass
    seconds: float  # to make or read it, to run it over all items, and to fit the probe
    licence: str
    c: float = nan  # of a classifier
    alpha: float = nan  # of a regression

    @property
    def tied(self) -> bool:
        """Not told apart from the best by these items: the interval of the difference begins at 0 or below."""
        return self.behind.low <= 0


@dataclass(frozen=True, repr=False)
class Ranking:
    """Bodies by a linear probe on their still features, the best first.

    Kornblith, Shlens & Le (2019). What is best of several looks better than it is: the ranking chooses, the test
    set, which it never reads, measures.
    """

    bodies: tuple[Measured, ...]
    task: str
    items: int  # training items
    n: int  # validation items
    pretrained: bool
    seconds: float
    left: tuple[str, ...] = ()  # not done when it was stopped

    @property
    def best(self) -> Measured:
        """The first."""
        return self.bodies[0]

    @property
    def quickest(self) -> Measured:
        """Of those that are not told apart from the best, the one that takes the least time an item."""
        return min((one for one in self.bodies if one.tied), key=lambda one: one.item)

    @property
    def sentence(self) -> str:
        """The best, what is not told apart from it, and the quickest of these."""
        fresh = "" if self.pretrained else ", with fresh weights,"
        text = (
            f"Linear probes of {len(self.bodies)} bodies{fresh} on {self.n} validation items of {self.task}, from "
            f"{self.items} training items: {self.best.name} {told(self.best.metric, self.best.score)}"
        )
        tied = [one.name for one in self.bodies[1:] if one.tied]
        if tied:
            text += f"; not told apart from it: {', '.join(tied)}"
            text += f"; the quickest of these is {self.quickest.name}, {seconds(self.quickest.item)} an item"
        elif len(self.bodies) > 1:
            second = self.bodies[1]
            text += f", {points(second.metric, second.behind.value)} before {second.name}"
        left = f" Stopped before {', '.join(self.left)}." if self.left else ""
        return f"{text}. {seconds(self.seconds).capitalize()}.{left}"

    def frame(self) -> Any:
        """A pandas frame, a row a body, the best first; `behind` in the metric's own unit, `ms` an item."""
        import pandas as pd

        numbers = self.best.outcome.kind == "regression"
        penalty = {"alpha": [b.alpha for b in self.bodies]} if numbers else {"c": [b.c for b in self.bodies]}
        return pd.DataFrame(
            {
                "name": [one.name for one in self.bodies],
                self.best.metric: [one.score.value for one in self.bodies],
                "low": [one.score.low for one in self.bodies],
                "high": [one.score.high for one in self.bodies],
                "behind": [one.behind.value for one in self.bodies],
                "behind_low": [one.behind.low for one in self.bodies],
                "behind_high": [one.behind.high for one in self.bodies],
                "tied": [one.tied for one in self.bodies],
                "parameters": [one.params for one in self.bodies],
                "size": [one.size for one in self.bodies],
                "features": [one.features for one in self.bodies],
                "ms": [1000 * one.item for one in self.bodies],
                "seconds": [one.seconds for one in self.bodies],
                **penalty,
                "licence": [one.licence for one in self.bodies],
            }
        )

    def plot(self) -> Chart:
        """The metric with its interval, the best above; beside it the time an item."""
        figure, (left, right) = chart(self.sentence, width=9, height=0.9 + 0.4 * len(self.bodies), ncols=2, sharey=True)
        places = list(range(len(self.bodies)))[::-1]
        for y, one in zip(places, self.bodies, strict=True):
            a, colour = one.score, COLD if one.tied else GREY
            left.errorbar(a.value, y, xerr=[[a.value - a.low], [a.high - a.value]], fmt="o", color=colour, capsize=3)
            right.barh(y, 1000 * one.item, color=colour, height=0.6)
        left.set_yticks(places, [one.name for one in self.bodies])
        lower = ", lower is better" if lower_is_better(self.best.metric) else ""
        left.set_xlabel(f"{said(self.best.metric)} of the probe (validation{lower})")
        right.set_xlabel("ms an item")
        return figure

    def __repr__(self) -> str:
        return self.sentence

    def _repr_html_(self) -> str:
        metric = self.best.metric
        behind = "behind the best, points" if is_share(metric) else "behind the best"
        names = ["body", f"{said(metric)} (validation)", behind, "parameters", "input", "an item", "in all"]
        rows = [
            (one.name, span(metric, one.score), "" if one is self.best else _behind(one), short(one.params),
             f"{one.size}²", seconds(one.item), seconds(one.seconds))
            for one in self.bodies
        ]  # fmt: skip
        return html_value("Bodies on the task", self.sentence, html_table(names, rows))


def _behind(one: Measured) -> str:
    b = one.behind
    if is_share(one.metric):
        return f"{100 * b.value:.1f} [{100 * b.low:.1f}, {100 * b.high:.1f}]"
    return figures(b.value, b.low, b.high)


def compare(
    task: Any, bodies: Any, *, size: int | None, pretrained: bool, seed: int, stopped: Callable[[], bool]
) -> Ranking:
    """See `nbtune.bodies.compare`."""
    from nbtune.bodies._measure import checked, measured

    began = time.perf_counter()
    chosen = checked(task, bodies, size)
    done = measured(task, chosen, pretrained, seed, stopped)
    made = ranked(done)
    return Ranking(
        made, task.name, len(task.train), len(task.valid), pretrained, time.perf_counter() - began,
        tuple(name for name, _ in chosen[len(done) :]),
    )  # fmt: skip


def ranked(done: Sequence[Measured]) -> tuple[Measured, ...]:
    """The best first, each with how far it is behind; of equals the smallest first (seconds differ from run to run)."""
    from dataclasses import replace

    sign = 1 if lower_is_better(done[0].metric) else -1
    order = sorted(done, key=lambda one: (sign * one.score.value, one.params, one.name))
    return tuple(replace(one, behind=order[0].outcome.ahead(one.outcome)) for one in order)
