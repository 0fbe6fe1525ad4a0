"""Task.few: fewer training items of the same task, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

import nbtune as nt
from nbtune.errors import InputError, InputTypeError


def test_shots_items_of_each_class_and_the_same_validation_and_test() -> None:
    whole = nt.tasks.digits()
    task = whole.few(3, seed=1)
    assert np.bincount(task.train.y).tolist() == [3] * 10
    assert set(task.train.ids) <= set(whole.train.ids)
    assert task.valid is whole.valid
    assert task.test is whole.test
    assert task.card.sizes == {"train": 30, "valid": 200, "test": 600}
    assert task.card.split_digest != whole.card.split_digest
    assert "3 training items a class, seed 1" in repr(task.card)


def test_more_shots_hold_the_fewer_and_another_seed_is_another_draw() -> None:
    whole = nt.tasks.digits()
    assert set(whole.few(2).train.ids) < set(whole.few(5).train.ids)
    assert whole.few(2).train.ids != whole.few(2, seed=1).train.ids


def test_of_all_digits_it_is_what_digits_draws() -> None:
    assert nt.tasks.digits().few(5, seed=7).train.ids == nt.tasks.digits(shots=5, seed=7).train.ids


def test_its_code_makes_it_again() -> None:
    task = nt.tasks.digits().few(2, seed=3)
    again = eval(task.code, {"nt": nt})
    assert again.train.ids == task.train.ids
    assert again.card == task.card


@pytest.mark.parametrize(("shots", "error"), [(0, InputError), (1000, InputError), (1.5, InputTypeError)])
def test_shots_that_no_class_has_are_refused(shots: object, error: type[Exception]) -> None:
    with pytest.raises(error, match="Rule: shots is from 1 to"):
        nt.tasks.digits().few(shots)  # type: ignore[arg-type]


def test_numbers_have_no_shots() -> None:
    from sklearn.datasets import load_diabetes

    frame = load_diabetes(as_frame=True).frame
    with pytest.raises(InputError, match="shots are counted by class"):
        nt.tasks.from_frame(frame, y="target").few(3)
