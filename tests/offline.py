"""No word to other machines: what Python code tries to reach or to look up there is refused, and noted.

It imports the standard library alone: kernels of the browser tests take it in before anything else.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["refuse", "refused"]

LOCAL = ("", "localhost", "0.0.0.0", "::", "::1", socket.gethostname())
SENDS = ("socket.connect", "socket.sendto", "socket.sendmsg")
LOOKUPS = ("socket.getaddrinfo", "socket.gethostbyname")

_notes: list[Callable[[str], object]] = []  # who is told; nothing is refused where there is nobody


def refuse(note: Callable[[str], object]) -> None:
    """From now on, in this whole process; `note` is told of each try."""
    if not _hooked:
        sys.addaudithook(_hook)  # stays for good
        _hooked.append(True)
    _notes.append(note)


@contextmanager
def refused() -> Iterator[list[str]]:
    """The same for a while; gives the list of what was tried."""
    tried: list[str] = []
    refuse(tried.append)
    try:
        yield tried
    finally:
        _notes.remove(tried.append)


_hooked: list[bool] = []


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if not _notes or not event.startswith("socket."):
        return
    host = _host(event, args)
    if host.startswith("127.") or host in LOCAL:
        return
    for note in _notes:
        note(f"{event} {host}")
    raise ConnectionRefusedError(f"the tests are offline: {event} {host}")


def _host(event: str, args: tuple[Any, ...]) -> str:
    """The machine that an event is of; "" where it is of none."""
    if event in SENDS and args[0].family in (socket.AF_INET, socket.AF_INET6) and args[1]:
        return str(args[1][0])
    if event in LOOKUPS and args[0]:
        return args[0].decode() if isinstance(args[0], bytes) else str(args[0])
    return ""
