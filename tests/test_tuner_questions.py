"""The questions through the Tuner: true of the next fit, without a trace, and said in the plan and the script."""

from __future__ import annotations

import threading
from typing import Any

import pytest

import nbtune as nt
from learners import differing, state


@pytest.fixture(scope="module")
def task() -> nt.Task:
    return nt.tasks.digits(shots=5)


@pytest.fixture
def tuner(task: nt.Task) -> nt.Tuner:
    made = nt.Tuner(task.learner("letters", seed=0), test=task.test, seed=4)
    made.freeze()
    made.noise(1, 1e-2, seeds=2)  # fills the cache, the one thing that a question leaves behind
    return made


ASK: dict[str, Any] = {
    "probe": lambda t: t.probe(),
    "depth": lambda t: t.depth(),
    "sweep": lambda t: t.sweep([1e-3, 1e-2], [0.0, 0.1], epochs=2, seeds=2),
    "noise": lambda t: t.noise(1, 1e-2, seeds=3),
}


@pytest.mark.parametrize("name", ASK)
def test_a_question_leaves_no_trace_and_stands_in_the_script(tuner: nt.Tuner, name: str) -> None:
    before = state(tuner.learn)
    found = ASK[name](tuner)
    assert differing(before, state(tuner.learn)) == []
    assert f"tuner.{name}(" in tuner.code().splitlines()[-1]
    assert found._repr_html_()
    assert len(found.frame())
    assert found.plot().sentence


def test_the_next_fit_gives_what_the_first_run_of_the_noise_gave(tuner: nt.Tuner) -> None:
    found = tuner.noise(2, 1e-2, wd=0.1, seeds=2)
    fitted = tuner.fit(2, 1e-2, wd=0.1).rows[-1]["accuracy"]
    assert found.frame().iloc[0].to_dict()[found.metric] == fitted


@pytest.mark.parametrize("name", ["sweep", "noise"])
def test_runs_that_go_on_from_trained_weights_are_not_taken_for_whole_trainings(tuner: nt.Tuner, name: str) -> None:
    assert "went on" not in ASK[name](tuner).sentence
    tuner.fit(2, 1e-2)
    assert "went on from weights trained for 2 epochs" in ASK[name](tuner).sentence


def test_the_best_setting_is_taken_by_fit(tuner: nt.Tuner) -> None:
    found = tuner.sweep([1e-4, 1e-2], [0.0], epochs=2, seeds=2)
    assert found.best["lr"] == 1e-2
    assert len(tuner.fit(2, **found.best)) == 2


def test_the_plan_says_what_training_brought_over_the_probe(tuner: nt.Tuner) -> None:
    probe = tuner.probe()
    assert 0.5 < probe.accuracy.value <= 1
    assert "over the probe" not in repr(tuner.plan)
    tuner.fit(3, 1e-2)
    assert "points [" in repr(tuner.plan)
    assert repr(tuner.plan).endswith("over the probe.")
    assert "over the probe" not in repr(tuner.unfreeze())


@pytest.mark.parametrize("name", ["sweep", "noise"])
def test_where_nothing_is_still_it_says_so(task: nt.Task, name: str) -> None:
    made = nt.Tuner(task.learner("letters", seed=0), seed=4)
    with pytest.raises(nt.NbtuneError, match=r"(?s)while everything trains.*Rule: .*Likely: .*Next: tuner.freeze"):
        getattr(made, name)()


def test_a_stop_ends_a_question_with_what_there_is(tuner: nt.Tuner) -> None:
    timer = threading.Timer(0.3, tuner.stop)
    timer.start()
    before = state(tuner.learn)
    found = tuner.noise(3, 1e-2, seeds=500)
    timer.cancel()
    assert found.partial
    assert differing(before, state(tuner.learn)) == []
