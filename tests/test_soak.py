"""Many fits in one process: nothing grows."""

from __future__ import annotations

import gc
import os
import threading
from typing import Any

import psutil
import pytest

import nbtune as nt
from faulty import KINDS, children, fault
from learners import digits

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def counted(tuner: nt.Tuner) -> dict[str, Any]:
    learn, process = tuner.learn, psutil.Process(os.getpid())
    gc.collect()
    return {
        "callbacks": len(learn.cbs),
        "attributes": len(vars(learn)),
        "hooks": sum(len(getattr(module, kind)) for module in learn.model.modules() for kind in HOOKS),
        "hooks of tensors": sum(len(p._backward_hooks or {}) for p in learn.model.parameters()),
        "open files": process.num_fds(),
        "threads": threading.active_count(),
        "processes": len(children()),
        "optimizer": len(learn.opt.state),
        "tensors": sum(
            1 for thing in gc.get_objects() if type(thing).__module__ == "torch" and type(thing).__name__ == "Tensor"
        ),
    }


def one_round(tuner: nt.Tuner, number: int) -> None:
    """A fit, and in turn a question, a change of plan, an interrupt or an error."""
    tuner.freeze_to(number % 2)
    tuner.fit(1, 1e-3)
    turn = number % 5
    if turn == 1:
        tuner.lr_find(steps=10)
    elif turn == 2:
        tuner.evaluate()
    elif turn in (3, 4):
        kind = "two interrupts" if turn == 3 else "RuntimeError"
        make, error = KINDS[kind]
        with fault("after after_loss", make(tuner)), pytest.raises(error or Exception):
            tuner.fit(1, 1e-3)


def soak(rounds: int) -> tuple[dict[str, Any], float]:
    """What grew, and by how many bytes of memory, over the second half; the first half is the warm-up."""
    tuner, process = nt.Tuner(digits(), test=digits().dls.valid, seed=0), psutil.Process(os.getpid())
    for number in range(rounds // 2):
        one_round(tuner, number)
    rounds -= rounds % 10  # so that both are counted at the same turn
    before, memory = counted(tuner), process.memory_info().rss
    for number in range(rounds // 2, rounds):
        one_round(tuner, number)
    after, grown = counted(tuner), process.memory_info().rss - memory
    return {name: (before[name], after[name]) for name in before if after[name] > before[name]}, grown


@pytest.mark.survives("20 fits with questions, interrupts and errors between", "nothing that is counted grows")
def test_nothing_grows_over_twenty_fits() -> None:
    assert soak(20)[0] == {}


@pytest.mark.faults
@pytest.mark.survives("200 fits with questions, interrupts and errors between", "nothing grows; memory within 1 %")
def test_nothing_grows_over_two_hundred_fits() -> None:
    grew, memory = soak(200)
    total = psutil.Process(os.getpid()).memory_info().rss
    print(f"memory grew by {memory / 1e6:.1f} MB of {total / 1e6:.0f} MB")
    assert grew == {}
    assert memory < 0.01 * total
