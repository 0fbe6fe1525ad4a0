"""A training batch by batch, in bounded memory: for whoever watches while it runs, or looks at it after."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nbtune.history import History
from nbtune.overfitting import WIDEST, Epoch, Judgement, judge

__all__ = ["COLUMNS", "POINTS", "Now", "Stretch", "Trace"]

Points = NDArray[np.float32]

POINTS = 600  # points of the curve that are kept at most: about one a pixel
COLUMNS = ("epoch", "loss", "low", "high", "rate")  # of a point: the epochs trained at its end, and over its batches
CELLS = 20_000  # losses kept of one validation; of more items, means of neighbours


@dataclass(frozen=True)
class Stretch:
    """One phase on the axis of all epochs."""

    number: int  # of the phase
    trains: str  # names of the groups that train
    rates: Mapping[str, float]  # highest rate by group; 0.0 for a still one
    begin: float  # epochs trained before it
    epochs: int  # that it is to take
    fresh: bool = False  # all weights were drawn anew before it


@dataclass(frozen=True)
class Now:
    """Where a training is at this moment."""

    phase: int
    epoch: int  # whole epochs of the phase
    epochs: int  # that it takes
    batch: int  # training batches of the epoch that is not whole yet
    batches: int  # of an epoch
    seconds: float  # of the phase so far
    left: float  # seconds that remain of the phase at the speed of now; nan where that is not known yet
    speed: float  # training items a second
    rates: Mapping[str, float]  # of the groups that train, in the last step
    memory: int  # bytes that tensors hold on the GPU; 0 without one
    slopes: Mapping[str, float]  # norm of the gradient in the last step, of the groups that train


class Trace:
    """What happened in training, batch by batch, over all phases of a Tuner.

    At most `POINTS` points are kept: when there are more, neighbours become one, with mean, lowest and highest loss.
    """

    def __init__(self) -> None:
        self.stretches: tuple[Stretch, ...] = ()
        self.batches = 0  # all that were recorded
        self.slopes: Mapping[str, float] = {}  # by group: norm of its gradient in the last step of the last phase
        self._points = np.zeros((POINTS, 6), np.float64)  # columns, and the number of batches
        self._phases = np.zeros(POINTS, np.int64)
        self._count, self._width = 0, 1
        self._watchers: list[Callable[[], None]] = []
        self._running: _Running | None = None
        self._rows: list[tuple[float, Mapping[str, Any]]] = []
        self._epochs: dict[int, list[Epoch]] = {}
        self._best: dict[int, int] = {}  # by phase: the epoch of the lowest valid loss
        self._metric = ""

    # Who looks

    def watch(self, act: Callable[[], None]) -> Callable[[], None]:
        """Call `act()` after every batch and epoch, in the training's own thread; returns what ends the watching."""
        self._watchers.append(act)
        return lambda: self._watchers.remove(act) if act in self._watchers else None

    @property
    def watched(self) -> bool:
        return bool(self._watchers)

    @property
    def rows(self) -> tuple[tuple[float, Mapping[str, Any]], ...]:
        """Every whole epoch: the epochs trained at its end, and its row of the History."""
        return tuple(self._rows)

    @property
    def points(self) -> Points:
        """The curve, a row a point, with the columns `COLUMNS`."""
        return self._points[: self._count, :5].astype(np.float32)

    @property
    def now(self) -> Now | None:
        """Where the training is; None where none is running."""
        running = self._running
        return None if running is None else running.now()

    def fitting(self, phase: int | None = None) -> Judgement:
        """Over- or underfitting in a phase (the last one by default), with its evidence."""
        number = phase or (self.stretches[-1].number if self.stretches else 0)
        return judge(self._epochs.get(number, []), self._metric)

    # Who tells

    def catch_up(self, history: History) -> None:
        """Take phases in that were trained before this trace began (of a run that was resumed)."""
        known = {stretch.number for stretch in self.stretches}
        for phase in history.phases:
            if phase.number not in known:
                rows = [row for row in history.rows if row["phase"] == phase.number]
                begin = self.end
                self._add(Stretch(phase.number, phase.trains, phase.rates, begin, len(rows), phase.fresh))
                self._rows += [(begin + row["epoch"], row) for row in rows]

    @property
    def end(self) -> float:
        """Epochs trained."""
        last = float(self._points[self._count - 1, 0]) if self._count else 0.0
        return max([last, *(x for x, _ in self._rows[-1:])])

    def begin(
        self, phase: int, trains: str, rates: Mapping[str, float], epochs: int, fresh: bool, batches: int,
        rate: Callable[[], Sequence[float]], slopes: Callable[[], Sequence[float]] = tuple,
    ) -> None:  # fmt: skip
        """A phase begins, or goes on; `rate()` gives the rates of the groups that train at this moment.

        `slopes()` gives the norms of their gradients in the last step; it may give none.
        """
        known = [stretch for stretch in self.stretches if stretch.number == phase]
        stretch = known[0] if known else Stretch(phase, trains, rates, self.end, epochs, fresh)
        self._add(replace(stretch, epochs=epochs))
        self._close_point()
        self._running = _Running(stretch.number, stretch.begin, epochs, batches, rate, rates, slopes)

    def batch(self, epoch: float, loss: float, items: int, rate: float) -> None:
        """A training batch is done, `epoch` epochs of the phase after its beginning."""
        running = self._running
        if running is None:
            return
        running.batch(epoch, loss, items)
        self.batches += 1
        at = self._count - 1
        point = self._points[at]
        if at < 0 or point[5] >= self._width or self._phases[at] != running.phase:
            self._open_point(running.phase)
            self._points[self._count - 1] = (running.begin + epoch, loss, loss, loss, rate, 1)
        else:
            count = point[5] + 1
            point[:] = (
                running.begin + epoch, point[1] + (loss - point[1]) / count,
                min(point[2], loss), max(point[3], loss), rate, count,
            )  # fmt: skip
        self._tell()

    def epoch(self, row: Mapping[str, Any], losses: Sequence[Any]) -> None:
        """An epoch is whole: its row of the History, and the validation losses by item (or by batch)."""
        running = self._running
        if running is None:
            return
        names = [name for name in row if name not in ("phase", "epoch", "train_loss", "valid_loss", "seconds")]
        self._metric = names[0] if names else ""
        metric = row.get(self._metric, math.nan)
        epoch = Epoch(
            row["train_loss"], row["valid_loss"], running.error(), _cells(losses),
            metric if isinstance(metric, float) else math.nan,
        )  # fmt: skip
        self._keep(running.phase, epoch)
        self._rows.append((running.begin + row["epoch"], row))
        running.whole(row["epoch"], row["seconds"])
        self._tell()

    def finish(self) -> None:
        """The phase has ended, in whatever way."""
        if self._running is not None:
            self.slopes = self._running.slopes()
        self._running = None

    # How it stays short

    def _keep(self, phase: int, epoch: Epoch) -> None:
        """Only the lowest and the last epochs keep the losses of items."""
        kept, best = self._epochs.setdefault(phase, []), self._best.get(phase, 0)
        kept.append(epoch)
        out = {len(kept) - WIDEST - 2}
        if epoch.valid < kept[best].valid:
            self._best[phase] = len(kept) - 1
            out.add(best)
        for at in out - {self._best.get(phase, 0)}:
            if 0 <= at <= len(kept) - WIDEST - 2:
                kept[at] = replace(kept[at], items=None)

    def _add(self, stretch: Stretch) -> None:
        others = [one for one in self.stretches if one.number != stretch.number]
        self.stretches = tuple(sorted([*others, stretch], key=lambda one: one.number))

    def _close_point(self) -> None:
        """The next batch begins a point of its own."""
        if self._count:
            self._points[self._count - 1, 5] = max(self._width, self._points[self._count - 1, 5])

    def _open_point(self, phase: int) -> None:
        if self._count == POINTS:
            self._width *= 2
            self._merge(lambda at: bool(self._phases[at] == self._phases[at + 1]))
            if self._count > 3 * POINTS // 4:  # very many short phases
                self._merge(lambda at: True)
        self._phases[self._count] = phase
        self._count += 1

    def _merge(self, may: Callable[[int], bool]) -> None:
        """Neighbours become one point, each pair where it may."""
        points, phases, made, at = self._points.copy(), self._phases.copy(), 0, 0
        while at < self._count:
            pair = points[at : at + 2] if at + 1 < self._count and may(at) else points[at : at + 1]
            counts = pair[:, 5]
            points[made] = (
                pair[-1, 0], np.average(pair[:, 1], weights=counts), pair[:, 2].min(), pair[:, 3].max(), pair[-1, 4],
                counts.sum(),
            )  # fmt: skip
            phases[made] = phases[at + len(pair) - 1]
            at, made = at + len(pair), made + 1
        self._count = made  # first: who looks meanwhile sees a shorter curve, never one that is not
        self._points, self._phases = points, phases

    def _tell(self) -> None:
        for act in list(self._watchers):
            try:
                act()
            except Exception as error:  # a picture that fails must not end a training
                warnings.warn(f"nbtune: {act!r} failed and is no longer told: {error!r}", stacklevel=2)
                self._watchers.remove(act)


