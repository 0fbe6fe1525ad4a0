"""A run that was stopped, broken off or killed goes on as if nothing had been, to the bit."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fastai.callback.core import Callback
from fastai.callback.mixup import MixUp
from fastai.callback.tracker import EarlyStoppingCallback
from fastai.callback.training import GradientAccumulation
from fastai.optimizer import Adam, OptimWrapper, RAdam, ranger

import nbtune as nt
from learners import FAMILIES, X, Y, bits, cnn, digits, loaders, plain, state
from nbtune._fastai import DataLoaders, RandTransform, TensorImageBW, TfmdDL
from nbtune.checkpoints import RunFolder
from nbtune.checkpoints import folder as folders
from nbtune.errors import BundleError, InputError, InputTypeError, MissingFileError, NbtuneError

# 40 steps of 4 an epoch: still and cached, still and live, all in one-cycle with augmentation.
RECIPE = nt.Recipe(
    (
        nt.Phase(3, first="head", lr=1e-2, augment=False),
        nt.Phase(2, first=2, lr=1e-2, cache="off", norms="stats"),
        nt.Phase(5, lr=slice(1e-3, 1e-2), wd=0.1),
    )
)
STEPS = 40


class Pairs(list[Any]):
    """Training items."""

    split_idx = 0


class Jitter(RandTransform):
    """Shifted and noisy images, item by item: draws from python's, numpy's and torch's streams."""

    split_idx = 0

    def encodes(self, x: TensorImageBW) -> Any:
        return x.roll(random.randint(-1, 1), -1) * float(np.random.uniform(0.9, 1.1)) + 0.05 * torch.randn(x.shape)


class Dim(RandTransform):
    """Darker batches: draws where the batch is handed over, not in the workers."""

    split_idx = 0

    def encodes(self, x: TensorImageBW) -> Any:
        return x * (1 - 0.1 * torch.rand(1))


def learner(workers: int = 0, *, bs: int = 32, items: int = 128, first: int = 0, **options: Any) -> Any:
    learn = digits(**options)
    made = Pairs((TensorImageBW(X[i]), Y[i]) for i in range(first, first + items))
    train = TfmdDL(
        made, bs=bs, shuffle=True, drop_last=True, num_workers=workers, after_item=[Jitter()], after_batch=[Dim()]
    )
    learn.dls = DataLoaders(train, learn.dls.valid)
    return learn


def outcome(tuner: nt.Tuner) -> dict[str, Any]:
    """All that a run leaves, as comparable values."""
    learn = tuner.learn
    tuner.last()
    last, best = bits(learn.model), bits(tuner.best().learn.model)
    held = learn.opt.opt.state if isinstance(learn.opt, OptimWrapper) else learn.opt.state
    return {
        "last": last,
        "best": best,
        "optimizer": {n: plain(held.get(p)) for n, p in learn.model.named_parameters()},
        "python": random.getstate(),
        "numpy": plain(list(np.random.get_state())),
        "torch": plain(torch.get_rng_state()),
        "loaders": [loader.rng.getstate() for loader in learn.dls.loaders],
        "rows": [{name: v for name, v in row.items() if name != "seconds"} for row in tuner.history.rows],
        "phases": tuner.history.phases,
        "recorder": [float(v) for v in learn.recorder.losses],
        "rates": learn.recorder.lrs,
    }


def same(was: dict[str, Any], now: dict[str, Any]) -> list[str]:
    return [name for name in was if was[name] != now[name]]


class Break(Callback):
    """Ends the run after its `at`-th training batch, as `how` says."""

    order = 200

    def __init__(self, at: int, how: Callable[[], None], event: str = "after_batch") -> None:
        super().__init__()
        self.at, self.how, self.event, self.seen = at, how, event, 0

    def __call__(self, event_name: str) -> None:
        super().__call__(event_name)
        if event_name == self.event and self.training:
            self.seen += 1
            if self.seen == self.at:
                self.how()


class Fault(Exception):
    pass


def fail() -> None:
    raise Fault("on purpose")


@pytest.fixture(scope="module")
def whole() -> dict[int, dict[str, Any]]:
    """The run that nothing disturbs, by number of workers."""
    found = {}
    for workers in (0, 2):
        tuner = nt.Tuner(learner(workers), seed=3)
        tuner.run(RECIPE)
        assert [phase.cached for phase in tuner.history.phases] == [True, False, False]
        assert sum(phase.steps for phase in tuner.history.phases) == STEPS
        found[workers] = outcome(tuner)
    return found


def broken_off(path: Path, at: int, how: str, workers: int = 0, event: str = "after_batch") -> nt.Tuner:
    tuner = nt.Tuner(learner(workers), run_dir=path, seed=3)
    act = tuner.stop if how == "stop" else fail
    try:
        tuner.run(RECIPE, cbs=[] if how == "none" else Break(at, act, event))
    except Fault:
        pass
    return tuner


def place(step: int) -> tuple[int, int, int]:
    """(phase, epoch, batch) after `step` steps."""
    epochs = [(number, epoch) for number, phase in enumerate(RECIPE.phases, 1) for epoch in range(phase.epochs)]
    phase, epoch = epochs[min(step // 4, 9)]
    return phase, epoch, step % 4


@pytest.mark.parametrize(("workers", "how", "at"), [
    (0, "stop", 1), (0, "stop", 12), (0, "stop", 15), (0, "stop", 39), (0, "raise", 4), (0, "raise", 18), (0, "raise", 31),
    (2, "stop", 17), (2, "raise", 27),
])  # fmt: skip
def test_a_run_that_was_ended_after_a_step_equals_the_whole_one(
    workers: int, how: str, at: int, whole: Any, tmp_path: Path
) -> None:
    check_resumed(workers, how, at, whole, tmp_path)


def check_resumed(workers: int, how: str, at: int, whole: Any, tmp_path: Path) -> None:
    broken_off(tmp_path / "run", at, how, workers)
    learn = learner(workers)
    torch.manual_seed(99)  # what the new process's streams hold does not matter
    tuner = nt.resume(tmp_path / "run", learn)
    assert tuner.resumed_at is not None
    if at % 4:
        assert tuner.resumed_at == place(at)
    tuner.run()
    assert same(whole[workers], outcome(tuner)) == []


@pytest.mark.parametrize("event", ["before_batch", "after_pred", "after_backward", "after_step", "after_loss"])
def test_an_error_within_a_step_goes_on_from_before_or_after_it(event: str, whole: Any, tmp_path: Path) -> None:
    tuner = broken_off(tmp_path / "run", 30, "raise", event=event)
    resumed = nt.resume(tmp_path / "run", learner())
    assert resumed.resumed_at == (3, 2, 2 if event == "after_step" else 1)
    resumed.run()
    # fastai's recorder hears of a batch after the step that the error was in.
    skipped = ["recorder", "rates"] if event == "after_step" else []
    assert [name for name in same(whole[0], outcome(resumed)) if name not in skipped] == []
    tuner.run(cbs=[Break(0, fail)])  # and the Tuner itself goes on
    assert [name for name in same(whole[0], outcome(tuner)) if name not in skipped] == []
