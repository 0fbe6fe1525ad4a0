"""How far a linear classifier on the still body's features gets: what every fine-tuning must beat."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from nbtune._cut import Cut
from nbtune._display import COLD, WARM, Chart, chart, html_table, html_value, seconds
from nbtune._fastai.borrow import borrowed, seed_all, without_augmentation
from nbtune._fastai.feed import Stopped, Way, kept_of
from nbtune._fastai.predict import predictions
from nbtune._nested import tensors
from nbtune.cache import Kept, Store
from nbtune.errors import FreezeError, InputError, TrainingError
from nbtune.evaluate.intervals import Estimate, interval, resampled_means, wilson
from nbtune.freeze import Hold
from nbtune.groups import Group
from nbtune.questions.checks import check_seed, check_split
from nbtune.questions.linear import FITS, Split, check, labels, linear
from nbtune.questions.passes import ends_of, loaders_of, one_pass
from nbtune.questions.pooling import pooled
from nbtune.questions.trials import progress, since, store_for

__all__ = ["Gain", "Probe", "features_of", "last_cut", "probe", "right"]

_ROWS = 1024  # kept items that are pooled at a time


@dataclass(frozen=True, repr=False)
class Gain:
    """Accuracy now less the probe's, on the same validation items."""

    points: Estimate  # mean difference in points of per cent, with the paired bootstrap's 95 % interval
    n: int

    def __repr__(self) -> str:
        return f"{self.points.value:+.1f} points [{self.points.low:.1f}, {self.points.high:.1f}]"

    def _repr_html_(self) -> str:
        return html_value("Gain over the probe", f"{self!r} over the probe, on {self.n} validation items.")


@dataclass(frozen=True, repr=False)
class Probe:
    """A linear probe at the input of the last group, measured once on the validation items."""

    accuracy: Estimate  # with Wilson's 95 % interval
    correct: Any = field(repr=False)  # bool [n], read-only: which validation items it reads, in their order
    c: float  # inverse strength of the penalty
    folds: int  # of the cross-validation that chose it; 0: one item a class, so a default
    items: int  # training items
    group: str  # the group whose input was read
    features: int  # numbers an item
    pooled: str  # what was averaged to get them, "" for nothing
    seconds: float
    cached: bool  # were kept features used
    why: str = ""  # why not
    partial: bool = False  # stopped before all values of C were tried

    @property
    def n(self) -> int:
        """Validation items."""
        return len(self.correct)

    def gain(self, correct_now: Any) -> Gain:
        """What a model gains over this probe; `correct_now`: bool [n], which validation items it reads (`right`).

        Raises InputError for another number of items. Source of the interval: Efron (1979), paired over the items.
        """
        now = np.asarray(correct_now)
        if now.shape != self.correct.shape:
            raise InputError(
                f"gain() of {now.shape} items against the probe's {self.correct.shape}.",
                rule="the comparison is item by item, on the same validation items in their order.",
                likely="the test items, or a share instead of the items.",
                next="probe.gain(nbtune.questions.right(learn))",
            )
        difference = now.astype(float) - self.correct
        replicates = resampled_means(difference, 2000, np.random.default_rng(0))
        half = wilson(0, self.n).high  # no disagreement was seen: what 0 of n still allows
        value = float(difference.mean())
        found = interval(value, replicates, (max(-1.0, value - half), min(1.0, value + half)))
        return Gain(Estimate(100 * found.value, 100 * found.low, 100 * found.high), self.n)

    @property
    def sentence(self) -> str:
        """The accuracy with its interval, and how it came about."""
        a = self.accuracy
        chosen = f"C {self.c:g} by {self.folds}-fold cross-validation" if self.folds else f"C {self.c:g} by default"
        more = "" if self.folds else ": one item a class, so nothing can be held out"
        stopped = " Stopped before all values of C were tried." if self.partial else ""
        return (
            f"Linear probe before {self.group}: accuracy {100 * a.value:.1f} % [{100 * a.low:.1f}, {100 * a.high:.1f}] "
            f"on {self.n} validation items, from {self.items} training items ({chosen} of these{more}); "
            f"{self.features} features an item{f', {self.pooled}' if self.pooled else ''}. "
            f"{seconds(self.seconds).capitalize()}.{stopped}"
        )

    def frame(self) -> Any:
        """A pandas frame, a row a validation item: correct."""
        import pandas as pd

        return pd.DataFrame({"correct": self.correct})

    def plot(self) -> Chart:
        """The accuracy with its interval: the line to beat."""
        figure, ax = chart(self.sentence, height=1.4)
        a = self.accuracy
        ax.axvspan(a.low, a.high, color=COLD, alpha=0.15, linewidth=0)
        ax.axvline(a.value, color=COLD)
        ax.annotate("linear probe", (a.value, 0.5), (6, 0), textcoords="offset points", color=COLD, va="center")
        ax.axvline(1.0, color=WARM, linewidth=0)
        ax.set_yticks([])
        ax.set_xlabel("accuracy (validation)")
        return figure

    def __repr__(self) -> str:
        return self.sentence

    def _repr_html_(self) -> str:
        rows = [("accuracy (validation)", f"{self.accuracy:.1%}"), ("C", f"{self.c:g}"), ("folds", self.folds)]
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

    Features are averaged over space or tokens, and standardised; C of the logistic regression is chosen by
    stratified cross-validation on the training items; the validation items are used once, to measure.
    Features come from `store` where they are kept or can be, else from a pass over the items. The Learner is
    as before afterwards, to the bit.

    Source: Kornblith, Shlens & Le (2019), Do better ImageNet models transfer better? Raises InputError for
    targets that are no classes, one class, or features that are not finite; FreezeError for a model with one
    group; TrainingError where `stopped()` before there are features.
    """
    seed, began = check_seed(seed), time.perf_counter()
    check_split(learn)
    cut = last_cut(groups)
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
    check(split, f"at the input of {name!r}")
    with progress("probe", FITS, "value of C") as tick:
        found = linear(split, seed, stopped, tick)
    found.correct.flags.writeable = False
    return Probe(
        accuracy=found.accuracy, correct=found.correct, c=found.c, folds=found.folds, items=len(split.targets),
        group=name, features=split.train.shape[1], pooled=pooling, seconds=since(began), cached=not why, why=why,
        partial=found.partial,
    )  # fmt: skip


def right(learn: Any) -> Any:
    """Which validation items the Learner's model reads now: bool [n], in their order, for `Probe.gain`."""
    with borrowed(learn):
        probs, targets = predictions(learn, loaders_of(learn)[1])
    return probs.argmax(axis=1) == targets.reshape(-1)


