"""Bodies measured on one task by a linear probe, with what each costs: which to tune."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nbtune._display import COLD, GREY, Chart, chart, html_table, html_value, seconds, short
from nbtune.evaluate.intervals import Estimate

__all__ = ["Measured", "Ranking", "compare"]


@dataclass(frozen=True)
class Measured:
    """One body on the task."""

    name: str
    accuracy: Estimate  # of a linear probe on the validation items, with Wilson's 95 % interval
    behind: Estimate  # accuracy of the best less this one's, item by item, with the paired bootstrap's 95 % interval
    params: int
    size: int  # side of the input
    features: int  # numbers an item that the probe reads
    item: float  # seconds an item of the body, in the pass
    seconds: float  # to make or read it, to run it over all items, and to fit the probe
    c: float
    licence: str
    correct: Any = field(repr=False)  # bool [n], read-only: which validation items it reads

    @property
    def tied(self) -> bool:
        """Not told apart from the best by these items: the interval of the difference begins at 0 or below."""
        return self.behind.low <= 0


@dataclass(frozen=True, repr=False)
class Ranking:
    """Bodies by the accuracy of a linear probe on their still features, the best first.

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
        said = (
            f"Linear probes of {len(self.bodies)} bodies{fresh} on {self.n} validation items of {self.task}, from "
            f"{self.items} training items: {self.best.name} {_percent(self.best.accuracy)}"
        )
        tied = [one.name for one in self.bodies[1:] if one.tied]
        if tied:
            said += f"; not told apart from it: {', '.join(tied)}"
            said += f"; the quickest of these is {self.quickest.name}, {seconds(self.quickest.item)} an item"
        elif len(self.bodies) > 1:
            second = self.bodies[1]
            said += f", {100 * second.behind.value:.1f} points before {second.name}"
        left = f" Stopped before {', '.join(self.left)}." if self.left else ""
        return f"{said}. {seconds(self.seconds).capitalize()}.{left}"

    def frame(self) -> Any:
        """A pandas frame, a row a body, the best first; `behind` in shares, `ms` an item."""
        import pandas as pd

        return pd.DataFrame(
            {
                "name": [one.name for one in self.bodies],
                "accuracy": [one.accuracy.value for one in self.bodies],
                "low": [one.accuracy.low for one in self.bodies],
                "high": [one.accuracy.high for one in self.bodies],
                "behind": [one.behind.value for one in self.bodies],
                "behind_low": [one.behind.low for one in self.bodies],
                "behind_high": [one.behind.high for one in self.bodies],
                "tied": [one.tied for one in self.bodies],
                "parameters": [one.params for one in self.bodies],
                "size": [one.size for one in self.bodies],
                "features": [one.features for one in self.bodies],
                "ms": [1000 * one.item for one in self.bodies],
                "seconds": [one.seconds for one in self.bodies],
                "c": [one.c for one in self.bodies],
                "licence": [one.licence for one in self.bodies],
            }
        )

    def plot(self) -> Chart:
        """Accuracy with its interval, the best above; beside it the time an item."""
        figure, (left, right) = chart(self.sentence, width=9, height=0.9 + 0.4 * len(self.bodies), ncols=2, sharey=True)
        places = list(range(len(self.bodies)))[::-1]
        for y, one in zip(places, self.bodies, strict=True):
            a, colour = one.accuracy, COLD if one.tied else GREY
            left.errorbar(a.value, y, xerr=[[a.value - a.low], [a.high - a.value]], fmt="o", color=colour, capsize=3)
            right.barh(y, 1000 * one.item, color=colour, height=0.6)
        left.set_yticks(places, [one.name for one in self.bodies])
        left.set_xlabel("accuracy of the probe (validation)")
        right.set_xlabel("ms an item")
        return figure

    def __repr__(self) -> str:
        return self.sentence

    def _repr_html_(self) -> str:
        names = ["body", "accuracy (validation)", "behind the best, points", "parameters", "input", "an item", "in all"]
        rows = [
            (one.name, _percent(one.accuracy), _points(one, one is self.best), short(one.params), f"{one.size}²",
             seconds(one.item), seconds(one.seconds))
            for one in self.bodies
        ]  # fmt: skip
        return html_value("Bodies on the task", self.sentence, html_table(names, rows))


def _percent(a: Estimate) -> str:
    return f"{100 * a.value:.1f} % [{100 * a.low:.1f}, {100 * a.high:.1f}]"


def _points(one: Measured, best: bool) -> str:
    b = one.behind
    return "" if best else f"{100 * b.value:.1f} [{100 * b.low:.1f}, {100 * b.high:.1f}]"


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

    order = sorted(done, key=lambda one: (-one.accuracy.value, one.params, one.name))
    return tuple(replace(one, behind=_behind(order[0].correct, one.correct)) for one in order)


def _behind(best: Any, other: Any) -> Estimate:
    """The paired difference in accuracy. Source of the interval: Efron (1979), over the items."""
    from nbtune.evaluate.intervals import interval, resampled_means, wilson

    difference = best.astype(float) - other
    value, half = float(difference.mean()), wilson(0, len(difference)).high
    replicates = resampled_means(difference, 2000, np.random.default_rng(0))
    return interval(value, replicates, (max(-1.0, value - half), min(1.0, value + half)))
