"""tuner.predict: what a bundle of the model would say, and nothing of the Learner is changed by asking."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.callback.core import Callback
from fastai.learner import Learner
from PIL import Image
from torch import nn

import nbtune as nt
from learners import bert, differing, digits, loaders, quiet, state, tabular
from nbtune.errors import InputError, NbtuneError, TrainingError
from test_own_data import table

pytestmark = pytest.mark.filterwarnings("ignore:A bundle holds no code")
TASK = nt.tasks.digits(shots=5)


@pytest.fixture(scope="module")
def tuner() -> nt.Tuner:
    made = nt.Tuner(TASK.learner("letters", seed=0), test=TASK.test, seed=0)
    made.freeze()
    made.fit(1, lr=1e-2)
    return made


def test_it_says_what_the_saved_model_says(tuner: nt.Tuner, tmp_path: Path) -> None:
    loaded = nt.load(tuner.save(tmp_path / "model"))
    picture = Image.fromarray(TASK.valid.x[3])
    picture.save(tmp_path / "three.png")
    for items in (TASK.valid, TASK.valid.x[:5], picture, [str(tmp_path / "three.png")], []):
        pd.testing.assert_frame_equal(tuner.predict(items), loaded.predict(items))
    assert tuner.preprocessing == loaded.preprocessing
    assert (tuner.predict(TASK.valid).label == [TASK.vocab[y] for y in TASK.valid.y]).mean() > 0.5


def test_it_says_what_training_sees(tuner: nt.Tuner) -> None:
    probs, _ = tuner.learn.get_preds(ds_idx=1)
    assert np.abs(tuner.predict(TASK.valid).iloc[:, 1:].values - probs.numpy()).max() < 1e-5


def test_a_learner_of_ones_own_as_its_bundle(tmp_path: Path) -> None:
    learn = digits()
    one = nt.Tuner(learn, seed=0, groups="learner")
    images = np.stack([np.asarray(learn.dls.valid.dataset[i][0][0]) for i in range(6)])
    loaded = nt.load(one.save(tmp_path / "own"), model=digits().model)
    pd.testing.assert_frame_equal(one.predict(images), loaded.predict(images))
    learn.model[0][0].weight.data.mul_(0.5)  # what was kept of it is no stale answer
    assert not one.predict(images).equals(loaded.predict(images))


def test_a_table_and_several_labels(tmp_path: Path) -> None:
    frame = table("wine")
    rows = nt.Tuner(nt.tasks.from_frame(frame, y="target").learner("tabular", seed=0), seed=0)
    loaded = nt.load(rows.save(tmp_path / "rows"))
    pd.testing.assert_frame_equal(rows.predict(frame[:7]), loaded.predict(frame[:7]))
    several = Learner(loaders(y=torch.eye(10)[torch.tensor(TASK.valid.y[:1]).repeat(1797)]), digits().model,
                      loss_func=nn.BCEWithLogitsLoss())  # fmt: skip
    found = nt.Tuner(quiet(several), seed=0, groups="learner").predict(np.zeros((2, 8, 8), np.uint8))
    assert found.columns[0] == "labels"
    assert isinstance(found.labels[0], list)


class Counting(nn.Module):
    """Changes its buffer at every look, also in evaluation mode, and draws."""

    def __init__(self) -> None:
        super().__init__()
        self.net = digits().model
        self.register_buffer("looks", torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.looks += 1
        return self.net(x) + 0 * torch.rand(1)


@pytest.mark.parametrize("train", [False, True])
def test_nothing_is_changed_to_the_bit(train: bool) -> None:
    learn = digits(Counting(), splitter=lambda model: [list(model.parameters())])
    one = nt.Tuner(learn, seed=0)
    one.fit(1, lr=1e-2)
    learn.model.train(train)
    one.predict(np.zeros((3, 8, 8), np.uint8))  # fastai looks at a loader's first item once
    before, lines, told = state(learn), one.code(), []
    one.watch(lambda: told.append(one.running))
    one.predict(np.zeros((3, 8, 8), np.uint8))
    with pytest.raises(NbtuneError):
        one.predict(np.zeros((2, 2, 2, 2, 2)))
    assert differing(before, state(learn)) == []
    assert (one.code(), told) == (lines, [])  # no line of a script, and no panel draws anew


@pytest.mark.parametrize("given", [pd.DataFrame({"path": ["a.png"]}), {"a": 1}, "no-such-file.png", TASK.valid[0], 7])
def test_what_is_no_picture_is_refused_with_a_line_for_a_tuner(tuner: nt.Tuner, given: Any) -> None:
    before = state(tuner.learn)
    with pytest.raises(NbtuneError) as caught:
        tuner.predict(given)
    assert all((caught.value.given, caught.value.rule, caught.value.likely, caught.value.next))
    assert "model.predict" not in caught.value.next
    assert differing(before, state(tuner.learn)) == []


def test_weights_that_are_not_finite_are_said() -> None:
    one = nt.Tuner(TASK.learner("letters", seed=0), seed=0)
    with torch.no_grad():
        next(iter(one.learn.model.parameters())).fill_(float("nan"))
    with pytest.raises(InputError, match="not finite"):
        one.predict(TASK.valid.x[0])


@pytest.mark.parametrize("make", [tabular, bert])
def test_a_learner_of_other_inputs_is_sent_to_fastai(make: Any) -> None:
    with pytest.raises(InputError, match=r"learn\.predict"):
        nt.Tuner(make(), seed=0).predict(np.zeros((8, 8), np.uint8))


class Asking(Callback):
    """Asks from another thread in the middle of a training."""

    def __init__(self, one: nt.Tuner) -> None:
        self.one, self.error = one, None

    def after_pred(self) -> None:
        if self.training and self.error is None:
            thread = threading.Thread(target=self._ask)
            thread.start()
            thread.join()

    def _ask(self) -> None:
        try:
            self.one.predict(np.zeros((8, 8), np.uint8))
        except TrainingError as error:
            self.error = error


def test_it_does_not_come_between_a_training() -> None:
    learn, twin = digits(), digits()
    asking = Asking(nt.Tuner(learn, seed=0, groups="learner"))
    for one, cbs in ((learn, [asking]), (twin, [])):
        torch.manual_seed(1)
        one.dls.train.rng.seed(1)
        one.fit(1, 1e-2, cbs=cbs)
    assert asking.error is not None
    assert "learn.fit()" in str(asking.error)
    assert state(learn)["weights"] == state(twin)["weights"]


# A picture that is unlike the data


def test_other_kinds_of_pictures_are_said_to_be_unlike(tuner: nt.Tuner, tmp_path: Path) -> None:
    one, rng = TASK.valid.x[0], np.random.default_rng(0)
    loaded = nt.load(tuner.save(tmp_path / "model"))
    for asks in (tuner.unlike, loaded.unlike):
        assert "lighter" in asks(255 - one)
        assert "one even tone" in asks(np.full((32, 32), 60, np.uint8))
    assert "nearest of" in tuner.unlike(rng.integers(0, 160, (32, 32), dtype=np.uint8))


def test_real_digits_are_seldom_said_to_be_unlike(tuner: nt.Tuner) -> None:
    said = [bool(tuner.unlike(picture)) for picture in TASK.valid.x[:100]]
    assert sum(said) < 15  # those of 50 training digits are the measure: some of 100 others are further
