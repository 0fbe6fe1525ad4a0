"""What a model brought over a linear probe, on the same validation items; above 0 it is better."""

from __future__ import annotations

from dataclasses import dataclass

from nbtune._display import html_value
from nbtune.errors import InputError
from nbtune.evaluate.intervals import Estimate
from nbtune.questions._words import figures, is_share, lower_is_better, said

__all__ = ["Gain"]


@dataclass(frozen=True, repr=False)
class Gain:
    """How much better a model is than the probe, by the probe's metric on the same validation items."""

    better: Estimate  # in shares or in the targets' units, above 0 is better, with the paired bootstrap's 95 % interval
    n: int
    metric: str = "accuracy"

    @property
    def points(self) -> Estimate:
        """In points of per cent, of a metric that is a share. Raises InputError for others."""
        if not is_share(self.metric):
            raise InputError(
                f"points of a gain in {said(self.metric)}.", rule="points are per cent of a share such as accuracy.",
                likely="a probe of numbers, whose error has the targets' own unit.", next="gain.better",
            )  # fmt: skip
        return Estimate(100 * self.better.value, 100 * self.better.low, 100 * self.better.high)

    @property
    def over(self) -> str:
        """As a plan says it: "+1.2 points [0.4, 2.0] over the probe", "MAE lower by 3.1 [1.2, 5.0] than …"."""
        return f"{self!r} than the probe's" if lower_is_better(self.metric) else f"{self!r} over the probe"

    def __repr__(self) -> str:
        if is_share(self.metric):
            of = "" if self.metric == "accuracy" else f" of {said(self.metric)}"
            return f"{self.points.value:+.1f} points{of} [{self.points.low:.1f}, {self.points.high:.1f}]"
        value, low, high = self.better.value, self.better.low, self.better.high
        if not lower_is_better(self.metric):
            return f"{said(self.metric)} {value:+.3f} [{low:.3f}, {high:.3f}]"
        if value < 0:
            value, low, high = -value, -high, -low
            return f"{said(self.metric)} higher (worse) by {figures(value, low, high)}"
        return f"{said(self.metric)} lower by {figures(value, low, high)}"

    def _repr_html_(self) -> str:
        return html_value("Gain over the probe", f"{self.over}, on {self.n} validation items.")
