"""What a linear probe says of one boundary between groups, and what training from there on costs."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

from nbtune.costs import Cost
from nbtune.questions._words import figure, is_share, span
from nbtune.questions.kinds import Outcome, Probed

__all__ = ["Place"]


@dataclass(frozen=True)
class Place(Probed):
    """One boundary between groups: everything before `first` still."""

    after: str  # the last still group
    first: str  # the first group that would train: tuner.freeze_to(first)
    params: int  # parameters that would be still
    size: int  # numbers an item that the still part hands over
    still: Cost  # seconds an item of the still part, measured in the pass
    epoch: Cost | None  # seconds an epoch that trains the rest, estimated; None where a step cannot be tried
    cached: bool  # `epoch` is from kept features, else live
    outcome: Outcome  # what the probe reads of the validation items
    pooled: str  # what was averaged for the probe, "" where it reads all that is handed over
    c: float = nan  # of a classifier
    alpha: float = nan  # of a regression

    @property
    def brief(self) -> str:
        """The score in few letters, as under a point: .87, or 44.1."""
        value = self.score.value
        return f"{value:.2f}".removeprefix("0") if is_share(self.metric) else figure(value)

    @property
    def whole(self) -> str:
        """The score with its interval, as in a table: 0.870 [0.831, 0.902]."""
        return f"{self.score:.3f}" if is_share(self.metric) else span(self.metric, self.score)
