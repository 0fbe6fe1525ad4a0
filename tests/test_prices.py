"""Prices by group and boundary: measured once, without a trace, and near what an epoch takes."""

from __future__ import annotations

from typing import Any

import pytest

import nbtune as nt
from learners import FAMILIES, cnn, differing, digits, state
from nbtune.groups import split
from nbtune.prices import step_of


@pytest.mark.parametrize("family", FAMILIES)
def test_measuring_leaves_no_trace(family: str) -> None:
    learn = FAMILIES[family]()
    before = state(learn)
    found = step_of(learn, split(learn.model))
    assert len(found) == len(split(learn.model))
    assert differing(before, state(learn)) == []


def test_each_group_has_its_part_in_a_step_and_the_size_of_what_it_hands_on() -> None:
    learn = digits(cnn(0.0))
    found = nt.Tuner(learn, groups="learner", seed=0).prices()
    assert all(step and step.forward > 0 and step.backward > 0 for step in found.steps)
    # fastai's splitter gives the pooling, which has no parameters, to the group before it.
    assert [step.out for step in found.steps if step] == [6 * 64 * 4, 8 * 16 * 4, 10 * 4, 10 * 4]
    assert all(cost is not None for cost in found.live)


def test_a_boundary_is_measured_once_so_moving_the_ice_line_is_fast() -> None:
    learn = digits()
    tuner = nt.Tuner(learn, groups="learner", seed=0)
    first = tuner.prices(60)
    learn.dls.train.dataset.fetched = 0
    plans = [tuner.freeze_to(at) for at in (1, 2, 3)]
    assert learn.dls.train.dataset.fetched == 0
    assert [plan.live for plan in plans] == list(first.live[1:])
    assert tuner.prices(0).live == first.live


def test_another_batch_size_or_callback_is_another_price() -> None:
    from fastai.callback.mixup import MixUp

    learn: Any = digits()
    tuner = nt.Tuner(learn, groups="learner", seed=0)
    kept = tuner.freeze().kept
    assert kept is not None
    learn.add_cb(MixUp())
    assert tuner.freeze().kept is None


def test_measuring_stops_when_its_time_is_over() -> None:
    found = nt.Tuner(digits(), groups="learner", seed=0).prices(0)
    assert found.live == (None,) * 4
