"""One verb at a time in a process, an interrupt at a safe point, and word to whoever watches a Tuner."""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from nbtune._display import seconds
from nbtune._fastai.mend import structure_undo
from nbtune._fastai.workers import end_workers
from nbtune.errors import TrainingError
from nbtune.interrupts import Flag, graceful, shielded
from nbtune.tuner.trouble import explained

__all__ = ["Verbs", "at_work", "stoppable", "untold", "verb"]

P = ParamSpec("P")
R = TypeVar("R")
Owner = TypeVar("Owner", bound=Any)
Method = Callable[Concatenate[Owner, P], R]


def verb(method: Method[Owner, P, R]) -> Method[Owner, P, R]:
    """A method of a Tuner during which no other verb may begin; the kernel's interrupt breaks it off at once."""
    return _alone(method, stops=False)


def stoppable(method: Method[Owner, P, R]) -> Method[Owner, P, R]:
    """A verb that ends early where `_stop` is set: an interrupt sets it and is raised after, a second one at once."""
    return _alone(method, stops=True)


def untold(method: Method[Owner, P, R]) -> Method[Owner, P, R]:
    """A brief verb that changes nothing: who watches is not told, and draws nothing anew."""
    return _alone(method, stops=False, told=False)


def _alone(method: Method[Owner, P, R], stops: bool, told: bool = True) -> Method[Owner, P, R]:
    @wraps(method)
    def alone(self: Owner, /, *args: P.args, **kwargs: P.kwargs) -> R:
        name = method.__name__
        with graceful(self.stop if stops else None) as interrupts, self._verbs.doing(name, interrupts, told):
            undo, lines = structure_undo(self.learn), self._script.length
            try:
                result = method(self, *args, **kwargs)
                if interrupts.came and name not in ("fit", "run"):  # nobody gets the answer
                    self._script.back(lines)
                return result
            except BaseException as error:
                end_workers(error)
                if interrupts.raised:
                    undo()
                trouble = explained(error, name, self)
                if trouble is None:
                    raise
        # Outside of the handler: else the new error would hold the old one with its traceback, and so its tensors.
        raise trouble

    return alone


@dataclass(frozen=True)
class _Holder:
    """The verb in progress."""

    verb: str
    owner: Verbs
    thread: str
    since: float
    pid: int
    told: bool


_GUARD = threading.Lock()
_held: list[_Holder] = []  # one or none: random streams, autocast and SIGINT are the whole process's


def at_work() -> str:
    """The verb in progress in this process, of whichever Tuner, or ""."""
    return _held[0].verb if _held and _held[0].pid == os.getpid() else ""


class Verbs:
    """`running`: the verb in progress on this Tuner, or ""."""

    def __init__(self, stop: Flag | None = None) -> None:
        self.running = ""
        self._stop = Flag() if stop is None else stop
        self._watchers: list[Callable[[], None]] = []

    def watch(self, act: Callable[[], None]) -> Callable[[], None]:
        """Call `act()` when a verb begins and when it ends; returns what ends the watching."""
        self._watchers.append(act)
        return lambda: self._watchers.remove(act) if act in self._watchers else None

    @contextmanager
    def doing(self, verb: str, interrupts: graceful | None = None, told: bool = True) -> Iterator[None]:
        """Inside, no other verb may begin. Raises TrainingError, which names the one in progress."""
        holder = _Holder(verb, self, threading.current_thread().name, time.monotonic(), os.getpid(), told)
        with ExitStack() as stack:
            stack.callback(self._leave, holder)  # first, so that an interrupt cannot come between
            with _GUARD:
                if _held and _held[0].pid == os.getpid():  # a forked process begins with its parent's
                    raise _busy(verb, self, _held[0])
                _held[:] = [holder]
                if interrupts is None or not interrupts.came:
                    self._stop.clear()
                self.running = verb  # from now on a stop is heard
            if told:
                self._tell()
            yield

    def _leave(self, holder: _Holder) -> None:
        with shielded():
            with _GUARD:
                mine = holder in _held
                if mine:
                    _held.clear()
                    self.running = ""
            if mine and holder.told:
                self._tell()

    def _tell(self) -> None:
        for act in list(self._watchers):
            try:
                act()
            except Exception as error:  # a picture that fails must not end a training
                warnings.warn(f"nbtune: {act!r} failed and is no longer told: {error!r}", stacklevel=2)
                self._watchers.remove(act)


def _busy(verb: str, asks: Verbs, held: _Holder) -> TrainingError:
    whose = "" if held.owner is asks else " of another Tuner"
    where = f"in thread {held.thread!r}, for {seconds(time.monotonic() - held.since)}"
    own = held.thread == threading.current_thread().name
    return TrainingError(
        f"{verb}() while {held.verb}(){whose} is running ({where}).",
        rule="one verb runs at a time in a kernel: two would move the same random streams"
        + (", and train the same weights." if not whose else "."),
        likely=f"{verb}() was called by a callback of {held.verb}()."
        if own
        else f"{held.verb}() was begun by a panel or by another thread.",
        next=f"call {verb}() after {held.verb}() has ended."
        if own
        else f"wait for it, or {'the other ' if whose else ''}tuner.stop() and call again.",
    )