class _Running:
    """Counts and clocks of the phase that runs."""

    def __init__(
        self,
        phase: int,
        begin: float,
        epochs: int,
        batches: int,
        rate: Callable[[], Sequence[float]],
        rates: Mapping[str, float],
        slopes: Callable[[], Sequence[float]],
    ) -> None:
        self.phase, self.begin, self.epochs, self.batches, self.rate = phase, begin, epochs, max(1, batches), rate
        self.names = [name for name, top in rates.items() if top]
        self.norms = slopes
        self.began = self.mark = self.first = time.perf_counter()
        self.at, self.items, self.speed, self.took = 0.0, 0, 0.0, math.nan
        self.rows = 0  # whole epochs since it began
        self.made = 0  # batches of this epoch, for its own error
        self.mean = self.squares = 0.0

    def batch(self, epoch: float, loss: float, items: int) -> None:
        now = time.perf_counter()
        if not self.made:
            self.first, self.start = now, epoch
        self.at, self.made = epoch, self.made + 1
        if self.began == self.mark:  # the first batch may have waited for a cache
            self.mark, items = now, 0
        self.items += items
        change = loss - self.mean
        self.mean += change / self.made
        self.squares += change * (loss - self.mean)
        if self.items and (now - self.mark > 0.5 or not self.speed):
            self.speed, self.mark, self.items = self.items / max(1e-9, now - self.mark), now, 0

    def error(self) -> float:
        """Standard error of the mean loss over the batches of this epoch; it resets them."""
        made, squares = self.made, self.squares
        self.made, self.mean, self.squares = 0, 0.0, 0.0
        return math.sqrt(squares / (made - 1) / made) if made > 1 else 0.0

    def whole(self, epoch: int, seconds: float) -> None:
        self.at, self.took, self.rows = float(epoch), seconds, self.rows + 1

    def now(self) -> Now:
        clock, whole = time.perf_counter(), math.floor(self.at + 1e-9)
        left = self.epochs - self.at
        known = self.took
        if self.rows < 2 and self.made > 1:  # the first may have filled a cache: as the batches go
            known = (clock - self.first) / max(1e-9, self.at - self.start)
        memory = torch.cuda.memory_allocated() if torch.cuda.is_available() else 0
        batch = round((self.at - whole) * self.batches)
        rates = dict(zip(self.names, self.rate(), strict=False))
        return Now(
            self.phase, whole, self.epochs, batch, self.batches, clock - self.began, left * known, self.speed,
            rates, memory, self.slopes(),
        )  # fmt: skip

    def slopes(self) -> dict[str, float]:
        return dict(zip(self.names, self.norms(), strict=False))


def _cells(losses: Sequence[Any]) -> Any:
    """The validation losses as one array of at most `CELLS` numbers; None where there is none."""
    if not losses:
        return None
    whole = np.concatenate([np.atleast_1d(np.asarray(part, np.float32)) for part in losses])
    width = math.ceil(len(whole) / CELLS)
    return whole if width <= 1 else whole[: len(whole) // width * width].reshape(-1, width).mean(1)
