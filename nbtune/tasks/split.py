"""Stratified splits that are the same on every machine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nbtune.errors import InputError
from nbtune.tasks._whole import refuse_not_whole

__all__ = ["SPLITS", "check_seed", "check_shots", "pick", "stratified"]

SPLITS = ("train", "valid", "test")

Index = npt.NDArray[np.int64]


def stratified(y: Index, size: int, seed: int) -> tuple[Index, Index]:
    """`size` places with the classes' own shares (largest remainder), and the places that are left; both in order."""
    # RandomState's stream is frozen by numpy (NEP 19), unlike default_rng's methods.
    draw = np.random.RandomState(seed)
    counts = np.bincount(y)
    exact = counts * size / len(y)
    quota = exact.astype(int)
    quota[np.argsort(quota - exact, kind="stable")[: size - quota.sum()]] += 1
    taken = [draw.permutation(np.flatnonzero(y == c))[: quota[c]] for c in range(len(counts))]
    chosen = np.sort(np.concatenate(taken))
    return chosen, np.setdiff1d(np.arange(len(y)), chosen)


def pick(y: Index, shots: int, seed: int) -> Index:
    """`shots` places of each class, in order; more shots at the same seed hold the fewer."""
    draw = np.random.RandomState(seed)
    orders = [draw.permutation(np.flatnonzero(y == c)) for c in range(int(y.max()) + 1)]
    return np.sort(np.concatenate([order[:shots] for order in orders]))


def check_seed(seed: int) -> int:
    """`seed` as int, 0 to 2**32 - 1.

    Raises:
        InputTypeError: it is no whole number.
        InputError: it is out of range.
    """
    refuse_not_whole("seed", seed, "seed is a whole number from 0 to 2**32 - 1.", "0")
    if not 0 <= seed < 2**32:
        raise InputError(
            f"seed={seed}.", rule="seed is a whole number from 0 to 2**32 - 1.",
            likely="-1 as a word for any seed." if seed == -1 else "a hash, or the time in small units.",
            next="seed=0" if seed == -1 else f"seed={seed % 2**32}",
        )  # fmt: skip
    return int(seed)


def check_shots(shots: int | None, counts: Sequence[int], *, drawn: bool = False) -> int | None:
    """`shots` where every class has as many; None stays None. `drawn`: items are made, so `counts` are a limit.

    Raises:
        InputTypeError: it is no whole number.
        InputError: it is below 1, or above the smallest class.
    """
    if shots is None:
        return None
    most = min(counts)
    why = "the most that are drawn" if drawn else "the size of the smallest class"
    usual = f"{most}" if drawn else "None"
    rule = f"shots is from 1 to {most} training images a class ({why}), or None for "
    rule += "the usual number." if drawn else "all."
    if isinstance(shots, float) and 0 < shots < 1:
        usual = str(max(1, round(shots * most)))
    refuse_not_whole("shots", shots, rule, usual, most)
    if 1 <= shots <= most:
        return int(shots)
    likely, meant = _off(int(shots), counts, usual)
    raise InputError(f"shots={shots}.", rule=rule, likely=likely, next=f"shots={meant}")


def _off(shots: int, counts: Sequence[int], usual: str) -> tuple[str, str]:
    """The likely cause of shots out of range, and the value that was meant."""
    if shots == 0:
        return "a count that came out as 0: training needs an image of each class.", "1"
    if shots == -1:
        return "-1 as a word for all.", usual
    if shots < 0:
        return "a subtraction that went below 0.", "1"
    each = shots // len(counts)
    if shots <= sum(counts) and shots % len(counts) == 0:
        return f"the images of all {len(counts)} classes together, which is {each} of each.", str(each)
    return "a number for another data set, whose classes are larger.", usual
