"""A fault at any event of any verb: questions leave everything as it was, training ends at a point to go on from."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from itertools import cycle, islice, product
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
}
RECIPE = nt.Recipe((nt.Phase(1, first="head", lr=1e-2), nt.Phase(2, lr=1e-2, augment=False)))
TRAININGS: dict[str, Callable[[nt.Tuner], Any]] = {
    "fit": lambda tuner: tuner.fit(2, 1e-2),
    "run": lambda tuner: tuner.run(RECIPE),
}
ALL = [(point, kind, nth) for point, kind, nth in product(POINTS, KINDS, (1, 2))]


def few(act: Callable[[nt.Tuner], Any], tuner: nt.Tuner, most: int = 38) -> list[tuple[str, str, int]]:
    """Points that `act` passes, the kinds in turn; each the first time, or the second."""
    with ExitStack() as stack:
        seen = {point: stack.enter_context(fault(point, lambda: None)) for point in POINTS}
        act(tuner)
    passed = [point for point in POINTS if seen[point].count]
    return list(islice(_turns(passed, seen), most))


def _turns(passed: list[str], seen: dict[str, Any]) -> Iterator[tuple[str, str, int]]:
    for at, (point, kind) in enumerate(zip(cycle(passed), cycle(KINDS), strict=False)):
        yield point, kind, 1 + (at // 2 % 2 and seen[point].count > 1)


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
    if raised is None:  # where a trial for kept features or for a price fails, it is done without
        mends = kind in ("RuntimeError", "OutOfMemoryError")
        assert error is None or mends or not seen.reached, f"{kind} {point} {nth} was swallowed"
        return bool(seen.reached), False
    assert seen.reached, raised
    if error is None or kind == "OutOfMemoryError":
        assert isinstance(raised, NbtuneError), raised
        four_parts(raised)
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


def check_question(name: str, cases: list[tuple[str, str, int]] | int) -> int:
    """All cases, or so many, on one Tuner, one after the other: how many faults were met."""
    tuner = nt.Tuner(learn := digits(), test=digits().dls.valid, seed=0)
    tuner.fit(1, 1e-2)
    tuner.freeze()
    found = few(QUESTIONS[name], tuner, cases) if isinstance(cases, int) else cases
    met = 0
    for point, kind, nth in found:
        tuner._held.store.clear()
        before, history, code = state(learn), tuner.history, tuner.code()
        reached, raised = provoked(QUESTIONS[name], tuner, point, kind, nth)
        tuner._held.store.clear()  # kept features are no trace
        assert differing(before, state(learn)) == [], (point, kind, nth)
        assert tuner.history is history
        assert not raised or tuner.code() == code, (point, kind, nth)
        ended_well(tuner)
        met += reached
    return met


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


def check_training(name: str, point: str, kind: str, nth: int) -> bool:
    tuner = nt.Tuner(digits(), seed=0)
    callbacks = [type(callback) for callback in tuner.learn.cbs]
    reached, _ = provoked(TRAININGS[name], tuner, point, kind, nth)
    ended_well(tuner)
    assert [type(cb) for cb in tuner.learn.cbs if type(cb) is not nt.Still] == callbacks
    if not tuner._queue.todo and not tuner.history.phases:
        TRAININGS[name](tuner)  # it was refused before it began
    tuner.run()
    found = outcome(tuner)
    expected = whole(name)
    assert [part for part in expected if expected[part] != found[part]] == [], (point, kind, nth)
    return reached


@pytest.mark.survives(
    "an interrupt, two of them, an error, out of memory or stop() at any event of all questions",
    "everything is as before, to the bit; 38 points a verb, the kinds of faults in turn",
)
@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_leaves_no_trace_wherever_it_is_broken_off(name: str) -> None:
    assert check_question(name, 10) == 10


@pytest.mark.survives("the same at any event of fit and run", "run() goes on to the very same end, to the bit")
@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_goes_on_to_the_bit_wherever_it_is_broken_off(name: str) -> None:
    cases = few(TRAININGS[name], nt.Tuner(digits(), seed=0))
    assert sum(check_training(name, *case) for case in cases) == len(cases)


@pytest.mark.survives(
    "every kind of fault at every event of every question, the first and the second time it is passed",
    "everything is as before, to the bit",
)
@pytest.mark.faults
@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_leaves_no_trace_at_every_event(name: str) -> None:
    print(name, check_question(name, ALL), "faults met of", len(ALL))


@pytest.mark.survives(
    "every kind of fault at every event of fit and run, the first and the second time it is passed",
    "run() goes on to the very same end, to the bit",
)
@pytest.mark.faults
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_goes_on_to_the_bit_from_every_event(name: str, kind: str) -> None:
    cases = [case for case in ALL if case[1] == kind]
    print(name, kind, sum(check_training(name, *case) for case in cases), "faults met of", len(cases))


# A second interrupt while the first is being cleaned up


def second(calls: int) -> Callable[[], None]:
    def act() -> None:
        later(calls, interrupt)
        interrupt()

    return act


@pytest.fixture(autouse=True)
def _no_profile() -> Iterator[None]:
    yield
    sys.setprofile(None)


def interrupted_twice(act: Callable[[nt.Tuner], Any], tuner: nt.Tuner, point: str, calls: int) -> None:
    with fault(point, second(calls)):
        try:
            act(tuner)
        except KeyboardInterrupt:
            pass
        finally:
            sys.setprofile(None)


def check_second_in_question(name: str, counts: list[int]) -> None:
    tuner = nt.Tuner(learn := digits(), test=digits().dls.valid, seed=0)
    tuner.fit(1, 1e-2)
    tuner.freeze()
    point = {"probe": "in the model", "depth": "in the model", "evaluate": "before after_pred"}.get(
        name, "after after_loss"
    )
    QUESTIONS[name](tuner)
    for calls in counts:
        tuner._held.store.clear()
        before = state(learn)
        interrupted_twice(QUESTIONS[name], tuner, point, calls)
        tuner._held.store.clear()
        assert differing(before, state(learn)) == [], calls
        ended_well(tuner)


def check_second_in_training(name: str, point: str, calls: int) -> None:
    tuner = nt.Tuner(digits(), seed=0)
    callbacks = [type(callback) for callback in tuner.learn.cbs]
    interrupted_twice(TRAININGS[name], tuner, point, calls)
    ended_well(tuner)
    assert [type(cb) for cb in tuner.learn.cbs if type(cb) is not nt.Still] == callbacks
    if not tuner._queue.todo and not tuner.history.phases:
        TRAININGS[name](tuner)
    tuner.run()
    found, expected = outcome(tuner), whole(name)
    assert [part for part in expected if expected[part] != found[part]] == [], (point, calls)


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
    "a second interrupt at each of 364 moments of the clean-up of each question",
    "everything is as before, to the bit",
)
@pytest.mark.faults
@pytest.mark.parametrize("name", QUESTIONS)
def test_a_second_interrupt_at_every_call_of_a_question_leaves_no_trace(name: str) -> None:
    check_second_in_question(name, [*range(1, 200), *range(200, 3000, 17)])


@pytest.mark.survives(
    "a second interrupt at each of 276 moments after each of three places of fit and run",
    "it stops at once; run() goes on to the very same end, to the bit",
)
@pytest.mark.faults
@pytest.mark.parametrize("name", TRAININGS)
def test_a_second_interrupt_at_every_call_leaves_a_training_that_goes_on(name: str) -> None:
    for point in ("after after_loss", "after after_step", "before after_epoch"):
        for calls in [*range(1, 200), *range(200, 1500, 17)]:
            check_second_in_training(name, point, calls)
