"""What happened in training, phase by phase: append-only rows, and how each phase ended."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NoReturn

from nbtune._display import COLD, GREY, WARM, Chart, chart, figure, html_table, html_value, seconds
from nbtune.freeze import FreezeProof

__all__ = ["History", "PhaseRecord", "exploded"]

_LONG = 10  # rows that a page shows
_ROOM, _CUT = 56, 7  # letters above one picture, and the fewest that still tell something
_FIXED = ("phase", "epoch", "train_loss", "valid_loss")
_EXPLODED = 30  # times the first loss: a linear axis would then press all the rest flat


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
    best: int | None = field(default=None)  # index of the row with the lowest valid loss

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
    def trained(self) -> int:
        """Epochs that the present weights were trained for: those since all of them were last drawn anew."""
        return sum(row["phase"] >= self._first for row in self.rows)

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
        """Train and valid loss by epoch, phases marked, and the first metric beside them.

        Where all weights were drawn anew the lines are broken: what came before is of another network.
        """
        names = self.metrics[:1]
        figure, axes = chart(self._sentence(), width=9 if names else 6, ncols=1 + len(names), squeeze=False)
        loss = axes[0, 0]
        self._line(loss, "train_loss", "-o", WARM, "train")
        self._line(loss, "valid_loss", "--o", COLD, "valid")
        loss.set_ylabel("loss (mean over items)")
        if exploded(self.rows):
            loss.set_yscale("log")
        for name, ax in zip(names, axes[0, 1:], strict=True):
            self._line(ax, name, "--o", COLD, "")
            ax.set_ylabel(f"{name} (valid)")
        for ax in axes[0]:
            self._mark_phases(ax)
            ax.set_xlabel("epoch")
            ax.xaxis.get_major_locator().set_params(integer=True)
        figure.legend(*loss.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
        return figure

    def _line(self, ax: Any, name: str, style: str, color: str, label: str) -> None:
        """One line a network: where a row has no such number, or all weights were drawn anew, it is broken."""
        values = [row.get(name, math.nan) for row in self.rows]
        starts = [0, *self._breaks(), len(values)]
        for start, end in pairwise(starts):
            if start < end or not values:
                x = range(start + 1, end + 1)
                ax.plot(x, values[start:end], style, ms=3, color=color, label=label or None)
                label = ""  # named once

    def _breaks(self) -> list[int]:
        """Indices of the rows before which all weights were drawn anew."""
        fresh = sorted(phase.number for phase in self.phases if phase.fresh)
        before = [sum(row["phase"] < number for row in self.rows) for number in fresh]
        return [at for at in dict.fromkeys(before) if 0 < at < len(self.rows)]

    def _mark_phases(self, ax: Any) -> None:
        """A line where a phase begins, with its name; solid where all weights were drawn anew."""
        at = 0.5
        share = {phase.number: sum(row["phase"] == phase.number for row in self.rows) for phase in self.phases}
        several = sum(map(bool, share.values())) > 1
        for phase in self.phases:
            count = share[phase.number]
            if not count:
                continue
            if at > 0.5:
                ax.axvline(at, color=GREY, linestyle="-" if phase.fresh else ":", linewidth=1.5 if phase.fresh else 1)
            room = _ROOM * count / len(self.rows) if several else _ROOM
            label = _fitting(phase.number, phase.trains, phase.fresh and at > 0.5, room)
            if label:
                ax.annotate(label, (at, 1.0), xycoords=("data", "axes fraction"), xytext=(3, 3),
                            textcoords="offset points", fontsize=8, color=GREY, va="bottom")  # fmt: skip
            at += count
        if self.rows:
            ax.set_xlim(0.5 - 0.02 * len(self.rows), len(self.rows) + 0.5)

    def _sentence(self) -> str:
        if not self.rows:
            return "No epoch was finished." if self.phases else "No training yet."
        now = [row for row in self.rows if row["phase"] >= self._first]
        text = _spent(now) if now else "No epoch was finished"
        if self._first > 1:
            text += f" since all weights were drawn anew before phase {self._first}"
            before = [row for row in self.rows if row["phase"] < self._first]
            text += f" (before that {_spent(before)} of another network)" if before else ""
        if self.best is not None:
            row = self.rows[self.best]
            metric = "".join(f", {name} {figure(row[name])}" for name in self.metrics[:1] if name in row)
            text += f"; lowest valid loss {figure(row['valid_loss'])} at {self._at(row)}{metric}"
        elif now:
            text += "; no valid loss was finite"
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
        now = [at for at, row in enumerate(self.rows) if row["phase"] >= self._first]
        shown = now
        if len(now) > _LONG:  # the ends and the best; .frame() has all
            shown = sorted({*now[:3], *now[-3:], *([] if self.best is None else [self.best])})
        names = [*_FIXED, *self.metrics]
        rows = [self.rows[at] for at in shown]
        cells = [[*(figure(row.get(name, "")) for name in names), seconds(row["seconds"])] for row in rows]
        table = html_table([*names, "time"], cells) if rows else ""
        if len(shown) < len(self):
            others = f" ({len(self) - len(now)} of another network)" if len(now) < len(self) else ""
            table += f"<p style='margin:.3em 0'>{len(shown)} of {len(self)} epochs{others}; .frame() has all.</p>"
        return html_value("Training", repr(self), table)


def _spent(rows: Sequence[Mapping[str, Any]]) -> str:
    return f"{len(rows)} epoch{'s' if len(rows) > 1 else ''} in {seconds(sum(row['seconds'] for row in rows))}"


def _fitting(number: int, trains: str, fresh: bool, room: float) -> str:
    """A phase's name in `room` letters a line: in full, cut, as its number alone, or not at all."""
    first = f"phase {number}" if room >= len(f"phase {number}") else str(number)
    if len(first) > room:
        return ""
    second = "all anew" if fresh else trains
    if len(second) > room:
        second = f"{second[: int(room) - 1]}…" if room >= _CUT else ""
    return f"{first}\n{second}" if second else f"{first}\n "


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


def exploded(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Is a loss so far above the first one that only a logarithmic axis shows both? Never where one is not positive."""
    losses = [row.get(name) for row in rows for name in ("train_loss", "valid_loss")]
    finite = [loss for loss in losses if isinstance(loss, float) and math.isfinite(loss)]
    return bool(finite) and min(finite) > 0 and max(finite) > _EXPLODED * finite[0]
