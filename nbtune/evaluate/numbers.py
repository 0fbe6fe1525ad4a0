"""What a regression is worth on items it has not seen: errors in the target's own units, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import numpy as np
import pandas as pd

from nbtune._display import COLD, GREY, Chart, chart, html_table, html_value
from nbtune.errors import InputError
from nbtune.evaluate import TEST, Metrics
from nbtune.evaluate.intervals import CELLS, Estimate, Floats, interval
from nbtune.evaluate.outcomes import whole
from nbtune.evaluate.reading import looks_warning

__all__ = ["NumbersReport", "numbers_report"]


def numbers_report(
    predicted: Any, targets: Any, names: Sequence[object], *, items: Any = None, looks: int = 1, objective: str = "",
    data: str = TEST, n_boot: int = 1000, seed: int = 0,
) -> NumbersReport:  # fmt: skip
    """A report on predicted numbers [n, k] (or [n]) against targets of the same shape.

    mae: mean absolute error; rmse: root of the mean squared error; r2: 1 − residual over total sum of squares on
    these items (0: no better than their mean). Of several numbers, each by its name and the mean over all. The
    intervals are of 95 %, by percentile bootstrap over items (Efron 1979). Raises InputError.

    Example:
        >>> numbers_report([2.0, 3.5, 5.0], [2.0, 3.0, 6.0], ["price"]).metrics["mae"].value
        0.5
    """
    found, goal = _columns("predicted", predicted), _columns("targets", targets)
    if found.shape != goal.shape or found.shape[1] != len(names) or not len(found):
        raise InputError(
            f"predictions {list(found.shape)}, targets {list(goal.shape)} and {len(names)} names.",
            rule="every item has a prediction and a target for each name.", likely="those of another split or task.",
            next="numbers_report(predicted, task.test.y, task.vocab)",
        )  # fmt: skip
    looks, n_boot = whole("looks", looks, 1), whole("n_boot", n_boot, 2)
    digests = {"targets": sha256(goal.tobytes()).hexdigest()}
    estimates = _estimates(found, goal, [str(name) for name in names], n_boot, seed)
    return NumbersReport(
        found, goal, tuple(map(str, names)), objective, data, looks, n_boot, seed, digests, tuple(estimates),
        getattr(items, "ids", None),
    )  # fmt: skip


@dataclass(frozen=True, repr=False, eq=False)
class NumbersReport:
    """What a regression does on n items: `predicted` and `targets` float64 [n, k], in the target's own units."""

    predicted: Floats
    targets: Floats
    names: tuple[str, ...]
    objective: str
    data: str
    looks: int
    n_boot: int
    seed: int
    digests: dict[str, str]
    _metrics: tuple[tuple[str, Estimate], ...] = field(repr=False)
    ids: tuple[str, ...] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def metrics(self) -> Metrics:
        """mae, rmse and r2, each with its 95 % interval; of several numbers also each one's, as "mae price"."""
        return Metrics(self._metrics)

    @property
    def warning(self) -> str:
        """What to keep in mind when the test set has been looked at before; empty for the first look."""
        return looks_warning(self.looks) if self.data == TEST else ""

    @property
    def sentence(self) -> str:
        """What the figures say, in plain words."""
        mae, r2 = self.metrics["mae"], self.metrics["r2"]
        off = f"Predictions of {', '.join(self.names[:4])} are off by {mae:.3g} on average, on {len(self)} items."
        worth = f"{100 * r2.value:.0f} % of their spread is explained [{100 * r2.low:.0f}, {100 * r2.high:.0f}]."
        if r2.value <= 0:
            worth = f"Their mean would do as well or better: R² is {r2:.2f}."
        return " ".join(filter(None, (off, worth, self.warning)))

    def frame(self) -> pd.DataFrame:
        """A row a metric: metric, value, low, high."""
        return pd.DataFrame([(n, e.value, e.low, e.high) for n, e in self._metrics],
                            columns=["metric", "value", "low", "high"])  # fmt: skip

    def worst(self, n: int = 9) -> pd.DataFrame:
        """The `n` items that are furthest off (in spreads of the targets): index, id, target, predicted, error."""
        n = whole("n", n, 1)
        spread = np.where(self.targets.std(0) > 0, self.targets.std(0), 1.0)
        off = (np.abs(self.predicted - self.targets) / spread).max(1)
        chosen = np.argsort(-off, kind="stable")[:n]
        rows: dict[str, Any] = {"index": chosen}
        if self.ids is not None:
            rows["id"] = [self.ids[at] for at in chosen]
        for k, name in enumerate(self.names):
            rows |= {f"{name}": self.targets[chosen, k], f"{name} predicted": self.predicted[chosen, k],
                     f"{name} error": (self.predicted - self.targets)[chosen, k]}  # fmt: skip
        return pd.DataFrame(rows)

    def compare(self, other: NumbersReport, metric: str = "mae") -> Estimate:
        """A metric (mae, rmse or r2) of this less that of the other, on the same items (paired bootstrap).

        Raises InputError on other items, or for another metric.
        """
        if not isinstance(other, NumbersReport) or other.digests != self.digests:
            raise InputError(
                "a report on other items." if isinstance(other, NumbersReport) else f"a {type(other).__name__}.",
                rule="a comparison is item by item, on the same items.", likely="a report of another split or task.",
                next="a.compare(b) with both of tuner.evaluate() on one test set",
            )  # fmt: skip
        if metric != "mae":
            value = self.metrics[metric].value - other.metrics[metric].value
            many = [self._less(other, metric, at) for at in _samples(len(self), self.n_boot, self.seed)]
            return interval(value, np.concatenate(many), (0.0, 0.0))
        mine, theirs = (np.abs(one.predicted - one.targets).mean(1) for one in (self, other))
        drawn = np.concatenate([(mine - theirs)[at].mean(1) for at in _samples(len(self), self.n_boot, self.seed)])
        return interval(float((mine - theirs).mean()), drawn, (0.0, 0.0))

    def _less(self, other: NumbersReport, metric: str, places: Any) -> Floats:
        mine, theirs = (_measured(one.predicted, one.targets, places)[metric].mean(1) for one in (self, other))
        return np.asarray(mine - theirs)

    def plot(self) -> Chart:
        """Predicted against true, for the first number; on the line they agree."""
        figure, ax = chart(self.sentence, width=4.2, height=4.0)
        true, found = self.targets[:, 0], self.predicted[:, 0]
        low, high = min(true.min(), found.min()), max(true.max(), found.max())
        ax.plot([low, high], [low, high], color=GREY, linewidth=1)
        ax.plot(true, found, "o", ms=3, alpha=0.6, color=COLD)
        ax.set_xlabel(f"true {self.names[0]}")
        ax.set_ylabel(f"predicted {self.names[0]}")
        return figure

    def __repr__(self) -> str:
        e = self.metrics
        return (
            f"MAE {e['mae']:.3g}, RMSE {e['rmse']:.3g}, R² {e['r2']} on {self.data} ({len(self)} items). "
            + self.warning
        )

    def _repr_html_(self) -> str:
        rows = [(name, f"{e.value:.4g}", f"[{e.low:.4g}, {e.high:.4g}]") for name, e in self._metrics]
        return html_value(
            f"Report on {self.data}", self.sentence, html_table(["metric", "value", "95 % interval"], rows)
        )


