"""Faults for tests: an act at any event of a fit, in the model, the loss, the data or the optimizer."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from fastai.learner import Learner
from fastai.losses import CrossEntropyLossFlat
from fastai.optimizer import Optimizer
from torch import nn

from learners import Items

EVENTS = (
    "before_fit", "before_epoch", "before_train", "before_batch", "after_pred", "after_loss", "before_backward",
    "after_backward", "before_step", "after_step", "after_batch", "after_train", "before_validate", "after_validate",
    "after_epoch", "after_cancel_fit", "after_fit",
)  # fmt: skip
PLACES = ("model", "loss", "data", "optimizer")
POINTS = [f"{side} {event}" for event in EVENTS for side in ("before", "after")] + [f"in the {p}" for p in PLACES]


def interrupt() -> None:
    """The kernel's interrupt, here and now."""
    signal.raise_signal(signal.SIGINT)


def twice() -> None:
    interrupt()
    interrupt()


def fails(error: type[BaseException]) -> Callable[[], None]:
    def act() -> None:
        raise error("on purpose")

    return act


# What happens, and what the verb raises then (None: nothing need be raised).
KINDS: dict[str, tuple[Callable[[Any], Callable[[], None]], type[BaseException] | None]] = {
    "interrupt": (lambda tuner: interrupt, KeyboardInterrupt),
    "two interrupts": (lambda tuner: twice, KeyboardInterrupt),
    "KeyboardInterrupt": (lambda tuner: fails(KeyboardInterrupt), KeyboardInterrupt),
    "RuntimeError": (lambda tuner: fails(RuntimeError), RuntimeError),
    "OutOfMemoryError": (lambda tuner: fails(torch.OutOfMemoryError), RuntimeError),
    "stop": (lambda tuner: tuner.stop, None),
}


@contextmanager
def fault(point: str, act: Callable[[], None], nth: int = 1) -> Iterator[SimpleNamespace]:
    """Call `act()` the `nth` time that `point` is passed; yields whether it was (`reached`), and `within` what."""
    seen = SimpleNamespace(count=0, reached=False, within=set())

    def passed() -> None:
        seen.count += 1
        if seen.count == nth:
            seen.reached, seen.within = True, running()
            act()

    with pytest.MonkeyPatch.context() as patch:
        side, _, name = point.partition(" ")
        if side == "in":
            _inside(patch, name.removeprefix("the "), passed)
        else:
            _event(patch, side, name, passed)
        yield seen


def running() -> set[str]:
    """Functions of nbtune that run now, as "file:function"."""
    found, frame = set(), sys._getframe(1)
    while frame is not None:
        if str(frame.f_globals.get("__name__", "")).startswith("nbtune."):
            found.add(f"{frame.f_globals['__name__']}:{frame.f_code.co_name}")
        frame = frame.f_back  # type: ignore[assignment]
    return found


def _event(patch: pytest.MonkeyPatch, side: str, event: str, passed: Callable[[], None]) -> None:
    real = Learner._call_one

    def call(self: Any, name: str) -> None:
        if name == event and side == "before":
            passed()
        real(self, name)
        if name == event and side == "after":
            passed()

    patch.setattr(Learner, "_call_one", call)


def _inside(patch: pytest.MonkeyPatch, place: str, passed: Callable[[], None]) -> None:
    if place == "optimizer":  # after the first tensor was moved
        every = Optimizer.all_params

        def some(self: Any, *given: Any, **options: Any) -> Any:
            found = every(self, *given, **options)
            return _broken(found, passed) if options.get("with_grad") else found

        patch.setattr(Optimizer, "all_params", some)
        return
    owner, name = {
        "model": (nn.Linear, "forward"), "loss": (CrossEntropyLossFlat, "__call__"), "data": (Items, "__getitem__"),
    }[place]  # fmt: skip
    real = getattr(owner, name)

    def call(*given: Any, **options: Any) -> Any:
        passed()
        return real(*given, **options)

    patch.setattr(owner, name, call)


def _broken(found: Any, passed: Callable[[], None]) -> Iterator[Any]:
    for number, one in enumerate(found):
        if number == 1:
            passed()
        yield one


def later(left: list[int], act: Callable[[], None]) -> None:
    """Call `act()` when this thread has called `left[0]` more functions, which is counted down."""

    def profile(frame: Any, event: str, arg: Any) -> None:
        if event == "call":
            left[0] -= 1
            if left[0] <= 0:
                sys.setprofile(None)
                act()

    sys.setprofile(profile)


def children() -> list[int]:
    """Processes that this one has started and that live."""
    import psutil

    return [child.pid for child in psutil.Process(os.getpid()).children(recursive=True)]
