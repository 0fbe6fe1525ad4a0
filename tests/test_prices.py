"""Prices by group and boundary: measured once, without a trace, and near what an epoch takes."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

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
    found = nt.Tuner(learn, groups="learner", seed=0).prices(60)
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


def test_stop_ends_the_measuring() -> None:
    tuner = nt.Tuner(digits(), groups="learner", seed=0)
    done = tuner.watch(lambda: tuner.stop() if tuner.running == "prices" else None)
    assert tuner.prices(60).live == (None,) * 4
    done()
    assert None not in tuner.prices(60).live


def test_of_many_groups_one_between_two_measured_ones_is_priced_by_them(monkeypatch: pytest.MonkeyPatch) -> None:
    model = nn.Sequential(nn.Flatten(), *[nn.Linear(64, 64) for _ in range(39)], nn.Linear(64, 10))
    split = lambda m: [list(part.parameters()) for part in list(m)[1:]]  # noqa: E731
    tuner = nt.Tuner(digits(model, splitter=split), groups="learner", seed=0)
    found = tuner.prices(0)
    assert [at for at, cost in enumerate(found.live) if cost] == [0, 1, 39]  # without these there is nothing between
    monkeypatch.setattr("nbtune.tuner.held.prices", lambda *_: 1 / 0)  # nothing more is measured
    first, last, plan = found.live[1], found.live[39], tuner.freeze_to(20)
    share = (20 - 1) / (39 - 1)
    assert plan.live.seconds == pytest.approx(first.seconds + share * (last.seconds - first.seconds))
    assert (plan.live.low, plan.live.high) == (min(first.low, last.low), max(first.high, last.high))
    assert plan.kept is not None
    assert tuner.freeze_to(1).live == first
