"""A linear probe: logistic regression on standardised features, its C chosen on the training items alone."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from nbtune.errors import InputError
from nbtune.evaluate.intervals import Estimate, wilson

__all__ = [
    "DEFAULT_C", "FITS", "Crossed", "Fitted", "Split", "check", "chosen_c", "crossed", "finite", "labels", "linear",
    "logistic", "standardised", "threads",
]  # fmt: skip

_FOLDS = 5
_SMALL = 2_000_000  # numbers
_CS = tuple(float(f"{10.0**power:.2g}") for power in np.arange(-4, 4.5, 0.5))
FITS = len(_CS)
_ASK = "learn.loss_func = fastai's MSELossFlat() for numbers, BCEWithLogitsLossFlat() for labels; then ask again."
DEFAULT_C = 0.1  # for standardised features where nothing can be held out to choose by


@dataclass(frozen=True)
class Split:
    """Features float [n, d] and targets int [n] of training and validation items."""

    train: Any
    targets: Any
    valid: Any
    valid_targets: Any


@dataclass(frozen=True)
class Fitted:
    """What a linear probe reads of the validation items, and how its C was chosen."""

    correct: Any  # bool [validation items], in their order
    c: float
    folds: int  # 0: nothing could be held out, so C is the default
    partial: bool  # stopped before all values of C were tried

    @property
    def accuracy(self) -> Estimate:
        """On the validation items, with Wilson's 95 % interval."""
        return wilson(int(self.correct.sum()), len(self.correct))


@dataclass(frozen=True)
class Crossed:
    """What linear probes read of items that they were not fitted on."""

    probs: Any  # float [n, classes]; nan for an item that was never held out, as it is alone in its class
    classes: Any  # int [classes], sorted: the targets of the columns
    c: float
    folds: int
    partial: bool = False  # stopped before all values of C were tried


def crossed(
    x: Any, targets: Any, seed: int, stopped: Callable[[], bool], tick: Callable[[], None], *, c: float | None = None,
    keep: Any = None,
) -> Crossed:  # fmt: skip
    """Each item's probabilities by a probe that was fitted without it: stratified folds, C chosen on the same folds.

    `c`: given instead. `keep` bool [n]: the items that probes are fitted on; all are read. `tick()` is called for
    each value of C.
    """
    x, _ = standardised(x, x[:1])
    classes, folds = np.unique(targets), list(_folds(targets, seed))
    probs = np.full((len(targets), len(classes)), np.nan)
    with threads(x.size), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # after a thousand steps a probe is what it is
        partial = False
        if c is None:
            c, partial = _chosen(x, targets, folds, stopped, tick) if folds else (DEFAULT_C, False)
        for rest, out in folds:
            used = rest if keep is None else rest[keep[rest]]
            used = used if len(np.unique(targets[used])) > 1 else rest
            model = logistic(c, 1000).fit(x[used], targets[used])
            probs[out] = 0  # of a class of which no item was kept
            probs[out[:, None], np.searchsorted(classes, model.classes_)] = model.predict_proba(x[out])
    return Crossed(probs, classes, c, len(folds), partial)


def labels(columns: Sequence[torch.Tensor]) -> Any:
    """An array [n] of an item's target, [n, k] where it has several numbers."""
    flat = [column.cpu().reshape(len(column), -1) for column in columns]
    found = torch.cat(flat, 1).numpy()
    return found[:, 0] if found.shape[1] == 1 else found


def check(split: Split, where: str, live: str = _ASK) -> None:
    """Raise InputError for targets that are no classes, a single class, or features that are not finite.

    `live`: what else answers for other targets.
    """
    for name, targets in (("training", split.targets), ("validation", split.valid_targets)):
        if targets.ndim != 1 or targets.dtype.kind not in "iub":
            kind = "several numbers an item" if targets.ndim != 1 else "numbers, not classes"
            raise InputError(
                f"a linear probe of {name} targets that are {kind}.",
                rule="under this loss the probe is a classifier: one class, a whole number, an item.",
                likely="several labels an item, under a loss that does not say so." if targets.ndim != 1
                else "a regression, under a loss that does not say so.",
                next=live,
            )  # fmt: skip
    if len(np.unique(split.targets)) < 2:
        raise InputError(
            f"a linear probe on {len(split.targets)} training items of one class.",
            rule="a classifier needs items of two classes or more.",
            likely="a splitter that sorted the items by class, or a set too small.",
            next="look at the class counts of learn.dls.train; split at random.",
        )
    finite(split, where)


