"""Run one phase on a Learner: the optimizer for what trains, the schedule, and a consistent end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from nbtune._cut import Cut
from nbtune._fastai import Recorder
from nbtune._fastai.borrow import quiet, seed_all, without_augmentation
from nbtune._fastai.follow import Follow, finish
from nbtune._fastai.position import Course
from nbtune._fastai.steps import optimizer, scheduler
from nbtune._fastai.tell import Tell
from nbtune.freeze import Still
from nbtune.history import PhaseRecord
from nbtune.interrupts import shielded
from nbtune.phases import Phase
from nbtune.rates import Rates
from nbtune.trace import Trace
from nbtune.transaction import autocast_kept

__all__ = ["Setting", "augments", "train"]


@dataclass(frozen=True)
class Setting:
    """One phase on one Learner, under the plan in force."""

    learn: Any
    cut: Cut
    phase: Phase
    rates: Rates
    number: int
    seed: int
    still: Still | None
    fresh: bool  # from weights drawn anew

    @property
    def trains(self) -> tuple[str, ...]:
        """Names of the groups that train."""
        return tuple(group.name for group in self.cut.training)

    def begin(self, trace: Trace, follow: Follow) -> None:
        """Tell `trace` that the phase begins."""
        named, learn = dict(zip(self.rates.names, self.rates.values, strict=True)), self.learn
        trains, epochs, batches = _named(self.trains), self.phase.epochs, len(learn.dls.train)
        trace.begin(self.number, trains, named, epochs, self.fresh, batches, lambda: _now(learn), follow.slopes)

    def record(self, steps: int, ended: str) -> PhaseRecord:
        """What the history says of the phase after `steps`."""
        still, phase = self.still, self.phase
        return PhaseRecord(
            number=self.number,
            trains=_named(self.trains),
            rates=dict(zip(self.rates.names, self.rates.values, strict=True)),
            wd=phase.wd,
            schedule=phase.schedule,
            seed=self.seed,
            steps=steps,
            ended=ended,
            cached=still is not None and still.cached,
            why=(still.why if still is not None else "Nothing is still, so there is nothing to keep.") + _thread(),
            proof=still.proof if still is not None else None,
            augmented=augments(self.learn, self.cut, phase),
            fresh=self.fresh,
            lr_default=phase.lr is None,
        )


def train(
    setting: Setting,
    *,
    cbs: Sequence[Any],
    begin: dict[str, Any] | None,
    stopped: Callable[[], bool],
    on_row: Callable[[dict[str, Any]], None],
    on_point: Callable[[Course, PhaseRecord], None],
    on_end: Callable[[Course, PhaseRecord], None],
    trace: Trace,
) -> None:
    """Train a phase, from the position `begin` on, and hand its record to `on_end`, also when it raises.

    It ends after the batch in which `stopped()` became true.
    """
    learn, phase, rates = setting.learn, setting.phase, setting.rates
    follow = Follow(setting.number, f"phase {setting.number}: {_named(setting.trains)}", on_row)
    follow.silent = trace.watched
    top = [rates.values[rates.names.index(name)] for name in setting.trains]
    schedule = scheduler(phase.schedule, top, pct_start=phase.pct_start, div=phase.div, moms=learn.moms)
    learn.opt = optimizer(learn, setting.cut.lists(learn.model))

    def safe(course: Course) -> None:
        on_point(course, setting.record(follow.steps, f"was cut off after step {follow.steps}"))

    course, error = Course(learn, follow, stopped, safe, begin), ""
    try:
        with _set_up(setting, stopped):
            seed_all(learn, setting.seed)
            setting.begin(trace, follow)
            with course.running():
                _fit(learn, phase.epochs, top, phase.wd, [schedule, *cbs, follow, Tell(trace, follow)])
    except BaseException as raised:
        error = type(raised).__name__
        raise
    finally:
        with shielded():
            follow.close()
            trace.finish()
            if error:
                course.settle()
            ended = _end(error, course.torn) if error else follow.ended or "finished"
            on_end(course, setting.record(follow.steps, ended))


def _thread() -> str:
    """What is not promised where others may draw from the same random streams meanwhile."""
    if threading.current_thread() is threading.main_thread():
        return ""
    return " It was trained in a background thread, which shares its random streams: equal bits are not promised."


def _end(error: str, torn: str) -> str:
    """How a phase ended in which something raised."""
    return f"ended early: {error} {torn}".rstrip()


@contextmanager
def _set_up(setting: Setting, stopped: Callable[[], bool]) -> Iterator[None]:
    learn, phase, still = setting.learn, setting.phase, setting.still
    with ExitStack() as stack:
        stack.enter_context(quiet(learn))
        stack.enter_context(autocast_kept())
        if not augments(learn, setting.cut, phase):
            stack.enter_context(without_augmentation(learn))
        if still is not None:
            stack.callback(still.feed.close)
            # The views' seed is that of the Tuner: those of one phase serve the next.
            still.cache, still.views, still.seed = phase.cache, phase.views, setting.seed - setting.number + 1
            still.stopped = stopped
        yield


def _fit(learn: Any, epochs: int, top: Sequence[float], wd: float | None, cbs: Sequence[Any]) -> None:
    """fastai's fit; where it raises, callbacks get the events that it leaves out, and the list is as before."""
    before = list(learn.cbs)
    recorder = [] if any(isinstance(callback, Recorder) for callback in before) else [Recorder()]
    try:
        with learn.added_cbs([*recorder, *cbs]):
            try:
                learn.fit(epochs, lr=top, wd=wd)
            except BaseException:
                finish(learn)
                raise
    except BaseException:
        learn.cbs = type(learn.cbs)(before)
        raise


def _now(learn: Any) -> list[float]:
    """The rates of the groups that train, as the optimizer has them."""
    return [float(hyper["lr"]) for hyper in learn.opt.hypers]


def _named(names: Sequence[str]) -> str:
    return " + ".join(names) if len(names) <= 3 else f"{names[0]} … {names[-1]}"


def augments(learn: Any, cut: Cut, phase: Phase) -> bool:
    """Does the phase train with the random transforms? Not where what is still could be kept instead."""
    if phase.augment is None and phase.views == 1 and hasattr(learn, "nbtune_origin"):
        return not (cut.first and cut.norms == "still")
    return phase.augment is not False
