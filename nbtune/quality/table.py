"""Rows of a table as vectors: numbers on one scale, a column for each frequent category, marks of gaps."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbtune.bodies.tabular import fitted
from nbtune.quality.seen import Seen
from nbtune.tasks.stacks import Rows

__all__ = ["seen_rows"]

_MOST = 30  # categories of a column that get a column each: rarer ones share one


def seen_rows(splits: dict[str, Rows]) -> Seen:
    """Vectors of all rows; scale, medians and categories are those of the training rows."""
    train = splits["train"]
    columns = fitted(train.frame, train.cats, train.conts)
    parts, where = [], []
    for name, rows in splits.items():
        codes, numbers = columns.prepare(rows.frame)
        parts.append(np.column_stack([numbers.numpy(), *_switches(codes.numpy(), columns.sizes)]))
        where += [(name, place) for place in range(len(rows))]
    by = {name: np.array([i for i, (split, _) in enumerate(where) if split == name], dtype=np.int64) for name in splits}
    vectors = np.concatenate(parts).astype(np.float32)
    return Seen(tuple(where), vectors, None, {}, f"the {len(train.cats) + len(train.conts)} columns", False, by)


def _switches(codes: Any, sizes: Any) -> list[Any]:
    """Codes [n, k] as columns of 0 and 1."""
    found = []
    for at, (count, _) in enumerate(sizes):
        held = np.minimum(codes[:, at], _MOST)
        found.append(np.eye(min(count, _MOST) + 1, dtype=np.float32)[held])
    return found
