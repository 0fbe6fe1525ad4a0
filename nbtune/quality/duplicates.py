"""Items that stand twice, exactly or nearly: which go, which stay, and what it means where they stand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from nbtune.preflight.values import Finding
from nbtune.quality.near import components
from nbtune.quality.words import percent
from nbtune.tasks._marks import COLUMNS
from nbtune.tasks.copies import label_of
from nbtune.tasks.split import SPLITS

if TYPE_CHECKING:
    from nbtune.tasks.copies import Copies
    from nbtune.tasks.task import Task

__all__ = ["DUPLICATES", "Pair", "said_of_duplicates", "twins"]

DUPLICATES = (*COLUMNS, "group", "kind", "likeness", "now", "twin", "twin_split", "twin_label")
_KEEP = {"test": 0, "valid": 1, "train": 2}  # the first of these stays
_FEW = 0.01


class Pair(NamedTuple):
    """Two items by place among all, "exact" or "near", and how alike they are."""

    one: int
    other: int
    kind: str
    likeness: float


def twins(task: Task, copies: Copies, near: list[Pair], at: dict[tuple[str, str], int]) -> pd.DataFrame:
    """Marks that leave one item of each group: those of a group that goes, and beside it the twin that stays.

    The test item stays, then the validation item, then the first: what is measured on is left as it is. Items of the
    test split are listed too where two stand in it, without a mark that `edited` would take (`what` is "").
    """
    names = list(at)
    labels = [label_of(task, y) for split in SPLITS for y in getattr(task, split).y]
    pairs = list(near)
    for group in copies.groups:
        first, *rest = (at[place.split, place.item] for place in group)
        pairs += [Pair(first, other, "exact", 1.0) for other in rest]
    best: dict[int, dict[int, Pair]] = {}
    for pair in pairs:
        for one, other in ((pair.one, pair.other), (pair.other, pair.one)):
            known = best.setdefault(one, {}).get(other)
            if known is None or pair.kind == "exact":
                best[one][other] = pair
    links = np.array([(pair.one, pair.other) for pair in pairs], dtype=np.int64).reshape(-1, 2)
    rows: list[tuple[Any, ...]] = []
    for number, joined in enumerate(sorted(components(links, len(names)))):
        rows += _rows(number, sorted(joined, key=lambda i: (_KEEP[names[i][0]], i)), names, labels, best)
    return pd.DataFrame(rows, columns=list(DUPLICATES))


def _rows(
    number: int, group: list[int], names: list[tuple[str, str]], labels: list[str], best: dict[int, dict[int, Pair]]
) -> Iterator[tuple[Any, ...]]:
    """A row for each item of a group but the first."""
    for rank, one in enumerate(group[1:], 1):
        earlier = [other for other in group[:rank] if other in best[one]]
        # Joined by a later one alone: that pair says how alike they are.
        twin = max(earlier or list(best[one]), key=lambda other: best[one][other].likeness)
        pair = best[one][twin]
        split, item = names[one]
        yield (
            split, item, "" if split == "test" else "exclude", "", number, pair.kind, pair.likeness,
            labels[one], names[twin][1], names[twin][0], labels[twin],
        )  # fmt: skip


def said_of_duplicates(task: Task, found: pd.DataFrame) -> Iterator[Finding]:
    """Duplicates across splits, inside of one, and with labels that differ."""
    across = found[found["split"] != found["twin_split"]]
    for kind in ("exact", "near"):
        some = across[across["kind"] == kind]
        for split in ("test", "valid"):
            part = some[some["twin_split"] == split]
            twins_there = part["twin"].nunique()
            if not len(part):
                continue
            size = len(getattr(task, split))
            yield Finding(
                "note" if kind == "near" and twins_there < _FEW * size else "warn", "leakage",
                f"{twins_there:,} of {size:,} {split} items ({percent(twins_there / size)}) have {_a(kind)} in "
                f"{' and '.join(sorted(set(part['split']), key=SPLITS.index))}.",
                "What was learned by heart counts as read there.", "task.edited(quality.duplicates)",
            )  # fmt: skip
    inside = found[found["split"] == found["twin_split"]]
    if len(inside):
        told = ", ".join(f"{n:,} {kind}" for kind, n in inside["kind"].value_counts().items())
        yield Finding(
            "note", "duplicates", f"{len(inside):,} items repeat another of their split ({told}).",
            "They count more often than others, and tell no more.", "task.edited(quality.duplicates)",
        )  # fmt: skip
    conflict = found[found["now"] != found["twin_label"]]
    if len(conflict):
        exact = int((conflict["kind"] == "exact").sum())
        yield Finding(
            "warn" if exact else "note", "conflicting labels",
            f"{len(conflict):,} items are called otherwise than their duplicate ({exact:,} of them exact copies).",
            "One of the two labels is wrong, or the task is not decidable there.",
            'quality.duplicates.query("now != twin_label")',
        )  # fmt: skip


def _a(kind: str) -> str:
    return "an exact copy" if kind == "exact" else "a near duplicate"
