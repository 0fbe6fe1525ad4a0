"""Columns of a table, and what is known of pictures beside their content: gaps, constants, and labels in disguise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from nbtune.preflight.values import Finding
from nbtune.quality.stopping import Stopped
from nbtune.quality.words import listed, percent

__all__ = ["Column", "alone", "gaps", "leaks", "said_of_leaks"]

TELLS = 0.95  # of the way from guessing to knowing
KNOWS = 0.99
_MOST = 20_000  # rows that a column is tried on


@dataclass(frozen=True)
class Column:
    """A column and how much of the target it tells alone: 0 as by guessing, 1 entirely."""

    name: str
    tells: float
    missing: bool = False  # it is the gaps of the column that tell it


def gaps(splits: dict[str, pd.DataFrame]) -> Iterator[Finding]:
    """Missing values by column and split, columns without variation, and categories that training does not know."""
    train = splits["train"]
    shares = {name: frame.isna().mean() for name, frame in splits.items()}
    some = [name for name in train.columns if any(share[name] > 0 for share in shares.values())]
    if some:
        told = [
            f"{name} {', '.join(f'{s} {percent(share[name])}' for s, share in shares.items())}" for name in some[:5]
        ]
        more = f"; {len(some) - 5} more" if len(some) > 5 else ""
        yield Finding(
            "warn" if any(share[name] > 0.5 for share in shares.values() for name in some) else "note",
            "missing values", f"{len(some)} of {len(train.columns)} columns have gaps: {'; '.join(told)}{more}.",
            "What is missing may say something. Here a gap becomes a category, or the training median with a mark.",
            "look whether they are missing for a reason that will hold when the model is used",
        )  # fmt: skip
    for name in some:
        low, high = min(share[name] for share in shares.values()), max(share[name] for share in shares.values())
        if high - low > 0.2:
            yield Finding(
                "warn", "missing values", f"{name} is missing in {percent(low)} to {percent(high)} by split.",
                "The splits were not collected alike.", "ask how they came about; split anew at random or by group",
            )  # fmt: skip
    still = [str(name) for name in train.columns if train[name].nunique(dropna=False) < 2]
    if still:
        yield Finding(
            "warn", "constant columns", f"{listed(still)} never varies in training.", "It tells nothing.",
            f"df.drop(columns={still[:6]!r})",
        )  # fmt: skip
    yield from _unknown(splits)


def _unknown(splits: dict[str, pd.DataFrame]) -> Iterator[Finding]:
    """Categories in validation or test that training has not."""
    train = splits["train"]
    for name in train.columns:
        if pd.api.types.is_numeric_dtype(train[name]):
            continue
        known = set(train[name].dropna())
        for split, frame in splits.items():
            new = sorted(map(str, set(frame[name].dropna()) - known)) if split != "train" else []
            if new:
                rows = int(frame[name].isin(new).sum())
                yield Finding(
                    "note", "unknown categories", f"{name}: {listed(new)} in {rows:,} {split} rows, not in training.",
                    "They are read as unknown.", "group rare categories, or collect training rows of them",
                )  # fmt: skip


def leaks(
    frame: pd.DataFrame, y: Any, kind: str, seed: int, stopped: Callable[[], bool], tick: Callable[[], None]
) -> tuple[Column, ...]:
    """How much each column of the training rows tells of the target alone, most first. Raises Stopped.

    Cross-validated with a small tree (of numbers) or the most frequent class or the mean of each category; also by
    the column's gaps alone.
    """
    draw = np.random.RandomState(seed)
    rows = np.sort(draw.permutation(len(frame))[:_MOST])
    target = np.asarray(y)[rows]
    found = []
    for name in frame.columns:
        if stopped():
            raise Stopped("columns that tell the label")
        column = frame[name].iloc[rows]
        tells = alone(column, target, kind, seed)
        absent = column.isna()
        gap = alone(absent.astype(float), target, kind, seed) if 0 < absent.mean() < 1 else 0.0
        found.append(Column(str(name), max(tells, gap), gap >= max(tells - 0.01, TELLS)))
        tick()
    return tuple(sorted(found, key=lambda one: -one.tells))


def alone(column: pd.Series, target: Any, kind: str, seed: int) -> float:
    """How much of the target one column tells, cross-validated: 0 as by guessing, 1 entirely.

    Of classes the balanced accuracy, corrected for guessing; of numbers the share of variance.
    """
    folds = _folds(target, kind, seed)
    if not folds or column.nunique(dropna=False) < 2:
        return 0.0
    numeric = pd.api.types.is_numeric_dtype(column)
    values = column.to_numpy(dtype=float, na_value=np.nan) if numeric else column.astype(object).fillna("").astype(str)
    read = np.empty(len(target), dtype=float)
    for rest, out in folds:
        if numeric:
            read[out] = _tree(kind, target, seed).fit(values[rest, None], target[rest]).predict(values[out, None])
        else:
            read[out] = _by_category(values.iloc[rest], target[rest], values.iloc[out], kind)
    return _score(target, read, kind)


def _folds(target: Any, kind: str, seed: int) -> list[tuple[Any, Any]]:
    from sklearn.model_selection import KFold, StratifiedKFold

    if kind == "regression":
        return list(KFold(5, shuffle=True, random_state=seed).split(target)) if len(target) >= 10 else []
    least = int(np.unique(target, return_counts=True)[1].min()) if len(target) else 0
    if len(np.unique(target)) < 2 or len(target) < 10:
        return []
    if least < 2:
        return list(KFold(5, shuffle=True, random_state=seed).split(target))
    return list(StratifiedKFold(min(5, least), shuffle=True, random_state=seed).split(target, target))


def _tree(kind: str, target: Any, seed: int) -> Any:
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    if kind == "regression":
        return DecisionTreeRegressor(min_samples_leaf=max(2, len(target) // 500), random_state=seed)
    leaves = max(8, 4 * len(np.unique(target)))
    return DecisionTreeClassifier(max_leaf_nodes=leaves, class_weight="balanced", random_state=seed)


def _by_category(known: pd.Series, target: Any, asked: pd.Series, kind: str) -> Any:
    """The mean, or the most frequent class weighted against imbalance, of each category; of all for a new one."""
    if kind == "regression":
        means = pd.Series(target, index=known.to_numpy()).groupby(level=0).mean()
        return asked.map(means).fillna(float(target.mean())).to_numpy(dtype=float)
    counts = pd.crosstab(known.to_numpy(), target)
    best = (counts / counts.sum()).idxmax(axis=1)
    return asked.map(best).fillna(float(np.bincount(target).argmax())).to_numpy(dtype=float)


def _score(target: Any, read: Any, kind: str) -> float:
    from sklearn.metrics import r2_score, recall_score

    if kind == "regression":
        return float(max(0.0, r2_score(target, read)))
    recalls = recall_score(target, read, average=None, labels=np.unique(target), zero_division=0)
    guess = 1 / len(recalls)
    return float(max(0.0, (recalls.mean() - guess) / (1 - guess)))


def said_of_leaks(found: Sequence[Column], pictures: bool) -> Iterator[Finding]:
    """Columns that tell the target alone."""
    for one in found:
        if one.tells < TELLS:
            continue
        what = f"whether {one.name} is missing" if one.missing else one.name
        beside = " of a picture, beside what it shows," if pictures else ""
        yield Finding(
            "warn", "label leak",
            f"{what}{beside} alone tells {percent(one.tells)} of the label (0 % as by guessing; cross-validated).",
            "It is the label in disguise or made after it." if one.tells >= KNOWS
            else "It may be made after the label was known; or the task is that easy.",
            "bring all pictures to one size and form, or see how they were collected" if pictures
            else f"leave {one.name} out, unless it is known when the model is used",
        )  # fmt: skip