def _columns(name: str, values: Any) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if not np.isfinite(array).all():
        raise InputError(
            f"{name} is not finite in {int((~np.isfinite(array)).sum())} places.", rule="numbers are finite.",
            likely="a training that diverged.", next="tuner.lr_find(), then train again with a smaller rate",
        )  # fmt: skip
    return array.reshape(len(array), -1 if array.size else max(1, array.ndim - 1))


def _samples(n: int, n_boot: int, seed: int) -> Any:
    """Places of bootstrap samples [b, n], a chunk at a time."""
    rng, step = np.random.default_rng(seed), max(1, CELLS // n)
    for start in range(0, n_boot, step):
        yield rng.integers(0, n, size=(min(step, n_boot - start), n))


def _estimates(found: Floats, goal: Floats, names: list[str], n_boot: int, seed: int) -> list[tuple[str, Estimate]]:
    everything = np.arange(len(goal))[None]
    values = _measured(found, goal, everything)
    chunks = [_measured(found, goal, at) for at in _samples(len(goal), n_boot, seed)]
    made = []
    for name in ("mae", "rmse", "r2"):
        drawn = np.concatenate([chunk[name] for chunk in chunks])
        ends = (-np.inf, 1.0) if name == "r2" else (0.0, np.inf)
        exact = values[name][0]
        made.append((name, interval(float(exact.mean()), drawn.mean(1), ends)))
        if len(names) > 1:
            made += [(f"{name} {one}", interval(float(exact[k]), drawn[:, k], ends)) for k, one in enumerate(names)]
    return made


def _measured(found: Floats, goal: Floats, places: Any) -> dict[str, Floats]:
    """Each measure [b, k] on samples [b, n]; R² of targets that are all equal is not known."""
    off, true = found[places] - goal[places], goal[places]
    residual = np.square(off).sum(1)
    total = np.square(true - true.mean(1, keepdims=True)).sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = np.where(total > 0, 1 - residual / total, np.nan)
    return {"mae": np.abs(off).mean(1), "rmse": np.sqrt(np.square(off).mean(1)), "r2": r2}
