"""Long fault tests (`make faults`): the kernel's interrupt at random moments, for real."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
from typing import Any

import pytest
import torch

import nbtune as nt
from learners import digits

pytestmark = pytest.mark.faults


def interrupted(act: Any, after: float) -> bool:
    """Run `act` and send SIGINT `after` seconds in; whether it arrived while `act` ran."""
    timer = threading.Timer(after, os.kill, (os.getpid(), signal.SIGINT))
    with contextlib.suppress(KeyboardInterrupt):
        timer.start()
        act()
        timer.cancel()
        timer.join()
        return False
    return True


def state(learn: Any) -> list[torch.Tensor]:
    opt = [] if learn.opt is None else [v for s in learn.opt.state.values() for v in s.values() if torch.is_tensor(v)]
    return [t.clone() for t in [*learn.model.state_dict().values(), *opt, torch.get_rng_state()]]


def test_lr_find_leaves_no_trace_wherever_it_is_interrupted() -> None:
    draw, hits = random.Random(0), 0
    tuner = nt.Tuner(digits(), seed=0)
    tuner.fit(1, 1e-3)
    before, cbs, rng = state(tuner.learn), list(tuner.learn.cbs), random.getstate()
    for _ in range(60):
        hits += interrupted(lambda: tuner.lr_find(steps=60), draw.uniform(0, 0.25))
        assert all(torch.equal(a, b) for a, b in zip(before, state(tuner.learn), strict=True))
        assert list(tuner.learn.cbs) == cbs
        assert random.getstate() == rng
    assert hits >= 20


def test_a_fit_that_is_interrupted_at_any_moment_can_go_on() -> None:
    draw, hits = random.Random(1), 0
    tuner = nt.Tuner(digits(), seed=0)
    for number in range(40):
        tuner.freeze_to(number % 3)
        cbs, rows = list(tuner.learn.cbs), len(tuner.history)
        hits += interrupted(lambda: tuner.fit(8, 1e-3), draw.uniform(0, 0.4))
        assert list(tuner.learn.cbs) == cbs
        assert all(torch.isfinite(t).all() for t in state(tuner.learn))
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        assert len(tuner.history) >= rows
    assert hits >= 10
    assert tuner.fit(1, 1e-3).phases[-1].ended == "finished"
    assert tuner.best().learn is tuner.learn
