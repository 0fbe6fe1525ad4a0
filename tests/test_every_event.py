"""A fault at any event of any verb: questions leave everything as it was, training ends at a point to go on from."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import cache
from itertools import cycle, product
from typing import Any

import pytest

import nbtune as nt
from faulty import KINDS, POINTS, fault, interrupt, later
from learners import bits, differing, digits, plain, state
from nbtune.errors import NbtuneError

QUESTIONS: dict[str, Callable[[nt.Tuner], Any]] = {
    "lr_find": lambda tuner: tuner.lr_find(steps=12),
    "probe": lambda tuner: tuner.probe(),
    "depth": lambda tuner: tuner.depth(),
    "sweep": lambda tuner: tuner.sweep(lrs=(1e-3, 1e-2), wds=(0.0,), epochs=1, seeds=1),
    "noise": lambda tuner: tuner.noise(1, seeds=2),
    "evaluate": lambda tuner: tuner.evaluate(),
    "verify": lambda tuner: tuner.verify(),
    "item_losses": lambda tuner: tuner.item_losses(),
    "check": lambda tuner: tuner.check(),
}
RECIPE = nt.Recipe((nt.Phase(1, first="head", lr=1e-2), nt.Phase(2, lr=1e-2, augment=False)))
TRAININGS: dict[str, Callable[[nt.Tuner], Any]] = {
    "fit": lambda tuner: tuner.fit(2, 1e-2),
    "run": lambda tuner: tuner.run(RECIPE),
}
# Where an error of a trial is taken for an answer: the docstrings there say so.
SWALLOWS = {
    "nbtune.costs:prices",  # a plan without its price
    "nbtune.prices:step_of",  # a group without its part of it
    "nbtune._fastai.fetch:changing",  # items that cannot be looked at are not kept
    "nbtune._fastai.tell:item_losses",  # a loss without single items
    "nbtune.tuner.likeness:_items",
    "nbtune.preflight:_found",  # a check that fails is a finding
}
Case = tuple[str, str, int]
MOMENTS = (*range(1, 200), *range(200, 3000, 17))  # function calls after the first interrupt
_LATE = 3  # second interrupts that came too late one after another: what is to be cleaned up has ended before


@pytest.fixture(autouse=True)
def _as_few_trial_steps_on_any_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quick machine makes more of them, and then passes events that a slow one does not."""
    monkeypatch.setattr("nbtune.costs._WHILE", 0.0)


def passed(act: Callable[[nt.Tuner], Any], tuner: nt.Tuner) -> dict[str, int]:
    """The points that `act` passes, and how often."""
    with ExitStack() as stack:
        seen = {point: stack.enter_context(fault(point, lambda: None)) for point in POINTS}
        act(tuner)
    return {point: one.count for point, one in seen.items() if one.count}


