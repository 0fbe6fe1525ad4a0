"""Real handwritten digits: UCI's, as scikit-learn ships them."""

from __future__ import annotations

from functools import cache

import numpy as np

from nbtune.interrupts import imports_whole
from nbtune.tasks._frames import enlarge
from nbtune.tasks.items import Items
from nbtune.tasks.split import check_seed, check_shots, pick, stratified
from nbtune.tasks.task import Task, make_task

__all__ = ["digits"]

TEST, VALID = 600, 200
_SPLIT_SEED = 20_240  # any fixed number: the splits never change


@cache
def _everything() -> Items:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    ids = tuple(f"digits/{i:04d}" for i in range(len(bunch.target)))
    return Items(enlarge(bunch.images), bunch.target.astype(np.int64), ids)


@cache
def _splits() -> tuple[Items, Items, Items]:
    """Train pool, valid and test: the same for every seed and every number of shots."""
    items = _everything()
    test, rest = stratified(items.y, TEST, _SPLIT_SEED)
    chosen, left = stratified(items.y[rest], VALID, _SPLIT_SEED + 1)
    return items.take(rest[left]), items.take(rest[chosen]), items.take(test)


@imports_whole
def digits(shots: int | None = None, seed: int = 0) -> Task:
    """1,797 handwritten digits, 8×8 counts of ink enlarged to 32×32: `shots` training images a class.

    The test split (600) and the valid split (200) never change; `seed` chooses the training images, and more shots
    at the same seed hold the fewer. `shots=None`: all 997.

    Raises:
        InputTypeError: `shots` or `seed` is no whole number.
        InputError: `shots` is below 1 or above the smallest class.

    Example:
        >>> digits(shots=10)
        Task digits: read a handwritten digit. 100 training, 200 validation and 600 test images, 10 classes.
    """
    pool, valid, test = _splits()
    shots, seed = check_shots(shots, pool.counts(10)), check_seed(seed)
    train = pool if shots is None else pool.take(pick(pool.y, shots, seed))
    return make_task(
        "digits", "read a handwritten digit", tuple("0123456789"), train, valid, test,
        source="UCI Optical Recognition of Handwritten Digits (Alpaydin and Kaynak 1998), by scikit-learn",
        licence="CC BY 4.0", nature="real",
        note="8×8 counts of ink in blocks of 4×4, enlarged to 32×32.",
        code=f"nt.tasks.digits(shots={shots}, seed={seed})",
    )  # fmt: skip
