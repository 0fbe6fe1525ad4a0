"""Groups that cannot be split: too few of them, or classes that lie in too few of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from nbtune.errors import InputError
from nbtune.tasks.targets import Target

__all__ = ["check_groups", "larger_shares", "parts_of", "too_few_groups"]

Places = npt.NDArray[np.int64]
_RULE = "a group is in one split, so a class in one group cannot be in training and in test: it has {} groups or more."
_SHARE = 0.34  # of three parts, the fewest that give three splits


def parts_of(share: float) -> int:
    """How many parts of groups there are, of which one is drawn, for a split of this share."""
    return max(2, round(1 / share))


def check_groups(target: Target, together: Places, shares: Mapping[str, float]) -> dict[str, int]:
    """Classes that lie in fewer groups than there are splits, with their number of groups.

    `together` [n] is the group of each item; `shares` are the splits to draw, and the rest trains.

    Raises:
        InputError: one group, fewer groups than splits or parts, or a group for each class.
    """
    count, splits, parts = len(np.unique(together)), len(shares) + 1, parts_of(next(iter(shares.values())))
    if count == 1:
        raise InputError(
            f"1 group for {splits} splits: group= is the same for all {len(together):,} items.",
            rule=f"a group is in one split, so there are {splits} groups or more.",
            likely="a column or a function that names the whole collection.",
            next="group= with what differs between patients or sites; without group= the items are split one by one",
        )  # fmt: skip
    scarce = _scarce(target, together, splits)
    alone = len(scarce) == len(np.unique(_classes_of(target))) and set(scarce.values()) == {1}
    if alone or (scarce and count < parts):
        raise too_few_groups(scarce, target, together, splits)
    if count < splits:
        raise InputError(
            f"{count} groups for {splits} splits.",
            rule=f"a group is in one split, so there are {splits} groups or more.",
            likely="another column than the one that names patients or sites.",
            next="more patients or sites; or group= with a finer column",
        )  # fmt: skip
    if count < parts:
        raise larger_shares(count, parts)
    return scarce


def too_few_groups(scarce: Mapping[str, int], target: Target, together: Places, splits: int) -> InputError:
    """The error for classes that lie in too few groups."""
    said = ", ".join(f"{name!r} in {n}" for name, n in list(scarce.items())[:8])
    alone = set(scarce.values()) == {1}
    rest = len(np.unique(_classes_of(target))) - len(scarce)
    first = next(iter(scarce))
    return InputError(
        f"{len(np.unique(together))} groups, and {len(scarce)} of {rest + len(scarce)} classes lie in too few of them: "
        f"{said}{' …' if len(scarce) > 8 else ''}.",
        rule=_RULE.format(splits),
        likely="groups that are the classes themselves, such as one photograph, patient or site for each."
        if alone and not rest else "few photographs, patients or sites of these classes.",
        next=f"more photographs, patients or sites of {first!r}{' and the others' if len(scarce) > 1 else ''}; "
        "or group= with another column or function"
        + (f"; or leave_out={tuple(scarce)[:8]!r}" if rest > 1 else ""),
    )  # fmt: skip


def larger_shares(count: int, parts: int) -> InputError:
    """The error for fewer groups than the parts that a share asks for."""
    return InputError(
        f"{count} groups for a split into {parts} parts.",
        rule="a group is in one split, so there are at least as many groups as parts.",
        likely="a share that is smaller than a group, or another column than the one that names patients or sites.",
        next=f"valid={_SHARE}, test={_SHARE}, or group= with a finer column",
    )  # fmt: skip


def _classes_of(target: Target) -> Places:
    """The classes of a target of classes; one stratum for all others."""
    return target.y if target.kind == "single" else np.zeros(len(target.y), dtype=np.int64)


def _scarce(target: Target, together: Places, least: int) -> dict[str, int]:
    if target.kind != "single":
        return {}
    pairs = np.unique(np.stack([target.y, together]), axis=1)[0]
    counts = np.bincount(pairs, minlength=len(target.vocab))
    return {target.vocab[c]: int(n) for c, n in enumerate(counts) if 0 < n < least}
