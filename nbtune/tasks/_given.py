"""Splits that were given: their names, and what breaks them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt

from nbtune.errors import InputError

__all__ = ["NAMES", "check_classes", "check_straddling", "read_given"]

NAMES = {
    "train": "train", "training": "train", "valid": "valid", "val": "valid", "validation": "valid", "dev": "valid",
    "test": "test", "testing": "test",
}  # fmt: skip


def read_given(given: Any) -> npt.NDArray[Any]:
    """Names of splits as "train", "valid" and "test"; booleans as fastai's `is_valid`. Raises InputError."""
    values = [str(value).strip().lower() for value in given]
    distinct = set(values)
    known = {"true": "valid", "false": "train"} if distinct <= {"true", "false"} else NAMES
    odd = Counter(value for value in values if value not in known)
    if odd:
        raise InputError(
            f"{sum(odd.values()):,} items in splits called {', '.join(map(repr, list(odd)[:6]))}.",
            rule=f"a split is one of {', '.join(NAMES)}; or the column is True (valid) and False (train).",
            likely="items without a split." if set(odd) <= {"nan", "none", ""} else "a column that is no split.",
            next=f"df[df[{'split'!r}].notna()]" if set(odd) <= {"nan", "none", ""}
            else "leave split= out, and the items are split anew",
        )  # fmt: skip
    names = np.array([known[value] for value in values])
    if not (names == "train").any():
        raise InputError(
            f"given splits without training items: {', '.join(sorted(set(names.tolist())))}.",
            rule="some items are in the training split.", likely="a part of the data instead of all.",
            next="leave split= out, and the items are split anew",
        )  # fmt: skip
    return names


def check_straddling(names: npt.NDArray[Any], group: Any) -> None:
    """Raise InputError for groups that stand in two splits: the model would know them from training."""
    found: dict[str, set[str]] = {}
    for name, one in zip(names.tolist(), np.asarray(group).tolist(), strict=True):
        found.setdefault(str(one), set()).add(name)
    wide = {one: sorted(splits) for one, splits in found.items() if len(splits) > 1}
    if wide:
        said = ", ".join(f"{one} ({' and '.join(splits)})" for one, splits in list(wide.items())[:6])
        raise InputError(
            f"{len(wide):,} of {len(found):,} groups stand in several given splits: {said}"
            f"{' …' if len(wide) > 6 else ''}.",
            rule="all items of a group are in one split.",
            likely="splits that were drawn item by item: a test on known patients or sites tells nothing of new ones.",
            next="leave split= out, and the groups are split anew; or leave group= out, if this is meant",
        )  # fmt: skip


def check_classes(splits: dict[str, npt.NDArray[np.int64]], vocab: tuple[str, ...]) -> list[str]:
    """Raise InputError for classes that are validated or tested but never trained; notes on those never tested."""
    sets = {name: set(np.unique(y).tolist()) for name, y in splits.items()}
    for name in ("valid", "test"):
        unknown = sorted(sets[name] - sets["train"])
        if unknown:
            raise InputError(
                f"{len(unknown)} classes of the {name} split have no training item: "
                f"{', '.join(vocab[c] for c in unknown[:8])}{' …' if len(unknown) > 8 else ''}.",
                rule="every class that is asked for is trained.",
                likely="splits of different classes, a class in one group or at one time only, or a misspelt folder.",
                next=f"leave_out={tuple(vocab[c] for c in unknown[:8])!r}, or another split",
            )  # fmt: skip
    absent = {name: sorted(sets["train"] - sets[name]) for name in ("valid", "test")}
    return [
        f"The {name} split has no item of {', '.join(vocab[c] for c in missing[:8])}: nothing is known of "
        f"{'it' if len(missing) == 1 else 'them'} there."
        for name, missing in absent.items() if missing
    ]  # fmt: skip