def finite(split: Split, where: str) -> None:
    """Raise InputError for features that are not finite."""
    for name, features in (("training", split.train), ("validation", split.valid)):
        broken = int((~np.isfinite(features)).any(axis=1).sum())
        if broken:
            raise InputError(
                f"features {where} that are not finite for {broken} of {len(features)} {name} items.",
                rule="a probe needs finite features.",
                likely="weights of a training that diverged, or items that hold nan.",
                next="tuner.best(), or build the Learner anew; then look at the items.",
            )


def linear(split: Split, seed: int, stopped: Callable[[], bool], tick: Callable[[], None]) -> Fitted:
    """Fit on the training items, measure once on the validation items. `tick()` is called for each value of C.

    The features are standardised by the training items. C is the one with the least log loss in stratified
    cross-validation: five folds, fewer where a class has fewer items; classes with one item are never held
    out, and where all have one, C is `DEFAULT_C`.
    """
    x, valid = standardised(split.train, split.valid)
    folds = list(_folds(split.targets, seed))
    with threads(x.size):
        return _fitted(split, x, valid, folds, stopped, tick)


def threads(size: int) -> AbstractContextManager[Any]:
    """One thread for small matrices: several take longer to share them than to add them, most on a busy machine."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with scikit-learn

    limited: AbstractContextManager[Any] = threadpool_limits(1, "blas") if size < _SMALL else nullcontext()
    return limited


def _fitted(
    split: Split, x: Any, valid: Any, folds: list[Any], stopped: Callable[[], bool], tick: Callable[[], None]
) -> Fitted:
    c, partial = _chosen(x, split.targets, folds, stopped, tick) if folds else (DEFAULT_C, False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # after a thousand steps a probe is what it is
        read = logistic(c, 1000).fit(x, split.targets).predict(valid)
    return Fitted(np.asarray(read == split.valid_targets, dtype=bool), c, len(folds), partial)


def standardised(train: Any, valid: Any) -> tuple[Any, Any]:
    """Both by the training items' means and spreads, as float64; turned where there are more features than items."""
    train, valid = np.asarray(train, dtype=np.float64), np.asarray(valid, dtype=np.float64)
    mean, sd = train.mean(axis=0), train.std(axis=0)
    sd[sd == 0] = 1
    train, valid = (train - mean) / sd, (valid - mean) / sd
    if train.shape[1] <= len(train):
        return train, valid
    # The penalty does not change with a rotation, and what is beyond the span of the training items gets no weight.
    turn = np.linalg.svd(train, full_matrices=False)[2].T
    return train @ turn, valid @ turn


def _folds(targets: Any, seed: int) -> Iterator[tuple[Any, Any]]:
    """Places of (training, held out) items; none where every class has one item."""
    from sklearn.model_selection import StratifiedKFold

    classes, counts = np.unique(targets, return_counts=True)
    several = np.isin(targets, classes[counts > 1])
    if not several.any():
        return
    places, alone = np.flatnonzero(several), np.flatnonzero(~several)
    folds = min(_FOLDS, int(counts[counts > 1].min()))
    for rest, out in StratifiedKFold(folds, shuffle=True, random_state=seed).split(places, targets[places]):
        yield np.concatenate([places[rest], alone]), places[out]


def _chosen(
    x: Any, targets: Any, folds: list[Any], stopped: Callable[[], bool], tick: Callable[[], None]
) -> tuple[float, bool]:
    models = [logistic(_CS[0], 300) for _ in folds]

    def held(c: float) -> float:
        each = zip(models, folds, strict=True)
        return float(np.mean([_loss(model.set_params(C=c), x, targets, fold) for model, fold in each]))

    return chosen_c(held, stopped, tick)


def chosen_c(
    held: Callable[[float], float], stopped: Callable[[], bool], tick: Callable[[], None], step: int = 1
) -> tuple[float, bool]:
    """The C with the least loss `held(c)`, from small to large until it has risen twice; and whether it was stopped.

    `step`: 2 tries every second one, the powers of ten.
    """
    losses: list[float] = []
    cs = _CS[::step]
    for c in cs:
        if stopped():
            return (cs[int(np.argmin(losses))] if losses else DEFAULT_C), True
        losses.append(held(c))
        tick()
        if len(losses) > 2 and losses[-1] > losses[-2] > losses[-3]:
            break
    return cs[int(np.argmin(losses))], False


def _loss(model: Any, x: Any, targets: Any, fold: tuple[Any, Any]) -> float:
    rest, out = fold
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a C that has not converged after so many steps is no good C either
        probs = model.fit(x[rest], targets[rest]).predict_proba(x[out])
    at = np.searchsorted(model.classes_, targets[out])
    return float(-np.log(np.maximum(probs[np.arange(len(out)), at], 1e-300)).mean())


def logistic(c: float, steps: int) -> Any:
    """scikit-learn's logistic regression, of at most so many steps, that goes on from its last fit."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=c, max_iter=steps, warm_start=True)
