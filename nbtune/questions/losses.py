"""Which labels a linear probe doubts: the loss of each item under a probe that was fitted without it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nbtune._display import COLD, WARM, Chart, chart, html_table, html_value
from nbtune._fastai.feed import Stopped
from nbtune.cache import Store
from nbtune.errors import InputError, TrainingError
from nbtune.groups import Group
from nbtune.questions.checks import check_seed, check_split
from nbtune.questions.features import features_of, last_cut
from nbtune.questions.linear import FITS, check, crossed
from nbtune.questions.trials import progress, since

__all__ = ["Losses", "item_losses"]

_SURE = 0.9


@dataclass(frozen=True, repr=False, eq=False)
class Losses:
    """Cross-validated losses of training and validation items; nan where a class has one item, so it is not judged.

    A high loss is a wrong label, a hard item or a rare kind: only a look tells which.
    """

    splits: tuple[str, ...] = field(repr=False)
    items: tuple[str, ...] = field(repr=False)  # ids, or places where the data have none
    losses: Any = field(repr=False)  # float [n]: -log of the label's probability
    labels: Any = field(repr=False)  # int [n]: places in the vocab, as for `read`
    read: Any = field(repr=False)  # int [n]: the class that the probe reads; -1 where it is not judged
    sure: Any = field(repr=False)  # float [n]: the probability of that class
    vocab: tuple[str, ...]
    c: float
    folds: int
    group: str  # the group whose input was read
    seconds: float
    trained: bool = False  # the body before it was trained on these labels
    partial: bool = False  # stopped before all values of C were tried

    @property
    def order(self) -> Any:
        """Places by loss, highest first; those that are not judged at the end."""
        return np.argsort(-np.nan_to_num(self.losses, nan=-1.0), kind="stable")

    @property
    def sentence(self) -> str:
        """How many items are read as another class, how surely, and how this was found."""
        other = (self.read != self.labels) & (self.read >= 0)
        sure = int((other & (self.sure >= _SURE)).sum())
        alone = int(np.isnan(self.losses).sum())
        told = (
            f"{int(other.sum()):,} of {len(self.items) - alone:,} training and validation items are read as another "
            f"class, {sure:,} of them with a probability of {_SURE} or more, by a linear probe before "
            f"{self.group} that was fitted without them ({self.folds}-fold cross-validation, C {self.c:g})."
        )
        if alone:
            told += f" {alone:,} alone in their class are not judged."
        if self.trained:
            told += " The body was trained on these labels, so wrong ones may look right: ask before training."
        if self.partial:
            told += " Stopped before all values of C were tried."
        return told

    def frame(self) -> Any:
        """A pandas frame by loss, highest first: split, item, label, loss, read, sure."""
        import pandas as pd

        at = self.order
        names = np.array([*self.vocab, ""], dtype=object)
        columns = [
            np.array(self.splits, dtype=object)[at], np.array(self.items, dtype=object)[at], names[self.labels[at]],
            self.losses[at], names[self.read[at]], self.sure[at],
        ]  # fmt: skip
        return pd.DataFrame(dict(zip(("split", "item", "label", "loss", "read", "sure"), columns, strict=True)))

    def plot(self) -> Chart:
        """Losses of all items, highest first; those that are read as another class are marked."""
        figure, ax = chart(self.sentence)
        at = [i for i in self.order if not np.isnan(self.losses[i])]
        other = np.array([self.read[i] != self.labels[i] for i in at], dtype=bool)
        rank, losses = np.arange(len(at)), self.losses[at]
        ax.plot(rank, losses, color=COLD)
        ax.plot(rank[other], losses[other], "^", color=WARM, markersize=4, label="read as another class")
        ax.set_xlabel("items, highest loss first")
        ax.set_ylabel("loss, cross-validated")
        ax.legend(frameon=False)
        return figure

    def __repr__(self) -> str:
        return self.sentence

    def _repr_html_(self) -> str:
        rows = [
            (split, item, label, f"{loss:.2f}", f"{read} ({sure:.2f})" if read else "")
            for split, item, label, loss, read, sure in self.frame().head(10).itertuples(index=False)
        ]
        table = html_table(["split", "item", "label", "loss", "read as"], rows)
        return html_value("Items by loss", self.sentence, table)


def item_losses(
    learn: Any, groups: Sequence[Group], *, store: Store, seed: int = 0, stopped: Callable[[], bool] = lambda: False
) -> Losses:
    """Cross-validated losses of a Learner's training and validation items, from the features before its last group.

    Features as for `probe`, kept ones where there are. Both splits together are cut in stratified folds, and each item
    is judged by a probe that was fitted on the other folds. The Learner is as before afterwards, to the bit.

    Raises InputError for targets that are no classes, one class, classes with one item each or features that are not
    finite; FreezeError for a model with one group; TrainingError where `stopped()` before there are features.
    """
    seed, began = check_seed(seed), time.perf_counter()
    check_split(learn)
    cut, name = last_cut(groups), groups[-1].name
    try:
        split = features_of(learn, cut, store, seed, stopped)[0]
    except Stopped:
        raise TrainingError(
            "item losses that were stopped before there were features of all items.",
            rule="each item is judged by its features.", likely="stop() was called, or Stop was pressed.",
            next="tuner.item_losses(), which goes on with the features that are there.",
        ) from None  # fmt: skip
    check(split, f"at the input of {name!r}", "task.quality().wrong_labels, which judges numbers and labels too.")
    targets = np.concatenate([split.targets, split.valid_targets]).astype(np.int64)
    if np.unique(targets, return_counts=True)[1].max() < 2:
        raise InputError(
            f"item losses of {len(targets)} items, each alone in its class.",
            rule="an item is judged by a probe that knows other items of its class.",
            likely="ids given as classes, or one shot without a validation split.", next="take more items a class.",
        )  # fmt: skip
    with progress("item losses", FITS, "value of C") as tick:
        found = crossed(np.concatenate([split.train, split.valid]), targets, seed, stopped, tick)
    return _value(learn, targets, len(split.targets), found, name, since(began))


def _value(learn: Any, targets: Any, train: int, found: Any, name: str, spent: float) -> Losses:
    rows, judged = np.arange(len(targets)), ~np.isnan(found.probs[:, 0])
    given = found.probs[rows, np.searchsorted(found.classes, targets)]
    best = np.nan_to_num(found.probs, nan=0.0).argmax(axis=1)
    return Losses(
        splits=("train",) * train + ("valid",) * (len(targets) - train), items=_ids(learn),
        losses=-np.log(np.maximum(given, 1e-300)), labels=targets, read=np.where(judged, found.classes[best], -1),
        sure=np.where(judged, found.probs[rows, best], np.nan), vocab=_vocab(learn, targets), c=found.c,
        folds=found.folds, group=name, seconds=spent, partial=found.partial,
    )  # fmt: skip


def _ids(learn: Any) -> tuple[str, ...]:
    """The items' ids where the datasets have them, else their places."""
    datasets = [loader.dataset for loader in learn.dls.loaders[:2]]
    return tuple(str(name) for data in datasets for name in getattr(data, "ids", None) or range(len(data)))


def _vocab(learn: Any, targets: Any) -> tuple[str, ...]:
    known = getattr(learn.dls, "vocab", None)
    names = tuple(str(name) for name in known) if known is not None else ()
    most = int(targets.max())
    return names if len(names) > most else tuple(str(number) for number in range(most + 1))
