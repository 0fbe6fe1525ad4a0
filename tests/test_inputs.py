"""What the network is given: the loaders' own transforms, by the items' ids, with no stream moved."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

import nbtune as nt
from learners import tabular
from nbtune.errors import InputError
from nbtune.inputs import inputs

TASK = nt.tasks.digits(shots=5)


@pytest.fixture(scope="module")
def learn():  # type: ignore[no-untyped-def]
    return TASK.learner("letters", seed=0)


def test_a_fixed_split_is_normalised_and_nothing_else(learn) -> None:  # type: ignore[no-untyped-def]
    body = learn.nbtune_origin.body
    for split in ("valid", "test"):
        found = inputs(learn, TASK, split, [5, 2])
        expected = body.normalise(body.prepare(getattr(TASK, split).x[[5, 2]]))
        assert np.allclose(found.x, expected.numpy(), atol=1e-6)
        assert not found.random
        assert "The same every time" in found.sentence


def test_training_items_are_augmented_and_no_stream_moves(learn) -> None:  # type: ignore[no-untyped-def]
    before = torch.get_rng_state()
    found = inputs(learn, TASK, "train", range(8))
    assert torch.equal(before, torch.get_rng_state())
    assert found.random
    plain = learn.nbtune_origin.body.normalise(learn.nbtune_origin.body.prepare(TASK.train.x[:8])).numpy()
    assert np.abs(found.x - plain).max() > 0.1
    assert [one.shape for one in found.pictures] == [(32, 32)] * 8
    assert "Drawn at random" in repr(found)
    assert len(found.frame()) == 8
    assert found.plot().sentence == found.sentence


def test_an_item_that_the_learner_does_not_have_is_refused(learn) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=r"(?s)do not have.*Next: learn = task.learner"):
        inputs(learn, nt.tasks.digits(shots=30), "train", range(300))


def test_a_network_of_several_inputs_gets_numbers() -> None:
    learn = tabular()
    stand_in = SimpleNamespace(train=range(len(learn.dls.train.dataset)))
    found = inputs(learn, stand_in, "train", [0, 5])  # type: ignore[arg-type]
    codes, numbers = learn.dls.train.dataset.cats, learn.dls.train.dataset.conts
    assert np.allclose(found.x[:, : codes.shape[1]], codes.iloc[[0, 5]].to_numpy())
    assert np.allclose(found.x[:, codes.shape[1] :], numbers.iloc[[0, 5]].to_numpy(), atol=1e-6)
    with pytest.raises(InputError, match="as pictures"):
        _ = found.pictures
