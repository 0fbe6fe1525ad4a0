"""Run one phase on a Learner: the optimizer for what trains, the schedule, and a consistent end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
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
from nbtune.phases import Phase
from nbtune.rates import Rates
from nbtune.trace import Trace
from nbtune.transaction import autocast_kept, graceful, shielded

__all__ = ["augments", "train"]


def train(
    learn: Any,
    cut: Cut,
    phase: Phase,
    rates: Rates,
    *,
    number: int,
    seed: int,
    still: Still | None,
    cbs: Sequence[Any],
    begin: dict[str, Any] | None,
    fresh: bool,
    stop: Callable[[], None],
    stopped: Callable[[], bool],
    on_row: Callable[[dict[str, Any]], None],
    on_point: Callable[[Course, PhaseRecord], None],
    on_end: Callable[[Course, PhaseRecord], None],
    trace: Trace,
) -> None:
    """Train `phase`, from the position `begin` on, and hand its record to `on_end`, also when it raises.

    An interrupt of the kernel in the main thread ends the fit after the batch and is raised again then.
    """
    live = [group.name for group in cut.training]
    follow = Follow(number, f"phase {number}: {_named(live)}", on_row)
    follow.silent = trace.watched
    top = [rates.values[rates.names.index(name)] for name in live]
    schedule = scheduler(phase.schedule, top, pct_start=phase.pct_start, div=phase.div, moms=learn.moms)
    learn.opt = optimizer(learn, cut.lists(learn.model))

    def record(ended: str) -> PhaseRecord:
        return PhaseRecord(
            number=number,
            trains=_named(live),
            rates=dict(zip(rates.names, rates.values, strict=True)),
            wd=phase.wd,
            schedule=phase.schedule,
            seed=seed,
            steps=follow.steps,
            ended=ended,
            cached=still is not None and still.cached,
            why=still.why if still is not None else "Nothing is still, so there is nothing to keep.",
            proof=still.proof if still is not None else None,
            augmented=augments(learn, cut, phase),
            fresh=fresh,
            lr_default=phase.lr is None,
        )

    def safe(course: Course) -> None:
        on_point(course, record(f"was cut off after step {follow.steps}"))

    course, error = Course(learn, follow, stopped, safe, begin), ""
    with graceful(stop):
        try:
            with _set_up(learn, cut, phase, still):
                if still is not None:
                    # The views' seed is that of the Tuner: those of one phase serve the next.
                    still.cache, still.views, still.seed = phase.cache, phase.views, seed - number + 1
                    still.stopped = stopped
                seed_all(learn, seed)
                named = dict(zip(rates.names, rates.values, strict=True))
                trace.begin(number, _named(live), named, phase.epochs, fresh, len(learn.dls.train), lambda: _now(learn))
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
                on_end(course, record(f"ended early: {error}" if error else follow.ended or "finished"))


@contextmanager
def _set_up(learn: Any, cut: Cut, phase: Phase, still: Still | None) -> Iterator[None]:
    with ExitStack() as stack:
        stack.enter_context(quiet(learn))
        stack.enter_context(autocast_kept())
        if not augments(learn, cut, phase):
            stack.enter_context(without_augmentation(learn))
        if still is not None:
            stack.callback(still.feed.close)
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
