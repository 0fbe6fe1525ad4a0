"""Stratified splits that are the same on every machine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nbtune.errors import InputError, InputTypeError

__all__ = ["check_seed", "check_shots", "pick", "stratified"]

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
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise InputTypeError(
            f"seed={seed!r}.", rule="seed is a whole number.", likely="None or a fraction was given.",
            next="digits(seed=0).",
        )  # fmt: skip
    if not 0 <= seed < 2**32:
        raise InputError(
            f"seed={seed}.", rule="seed is from 0 to 2**32 - 1.", likely="A negative number or a hash.",
            next="seed % 2**32.",
        )  # fmt: skip
    return int(seed)


def check_shots(shots: int | None, counts: Sequence[int]) -> int | None:
    """`shots` where every class has as many; None stays None.

    Raises:
        InputTypeError: it is no whole number.
        InputError: it is below 1, or above the smallest class.
    """
    if shots is None:
        return None
    if isinstance(shots, bool) or not isinstance(shots, (int, np.integer)):
        raise InputTypeError(
            f"shots={shots!r}.", rule="shots is a whole number of images a class, or None for all.",
            likely="A share of the data was meant.", next=f"a number from 1 to {min(counts)}.",
        )  # fmt: skip
    if not 1 <= shots <= min(counts):
        raise InputError(
            f"shots={shots}.", rule=f"shots is from 1 to {min(counts)}, the size of the smallest class.",
            likely="All of the data was meant." if shots > min(counts) else "Training needs an image of each class.",
            next="shots=None takes all." if shots > min(counts) else "shots=1.",
        )  # fmt: skip
    return int(shots)
