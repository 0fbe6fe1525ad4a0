"""One range test on a borrowed Learner: the callback that raises the rate, and the loop around it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from nbtune._fastai import CancelFitException, CancelValidException, OwnCallback
from nbtune._fastai.borrow import borrowed, seed_all
from nbtune._fastai.workers import answering
from nbtune.errors import InputError
from nbtune.finder.readings import Running, diverged, pace

__all__ = ["Sweep", "one_test"]

_SETTLE = 10  # steps before a loss may count as diverged: early averages hold few batches


class Sweep(OwnCallback):
    """Sets each step's rates and keeps its loss; ends the fit when there is nothing more to measure."""

    order = 70  # after every callback that changes a loss, and after schedules (60)

    def __init__(
        self,
        grid: Any,
        ratios: Sequence[float] | None,
        report: Callable[[int], None] | None,
        should_stop: Callable[[], bool] | None,
    ) -> None:
        super().__init__()
        self.grid, self.shares, self.report, self.should_stop = grid, ratios, report, should_stop
        self.measured: list[float] = []  # finite losses only
        self.average = Running(pace(grid))
        self.first, self.best = math.nan, math.inf  # averages
        self.ended = ""  # "", "diverged", "not finite" or "stopped"
        self.note = ""

    def before_fit(self) -> None:
        groups = len(self.learn.opt.hypers)
        if self.shares is not None and len(self.shares) != groups:
            raise InputError(
                f"{len(self.shares)} ratios for an optimizer with {groups} groups.",
                rule="one ratio for each optimizer group.",
                likely="the ratios hold still groups too, or the optimizer has one group for all.",
                next="pass make_opt, which makes the optimizer that the ratios are for.",
            )

    def before_batch(self) -> None:
        rate = float(self.grid[len(self.measured)])
        self.learn.opt.set_hyper("lr", rate if self.shares is None else [rate * r for r in self.shares])

    def after_loss(self) -> None:
        loss = float(self.learn.loss.detach())
        if not math.isfinite(loss):
            self.ended = "not finite"
            raise CancelFitException()
        self.measured.append(loss)

    def after_batch(self) -> None:
        done = len(self.measured)
        if self.report is not None:
            self.report(done)
        average = self.average.add(self.measured[-1])
        self.first, self.best = average if done == 1 else self.first, min(self.best, average)
        if self.should_stop is not None and self.should_stop():
            self.ended = "stopped"
        elif done > _SETTLE and diverged(average, self.best, self.first):
            self.ended = "diverged"
        if self.ended or done == len(self.grid):
            raise CancelFitException()

    def after_train(self) -> None:
        if not self.measured:  # an epoch without a batch would be followed by another
            raise _no_batches()

    def before_validate(self) -> None:
        raise CancelValidException()


def one_test(learn: Any, sweep: Sweep, make_opt: Callable[[Any], Any] | None, seed: int) -> None:
    """Run `sweep` from the Learner's present weights and undo everything."""
    with borrowed(learn):
        sweep.note = _let_batches_be_smaller(learn.dls)
        seed_all(learn, seed)
        if make_opt is None:
            learn.create_opt()
        else:
            learn.opt = make_opt(learn)
            learn.wd = None  # fit would set one weight decay for all groups of an optimizer that has its own
        # An epoch has at least one batch, so that this many epochs are enough; the sweep ends the fit.
        with answering(learn.dls.train):
            learn.fit(len(sweep.grid), cbs=[sweep])


def _let_batches_be_smaller(dls: Any) -> str:
    """Keep the only, short batch of a loader that would drop it; says so. Raises InputError without items."""
    train = getattr(dls, "train", None) if len(getattr(dls, "loaders", [])) else None
    if train is None:
        raise _no_batches()
    try:
        batches, items = len(train), len(train.dataset)
    except (TypeError, AttributeError):  # a stream: its length shows when it is read
        return ""
    if batches:
        return ""
    size = getattr(train, "bs", None)
    if not items or size is None:
        raise _no_batches()
    train.drop_last = False
    return f"The batch size of {size} is above the {items} training items: every step used all of them."


def _no_batches() -> InputError:
    return InputError(
        "a Learner whose training loader gives no batch.",
        rule="a range test needs at least one training batch.",
        likely="an empty training split, or a batch size above it with drop_last.",
        next="look at len(learn.dls.train.dataset) and learn.dls.train.bs.",
    )
