"""One verb at a time on a Tuner, and word to whoever watches when one begins and ends."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from nbtune.errors import TrainingError

__all__ = ["Verbs", "verb"]

P = ParamSpec("P")
R = TypeVar("R")
Owner = TypeVar("Owner", bound=Any)


def verb(method: Callable[Concatenate[Owner, P], R]) -> Callable[Concatenate[Owner, P], R]:
    """A method of what holds `_verbs`, during which no other verb of the same object may begin."""

    @wraps(method)
    def alone(self: Owner, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self._verbs.doing(method.__name__):
            return method(self, *args, **kwargs)

    return alone


class Verbs:
    """`running`: the verb in progress, or ""."""

    def __init__(self) -> None:
        self.running = ""
        self._guard = threading.Lock()
        self._holder: object = None
        self._watchers: list[Callable[[], None]] = []

    def watch(self, act: Callable[[], None]) -> Callable[[], None]:
        """Call `act()` when a verb begins and when it ends; returns what ends the watching."""
        self._watchers.append(act)
        return lambda: self._watchers.remove(act) if act in self._watchers else None

    @contextmanager
    def doing(self, verb: str) -> Iterator[None]:
        """Inside, no other verb may begin. Raises TrainingError, which names the one in progress."""
        token = object()
        with ExitStack() as stack:
            stack.callback(self._leave, token)  # first, so that an interrupt cannot come between
            with self._guard:
                if self._holder is not None:
                    raise _busy(verb, self.running)
                self.running, self._holder = verb, token
            self._tell()
            yield

    def _leave(self, token: object) -> None:
        with self._guard:
            mine = self._holder is token
            if mine:
                self.running, self._holder = "", None
        if mine:
            self._tell()

    def _tell(self) -> None:
        for act in list(self._watchers):
            try:
                act()
            except Exception as error:  # a picture that fails must not end a training
                warnings.warn(f"nbtune: {act!r} failed and is no longer told: {error!r}", stacklevel=2)
                self._watchers.remove(act)


def _busy(verb: str, running: str) -> TrainingError:
    return TrainingError(
        f"{verb}() while {running}() is running.",
        rule="a Tuner does one thing at a time: two would train the same weights.",
        likely=f"{running}() was begun by a panel, by another thread, or by a callback's own fit.",
        next="wait for it, or tuner.stop() and call again.",
    )
