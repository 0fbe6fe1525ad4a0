"""Labels that are likely wrong: what a probe that was fitted without an item reads, against what the item is called."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from nbtune.quality.stopping import Stopped
from nbtune.questions.linear import Crossed, crossed
from nbtune.tasks._marks import COLUMNS

__all__ = ["LEAST", "MARKS", "doubts", "forest", "wrong_classes", "wrong_numbers", "wrong_sets"]

MARKS = (*COLUMNS, "now", "sure")
LEAST = 20  # items from which labels are judged
FAR = 4.5  # robust standard deviations of a residual: one in 150,000 of a normal distribution
_TREES, _MOST = 100, 5000  # of a forest, and rows that each of its trees is fitted on


def doubts(
    x: Any, y: Any, kind: str, table: bool, seed: int, stopped: Callable[[], bool], tick: Callable[[], None]
) -> tuple[Any, str, float]:
    """(what is read [n] of each item, or its probabilities, by a model fitted without it; how; C). Raises Stopped."""
    if kind == "single" and not table:
        found = crossed(x, y, seed, _raising(stopped), tick)
        return found, f"a linear probe in {found.folds}-fold cross-validation (C {found.c:g})", found.c
    said = "a random forest" if table else "a linear probe"
    return _held_out(x, y, kind, table, seed, stopped, tick), f"{said} in 5-fold cross-validation", float("nan")


def _raising(stopped: Callable[[], bool]) -> Callable[[], bool]:
    def ask() -> bool:
        if stopped():
            raise Stopped("wrong labels")
        return False

    return ask


def forest(kind: str, n: int, seed: int) -> Any:
    """Trees for rows of a table: no scale to choose, and a bounded time."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    made = RandomForestRegressor if kind == "regression" else RandomForestClassifier
    return made(_TREES, max_samples=min(1.0, _MOST / n), min_samples_leaf=2, random_state=seed, n_jobs=1)


def _model(kind: str, table: bool, n: int, seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression, RidgeCV
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if table:
        return forest(kind, n, seed)
    if kind == "regression":
        return make_pipeline(StandardScaler(), RidgeCV(alphas=np.logspace(-1, 5, 13)))
    return make_pipeline(StandardScaler(), OneVsRestClassifier(LogisticRegression(C=0.1, max_iter=300)))


def _held_out(
    x: Any, y: Any, kind: str, table: bool, seed: int, stopped: Callable[[], bool], tick: Callable[[], None]
) -> Any:
    """Of classes a `Crossed`, of several labels their probabilities [n, k], of numbers the predictions [n, k]."""
    classes = np.unique(y) if kind == "single" else np.arange(y.shape[1] if y.ndim > 1 else 1)
    read = np.full((len(x), len(classes)), np.nan)
    folds = _folds(y, kind, seed)
    for rest, out in folds:
        if stopped():
            raise Stopped("wrong labels")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a label that all or none of a fold have
            model = _model(kind, table, len(rest), seed).fit(x[rest], y[rest])
        read[out] = _read(model, x[out], kind, classes, y.ndim)
        tick()
    return Crossed(read, classes, float("nan"), len(folds)) if kind == "single" else read


def _folds(y: Any, kind: str, seed: int) -> list[tuple[Any, Any]]:
    from sklearn.model_selection import KFold, StratifiedKFold

    if kind != "single":
        return list(KFold(5, shuffle=True, random_state=seed).split(y))
    classes, counts = np.unique(y, return_counts=True)
    several = np.flatnonzero(np.isin(y, classes[counts > 1]))
    alone = np.flatnonzero(~np.isin(y, classes[counts > 1]))
    if not len(several):
        return []
    cut = StratifiedKFold(min(5, int(counts[counts > 1].min())), shuffle=True, random_state=seed)
    return [(np.concatenate([several[a], alone]), several[b]) for a, b in cut.split(several, y[several])]


def _read(model: Any, x: Any, kind: str, classes: Any, axes: int) -> Any:
    if kind == "regression":
        return np.asarray(model.predict(x)).reshape(len(x), -1)
    probs = model.predict_proba(x)
    if isinstance(probs, list):  # a forest of several labels: one array each, of one column where all are alike
        columns = zip(probs, model.classes_, strict=True)
        return np.stack([p[:, list(c).index(1)] if 1 in c else np.zeros(len(x)) for p, c in columns], 1)
    if kind == "multi":
        return np.asarray(probs)
    found = np.zeros((len(x), len(classes)))
    found[:, np.searchsorted(classes, model.classes_)] = probs
    return found


def wrong_classes(found: Any, y: Any, names: Any, vocab: tuple[str, ...]) -> pd.DataFrame:
    """Marks on items whose label confident learning doubts; `names`: (split, id) of each item.

    Source: Northcutt, Jiang & Chuang (2021), Confident learning: estimating uncertainty in dataset labels; cleanlab.
    """
    from cleanlab.filter import find_label_issues

    judged = np.flatnonzero(~np.isnan(found.probs).any(1))
    place = np.searchsorted(found.classes, y[judged])
    probs = found.probs[judged]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that none is judged of
        doubtful = find_label_issues(place, probs, filter_by="prune_by_noise_rate", n_jobs=1)
    doubtful &= probs.argmax(1) != place
    at = judged[doubtful]
    best = found.probs[at].argmax(1)
    sure = found.probs[at, best]
    order = np.argsort(-sure, kind="stable")
    rows = [
        (*names[at[i]], "label", vocab[found.classes[best[i]]], vocab[y[at[i]]], float(sure[i])) for i in order
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(MARKS))


def wrong_sets(probs: Any, y: Any, names: Any, vocab: tuple[str, ...]) -> pd.DataFrame:
    """Items whose set of labels is doubted, a row each label: label, and "has" or "has not" as it is now.

    Source: Thyagarajan et al. (2022), Identifying incorrect annotations in multi-label classification data; cleanlab.
    """
    from cleanlab.multilabel_classification.filter import find_multilabel_issues_per_class

    sets = [list(np.flatnonzero(row)) for row in y]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        masks = find_multilabel_issues_per_class(sets, np.clip(probs, 1e-6, 1 - 1e-6), n_jobs=1)
    rows = []
    for at, label in zip(*np.nonzero(np.asarray(masks).reshape(len(y), -1)), strict=True):
        p, has = float(probs[at, label]), bool(y[at, label])
        if (p > 0.5) != has:
            sure = 1 - p if has else p
            rows.append((*names[at], "label", vocab[label], "has" if has else "has not", sure))
    rows.sort(key=lambda row: -row[-1])
    return pd.DataFrame(rows, columns=list(MARKS))


def wrong_numbers(read: Any, y: Any, names: Any, vocab: tuple[str, ...]) -> pd.DataFrame:
    """Items whose number lies far from what is read of them: split, item, "label", the number read, now, sure.

    `sure` is the residual in robust standard deviations of all residuals (median absolute deviation).
    """
    residuals = y.reshape(read.shape) - read
    middle = np.median(residuals, 0)
    spread = 1.4826 * np.median(np.abs(residuals - middle), 0)
    far = np.abs(residuals - middle) / np.where(spread > 0, spread, np.inf)
    at = np.flatnonzero(far.max(1) > FAR)
    at = at[np.argsort(-far[at].max(1), kind="stable")]
    column = far[at].argmax(1)
    given = y.reshape(read.shape)
    rows = [
        (*names[i], "label", float(read[i, k]), float(given[i, k]), float(far[i, k]))
        for i, k in zip(at, column, strict=True)
    ]
    return pd.DataFrame(rows, columns=list(MARKS))
