"""The price of an epoch: from at most eight items, without a trace, within its own range."""

from __future__ import annotations

import time
from typing import Any, ClassVar

import pytest
import torch
from fastai.callback.core import Callback
from torch import nn
from torch.utils.data import DataLoader as TorchLoader

import nbtune as nt
from learners import FAMILIES, X, Y, cnn, differing, digits, state
from nbtune._cut import Cut
from nbtune._fastai import DataLoaders
from nbtune.costs import prices
from nbtune.groups import split


def cost(learn: Any, first: int = 0) -> Any:
    groups = split(learn.model)
    return prices(learn, Cut(groups, first % len(groups)))[0]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_cost_lies_in_its_range_and_leaves_no_trace(family: str) -> None:
    learn = FAMILIES[family]()
    before = state(learn)
    found = cost(learn, -1)
    assert 0 < found.low <= found.seconds <= found.high
    assert differing(before, state(learn)) == []


def test_at_most_eight_items_are_fetched() -> None:
    learn = digits()
    learn.dls.train.dataset.fetched = 0
    assert cost(learn, 1) is not None
    assert 0 < learn.dls.train.dataset.fetched <= 8

    class Counted(list):  # type: ignore[type-arg]
        fetched = 0

        def __getitem__(self, index: Any) -> Any:
            type(self).fetched += 1
            return super().__getitem__(index)

    pairs = Counted(zip(X[:64], Y[:64], strict=True))
    learn.dls = DataLoaders(TorchLoader(pairs, 64, shuffle=True), TorchLoader(pairs, 64))
    assert cost(learn, 1) is not None
    assert Counted.fetched <= 8


class Slow(nn.Module):
    """Takes a known time an item."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        time.sleep(0.02 * len(x))
        return x


def test_it_is_near_what_an_epoch_takes() -> None:
    learn = digits(nn.Sequential(Slow(), *cnn()))
    # 96 training and 32 validation items that sleep for 20 ms each: 2.56 s, and what the network takes itself.
    assert 1.5 < cost(learn).seconds < 8.0


def test_what_only_the_first_pass_of_a_size_costs_is_not_in_the_price(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library chooses how to compute when it first meets a size; here that takes an hour of a clock made for it."""
    clock, met = [0.0], set[int]()

    def read() -> float:
        clock[0] += 1e-3
        return clock[0]

    class SlowAtFirst(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            clock[0] += 1.0 if len(x) in met else 3600.0
            met.add(len(x))
            return x

    monkeypatch.setattr("nbtune.costs.perf_counter", read)
    assert cost(digits(nn.Sequential(SlowAtFirst(), *cnn())), -1).seconds < 60


def test_with_every_group_training_it_is_that_of_the_whole_model_though_a_plan_holds_most_still() -> None:
    class Look(Callback):
        seen: ClassVar[set[int]] = set()

        def after_backward(self) -> None:
            self.seen.add(sum(p.grad is not None for p in self.model.parameters()))

    learn = digits(cbs=Look())
    nt.Tuner(learn, seed=0).freeze()
    Look.seen.clear()
    cost(learn, 0)
    assert Look.seen == {11}


@pytest.mark.parametrize("error", [KeyError, OSError, AssertionError, RuntimeError])
def test_none_when_it_cannot_be_tried(error: type[Exception]) -> None:
    class Broken(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise error("on purpose")

    learn = digits(nn.Sequential(Broken(), *cnn()))
    before = state(learn)
    assert cost(learn) is None
    assert differing(before, state(learn)) == []


def test_few_items_have_a_price_too() -> None:
    assert cost(digits(items=3, bs=3), 1).seconds > 0


def test_it_reads_as_a_range() -> None:
    from nbtune.costs import Cost

    assert repr(Cost(2.0, 1.0, 3.0)) == "2 s [1 s, 3 s]"
    assert repr(Cost(2.0, 2.0, 2.0)) == "2 s"