def few(points: dict[str, int], most: int = 38) -> list[Case]:
    """Each point, the kinds in turn; the first time it is passed, or the second."""
    turns = zip(cycle(points), cycle(KINDS), range(most), strict=False)
    return [(point, kind, 1 + (at // 2 % 2 and points[point] > 1)) for point, kind, at in turns]


def every(points: dict[str, int]) -> list[Case]:
    """Each point with each kind, the first and the second time it is passed."""
    return [(point, kind, nth) for point, kind, nth in product(points, KINDS, (1, 2)) if points[point] >= nth]


def four_parts(error: BaseException) -> None:
    assert all(part in str(error) for part in ("Rule: ", "Likely: ", "Next: ")), error


def ended_well(tuner: nt.Tuner) -> None:
    assert tuner.running == ""
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert {"_do_fit", "all_batches", "_step"}.isdisjoint(vars(tuner.learn))


def provoked(act: Callable[[nt.Tuner], Any], tuner: nt.Tuner, point: str, kind: str, nth: int) -> tuple[bool, bool]:
    """Run `act` with a fault: was it reached, did it raise? What is raised is what the fault calls for."""
    make, error = KINDS[kind]
    with fault(point, make(tuner), nth) as seen:
        raised = ended_by(act, tuner)
    if raised is None:
        taken = kind in ("RuntimeError", "OutOfMemoryError") and seen.within & SWALLOWS
        assert error is None or taken or not seen.reached, f"{kind} {point} {nth} was swallowed in {seen.within}"
        return bool(seen.reached), False
    assert seen.reached, raised
    if error is None or kind == "OutOfMemoryError" or (kind == "RuntimeError" and seen.within & SWALLOWS):
        assert isinstance(raised, NbtuneError), raised
        four_parts(raised)
        assert kind != "RuntimeError" or "on purpose" in str(raised), "the error of the trial is named"
    else:
        assert type(raised) is error, raised
    return True, True


def ended_by(act: Callable[[nt.Tuner], Any], tuner: nt.Tuner) -> BaseException | None:
    """What it raised; SystemExit is no way to end a verb."""
    try:
        act(tuner)
    except SystemExit:
        raise
    except BaseException as raised:
        return raised
    return None


def check_question(name: str, choose: Callable[[dict[str, int]], list[Case]]) -> list[Case]:
    """The chosen cases on one Tuner, one after the other; all are met."""
    tuner = nt.Tuner(learn := digits(), test=digits().dls.valid, seed=0)
    tuner.fit(1, 1e-2)
    tuner.freeze()
    cases = choose(passed(QUESTIONS[name], tuner))
    for point, kind, nth in cases:
        tuner._held.store.clear()
        before, history, code = state(learn), tuner.history, tuner.code()
        reached, raised = provoked(QUESTIONS[name], tuner, point, kind, nth)
        assert reached, (point, kind, nth)
        tuner._held.store.clear()  # kept features are no trace
        assert differing(before, state(learn)) == [], (point, kind, nth)
        assert tuner.history is history
        assert not raised or tuner.code() == code, (point, kind, nth)
        ended_well(tuner)
    return cases


def outcome(tuner: nt.Tuner) -> dict[str, Any]:
    learn = tuner.learn
    tuner.last()
    return {
        "last": bits(learn.model),
        "optimizer": {n: plain(learn.opt.state.get(p)) for n, p in learn.model.named_parameters()},
        "rows": [{name: v for name, v in row.items() if name != "seconds"} for row in tuner.history.rows],
        "steps": [phase.steps for phase in tuner.history.phases],
        "best": bits(tuner.best().learn.model),
    }


@cache
def whole(name: str) -> dict[str, Any]:
    tuner = nt.Tuner(digits(), seed=0)
    TRAININGS[name](tuner)
    return outcome(tuner)


def check_training(name: str, point: str, kind: str, nth: int) -> None:
    tuner = nt.Tuner(digits(), seed=0)
    callbacks = [type(callback) for callback in tuner.learn.cbs]
    assert provoked(TRAININGS[name], tuner, point, kind, nth)[0], (point, kind, nth)
    ended_well(tuner)
    assert [type(cb) for cb in tuner.learn.cbs if type(cb) is not nt.Still] == callbacks
    if not tuner._queue.todo and not tuner.history.phases:
        TRAININGS[name](tuner)  # it was refused before it began
    tuner.run()
    found = outcome(tuner)
    expected = whole(name)
    assert [part for part in expected if expected[part] != found[part]] == [], (point, kind, nth)


@pytest.mark.survives(
    "an interrupt, two of them, an error, out of memory or stop() at ten events of each question, the kinds in turn",
    "everything is as before, to the bit",
)
@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_leaves_no_trace_wherever_it_is_broken_off(name: str) -> None:
    assert len(check_question(name, lambda points: few(points, 10))) == 10


@pytest.mark.survives(
    "the same at 38 events of fit and run",
    "run() goes on to the very same end, to the bit",
)
@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_goes_on_to_the_bit_wherever_it_is_broken_off(name: str) -> None:
    for case in few(passed(TRAININGS[name], nt.Tuner(digits(), seed=0))):
        check_training(name, *case)


@pytest.mark.survives(
    "every kind of fault at every event of every question, the first and the second time it is passed",
    "everything is as before, to the bit; errors of trials are taken for an answer where this is documented only",
)
@pytest.mark.faults
@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_leaves_no_trace_at_every_event(name: str) -> None:
    print(name, len(check_question(name, every)), "faults met")


@pytest.mark.survives(
    "every kind of fault at every event of fit and run, the first and the second time it is passed",
    "run() goes on to the very same end, to the bit",
)
@pytest.mark.faults
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_goes_on_to_the_bit_from_every_event(name: str, kind: str) -> None:
    cases = [case for case in every(passed(TRAININGS[name], nt.Tuner(digits(), seed=0))) if case[1] == kind]
    for case in cases:
        check_training(name, *case)
    print(name, kind, len(cases), "faults met")


# A second interrupt while the first is being cleaned up


@pytest.fixture(autouse=True)
def _no_profile() -> Iterator[None]:
    yield
    sys.setprofile(None)


def interrupted_twice(act: Callable[[nt.Tuner], Any], tuner: nt.Tuner, point: str, calls: int) -> bool:
    """Run `act` with an interrupt at `point` and another so many function calls later; did that one come in time?"""
    left = [calls]

    def twice() -> None:
        left[:] = [calls]
        later(left, interrupt)
        interrupt()

    with fault(point, twice):
        try:
            act(tuner)
        except KeyboardInterrupt:
            pass
        finally:
            sys.setprofile(None)
    return left[0] <= 0


_PLACE = {  # of the first interrupt
    "probe": "in the model", "depth": "in the model", "item_losses": "in the model", "evaluate": "before after_pred",
    "check": "in the model",
}  # fmt: skip


def check_second_in_question(name: str, counts: Iterable[int]) -> int:
    """A second interrupt after each number of calls, until the question has ended before it: how many came."""
    tuner = nt.Tuner(learn := digits(), test=digits().dls.valid, seed=0)
    tuner.fit(1, 1e-2)
    tuner.freeze()
    QUESTIONS[name](tuner)
    came = late = 0
    for calls in counts:
        tuner._held.store.clear()
        before = state(learn)
        in_time = interrupted_twice(QUESTIONS[name], tuner, _PLACE.get(name, "after after_loss"), calls)
        tuner._held.store.clear()
        assert differing(before, state(learn)) == [], calls
        ended_well(tuner)
        came, late = came + in_time, 0 if in_time else late + 1
        if late == _LATE:
            break
    return came


def check_second_in_training(name: str, point: str, calls: int) -> bool:
    tuner = nt.Tuner(digits(), seed=0)
    callbacks = [type(callback) for callback in tuner.learn.cbs]
    in_time = interrupted_twice(TRAININGS[name], tuner, point, calls)
    ended_well(tuner)
    assert [type(cb) for cb in tuner.learn.cbs if type(cb) is not nt.Still] == callbacks
    if not tuner._queue.todo and not tuner.history.phases:
        TRAININGS[name](tuner)
    tuner.run()
    found, expected = outcome(tuner), whole(name)
    assert [part for part in expected if expected[part] != found[part]] == [], (point, calls)
    return in_time


@pytest.mark.survives(
    "a second interrupt at eleven moments of the clean-up of a question",
    "everything is as before, to the bit",
)
@pytest.mark.parametrize("name", QUESTIONS)
def test_a_second_interrupt_in_the_clean_up_of_a_question_leaves_no_trace(name: str) -> None:
    check_second_in_question(name, [2**power for power in range(11)])


@pytest.mark.survives(
    "a second interrupt at eight moments after the first in a fit",
    "it stops at once; run() goes on to the very same end, to the bit",
)
@pytest.mark.parametrize("calls", [1, 3, 8, 21, 55, 144, 377, 987])
def test_a_second_interrupt_at_any_call_leaves_a_training_that_goes_on(calls: int) -> None:
    check_second_in_training("fit", "after after_loss", calls)


@pytest.mark.survives(
    "a second interrupt at each of the first 200 calls of the clean-up of each question, then at every 17th to its end",
    "everything is as before, to the bit",
)
@pytest.mark.faults
@pytest.mark.parametrize("name", QUESTIONS)
def test_a_second_interrupt_at_every_call_of_a_question_leaves_no_trace(name: str) -> None:
    came = check_second_in_question(name, MOMENTS)
    print(name, came, "second interrupts")
    assert came > 100


@pytest.mark.survives(
    "a second interrupt at each of the first 200 calls after the first, at three places of fit and run, then at every "
    "17th to the end",
    "it stops at once; run() goes on to the very same end, to the bit",
)
@pytest.mark.faults
@pytest.mark.parametrize("point", ["after after_loss", "after after_step", "before after_epoch"])
@pytest.mark.parametrize("name", TRAININGS)
def test_a_second_interrupt_at_every_call_leaves_a_training_that_goes_on(name: str, point: str) -> None:
    came = late = 0
    for calls in MOMENTS:
        in_time = check_second_in_training(name, point, calls)
        came, late = came + in_time, 0 if in_time else late + 1
        if late == _LATE:
            break
    print(name, point, came, "second interrupts")
    assert came > 100
