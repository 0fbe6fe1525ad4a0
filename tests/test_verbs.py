"""A Tuner does one thing at a time, and those who watch are told."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest
from fastai.callback.core import Callback

import nbtune as nt
from learners import bits, digits
from nbtune.errors import TrainingError
from nbtune.tuner.verbs import Verbs


class During(Callback):
    """Calls `act` in another thread after the first step, and waits for it."""

    def __init__(self, act: Any) -> None:
        self.act, self.error, self.done = act, None, False

    def after_batch(self) -> None:
        if not self.done:
            self.done = True
            thread = threading.Thread(target=self._call)
            thread.start()
            thread.join()

    def _call(self) -> None:
        try:
            self.act()
        except Exception as error:
            self.error = error


@pytest.mark.survives(
    "a second verb from another thread",
    "refused with who holds it; the first is as if alone, to the bit",
)
def test_a_second_verb_is_refused_and_the_first_is_as_if_alone() -> None:
    alone, disturbed = nt.Tuner(digits(), seed=1), nt.Tuner(digits(), seed=1)
    alone.fit(2, 1e-2, cbs=During(lambda: None))
    during = During(lambda: disturbed.freeze())
    disturbed.fit(2, 1e-2, cbs=during)
    assert isinstance(during.error, TrainingError)
    for part in ("freeze() while fit() is running (in thread 'MainThread'", "Rule:", "Likely:", "Next:"):
        assert part in str(during.error)
    assert bits(alone.learn.model) == bits(disturbed.learn.model)
    disturbed.freeze()


@pytest.mark.survives("two Tuners at once, a cell and a thread", "the second is refused with who holds it; no deadlock")
def test_another_tuners_verb_in_a_thread_is_refused_with_who_holds_it() -> None:
    first, second = nt.Tuner(digits(), seed=1), nt.Tuner(digits(), seed=2)
    alone = nt.Tuner(digits(), seed=1)
    alone.fit(2, 1e-2, cbs=During(lambda: None))
    before = bits(second.learn.model)
    during = During(lambda: second.fit(1))
    first.fit(2, 1e-2, cbs=during)
    text = str(during.error)
    assert "fit() while fit() of another Tuner is running (in thread 'MainThread', for " in text
    assert "Next: wait for it, or the other tuner.stop()" in text
    assert bits(second.learn.model) == before
    assert bits(first.learn.model) == bits(alone.learn.model)
    second.fit(1)


def test_a_verb_within_a_callback_of_another_tuner_is_refused_too() -> None:
    first, second = nt.Tuner(digits(), seed=1), nt.Tuner(digits(), seed=2)

    class Nested(Callback):
        def after_epoch(self) -> None:
            second.lr_find()

    with pytest.raises(TrainingError, match=r"was called by a callback of fit\(\)"):
        first.fit(1, cbs=Nested())
    assert second.lr_find(steps=10).losses.size == 10


def test_a_fit_in_a_background_thread_says_what_is_not_promised_and_can_be_stopped() -> None:
    tuner, began = nt.Tuner(digits(), seed=1), threading.Event()

    class Began(Callback):
        def after_batch(self) -> None:
            began.set()

    thread = threading.Thread(target=lambda: tuner.fit(10_000, 1e-3, cbs=Began()))
    thread.start()
    assert began.wait(60)
    with pytest.raises(TrainingError, match="is running"):
        tuner.lr_find()
    tuner.stop()
    thread.join(60)
    assert not thread.is_alive()
    assert "background thread" in tuner.history.why
    assert tuner.history.phases[0].ended.startswith("was stopped")
    assert tuner.running == ""
    tuner.fit(1, 1e-3)
    assert "background thread" not in tuner.history.phases[-1].why


def test_a_forked_process_is_not_held_by_its_parents_verb() -> None:
    first, status = nt.Tuner(digits(), seed=1), []

    class Forks(Callback):
        def after_fit(self) -> None:
            child = os.fork()
            if child == 0:
                try:
                    with Verbs().doing("fit"):
                        os._exit(0)
                finally:
                    os._exit(1)
            status.append(os.waitpid(child, 0)[1])

    first.fit(1, cbs=Forks())
    assert status == [0]


def test_what_is_read_while_another_thread_trains_changes_nothing() -> None:
    alone, read = nt.Tuner(digits(), seed=1), nt.Tuner(digits(), seed=1)
    for tuner in (alone, read):
        tuner.freeze_to(1, norms="stats")
    alone.fit(2, 1e-2, cbs=During(lambda: None))
    read.fit(2, 1e-2, cbs=During(lambda: (read.plan, read.groups, repr(read), read.code(), read.history)))
    assert bits(alone.learn.model) == bits(read.learn.model)


def test_watchers_are_told_at_both_edges_also_of_a_verb_that_raises() -> None:
    tuner, seen = nt.Tuner(digits(), seed=1), []
    end = tuner.watch(lambda: seen.append(tuner.running))
    tuner.freeze()
    with pytest.raises(nt.NbtuneError):
        tuner.freeze_to("nothing")
    assert seen == ["freeze", "", "freeze_to", ""]
    end()
    tuner.unfreeze()
    assert len(seen) == 4


def test_a_watcher_that_fails_is_dropped_and_the_training_goes_on() -> None:
    tuner = nt.Tuner(digits(), seed=1)
    tuner.watch(lambda: 1 / 0)
    with pytest.warns(UserWarning, match="ZeroDivisionError"):
        tuner.fit(1)
    assert len(tuner.fit(1)) == 1


def test_a_fit_that_raised_stands_in_the_script_with_its_end() -> None:
    tuner = nt.Tuner(digits(), seed=1)

    class Fails(Callback):
        def after_batch(self) -> None:
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        tuner.fit(1, cbs=Fails())
    assert tuner.running == ""
    assert "this phase ended early: RuntimeError" in tuner.code()
