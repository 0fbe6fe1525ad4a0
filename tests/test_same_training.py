"""Cached training is live training: over models, plans, transforms and batch sizes drawn by hypothesis."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from fastai.callback.core import Callback
from fasttransform import DisplayedTransform, Pipeline
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import nbtune as nt
from learners import bert, digits, resnet18, tabular
from nbtune.groups import split

MAKE: dict[str, Callable[[], Any]] = {"cnn": digits, "resnet18": resnet18, "bert": bert, "tabular": tabular}
ROUNDING = 1e-5  # relative; a short batch is summed in another order (8e-7 was measured on one forward pass)


class Scaled(DisplayedTransform):  # type: ignore[misc]
    """The same change of every batch: images brighter; words and tables stay."""

    order = 10

    def encodes(self, x: Tensor) -> Tensor:
        return x * 1.5 - 0.25 if x.is_floating_point() and x.ndim == 4 else x


class Shifted(DisplayedTransform):  # type: ignore[misc]
    """Another change of every batch, by its random stream."""

    order = 11

    def encodes(self, x: Tensor) -> Tensor:
        return x + torch.rand(()) if x.is_floating_point() and x.ndim == 4 else x


class Seen(Callback):  # type: ignore[misc]
    """Every loss of a fit, training and validation."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[float] = []

    def after_loss(self) -> None:
        self.found.append(self.learn.loss.item())


def run(family: str, first: int, bs: int, drop_last: bool, transforms: list[Any], cache: str) -> dict[str, Any]:
    """Two epochs from one seed."""
    learn = MAKE[family]()
    for loader in learn.dls.loaders:
        loader.bs = bs
        if transforms:
            loader.after_batch = Pipeline(transforms)
    learn.dls.train.drop_last = drop_last
    random.seed(3), np.random.seed(3), torch.manual_seed(3)
    learn.dls.train.rng = random.Random(5)
    still, watch = nt.Still(min(first, len(split(learn.model)) - 1), cache=cache), Seen()
    learn.fit_one_cycle(2, 1e-2, cbs=[still, watch])
    weights = {name: tensor.clone() for name, tensor in learn.model.state_dict().items()}
    whole = all(len(loader.dataset) % bs == 0 or loader.drop_last for loader in learn.dls.loaders)
    return {"losses": watch.found, "weights": weights, "still": still, "whole": whole, "rng": torch.get_rng_state()}


def test_the_transforms_of_these_tests_are_applied() -> None:
    plain = digits().dls.valid.one_batch()[0]
    for transform in (Scaled(), Shifted()):
        loader = digits().dls.valid
        loader.after_batch = Pipeline([transform])
        assert not torch.equal(loader.one_batch()[0], plain)


@settings(max_examples=8)
@given(
    family=st.sampled_from(list(MAKE)),
    first=st.integers(1, 4),
    bs=st.sampled_from([4, 8, 16]),
    drop_last=st.booleans(),
    scaled=st.booleans(),
)
def test_any_model_plan_and_fixed_transform_train_the_same(
    family: str, first: int, bs: int, drop_last: bool, scaled: bool
) -> None:
    transforms = [Scaled()] if scaled and family != "tabular" else []  # rows have their own
    live, kept = (run(family, first, bs, drop_last, transforms, cache) for cache in ("off", "auto"))
    # fastai's tabular model joins two paths after its first group: no single place divides it there
    assert kept["still"].cached == ((family, first) != ("tabular", 1)), kept["still"].why
    assert not live["still"].cached
    assert torch.equal(live["rng"], kept["rng"])
    if live["whole"]:
        assert live["losses"] == kept["losses"]
        assert all(torch.equal(value, kept["weights"][name]) for name, value in live["weights"].items())
    else:
        assert live["losses"] == pytest.approx(kept["losses"], rel=ROUNDING)


@pytest.mark.parametrize("family", ["cnn", "resnet18"])
def test_a_random_transform_trains_live_and_is_named(family: str) -> None:
    learnt = run(family, 1, 8, True, [Shifted()], "auto")
    assert not learnt["still"].cached
    assert "change from one fetch to the next (augmentation or noise)" in learnt["still"].why
