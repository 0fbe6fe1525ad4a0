"""What is read of the validation items, by a linear probe or by a model: the same for every kind of target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import nan
from typing import Any, Protocol

import numpy as np

from nbtune.errors import InputError
from nbtune.evaluate.intervals import Estimate
from nbtune.questions.linear import Split

__all__ = ["Fitted", "Kind", "Outcome", "same_items"]

Stops = Callable[[], bool]
Ticks = Callable[[], None]


class Outcome(Protocol):
    """What is read of the validation items, in their order, and how good that is."""

    @property
    def kind(self) -> str: ...
    @property
    def metric(self) -> str:
        """The name of what `score` is."""
        ...

    @property
    def score(self) -> Estimate:
        """The metric on these items, with its 95 % interval."""
        ...

    @property
    def beside(self) -> str:
        """What else is to be said of it; "" for nothing."""
        ...

    def __len__(self) -> int: ...

    def ahead(self, other: Any) -> Estimate:
        """How much better this is than another on the same items, above 0 is better; paired over the items."""
        ...

    def of(self, now: Any) -> Outcome:
        """The same of what a model reads (`nbtune.questions.now`). Raises InputError for other items."""
        ...

    def frame(self) -> Any:
        """A row a validation item."""
        ...


@dataclass(frozen=True)
class Fitted:
    """A linear probe: what it reads of the validation items, and how its penalty was chosen."""

    outcome: Outcome
    how: str  # in words: "C 0.1 by 5-fold cross-validation of these"
    folds: int  # 0: nothing could be held out
    partial: bool  # stopped before all values of the penalty were tried
    c: float = nan  # of a classifier
    alpha: float = nan  # of a regression


class Kind(Protocol):
    """How targets of one kind are probed."""

    def check(self, split: Split, where: str) -> None:
        """Raise InputError for targets or features that cannot be probed."""
        ...

    def fit(self, split: Split, seed: int, stopped: Stops, tick: Ticks) -> Fitted:
        """A probe of the training items, measured once on the validation items; at most `FITS` ticks."""
        ...

    def now(self, learn: Any, loader: Any) -> Any:
        """What the Learner's model reads of the loader's items, as `Outcome.of` takes it."""
        ...


def same_items(now: Any, shape: tuple[int, ...], line: str) -> Any:
    """`now` as an array of this shape. Raises InputError for another; `line`: what gives the right one."""
    found = np.asarray(now)
    if found.shape != shape:
        raise InputError(
            f"gain() of {found.shape} items against the probe's {shape}.",
            rule="the comparison is item by item, on the same validation items in their order.",
            likely="the test items, or a share instead of the items.",
            next=line,
        )
    return found
