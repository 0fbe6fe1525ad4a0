"""Whatever happens to a borrowed Learner is undone to the bit, however it ends."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from fastai.callback.core import Callback
from fastai.callback.mixup import MixUp
from fastai.optimizer import OptimWrapper
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from learners import FAMILIES, differing, digits, state
from nbtune._fastai.borrow import borrowed, quiet
from nbtune._fastai.optimizer import layered_adamw
from nbtune.transaction import Streams, autocast_kept, untouched

EVENTS = ["before_fit", "before_epoch", "before_train", "before_batch", "after_pred", "after_loss",
          "before_backward", "after_backward", "before_step", "after_step", "after_batch", "after_train",
          "before_validate", "after_validate",
          "after_epoch", "after_fit"]  # fmt: skip
KINDS = {
    "adam": {},
    "torch": {"opt_func": partial(OptimWrapper, opt=torch.optim.AdamW)},
    "ours": {"opt_func": layered_adamw},
}


class Counting(Callback):
    """A callback with state of its own, nested, and with tensors."""

    def __init__(self) -> None:
        self.seen, self.sums, self.total = [], {"loss": [torch.zeros(2)]}, 0

    def before_batch(self) -> None:
        self.seen.append(1)
        self.sums["loss"][0] += 1
        self.total += 1


class Fail(Callback):
    order = 500

    def __init__(self, event: str, error: BaseException) -> None:
        self.event, self.error = event, error

    def __call__(self, event_name: str) -> None:
        if event_name == self.event:
            raise self.error


def trained(kind: str = "adam") -> Any:
    learn = digits(cbs=Counting(), **KINDS[kind])
    learn.fit(1, 1e-2)
    return learn


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", [untouched, borrowed])
def test_a_whole_fit_leaves_no_trace(way: Any, kind: str) -> None:
    learn = trained(kind)
    before = state(learn)
    with way(learn):
        learn.fit(2, 1e-1, wd=0.1)
        assert differing(before, state(learn))
    assert differing(before, state(learn)) == []
    learn.fit(1, 1e-2)


@pytest.mark.parametrize("family", FAMILIES)
def test_any_architecture_comes_back(family: str) -> None:
    learn = FAMILIES[family]()
    before = state(learn)
    with borrowed(learn):
        learn.fit(1, 1e-1)
    assert differing(before, state(learn)) == []


@pytest.mark.survives("an exception at any event of a borrowed Learner's fit", "everything is as before, to the bit")
@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), RuntimeError("on purpose"), torch.OutOfMemoryError("on purpose")]
)
@pytest.mark.parametrize("event", EVENTS)
def test_an_exception_at_any_event_leaves_no_trace(event: str, error: BaseException) -> None:
    learn = trained()
    before = state(learn)
    with pytest.raises(type(error)), untouched(learn):
        learn.fit(1, 1e-1, cbs=[Fail(event, error), MixUp()])
    assert differing(before, state(learn)) == []


ACTS: dict[str, Any] = {
    "weights": lambda learn: learn.model[0][0].weight.data.mul_(2),
    "data swapped": lambda learn: setattr(learn.model[3][3].weight, "data", torch.ones(3, 3)),
    "weight replaced": lambda learn: setattr(learn.model[3], "3", nn.Linear(10, 10)),
    "half": lambda learn: learn.model.half(),
    "grads": lambda learn: learn.model(torch.rand(4, 1, 8, 8)).sum().backward(),
    "requires_grad": lambda learn: [p.requires_grad_(not p.requires_grad) for p in learn.model.parameters()],
    "modes": lambda learn: learn.model[1].eval() and learn.model[0].train(),
    "hook": lambda learn: learn.model[1].register_forward_hook(print),
    "tensor hook": lambda learn: learn.model[0][0].weight.register_hook(print),
    "module": lambda learn: learn.model.append(nn.ReLU()),
    "attribute": lambda learn: setattr(learn.model[0], "note", 1),
    "optimizer": lambda learn: learn.create_opt(),
    "hypers": lambda learn: learn.opt.set_hypers(lr=3.0, mom=0.1),
    "lists": lambda learn: learn.opt.param_lists[0].clear(),
    "random": lambda learn: (random.random(), np.random.rand(), torch.rand(2)),
    "order": lambda learn: random.shuffle(learn.dls.train.dataset),
    "loader": lambda learn: (setattr(learn.dls.train, "bs", 2), list(learn.dls.train)),
    "callbacks": lambda learn: (learn.remove_cbs(list(learn.cbs)), learn.add_cb(MixUp())),
    "callback state": lambda learn: (learn.counting.seen.append(9), learn.counting.sums["loss"][0].fill_(9)),
    "metric": lambda learn: setattr(learn.metrics[0], "total", 99),
    "names": lambda learn: (setattr(learn, "lr", 9), setattr(learn, "new", 1), delattr(learn, "wd")),
    "model": lambda learn: setattr(learn, "model", nn.Linear(1, 1)),
    "autocast": lambda learn: torch.autocast("cpu", dtype=torch.bfloat16).__enter__(),
}  # fmt: skip


@given(acts=st.lists(st.sampled_from(sorted(ACTS)), min_size=1, max_size=4, unique=True), fails=st.booleans())
@settings(max_examples=60)
def test_any_series_of_changes_is_undone(acts: list[str], fails: bool) -> None:
    learn = trained()
    before = state(learn)
    try:
        with untouched(learn):
            for act in acts:
                ACTS[act](learn)
            if fails:
                raise RuntimeError("on purpose")
    except (RuntimeError, AttributeError, TypeError, AssertionError, IndexError):
        pass  # a change may leave nothing for the next to act on
    assert differing(before, state(learn)) == []


@pytest.mark.parametrize("act", ACTS)
def test_every_change_would_be_seen(act: str) -> None:
    learn = trained()
    before = state(learn)
    with untouched(learn):
        ACTS[act](learn)
        assert differing(before, state(learn)), "the comparison is blind to this change"
    assert differing(before, state(learn)) == []


def test_a_borrowed_learner_runs_only_what_takes_part_in_a_step() -> None:
    class Watcher(Callback):
        def after_epoch(self) -> None:
            raise AssertionError("a tracker must not run in a trial")

    learn = trained()
    learn.add_cbs([Watcher(), MixUp()])
    with borrowed(learn):
        assert {type(cb).__name__ for cb in learn.cbs} == {"TrainEvalCallback", "CastToTensor", "Counting", "MixUp"}
        learn.fit(1, 1e-2)


def test_the_progress_bar_keeps_its_place_when_the_block_raises() -> None:
    class ProgressCallback(Callback):  # fastai's, by name
        pass

    learn = trained()
    learn.cbs.insert(1, ProgressCallback())
    before = list(learn.cbs)
    with pytest.raises(RuntimeError), quiet(learn):  # noqa: PT012
        assert len(learn.cbs) == len(before) - 1
        raise RuntimeError
    assert list(learn.cbs) == before


def test_streams_are_put_back() -> None:
    streams = Streams()
    assert streams.same()
    expected = random.random(), np.random.rand(), float(torch.rand(1))
    assert not streams.same()
    streams.restore()
    assert streams.same()
    assert (random.random(), np.random.rand(), float(torch.rand(1))) == expected


def interrupt_after(seconds: float) -> None:
    def send() -> None:
        time.sleep(seconds)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=send, daemon=True).start()


def wait_for_interrupt() -> None:
    for _ in range(2000):
        time.sleep(0.001)


@pytest.mark.survives(
    "a real interrupt at any moment of a borrowed fit and of its clean-up",
    "everything is as before, to the bit",
)
@pytest.mark.parametrize("seconds", [0.002 * step for step in range(1, 26)])
def test_a_real_interrupt_at_any_moment_of_block_and_clean_up(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    learn, came = trained(), []
    before = state(learn)
    # Python drops what is raised in a destructor, an interrupt too.
    monkeypatch.setattr(sys, "unraisablehook", lambda told: came.append(told.exc_type))
    try:  # it may come anywhere, also outside the block
        interrupt_after(seconds)
        with untouched(learn):
            learn.fit(1, 1e-1)
        wait_for_interrupt()
    except KeyboardInterrupt:
        came.append(KeyboardInterrupt)
    assert KeyboardInterrupt in came
    assert differing(before, state(learn)) == []
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_during_the_clean_up_is_raised_after_it() -> None:
    learn = trained()
    before, block = state(learn), untouched(learn)
    with pytest.raises(KeyboardInterrupt), block:  # noqa: PT012
        block._undo.insert(0, partial(os.kill, os.getpid(), signal.SIGINT))
        learn.model[0][0].weight.data.fill_(0)
    assert differing(before, state(learn)) == []


def test_another_thread_borrows_too() -> None:
    learn, found = trained(), []
    before = state(learn)

    def work() -> None:
        with untouched(learn):
            learn.fit(1, 1e-1)
        found.append(differing(before, state(learn)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [[]]


def test_autocast_that_leaked_is_put_back() -> None:
    before = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu"), torch.is_autocast_cache_enabled()
    with autocast_kept():
        torch.autocast("cpu", dtype=torch.float16, cache_enabled=False).__enter__()
    assert before == (
        torch.is_autocast_enabled("cpu"),
        torch.get_autocast_dtype("cpu"),
        torch.is_autocast_cache_enabled(),
    )
