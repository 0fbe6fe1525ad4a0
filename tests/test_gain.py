"""What a probe of numbers or labels says, and what a model gains over it: the right metric, and a plain sign."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from fastai.callback.core import Callback
from sklearn.datasets import load_diabetes

import nbtune as nt
from nbtune.errors import InputError
from nbtune.questions import Gain, now
from numbers_and_labels import TASKS, begun


@pytest.fixture(scope="module", params=TASKS)
def asked(request: pytest.FixtureRequest) -> tuple[str, nt.Tuner, Any]:
    tuner = begun(request.param)
    return request.param, tuner, tuner.probe()


# In words


class Spoils(Callback):  # type: ignore[misc]
    """Calls a function at the end of a fit."""

    order = 200

    def __init__(self, act: Any) -> None:
        super().__init__()
        self.act = act

    def after_fit(self) -> None:
        self.act()


def test_it_speaks_of_the_right_metric(asked: tuple[str, nt.Tuner, Any]) -> None:
    name, _, probe = asked
    told = {"labels": "macro F1"}.get(name, "MAE")
    assert probe.metric == TASKS[name][2]
    assert f": {told} " in repr(probe)
    assert told in probe._repr_html_()
    assert "accuracy" not in repr(probe) + probe._repr_html_()
    axes = probe.plot().axes[0]
    assert axes.get_xlabel().startswith(told)
    assert ("lower is better" in axes.get_xlabel()) == (told == "MAE")
    assert len(probe.frame()) == probe.n
    for missing in ("accuracy", "correct"):
        with pytest.raises(InputError, match=f"{missing} of a probe of .*(?s:.*)Next: probe.score"):
            getattr(probe, missing)


@pytest.mark.parametrize(("metric", "said"), [("rmse", "RMSE"), ("r2", "R²"), ("mae", "MAE")])
def test_the_tasks_own_metric_leads(metric: str, said: str) -> None:
    frame = load_diabetes(as_frame=True, scaled=False).frame
    task = nt.tasks.from_frame(frame, y="target", metrics=metric)
    probe = nt.Tuner(task.learner("tabular", seed=0), seed=0).probe()
    assert f": {said} " in repr(probe)
    better = probe.gain(probe.report.targets)
    worse = probe.gain(np.full_like(probe.report.targets, probe.report.targets.mean()))
    assert worse.better.high < 0 < better.better.low
    if metric == "r2":
        assert better.over.startswith("R² +")
        assert worse.over.startswith("R² -")
    else:
        assert better.over.startswith(f"{said} lower by ")
        assert better.over.endswith("than the probe's")
        assert worse.over.startswith(f"{said} higher (worse) by ")
        assert better.better.value == pytest.approx(probe.score.value)


def test_the_gain_is_paired_and_its_sign_is_plain(asked: tuple[str, nt.Tuner, Any]) -> None:
    name, _, probe = asked
    report = probe.report
    best = report.targets.astype(float)
    same = probe.gain(report.probs if name == "labels" else report.predicted)
    assert same.better.value == 0
    gain = probe.gain(best)
    assert 0 <= gain.better.low <= gain.better.value <= gain.better.high
    assert gain.better.value > 0
    assert "over the probe" in gain._repr_html_() or "than the probe" in gain._repr_html_()
    if name == "labels":
        assert gain.points.value == pytest.approx(100 * (1 - probe.score.value))
        assert "points of macro F1" in repr(gain)
        assert same.points.low < 0 < same.points.high  # to see no disagreement proves none
    else:
        with pytest.raises(InputError, match=r"Next: gain\.better"):
            _ = gain.points
    with pytest.raises(InputError, match="item by item"):
        probe.gain(best[:-1])


def test_the_plan_says_what_training_brought() -> None:
    numbers, labels = begun("number"), begun("labels")
    for tuner, words in ((numbers, "than the probe's."), (labels, "over the probe.")):
        probe = tuner.probe()
        tuner.fit(2, 1e-2)
        assert repr(tuner.plan).endswith(words)
        now_ = now(tuner.learn, probe.kind)
        assert repr(probe.gain(now_)) in repr(tuner.plan)
        report = tuner.evaluate(tuner.learn.nbtune_origin.task.valid)
        sign = 1 if probe.kind == "multi" else -1
        moved = sign * (report.metrics[probe.metric].value - probe.score.value)
        assert probe.gain(now_).better.value == pytest.approx(moved, abs=1e-4)
    assert "MAE " in repr(numbers.plan)
    assert "points of macro F1 [" in repr(labels.plan)


@pytest.mark.parametrize("name", ["table", "labels"])
def test_a_model_without_finite_answers_ends_its_fit_as_ever_and_has_no_gain(name: str) -> None:
    tuner = begun(name)
    tuner.probe()
    tuner.fit(1, 1e-3)
    assert tuner.plan.gain is not None
    tuner.freeze()

    def spoil(*_: object) -> None:
        with torch.no_grad():
            for parameter in tuner.learn.model.parameters():
                if parameter.requires_grad:
                    parameter.fill_(float("inf"))

    tuner.fit(1, 1e-3, cbs=[Spoils(spoil)])
    assert tuner.plan.gain is None


def test_a_gain_of_an_accuracy_is_said_as_ever() -> None:
    gain = Gain(nt.evaluate.Estimate(0.012, 0.004, 0.02), 400)
    assert repr(gain) == "+1.2 points [0.4, 2.0]"
    assert gain.over == "+1.2 points [0.4, 2.0] over the probe"
