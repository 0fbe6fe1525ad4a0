"""Successive halving: settings drop out as they fall behind (Jamieson & Talwalkar, 2016)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from statistics import fmean

from nbtune._source import source
from nbtune.questions._words import lower_is_better
from nbtune.questions.trials import Run, Setting

__all__ = ["Race", "rungs"]

_FINALISTS, _SHARE = 3, 3  # settings that are trained to the end; of the others one in three goes on


def rungs(count: int, epochs: int) -> list[tuple[int, int]]:
    """How many settings are trained for how many epochs: from all for few to `_FINALISTS` for all.

    Example:
        >>> rungs(20, 5)
        [(20, 1), (9, 2), (3, 5)]
    """
    plan = [(min(count, _FINALISTS), epochs)]
    while plan[0][0] < count and (plan[0][1] > 1 or len(plan) == 1):
        plan.insert(0, (min(count, plan[0][0] * _SHARE), max(1, math.ceil(plan[0][1] / _SHARE))))
    return [(count, plan[0][1]), *plan[1:]]


class Race:
    """Settings that drop out as they fall behind, and all that was measured of them.

    The best of every rate goes on before the second best of any: the rate decides most (Bergstra & Bengio, 2012, find
    few settings that matter), and which rate wins is not seen after few epochs. By place alone, the last ones were
    often one rate with three weight decays.
    """

    def __init__(self, settings: Sequence[Setting], epochs: int, seeds: int, seed: int, metric: str) -> None:
        self.settings, self.epochs, self.seeds, self.seed = list(settings), epochs, seeds, seed
        self.metric = metric
        self.plan = rungs(len(settings), epochs)
        self.runs: dict[tuple[int, int, int], Run] = {}  # by setting, epochs, seed

    @property
    def total(self) -> int:
        """Epochs to train in all."""
        most = {epochs: count for count, epochs in reversed(self.plan)}  # of rungs of one length the first has all
        made = sum(count * epochs for epochs, count in most.items())
        return made + self.plan[-1][0] * self.epochs * (self.seeds - 1)

    def go(self, run: Callable[[Setting, int, int], Run], stopped: Callable[[], bool]) -> bool:
        """All runs, or those until `stopped()`; were they all?"""
        left = list(range(len(self.settings)))
        for place, (count, epochs) in enumerate(self.plan):
            left = self._in_turn(self._ranked(left))[:count]
            last = place + 1 == len(self.plan)
            for seed in range(self.seed, self.seed + (self.seeds if last else 1)):
                for one in left:
                    if (one, epochs, seed) in self.runs:
                        continue
                    if stopped():
                        return False
                    done = run(self.settings[one], epochs, seed)
                    if done.ended == "stopped":
                        return False
                    self.runs[one, epochs, seed] = done
        return True

    def of(self, one: int, epochs: int) -> list[Run]:
        """The runs of a setting with so many epochs, by seed."""
        return [run for (which, length, _), run in self.runs.items() if (which, length) == (one, epochs)]

    def scores(self, one: int, epochs: int) -> tuple[float, ...]:
        """The metric of those runs; nan where the loss was not finite."""
        return tuple(run.values.get(self.metric, math.nan) for run in self.of(one, epochs))

    def order(self) -> list[int]:
        """The settings with a run, best first: those that went further lead, those that diverged come last."""
        looked = [one for one in range(len(self.settings)) if self.longest(one)]

        def place(one: int) -> tuple[bool, int, tuple[float, float]]:
            key = self._key(one, self.longest(one))
            return math.isinf(key[0]), -self.longest(one), key

        return sorted(looked, key=place)

    def longest(self, one: int) -> int:
        return max((length for which, length, _ in self.runs if which == one), default=0)

    def _ranked(self, left: Sequence[int]) -> list[int]:
        """Best first by their longest runs, of equal length here; as given before the first."""
        return sorted(left, key=lambda one: self._key(one, self.longest(one)))

    def _in_turn(self, ranked: Sequence[int]) -> list[int]:
        """The best of each rate first, then the second best of each, and so on."""
        seen: Counter[str | None] = Counter()
        turns = []
        for one in ranked:
            rate = source(self.settings[one].lr)
            turns.append((seen[rate], one))
            seen[rate] += 1
        return [one for _, one in sorted(turns, key=lambda turn: turn[0])]

    def _key(self, one: int, epochs: int) -> tuple[float, float]:
        values = [run.values for run in self.of(one, epochs)]
        if not values or not all(values):
            return math.inf, math.inf
        scores, losses = ([found[name] for found in values] for name in (self.metric, "valid_loss"))
        sign = 1 if lower_is_better(self.metric) else -1
        return sign * fmean(scores), fmean(losses)
