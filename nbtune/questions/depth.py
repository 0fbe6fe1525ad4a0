"""How good the features are at every depth, and what training from there on costs: where to cut."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from nbtune._cut import Cut
from nbtune._display import COLD, GREY, WARM, Chart, chart, html_table, html_value, seconds, short
from nbtune._fastai.borrow import borrowed, seed_all, without_augmentation
from nbtune._fastai.feed import Stopped
from nbtune.cache import Store
from nbtune.costs import Cost, prices
from nbtune.errors import FreezeError
from nbtune.evaluate.intervals import Estimate
from nbtune.groups import Group, read
from nbtune.questions.checks import check_seed, check_split
from nbtune.questions.linear import FITS, check, linear
from nbtune.questions.passes import Seen, ends_of, loaders_of, one_pass
from nbtune.questions.probe import last_cut
from nbtune.questions.trials import progress, since

__all__ = ["Depth", "Place", "depth"]


@dataclass(frozen=True)
class Place:
    """One boundary between groups: everything before `first` still."""

    after: str  # the last still group
    first: str  # the first group that would train: tuner.freeze_to(first)
    params: int  # parameters that would be still
    size: int  # numbers an item that the still part hands over
    still: Cost  # seconds an item of the still part, measured in the pass
    epoch: Cost | None  # seconds an epoch that trains the rest, estimated; None where a step cannot be tried
    cached: bool  # `epoch` is from kept features, else live
    accuracy: Estimate  # of the probe on the validation items, with Wilson's 95 % interval
    c: float
    pooled: str  # what was averaged for the probe, "" where it reads all that is handed over


@dataclass(frozen=True, repr=False)
class Depth:
    """A linear probe at every group boundary, from input to head."""

    places: tuple[Place, ...]
    total: int  # parameters of the model
    n: int  # validation items
    items: int  # training items
    left_out: tuple[str, ...]  # first groups before which the model hands over at no single place
    seconds: float
    partial: bool = False  # stopped before all boundaries were probed

    @property
    def earliest(self) -> Place | None:
        """The earliest place whose accuracy is within the interval of the best; None where nothing was measured."""
        best = self.best
        return next((p for p in self.places if best is not None and p.accuracy.value >= best.accuracy.low), None)

    @property
    def best(self) -> Place | None:
        """The place with the highest accuracy, the earliest of equals."""
        return max(self.places, key=lambda place: place.accuracy.value, default=None)

    @property
    def sentence(self) -> str:
        """The earliest depth that is as good as the best within its interval, and what it leaves to train."""
        stopped = " Stopped before all depths were probed." if self.partial else ""
        best, early = self.best, self.earliest
        if best is None or early is None:
            return f"No depth was probed.{stopped}"
        said = f"Linear probes on {self.n} validation items: best before {best.first}, {_percent(best.accuracy)}"
        if early is best:
            said += "; no earlier depth is within its interval."
        else:
            said += f"; the earliest within its interval is before {early.first}, {_percent(early.accuracy)}."
        said += f" Cut there, {short(early.params)} of {short(self.total)} parameters are still"
        if early.epoch is not None:
            said += f" and an epoch of the rest takes {early.epoch}{'' if early.cached else ' live'}"
        averaged = [place.first for place in self.places if place.pooled]
        if averaged:
            said += f". The probes before {', '.join(averaged)} read averages that stand in for full maps"
        if self.left_out:
            said += f"; no single place to cut before {', '.join(self.left_out)}"
        return f"{said}. {seconds(self.seconds).capitalize()}.{stopped}"

    def frame(self) -> Any:
        """A pandas frame, a row a boundary; `ms_still` an item, `epoch_seconds` of training the rest."""
        import pandas as pd

        return pd.DataFrame(
            {
                "after": [p.after for p in self.places],
                "first": [p.first for p in self.places],
                "parameters_still": [p.params for p in self.places],
                "size": [p.size for p in self.places],
                "ms_still": [1000 * p.still.seconds for p in self.places],
                "epoch_seconds": [math.nan if p.epoch is None else p.epoch.seconds for p in self.places],
                "cached": [p.cached for p in self.places],
                "accuracy": [p.accuracy.value for p in self.places],
                "low": [p.accuracy.low for p in self.places],
                "high": [p.accuracy.high for p in self.places],
                "pooled": [p.pooled for p in self.places],
            }
        )

    def plot(self) -> Chart:
        """Accuracy with its interval by depth, and beside it the seconds of an epoch that trains the rest."""
        figure, (left, right) = chart(self.sentence, width=9, ncols=2)
        x = list(range(len(self.places)))
        values = [place.accuracy for place in self.places]
        bars = [[v.value - v.low for v in values], [v.high - v.value for v in values]]
        left.errorbar(x, [v.value for v in values], yerr=bars, fmt="-o", ms=4, color=COLD, capsize=3)
        if self.earliest is not None:
            left.axvline(self.places.index(self.earliest), color=GREY, linestyle=":")
        left.set_ylabel("accuracy of the probe (validation)")
        right.bar(x, [math.nan if p.epoch is None else p.epoch.seconds for p in self.places], color=WARM)
        right.set_ylabel("seconds an epoch of the rest")
        for ax in (left, right):
            ax.set_xticks(x, [place.first for place in self.places], rotation=30 if len(x) > 4 else 0)
            ax.set_xlabel("first group that trains")
        return figure

    def __repr__(self) -> str:
        return self.sentence

    def _repr_html_(self) -> str:
        names = [
            "cut before",
            "accuracy (validation)",
            "parameters still",
            "numbers an item",
            "still part an item",
            "epoch",
        ]
        rows = [
            (p.first, _percent(p.accuracy), short(p.params), short(p.size), seconds(p.still.seconds),
             "" if p.epoch is None else f"{p.epoch!r}{'' if p.cached else ' live'}")
            for p in self.places
        ]  # fmt: skip
        return html_value("Where to cut", self.sentence, html_table(names, rows))


def depth(
    learn: Any,
    groups: Sequence[Group],
    *,
    store: Store | None = None,
    seed: int = 0,
    stopped: Callable[[], bool] = lambda: False,
) -> Depth:
    """A linear probe at every group boundary, with what is still there and what training the rest would cost.

    One pass over the items gives the features at all boundaries, averaged over space or tokens, and the time to
    get there; full maps are not kept, and nothing of `store` is used or dropped. Random transforms are left out.
    Seconds an epoch are estimated from trial steps on at most eight items. The Learner is as before, to the bit.

    Source: Alain & Bengio (2016), Understanding intermediate layers using linear classifier probes. Raises as
    `probe`; FreezeError where no boundary hands over at a single place.
    """
    seed, began = check_seed(seed), time.perf_counter()
    check_split(learn)
    cuts = [Cut(tuple(groups), first) for first in range(1, len(last_cut(groups).groups))]
    try:
        used, left_out, seen = _seen(learn, cuts, seed, stopped)
    except Stopped:
        return Depth((), 0, 0, 0, (), since(began), partial=True)
    for cut, one in zip(used, seen, strict=True):
        check(one.split, f"at the input of {cut.groups[cut.first].name!r}")
    sizes = [group.params for group in read(learn.model, groups)]
    places: list[Place] = []
    partial = False
    with progress("depth", FITS * len(used), "value of C") as tick:
        for cut, one in zip(used, seen, strict=True):
            found = None if stopped() else _place(learn, cut, one, sizes, seed, stopped, tick)
            if found is None:
                partial = True
                break
            places.append(found)
    split = seen[0].split
    n, items = len(split.valid_targets), len(split.targets)
    return Depth(tuple(places), sum(sizes), n, items, left_out, since(began), partial)


def _seen(
    learn: Any, cuts: Sequence[Cut], seed: int, stopped: Callable[[], bool]
) -> tuple[list[Cut], tuple[str, ...], list[Seen]]:
    """The cuts that hand over at one place, the names of those that do not, and the features of the former."""
    with ExitStack() as stack:
        stack.enter_context(borrowed(learn))
        stack.enter_context(without_augmentation(learn))
        ends = ends_of(learn, cuts)
        found = {cut.first: end for cut, end in zip(cuts, ends, strict=True) if isinstance(end, str)}
        used = [cut for cut in cuts if cut.first in found]
        left_out = tuple(cut.groups[cut.first].name for cut in cuts if cut.first not in found)
        if not used:
            raise next(end for end in ends if isinstance(end, FreezeError))
        seed_all(learn, seed)
        with progress("features", sum(len(loader) for loader in loaders_of(learn)), "batch") as tick:
            return used, left_out, one_pass(learn, [found[cut.first] for cut in used], stopped, tick)


def _place(
    learn: Any,
    cut: Cut,
    seen: Seen,
    sizes: Sequence[int],
    seed: int,
    stopped: Callable[[], bool],
    tick: Callable[[], None],
) -> Place | None:
    """The probe and the price at one boundary; None if it was stopped on the way."""
    found = linear(seen.split, seed, stopped, tick)
    if found.partial:
        return None
    live, kept = prices(learn, cut)
    return Place(
        after=cut.groups[cut.first - 1].name, first=cut.groups[cut.first].name, params=sum(sizes[: cut.first]),
        size=seen.size, still=seen.cost, epoch=kept or live, cached=kept is not None, accuracy=found.accuracy,
        c=found.c, pooled=seen.pooled,
    )  # fmt: skip


def _percent(estimate: Estimate) -> str:
    return f"{100 * estimate.value:.1f} % [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"