def last_cut(groups: Sequence[Group]) -> Cut:
    """All groups still but the last. Raises FreezeError where that is all there is."""
    if len(groups) < 2:
        raise FreezeError(
            f"a probe of a model with {len(groups)} group.",
            rule="a probe reads what the groups before the last one give.",
            likely="the Learner's splitter puts everything in one group (fastai's default does).",
            next='nt.Tuner(learn, groups="stage")',
        )
    return Cut(tuple(groups), len(groups) - 1)


def features_of(learn: Any, cut: Cut, store: Store, seed: int, stopped: Callable[[], bool]) -> tuple[Split, str, str]:
    """Pooled features before the cut, what was averaged, and why they are not from kept ones ("" where they are)."""
    with ExitStack() as stack:
        stack.enter_context(borrowed(learn))
        stack.enter_context(without_augmentation(learn))
        digest = Hold(learn.model, cut).digest
        end = ends_of(learn, [cut])[0]
        if isinstance(end, FreezeError):
            raise end
        try:
            where, kept = kept_of(learn, cut, store_for(store, digest), digest, Way(stopped=stopped))
            if where.end == end:
                return *_of_kept(kept), ""
            why = "The features at the end of the still part take too much room to be kept."
        except FreezeError as error:
            why = error.given
        seed_all(learn, seed)
        with progress("features", sum(len(loader) for loader in loaders_of(learn)), "batch") as tick:
            seen = one_pass(learn, [end], stopped, tick)[0]
        return seen.split, seen.pooled, why


def _of_kept(kept: Sequence[Kept]) -> tuple[Split, str]:
    """The split from kept features, pooled a part at a time: those on disk need not fit in memory."""
    found: list[Any] = []
    said = ""
    for split in kept[:2]:
        parts = []
        for start in range(0, split.items, _ROWS):
            rows = torch.arange(start, min(split.items, start + _ROWS), device=split.device)
            vectors, said = pooled(split.take(rows))
            parts.append(vectors.cpu().numpy())
        found += [np.concatenate(parts), labels([tensor[: split.items] for tensor in tensors(split.targets)])]
    return Split(*found), said
