"""The script that a Tuner writes does the same again, to the bit; what it cannot write, it says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fastai.callback.training import GradientClip

import nbtune as nt
from learners import bits, digits


def replayed(tuner: nt.Tuner) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(tuner.code(), names)
    return names


@pytest.fixture
def tuner() -> nt.Tuner:
    task = nt.tasks.digits(shots=2, seed=1)
    return nt.Tuner(task.learner("letters", bs=8, seed=4), test=task.test, seed=2)


def test_every_verb_is_replayed_to_the_bit(tuner: nt.Tuner) -> None:
    task = tuner.learn.nbtune_origin.task
    tuner.freeze()
    first = tuner.lr_find(steps=12)
    second = tuner.lr_find(1e-5, 1.0, steps=12, lr=slice(0.01, 1))
    tuner.fit(1, lr=first if first.suggestion else 0.1 + 0.2)
    tuner.fit(1, lr={"head": 1 / 3}, wd=0.1, schedule="flat")
    tuner.freeze_to("layer4", norms="stats")
    tuner.fit(1, lr=nt.rates.decay(1e-3, 0.5))
    tuner.run(nt.recipes.gradual_unfreezing(len(tuner.groups), 1, 1))
    tuner.last()
    tuner.evaluate(task.valid)
    report = tuner.evaluate()
    again = replayed(tuner)
    assert bits(again["tuner"].learn.model) == bits(tuner.learn.model)
    assert again["report"].metrics == report.metrics
    assert [row["valid_loss"] for row in again["tuner"].history.rows] == [r["valid_loss"] for r in tuner.history.rows]
    assert np.array_equal(again["curve"].losses, first.losses)
    assert np.array_equal(again["curve_2"].losses, second.losses)


def test_a_fit_takes_the_curve_it_was_given_not_the_latest(tuner: nt.Tuner) -> None:
    tuner.freeze()
    first = tuner.lr_find(steps=40)
    tuner.lr_find(1e-4, 1.0, steps=40)
    if first.suggestion is None:
        pytest.fail(first.verdict)
    tuner.fit(1, lr=first)
    assert "tuner.fit(1, lr=curve)" in tuner.code()
    assert bits(replayed(tuner)["tuner"].learn.model) == bits(tuner.learn.model)


def test_the_curve_of_another_tuner_is_written_as_its_rate(tuner: nt.Tuner) -> None:
    other = nt.Tuner(tuner.learn.nbtune_origin.task.learner("letters", bs=8, seed=4), seed=9)
    other.freeze()
    curve = other.lr_find(steps=40)
    tuner.freeze()
    tuner.fit(1, lr=curve)
    assert f"lr={curve.suggestion!r})  # the rate that another Tuner's curve suggests" in tuner.code()
    assert bits(replayed(tuner)["tuner"].learn.model) == bits(tuner.learn.model)


def test_the_line_of_the_tuner_says_folder_and_groups(tuner: nt.Tuner, tmp_path: Any) -> None:
    learn = tuner.learn.nbtune_origin.task.learner("letters", bs=8, seed=4)
    made = nt.Tuner(learn, run_dir=tmp_path / "run", seed=5, groups="block")
    assert f"nt.Tuner(learn, run_dir={str(tmp_path / 'run')!r}, seed=5, groups='block')" in made.code()
    made.freeze_to(-3)
    made.fit(1)
    text = made.code().replace(str(tmp_path / "run"), str(tmp_path / "again"))
    names: dict[str, Any] = {}
    exec(text, names)
    assert bits(names["tuner"].learn.model) == bits(learn.model)


def test_what_no_line_can_write_is_said(tuner: nt.Tuner) -> None:
    tuner.fit(1, cbs=GradientClip())
    tuner.evaluate(tuner.learn.dls.valid)
    lines = tuner.code().splitlines()
    assert lines[-2] == "tuner.fit(1, cbs=...)  # ...: GradientClip of your own"
    assert lines[-1].startswith("report = tuner.evaluate(...)  # ...: ")
    mine = nt.Tuner(digits(), test=[1, 2], seed=0)
    assert "learn = ...  # your own fastai Learner" in mine.code()
    assert "nt.Tuner(learn, test=..., seed=0)  # ...: list of your own" in mine.code() or "test=[1, 2]" in mine.code()


def test_a_phase_that_was_ended_from_outside_is_said(tuner: nt.Tuner) -> None:
    tuner.freeze()
    tuner.fit(1)
    tuner.fit(3, cbs=Stopper(tuner))
    assert tuner.code().splitlines()[-1].endswith("# ...: Stopper of your own  # this phase was stopped after step 1")


def test_run_on_a_finished_recipe_trains_nothing_and_without_one_says_so(tuner: nt.Tuner) -> None:
    with pytest.raises(nt.NbtuneError, match=r"run\(\) before any recipe.*\n.*Rule: .*\n.*Likely: .*\n.*Next: "):
        tuner.run()
    made = tuner.run(nt.recipes.linear_probe(1))
    before = bits(tuner.learn.model)
    assert tuner.run() == made
    assert bits(tuner.learn.model) == before
    assert len(tuner.history) == 1


class Stopper(GradientClip):
    def __init__(self, tuner: nt.Tuner) -> None:
        super().__init__()
        self.tuner = tuner

    def after_batch(self) -> None:
        self.tuner.stop()
