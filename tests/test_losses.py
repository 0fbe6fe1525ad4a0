"""Items by cross-validated loss: planted wrong labels come first, the test split is never looked at, nothing moves."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import nbtune as nt
from learners import collab, differing, state
from nbtune.questions import Losses
from nbtune.questions.linear import crossed


def spoiled(count: int = 8) -> tuple[nt.Task, set[str]]:
    """Digits of which some training labels are one too high."""
    task = nt.tasks.digits(shots=20)
    at = np.random.RandomState(0).permutation(200)[:count]
    rows = [("train", task.train.ids[i], "label", str((task.train.y[i] + 1) % 10)) for i in at]
    marks = pd.DataFrame(rows, columns=["split", "item", "what", "label"])
    return task.edited(marks), {row[1] for row in rows}


@pytest.fixture(scope="module")
def found() -> tuple[Losses, set[str], nt.Tuner]:
    task, wrong = spoiled()
    tuner = nt.Tuner(task.learner("letters", seed=0), test=task.test, seed=0)
    return tuner.item_losses(), wrong, tuner


def test_wrong_labels_come_first(found: tuple[Losses, set[str], nt.Tuner]) -> None:
    losses, wrong, _ = found
    top = losses.frame().head(30)
    assert len(wrong & set(top["item"])) >= 7  # of 8, in the first 30 of 400
    known = top[top["item"].isin(wrong)]
    assert (known["label"].astype(int) == (known["read"].astype(int) + 1) % 10).mean() > 0.8


def test_every_item_of_train_and_valid_and_none_of_test(found: tuple[Losses, set[str], nt.Tuner]) -> None:
    losses, _, tuner = found
    task = tuner.learn.nbtune_origin.task
    assert losses.items == (*task.train.ids, *task.valid.ids)
    assert losses.splits == ("train",) * 200 + ("valid",) * 200
    assert not set(losses.items) & set(task.test.ids)
    assert sorted(losses.losses, reverse=True) == losses.frame()["loss"].tolist()


def test_it_leaves_no_trace_says_how_and_stands_in_the_script(found: tuple[Losses, set[str], nt.Tuner]) -> None:
    _, _, tuner = found
    before = state(tuner.learn)
    again = tuner.item_losses()
    assert differing(before, state(tuner.learn)) == []
    assert tuner.code().splitlines()[-1] == "tuner.item_losses()"
    assert "5-fold cross-validation" in again.sentence
    assert "trained on these labels" not in again.sentence
    assert again.plot().sentence
    assert "read as" in again._repr_html_()


def test_stopped_while_c_is_chosen_it_says_so(found: tuple[Losses, set[str], nt.Tuner]) -> None:
    losses, _, tuner = found
    assert not losses.partial
    assert "Stopped" not in losses.sentence
    asked: list[int] = []

    def stopped() -> bool:  # after the second value of C
        asked.append(1)
        return len(asked) > 2

    x, targets = np.random.RandomState(0).randn(40, 3), np.array([0, 1] * 20)
    assert crossed(x, targets, 0, stopped, lambda: None).partial
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nbtune.questions.linear._loss", lambda *_: tuner.stop() or 1.0)
        partial = tuner.item_losses()
    assert partial.partial
    assert partial.c == 1e-4
    assert partial.sentence.endswith("Stopped before all values of C were tried.")


def test_a_body_that_was_trained_on_the_labels_is_said() -> None:
    task = nt.tasks.digits(shots=3)
    tuner = nt.Tuner(task.learner("letters", seed=0), seed=0)
    tuner.freeze()
    tuner.fit(1)
    assert not tuner.item_losses().trained
    tuner.unfreeze()
    tuner.fit(1)
    assert "The body was trained on these labels" in tuner.item_losses().sentence


def test_an_item_is_judged_without_itself() -> None:
    # One feature that names each item: a probe that had seen the item would know its label.
    rng = np.random.RandomState(0)
    x, targets = np.eye(40), rng.randint(0, 2, 40)
    probs = crossed(x, targets, 0, lambda: False, lambda: None).probs
    assert (probs[np.arange(40), targets] > 0.9).sum() == 0


def test_an_item_alone_in_its_class_is_not_judged() -> None:
    x, targets = np.random.RandomState(0).randn(21, 3), np.array([0, 1] * 10 + [2])
    found = crossed(x, targets, 0, lambda: False, lambda: None)
    assert np.isnan(found.probs).any(axis=1).tolist() == [False] * 20 + [True]


def test_a_learner_without_classes_is_refused() -> None:
    with pytest.raises(nt.NbtuneError, match=r"numbers, not classes|one group"):
        nt.Tuner(collab()).item_losses()
