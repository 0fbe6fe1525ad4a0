"""What can be a test set is known early; what cannot is refused in words that fit it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nbtune as nt
from learners import digits
from nbtune.errors import InputError, InputTypeError, NbtuneError
from nbtune.tuner.test_set import TestSet

TASK = nt.tasks.digits(shots=1)

NO_DATA: list[tuple[Any, str]] = [
    ("abc", "the name of a split"),
    (Path("digits"), "the name of a split"),
    (3, "a number of items"),
    (True, "a number of items"),
    (TASK, "the task instead of its test split"),
    (torch.nn.Linear(2, 2), "the model instead of the data"),
    ({"x": 1}, "items without an order"),
    ({1, 2}, "items without an order"),
    (iter([1]), "an iterator"),
    (list, "another object"),
    (object(), "another object"),
]


@pytest.mark.parametrize(("wrong", "likely"), NO_DATA, ids=[type(row[0]).__name__ for row in NO_DATA])
def test_what_holds_no_items_is_refused_when_it_is_given(wrong: Any, likely: str) -> None:
    with pytest.raises(InputTypeError, match="test=") as made:
        TestSet(wrong, None)
    with pytest.raises(InputTypeError, match="evaluate on") as given:
        TestSet(None, None).loader(digits(), wrong)
    for error in (made, given):
        assert error.value.likely.startswith(likely)
    assert made.value.next.startswith("test=")
    assert given.value.next.startswith("tuner.evaluate(")


def test_a_learner_and_all_its_loaders_are_no_test_set() -> None:
    learn = digits()
    for wrong, better in ((learn, "test=learn.dls.valid"), (learn.dls, "test=dls.valid")):
        with pytest.raises(InputTypeError) as error:
            TestSet(wrong, None)
        assert error.value.next == better
    assert TestSet(learn.dls.valid, None).loader(learn)[0] is learn.dls.valid


UNFIT: list[tuple[Any, str]] = [
    ([1, 2, 3], "no targets"),
    (["a.png"], "no targets"),
    (TASK.test.x, "no targets"),
    ([(1, 2)], "not as many axes"),
    ((TASK.test.x, TASK.test.y), "a batch fails with"),
]


@pytest.mark.parametrize(("items", "why"), UNFIT, ids=[row[1] + str(type(row[0][0])) for row in UNFIT])
def test_items_of_which_no_labelled_batch_can_be_made_are_refused(items: Any, why: str) -> None:
    learn = TASK.learner("letters", seed=0)
    before = torch.get_rng_state()
    with pytest.raises(InputError, match=why) as error:
        TestSet(items, None).loader(learn)
    assert ("without their classes" in error.value.likely) == (why == "no targets")
    assert torch.equal(torch.get_rng_state(), before)


def test_an_empty_test_set_and_none_are_refused() -> None:
    for test in (None, [], np.zeros(0)):
        with pytest.raises(NbtuneError, match="Next: "):
            TestSet(test, None).loader(digits())


def test_pairs_of_input_and_class_are_a_test_set() -> None:
    learn = digits()
    first = learn.dls.valid.one_batch()
    pairs = list(zip(first[0].cpu()[:10], first[1].cpu()[:10], strict=True))
    loader, items = TestSet(pairs, None).loader(learn)
    assert items is None
    assert sum(len(targets) for _, targets in loader) == 10
