"""How good the features are at every depth, and what training from there on costs: where to cut."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from nbtune._cut import Cut
from nbtune._display import COLD, GREY, WARM, Chart, chart, html_table, html_value, seconds, short
from nbtune._fastai.borrow import borrowed, seed_all, without_augmentation
from nbtune._fastai.feed import Stopped
from nbtune.cache import Store
from nbtune.costs import prices
from nbtune.errors import FreezeError
from nbtune.groups import Group, read
from nbtune.questions._words import lower_is_better, said, span, told
from nbtune.questions.checks import check_seed, check_split
from nbtune.questions.features import last_cut
from nbtune.questions.kinds import Fitted, kind_for
from nbtune.questions.linear import FITS
from nbtune.questions.passes import Seen, ends_of, loaders_of, one_pass
from nbtune.questions.place import Place
from nbtune.questions.trials import progress, since

__all__ = ["Depth", "Place", "depth"]


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
        """The earliest place whose score is within the interval of the best; None where nothing was measured."""
        best = self.best
        sign = self._sign
        worst = 0.0 if best is None else sign * (best.score.high if sign < 0 else best.score.low)
        return next((p for p in self.places if sign * p.score.value >= worst), None)

    @property
    def best(self) -> Place | None:
        """The place with the best score, the earliest of equals."""
        return max(self.places, key=lambda place: self._sign * place.score.value, default=None)

    @property
    def metric(self) -> str:
        """What the scores are; "" where nothing was measured."""
        return self.places[0].metric if self.places else ""

    def named(self, what: str) -> str:
        """What the scores are of, with the metric: "linear probe, MAE (lower is better)"; an accuracy unsaid."""
        if self.metric in ("", "accuracy"):
            return what
        return f"{what}, {said(self.metric)}{' (lower is better)' if self._sign < 0 else ''}"

    @property
    def _sign(self) -> int:
        return -1 if lower_is_better(self.metric) else 1

    @property
    def sentence(self) -> str:
        """The earliest depth that is as good as the best within its interval, and what it leaves to train."""
        stopped = " Stopped before all depths were probed." if self.partial else ""
        best, early = self.best, self.earliest
        if best is None or early is None:
            return f"No depth was probed.{stopped}"
        said = f"Linear probes on {self.n} validation items: best before {best.first}, {told(best.metric, best.score)}"
        if early is best:
            said += "; no earlier depth is within its interval."
        else:
            said += f"; the earliest within its interval is before {early.first}, {told(early.metric, early.score)}."
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
                self.metric or "accuracy": [p.score.value for p in self.places],
                "low": [p.score.low for p in self.places],
                "high": [p.score.high for p in self.places],
                "pooled": [p.pooled for p in self.places],
            }
        )

    def plot(self) -> Chart:
        """The metric with its interval by depth, and beside it the seconds of an epoch that trains the rest."""
        figure, (left, right) = chart(self.sentence, width=9, ncols=2)
        x = list(range(len(self.places)))
        values = [place.score for place in self.places]
        bars = [[v.value - v.low for v in values], [v.high - v.value for v in values]]
        left.errorbar(x, [v.value for v in values], yerr=bars, fmt="-o", ms=4, color=COLD, capsize=3)
        if self.earliest is not None:
            at, why = self.places.index(self.earliest), "earliest within the interval of the best"
            left.axvline(at, color=GREY, linestyle=":", label=why)
            left.legend(frameon=False, fontsize="small")
        lower = ", lower is better" if self._sign < 0 else ""
        left.set_ylabel(f"{said(self.metric or 'accuracy')} of the probe (validation{lower})")
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
            f"{said(self.metric or 'accuracy')} (validation)",
            "parameters still",
            "numbers an item",
            "still part an item",
            "epoch",
        ]
        rows = [
            (p.first, span(p.metric, p.score), short(p.params), short(p.size), seconds(p.still.seconds),
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
    kind = kind_for(learn)
    for cut, one in zip(used, seen, strict=True):
        kind.check(one.split, f"at the input of {cut.groups[cut.first].name!r}")
    sizes = [group.params for group in read(learn.model, groups)]
    places: list[Place] = []
    ended = False
    with progress("depth", FITS * len(used), "value of the penalty") as tick:
        for cut, one in zip(used, seen, strict=True):
            found = (
                None if stopped() else _place(learn, cut, one, sizes, partial(kind.fit, one.split, seed, stopped, tick))
            )
            if found is None:
                ended = True
                break
            places.append(found)
    split = seen[0].split
    n, items = len(split.valid_targets), len(split.targets)
    return Depth(tuple(places), sum(sizes), n, items, left_out, since(began), ended)


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


def _place(learn: Any, cut: Cut, seen: Seen, sizes: Sequence[int], fit: Callable[[], Fitted]) -> Place | None:
    """The probe and the price at one boundary; None if it was stopped on the way."""
    found = fit()
    if found.partial:
        return None
    live, kept = prices(learn, cut)
    return Place(
        after=cut.groups[cut.first - 1].name, first=cut.groups[cut.first].name, params=sum(sizes[: cut.first]),
        size=seen.size, still=seen.cost, epoch=kept or live, cached=kept is not None, outcome=found.outcome,
        pooled=seen.pooled, c=found.c, alpha=found.alpha,
    )  # fmt: skip
