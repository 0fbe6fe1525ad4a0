"""What is tried outside is refused and seen, or a test without network would prove nothing."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import pytest

from offline import refused

OUTSIDE = "192.0.2.1"  # an address that is kept for examples (RFC 5737)


def connect() -> None:
    with socket.socket() as line:
        line.connect((OUTSIDE, 9))


def udp() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.sendto(b"word", (OUTSIDE, 9))


@pytest.mark.parametrize(
    ("act", "seen"),
    [
        (lambda: socket.create_connection((OUTSIDE, 9), timeout=5), f"socket.getaddrinfo {OUTSIDE}"),
        (connect, f"socket.connect {OUTSIDE}"),
        (lambda: socket.getaddrinfo("example.com", 80), "socket.getaddrinfo example.com"),
        (lambda: socket.gethostbyname("example.com"), "socket.gethostbyname example.com"),
        (udp, f"socket.sendto {OUTSIDE}"),
    ],
    ids=["connection", "connect", "look-up", "old look-up", "datagram"],
)
def test_every_way_out_is_refused_and_noted(act: Callable[[], object], seen: str) -> None:
    with refused() as tried, pytest.raises(ConnectionRefusedError, match="offline"):
        act()
    assert tried == [seen]


def _caught() -> None:
    with pytest.raises(ConnectionRefusedError):
        udp()


def test_another_thread_is_refused_too() -> None:
    with refused() as tried:
        thread = threading.Thread(target=_caught)
        thread.start()
        thread.join()
    assert tried == [f"socket.sendto {OUTSIDE}"]


def test_this_machine_is_reached_as_ever() -> None:
    with refused() as tried, socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(("localhost", server.getsockname()[1]), timeout=5).close()
    assert tried == []
