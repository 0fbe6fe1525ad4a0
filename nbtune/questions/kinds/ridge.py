"""Ridge regression whose alpha has the least leave-one-out error, all of them from one decomposition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nbtune.questions.linear import FITS

__all__ = ["ALPHAS", "DEFAULT_ALPHA", "LEAST", "ridge"]

ALPHAS = tuple(float(f"{10.0**power:.2g}") for power in np.linspace(-2, 6, FITS))
DEFAULT_ALPHA = 10.0  # for standardised features where nothing can be held out to choose by
LEAST = 3  # items to leave one out of


def ridge(
    x: Any, y: Any, stopped: Callable[[], bool], tick: Callable[[], None]
) -> tuple[Any, float, bool]:  # fmt: skip
    """Weights [d, k] for features [n, d] and targets [n, k] that have mean 0, alpha, and whether it was stopped.

    alpha has the least mean squared error in leave-one-out cross-validation, as scikit-learn's RidgeCV finds it, which
    is slow where items and features are thousands; here every alpha costs one product. Below three items it is
    `DEFAULT_ALPHA`. Source: Golub, Heath & Wahba (1979), Generalized cross-validation.
    """
    values, turn = np.linalg.eigh(x.T @ x)
    values, turned = np.maximum(values, 0), x @ turn
    goal, squares = turned.T @ y, turned**2
    losses: list[float] = []
    for alpha in ALPHAS if len(y) >= LEAST else ():
        if stopped():
            break
        errors = y - turned @ (goal / (values + alpha)[:, None])
        left = 1 - 1 / len(y) - squares @ (1 / (values + alpha))  # of an item's residual, that it did not pull itself
        losses.append(float(np.mean(np.square(errors / left[:, None]))))
        tick()
    alpha = ALPHAS[int(np.argmin(losses))] if losses else DEFAULT_ALPHA
    partial = len(y) >= LEAST and len(losses) < len(ALPHAS)
    return turn @ (goal / (values + alpha)[:, None]), alpha, partial
