"""The kernel's interrupt (SIGINT): held to the next safe point, raised again when everything is in order.

Only the main thread receives it; in another thread everything here does nothing. Worker processes, which inherit
the handlers at their fork, ignore it: whoever owns them ends them.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from nbtune.errors import NbtuneError

__all__ = ["Flag", "graceful", "imports_whole", "shielded"]

P = ParamSpec("P")
R = TypeVar("R")

_WHOLE = frozenset({"__exit__", "_find_and_load"})  # functions not to be broken off: to leave a `with`, to import
_CLEAN_UP = 5.0  # seconds after an interrupt was raised in which the clean-up is not broken off by another


class Flag:
    """A wish to stop. `threading.Event` would not do: a signal's handler that meets its own lock waits for ever."""

    def __init__(self) -> None:
        self._up = False

    def set(self) -> None:
        self._up = True

    def clear(self) -> None:
        self._up = False

    def is_set(self) -> bool:
        return self._up


class _Handling:
    """A `with` in which SIGINT goes to `handle`; before and after it, to whom it went before."""

    _usual: Any = None
    _pid = 0

    def __enter__(self) -> Any:
        usual = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is threading.main_thread() and self.takes(usual):
            self._usual, self._pid = usual, os.getpid()
            signal.signal(signal.SIGINT, self._received)
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if self._usual is not None:
            signal.signal(signal.SIGINT, self._usual)
            self.after(error)

    def _received(self, number: int, frame: Any) -> None:
        if os.getpid() == self._pid:
            self.handle(number, frame)

    def takes(self, usual: Any) -> bool:
        """Is this the one to handle it, where `usual` does so far?"""
        raise NotImplementedError

    def handle(self, number: int, frame: Any) -> None:
        """An interrupt came."""
        raise NotImplementedError

    def after(self, error: BaseException | None) -> None:
        """The block has ended, by `error` or without."""
        raise NotImplementedError


class shielded(_Handling):  # noqa: N801 - reads as a verb's adjective: with shielded()
    """Hold the kernel's interrupt until the block has ended, for a part that must not be broken in two."""

    def __init__(self) -> None:
        self._held: list[tuple[int, Any]] = []

    def takes(self, usual: Any) -> bool:
        return callable(usual)

    def handle(self, number: int, frame: Any) -> None:
        self._held.append((number, frame))

    def after(self, error: BaseException | None) -> None:
        for call in self._held:
            self._usual(*call)


class graceful(_Handling):  # noqa: N801 - as above
    """The first interrupt calls `stop()` and is raised when the block ends; the second is raised at once.

    Without `stop` the first is raised at once. Whatever comes after one that was raised is held until the block has
    ended (for five seconds, lest a clean-up that hangs could not be broken off), and so is one that comes while a
    `with` is being left or a module imported: an import that is broken off can spoil the module for the whole kernel.
    `came`: how many; `raised`: was one raised within the block?
    """

    def __init__(self, stop: Callable[[], None] | None = None) -> None:
        self._stop, self.came, self._at = stop, 0, 0.0
        self._depth = len(_frames())
        self.raised = False

    def takes(self, usual: Any) -> bool:
        return usual is signal.default_int_handler  # else somebody else decides what an interrupt does

    def handle(self, number: int, frame: Any) -> None:
        self.came += 1
        if self.came == 1 and self._stop is not None:
            self._stop()
            return
        now = time.monotonic()
        if not any(map(self._whole, _frames()[: -self._depth])) and (not self.raised or now - self._at > _CLEAN_UP):
            self.raised, self._at = True, now
            raise KeyboardInterrupt

    def _whole(self, frame: Any) -> bool:
        """Is this function not to be broken off?

        What `shielded` held is raised as it is left, so of our own only this block's end counts, and the beginning of
        a shield: in front of it lies what must not be broken in two.
        """
        name = frame.f_code.co_name
        if frame.f_globals is not globals():
            return name in _WHOLE
        own = frame.f_locals.get("self")
        return (name == "__exit__" and own is self) or (name in ("__init__", "__enter__") and isinstance(own, shielded))

    def after(self, error: BaseException | None) -> None:
        if self.came and (error is None or isinstance(error, NbtuneError)):  # such as: stopped before there was any
            raise KeyboardInterrupt


def imports_whole(function: Callable[P, R]) -> Callable[P, R]:
    """A function that imports what it needs: an interrupt is raised at once in it, but breaks no import in two."""

    @wraps(function)
    def whole(*args: P.args, **kwargs: P.kwargs) -> R:
        with graceful():
            return function(*args, **kwargs)

    return whole


def _frames() -> list[Any]:
    """The functions that run now, the innermost first, from the caller's caller on."""
    frame: Any = sys._getframe(2)
    found = []
    while frame is not None:
        found.append(frame)
        frame = frame.f_back
    return found
