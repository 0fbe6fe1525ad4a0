"""Run one phase on a Learner: the optimizer for what trains, the schedule, and a consistent end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from nbtune._cut import Cut
from nbtune._fastai import Recorder
from nbtune._fastai.borrow import quiet, seed_all, without_augmentation
from nbtune._fastai.follow import Follow, finish
from nbtune._fastai.steps import optimizer, scheduler
from nbtune.freeze import Still
from nbtune.history import History, PhaseRecord, best_row
from nbtune.phases import Phase
from nbtune.rates import Rates
from nbtune.transaction import autocast_kept, graceful

__all__ = ["train"]


def train(
    learn: Any,
    cut: Cut,
    phase: Phase,
    rates: Rates,
    *,
    number: int,
    seed: int,
    cbs: Sequence[Any],
    stop: Callable[[], None],
    stopped: Callable[[], bool],
    on_row: Callable[[dict[str, Any]], None],
    on_end: Callable[[History], None],
) -> None:
    """Train `phase` and hand its History to `on_end`, also when it ends early or raises.

    An interrupt of the kernel in the main thread ends the fit after the batch and is raised again then.
    """
    live = [group.name for group in cut.training]
    follow = Follow(number, f"phase {number}: {_named(live)}", stopped, on_row)
    learn.opt = optimizer(learn, [[p for _, p in named] for _, named in cut.live(learn.model)])
    top = [rates.values[rates.names.index(name)] for name in live]
    schedule = scheduler(phase.schedule, top, pct_start=phase.pct_start, div=phase.div, moms=learn.moms)
    added = list(learn.cbs)
    error = ""
    try:
        with ExitStack() as stack:
            stack.enter_context(graceful(stop))
            stack.enter_context(quiet(learn))
            stack.enter_context(autocast_kept())
            if phase.augment is False:
                stack.enter_context(without_augmentation(learn))
            seed_all(learn, seed)
            recorder = [] if any(isinstance(cb, Recorder) for cb in learn.cbs) else [Recorder()]
            try:
                learn.fit(phase.epochs, lr=top, wd=phase.wd, cbs=[*recorder, schedule, *cbs, follow])
            except BaseException as raised:
                error = type(raised).__name__
                learn.cbs = type(learn.cbs)(added)
                finish(learn)
                raise
    finally:
        follow.close()
        record = PhaseRecord(
            number=number,
            trains=_named(live),
            rates=dict(zip(rates.names, rates.values, strict=True)),
            wd=phase.wd,
            schedule=phase.schedule,
            seed=seed,
            steps=follow.steps,
            ended=follow.ended or (f"ended early: {error}" if error else "finished"),
            why=_why_live(cut),
            proof=_proof(learn),
            augmented=phase.augment is not False,
        )
        rows = tuple(follow.rows)
        on_end(History(rows, (record,), best_row(rows)))


def _named(names: Sequence[str]) -> str:
    return " + ".join(names) if len(names) <= 3 else f"{names[0]} … {names[-1]}"


def _why_live(cut: Cut) -> str:
    return "Nothing is still, so there is nothing to cache." if not cut.first else "Trained live: no cache yet."


def _proof(learn: Any) -> Any:
    return next((callback.proof for callback in learn.cbs if isinstance(callback, Still)), None)
