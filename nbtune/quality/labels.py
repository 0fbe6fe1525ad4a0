"""Labels that are likely wrong: what a probe that was fitted without an item reads, against what the item is called."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from nbtune.quality.stopping import Stopped
from nbtune.questions.linear import DEFAULT_C, Crossed, crossed
from nbtune.tasks._marks import COLUMNS

__all__ = ["LEAST", "MARKS", "Read", "Stops", "Ticks", "read", "wrong_classes", "wrong_numbers", "wrong_sets"]

MARKS = (*COLUMNS, "now", "sure")
LEAST = 20  # items from which labels are judged
DOUBTED = 0.05  # probability of the given label, below which it is doubted
FAR = 4.5  # robust standard deviations of a residual: one in 150,000 of a normal distribution
_SURER = 30.0  # times C, where what is doubted no longer counts
_FOLDS = 5

Stops = Callable[[], bool]
Ticks = Callable[[], None]


class Read:
    """What probes read of items that they were not fitted on, and how."""

    def __init__(self, values: Any, how: str, agrees: float, c: float, alone: int = 0) -> None:
        self.values, self.how = values, how  # a `Crossed`; probabilities [n, k] of labels; numbers [n, k]
        self.agrees = agrees  # share of the items that the first probe reads as labelled; nan of numbers
        self.c, self.alone = c, alone  # items that are not judged


def read(x: Any, y: Any, kind: str, seed: int, stopped: Stops, tick: Ticks) -> Read:
    """Read every item twice by probes that were fitted without it: the second ones without the items then doubted.

    A wrong label pulls a probe towards itself, so that the first reading is unsure of it; left out, it cannot.
    Source: Northcutt, Jiang & Chuang (2021), Confident learning (prune, then fit again). Raises Stopped.
    """
    if kind == "regression":
        return Read(
            _numbers(x, y, seed, stopped, tick), "ridge regression in 5-fold cross-validation", float("nan"), 0.0
        )
    if kind == "multi":
        first = _sets(x, y, np.ones(len(y), dtype=bool), DEFAULT_C, seed, stopped, tick)
        keep = ((first > 0.5) == y).all(1)
        agrees = float(((first > 0.5) == y).mean())
        keep = keep if keep.sum() >= LEAST else np.ones(len(y), dtype=bool)
        second = _sets(x, y, keep, _SURER * DEFAULT_C, seed, stopped, tick)
        return Read(second, "linear probes in 5-fold cross-validation, twice", agrees, DEFAULT_C)
    found = crossed(x, y, seed, _raising(stopped), tick)
    judged = ~np.isnan(found.probs).any(1)
    same = found.classes[np.nan_to_num(found.probs).argmax(1)] == y
    again = crossed(x, y, seed, _raising(stopped), tick, c=_SURER * found.c, keep=same | ~judged)
    how = f"a linear probe in {found.folds}-fold cross-validation (C {found.c:g}), twice"
    return Read(again, how, float(same[judged].mean()), found.c, int((~judged).sum()))


def _raising(stopped: Stops) -> Stops:
    def ask() -> bool:
        if stopped():
            raise Stopped("wrong labels")
        return False

    return ask


def _numbers(x: Any, y: Any, seed: int, stopped: Stops, tick: Ticks) -> Any:
    """Numbers [n, k] read by ridge regression."""
    from sklearn.linear_model import RidgeCV

    def fit(rest: Any) -> Any:
        return RidgeCV(alphas=np.logspace(-1, 5, 13)).fit(x[rest], y[rest]).predict

    return _held_out(x, np.empty((len(y), int(np.prod(y.shape[1:])))), fit, seed, stopped, tick)


def _sets(x: Any, y: Any, keep: Any, c: float, seed: int, stopped: Stops, tick: Ticks) -> Any:
    """Probabilities [n, k] of each label by a probe of its own."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    def fit(rest: Any) -> Any:
        used = rest[keep[rest]]
        return OneVsRestClassifier(LogisticRegression(C=c, max_iter=300)).fit(x[used], y[used]).predict_proba

    return _held_out(x, np.empty(y.shape), fit, seed, stopped, tick)


def _held_out(x: Any, into: Any, fit: Callable[[Any], Any], seed: int, stopped: Stops, tick: Ticks) -> Any:
    from sklearn.model_selection import KFold

    for rest, out in KFold(_FOLDS, shuffle=True, random_state=seed).split(x):
        _raising(stopped)()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a label that all or none of a fold have; what has not converged
            into[out] = fit(rest)(x[out]).reshape(len(out), -1)
        tick()
    return into


def wrong_classes(found: Crossed, y: Any, names: Any, vocab: tuple[str, ...]) -> pd.DataFrame:
    """Marks on items whose label has a probability below `DOUBTED`, surest first; `names`: (split, id) of each."""
    probs = np.nan_to_num(found.probs, nan=1.0)  # of one that is not judged no label is doubted
    given = probs[np.arange(len(y)), np.searchsorted(found.classes, y)]
    best = probs.argmax(1)
    at = np.flatnonzero((given < DOUBTED) & (found.classes[best] != y))
    at = at[np.argsort(given[at] - probs[at, best[at]], kind="stable")]
    rows = [(*names[i], "label", vocab[found.classes[best[i]]], vocab[y[i]], float(probs[i, best[i]])) for i in at]
    return pd.DataFrame(rows, columns=list(MARKS))


def wrong_sets(probs: Any, y: Any, names: Any, vocab: tuple[str, ...]) -> pd.DataFrame:
    """Labels that items should have or should not, a row each: label, and "has" or "has not" as it is now."""
    given = np.where(y > 0, probs, 1 - probs)
    pairs = np.argwhere(given < DOUBTED)
    pairs = pairs[np.argsort(given[tuple(pairs.T)], kind="stable")]
    rows = [
        (*names[i], "label", vocab[k], "has" if y[i, k] else "has not", float(1 - given[i, k])) for i, k in pairs
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(MARKS))


def wrong_numbers(read: Any, y: Any, names: Any, vocab: tuple[str, ...]) -> pd.DataFrame:
    """Items whose number lies far from what is read of them: split, item, "label", the number read, now, sure.

    `sure` is the residual in robust standard deviations of all residuals (median absolute deviation).
    """
    given = y.reshape(read.shape)
    residuals = given - read
    middle = np.median(residuals, 0)
    spread = 1.4826 * np.median(np.abs(residuals - middle), 0)
    far = np.abs(residuals - middle) / np.where(spread > 0, spread, np.inf)
    at = np.flatnonzero(far.max(1) > FAR)
    at = at[np.argsort(-far[at].max(1), kind="stable")]
    column = far[at].argmax(1)
    rows = [
        (*names[i], "label", float(read[i, k]), float(given[i, k]), float(far[i, k]))
        for i, k in zip(at, column, strict=True)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(MARKS))
