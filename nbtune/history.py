"""What happened in training, phase by phase: append-only rows, and how each phase ended."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from nbtune._display import COLD, GREY, WARM, Chart, chart, figure, html_table, html_value, seconds
from nbtune.freeze import FreezeProof

__all__ = ["History", "PhaseRecord"]

_LONG = 10  # rows that a page shows
_FIXED = ("phase", "epoch", "train_loss", "valid_loss")


class Fixed(dict[str, Any]):
    """A dict that cannot be changed: the rows of a value."""

    def _no(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("what happened cannot be changed: make a dict of it first")

    __setitem__ = __delitem__ = __ior__ = update = pop = popitem = clear = setdefault = _no

    def __reduce__(self) -> tuple[Any, ...]:
        return Fixed, (dict(self),)


@dataclass(frozen=True)
class PhaseRecord:
    """One phase as it was run."""

    number: int  # from 1, across the whole history
    trains: str  # names of the groups that train, as a short text
    rates: Mapping[str, float]  # highest learning rate by group; 0.0 for a still one
    wd: float | None
    schedule: str
    seed: int
    steps: int  # optimizer steps made
    ended: str  # "finished", or why it ended early
    cached: bool = False  # was the activation cache used
    why: str = ""  # why, or why not
    proof: FreezeProof | None = None  # None where nothing was frozen
    augmented: bool = True  # train batches with the random transforms
    fresh: bool = False  # every weight was drawn anew before it: what came earlier is of another model
    lr_default: bool = False  # no rate was given

    def __post_init__(self) -> None:
        object.__setattr__(self, "rates", Fixed(self.rates))


@dataclass(frozen=True)
class History:
    """Training so far: a row a whole epoch, a record a phase; append-only, so a value never changes."""

    rows: tuple[Mapping[str, Any], ...] = ()  # phase, epoch, train_loss, valid_loss, metrics, seconds
    phases: tuple[PhaseRecord, ...] = ()
    best: int | None = field(default=None)  # index of the row with the best valid loss

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", tuple(Fixed(row) for row in self.rows))

    def __add__(self, other: History) -> History:
        rows, phases = self.rows + other.rows, self.phases + other.phases
        return History(rows, phases, best_row(rows, History(rows, phases)._first))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def cached(self) -> bool:
        """Was the activation cache used in every phase?"""
        return bool(self.phases) and all(phase.cached for phase in self.phases)

    @property
    def why(self) -> str:
        """Why the cache was used or not, a sentence a phase."""
        return " ".join(dict.fromkeys(phase.why for phase in self.phases))

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics, in the Learner's order."""
        names = dict.fromkeys(key for row in self.rows for key in row)
        return tuple(name for name in names if name not in _FIXED and name != "seconds")

    def frame(self) -> Any:
        """A pandas frame, a row an epoch: phase, epoch, train_loss, valid_loss, metrics by name, seconds.

        `train_loss` is the mean over the epoch's training items, as they passed.
        """
        import pandas as pd

        return pd.DataFrame(list(self.rows), columns=[*_FIXED, *self.metrics, "seconds"])

    def rates(self) -> Any:
        """A pandas frame, a row a phase and group: phase, group, lr (the highest of the phase)."""
        import pandas as pd

        rows = [(p.number, name, lr) for p in self.phases for name, lr in p.rates.items()]
        return pd.DataFrame(rows, columns=["phase", "group", "lr"])

    def plot(self) -> Chart:
        """Train and valid loss by epoch, phases marked, and the first metric beside them."""
        names = self.metrics[:1]
        figure_, axes = chart(self._sentence(), width=9 if names else 6, ncols=1 + len(names), squeeze=False)
        x = list(range(1, len(self.rows) + 1))
        loss = axes[0, 0]
        loss.plot(x, [row["train_loss"] for row in self.rows], "-o", ms=3, color=WARM, label="train")
        loss.plot(x, [row["valid_loss"] for row in self.rows], "--o", ms=3, color=COLD, label="valid")
        loss.set_ylabel("loss (mean over items)")
        figure_.legend(loc="outside lower center", ncols=2, frameon=False)
        for name, ax in zip(names, axes[0, 1:], strict=True):
            ax.plot(x, [row.get(name, math.nan) for row in self.rows], "--o", ms=3, color=COLD)
            ax.set_ylabel(f"{name} (valid)")
        for ax in axes[0]:
            self._mark_phases(ax)
            ax.set_xlabel("epoch")
            ax.xaxis.get_major_locator().set_params(integer=True)
        return figure_

    def _mark_phases(self, ax: Any) -> None:
        at = 0.5
        for phase in self.phases:
            count = sum(row["phase"] == phase.number for row in self.rows)
            if not count:
                continue
            if at > 0.5:
                ax.axvline(at, color=GREY, linestyle="-" if phase.fresh else ":", linewidth=2 if phase.fresh else 1)
            more = phase.trains if len(self.phases) < 3 else ""  # or the names of three would meet
            label = f"phase {phase.number}\n{more}{' (drawn anew)' if phase.fresh else ''}"
            ax.annotate(label, (at, 1.0), xycoords=("data", "axes fraction"), xytext=(3, 3),
                        textcoords="offset points", fontsize=8, color=GREY, va="bottom")  # fmt: skip
            at += count

    def _sentence(self) -> str:
        if not self.rows:
            return "No epoch was finished." if self.phases else "No training yet."
        spent = seconds(sum(row["seconds"] for row in self.rows))
        text = f"{_epochs(len(self.rows))} in {spent}"
        if self._first > 1:
            own = sum(row["phase"] >= self._first for row in self.rows)
            text += f"; all weights were drawn anew before phase {self._first}, so {_epochs(own)} are of this network"
        if self.best is None:
            return text + "; no valid loss was finite."
        row = self.rows[self.best]
        metric = "".join(f", {name} {figure(row[name])}" for name in self.metrics[:1] if name in row)
        text += f"; best valid loss {figure(row['valid_loss'])} at {self._at(row)}{metric}"
        return text + "."

    @property
    def _first(self) -> int:
        """The first phase of the model as it is now: before it all weights were drawn anew."""
        return max((phase.number for phase in self.phases if phase.fresh), default=0)

    def _at(self, row: Mapping[str, Any]) -> str:
        several = len({one["phase"] for one in self.rows}) > 1
        return f"phase {row['phase']}, epoch {row['epoch']}" if several else f"epoch {row['epoch']}"

    def __repr__(self) -> str:
        default = [
            f"Phase {p.number} trained at the default rate, {_rates(p.rates)}." for p in self.phases if p.lr_default
        ]
        early = [f"Phase {p.number} {p.ended}." for p in self.phases if p.ended != "finished"]
        broken = [f"Phase {p.number}: {p.proof!r}" for p in self.phases if p.proof is not None and not p.proof]
        return " ".join([self._sentence(), *default, *early, *broken])

    def _repr_html_(self) -> str:
        shown = list(range(len(self.rows)))
        if len(shown) > _LONG:  # the ends and the best; .frame() has all
            shown = sorted({*shown[:3], *shown[-3:], *([] if self.best is None else [self.best])})
        names = [*_FIXED, *self.metrics]
        rows = [self.rows[at] for at in shown]
        cells = [[*(figure(row.get(name, "")) for name in names), seconds(row["seconds"])] for row in rows]
        table = html_table([*names, "time"], cells)
        if len(shown) < len(self):
            table += f"<p style='margin:.3em 0'>{len(shown)} of {len(self)} epochs; .frame() has all.</p>"
        return html_value("Training", repr(self), table if self.rows else "")


def _epochs(count: int) -> str:
    return f"{count} epoch{'s' if count != 1 else ''}"


def _rates(rates: Mapping[str, float]) -> str:
    live = [rate for rate in rates.values() if rate]
    return f"{live[0]:g}" if len(set(live)) == 1 else f"{live[0]:g} at the input to {live[-1]:g} at the head"


def best_row(rows: tuple[Mapping[str, Any], ...], first: int = 0) -> int | None:
    """Index of the lowest finite valid loss from phase `first` on, the earliest of equals; None if there is none."""
    losses = [
        (row["valid_loss"], index)
        for index, row in enumerate(rows)
        if math.isfinite(row["valid_loss"]) and row["phase"] >= first
    ]
    return min(losses)[1] if losses else None
