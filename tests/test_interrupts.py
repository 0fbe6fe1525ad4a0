"""The kernel's interrupt: held to a safe point, raised after it; the second at once; the clean-up not broken off."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

import nbtune
from faulty import interrupt
from nbtune import interrupts
from nbtune.interrupts import Flag, graceful, imports_whole, shielded


@pytest.fixture(autouse=True)
def _handler_is_put_back() -> Any:
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_shielded_holds_an_interrupt_until_its_end() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), shielded():  # noqa: PT012
        interrupt()
        done.append("went on")
    assert done == ["went on"]


def test_graceful_asks_first_and_insists_the_second_time() -> None:
    asked: list[int] = []
    with pytest.raises(KeyboardInterrupt), graceful(lambda: asked.append(1)):  # noqa: PT012
        interrupt()
        asked.append(2)
    assert asked == [1, 2]
    with pytest.raises(KeyboardInterrupt), graceful(lambda: None):  # noqa: PT012
        interrupt()
        interrupt()
        pytest.fail("the second interrupt was not raised at once")


def test_without_a_way_to_stop_the_first_is_raised_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), graceful():  # noqa: PT012
        interrupt()
        pytest.fail("not raised at once")


def test_after_one_was_raised_the_clean_up_is_left_alone_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt), graceful() as block:  # noqa: PT012
        try:
            interrupt()
        finally:
            interrupt()
            interrupt()
            done.append("cleaned up")
    assert done == ["cleaned up"]
    assert (block.came, block.raised) == (3, True)
    monkeypatch.setattr(interrupts, "_CLEAN_UP", 0.0)
    with pytest.raises(KeyboardInterrupt), graceful():  # noqa: PT012
        try:
            interrupt()
        finally:
            interrupt()
            pytest.fail("a clean-up that hangs can be broken off")


@contextmanager
def leaving(done: list[str]) -> Any:
    try:
        yield
    finally:
        interrupt()
        done.append("left")


def test_a_block_that_is_being_left_is_left_whole() -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt), graceful():  # noqa: PT012
        with leaving(done), ExitStack() as stack:
            stack.enter_context(leaving(done))
        done.append("went on")
    assert done == ["left", "left", "went on"]


def interrupt_in(method: str, kind: type) -> None:
    """An interrupt as this method of a block of this kind is entered."""

    def profile(frame: Any, event: str, arg: object) -> None:
        if event == "call" and frame.f_code.co_name == method and isinstance(frame.f_locals["self"], kind):
            sys.setprofile(None)
            interrupt()

    sys.setprofile(profile)


def test_a_second_one_as_the_block_is_left_leaves_no_handler_behind() -> None:
    with pytest.raises(KeyboardInterrupt), graceful(lambda: None):  # noqa: PT012
        interrupt()
        interrupt_in("__exit__", graceful)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("method", ["__init__", "__enter__"])
def test_a_second_one_as_a_shield_is_put_up_breaks_nothing_in_two(method: str) -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), graceful(lambda: None):  # noqa: PT012
        interrupt()
        interrupt_in(method, shielded)
        with shielded():
            done.append("whole")
        done.append("went on")
    assert done == ["whole", "went on"]


def test_an_import_is_not_broken_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slow_to_import.py").write_text(
        "from faulty import interrupt\ninterrupt()\ninterrupt()\nwhole = True\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(KeyboardInterrupt), graceful():  # noqa: PT012
        module = importlib.import_module("slow_to_import")
        assert module.whole
    monkeypatch.delitem(sys.modules, "slow_to_import")
    with pytest.raises(KeyboardInterrupt):
        imports_whole(importlib.import_module)("slow_to_import")
    assert sys.modules["slow_to_import"].whole
    monkeypatch.delitem(sys.modules, "slow_to_import")
    monkeypatch.setitem(nbtune._MODULES, "slow", "slow_to_import")
    with pytest.raises(KeyboardInterrupt):
        nbtune.slow  # noqa: B018 (a name that is loaded when it is first used)
    assert sys.modules["slow_to_import"].whole


def test_a_block_around_it_that_is_being_left_does_not_count() -> None:
    class Around:
        def __enter__(self) -> None:
            pass

        def __exit__(self, *_: object) -> None:
            with pytest.raises(KeyboardInterrupt), graceful():  # noqa: PT012
                interrupt()
                pytest.fail("held, though nothing of its own is left")

    with Around():
        pass


def test_a_shielded_part_within_hands_every_interrupt_on() -> None:
    asked: list[str] = []
    with pytest.raises(KeyboardInterrupt), graceful(lambda: asked.append("stop")):  # noqa: PT012
        with shielded():
            interrupt()
            interrupt()
            asked.append("whole")
        pytest.fail("the second was lost")
    assert asked == ["whole", "stop"]


def test_the_handlers_of_somebody_else_are_left_alone() -> None:
    seen: list[int] = []
    usual = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    try:
        with graceful(lambda: pytest.fail("not ours")):
            interrupt()
        with shielded():
            interrupt()
            assert len(seen) == 1
    finally:
        signal.signal(signal.SIGINT, usual)
    assert len(seen) == 2


def test_another_thread_and_a_forked_process_are_left_alone() -> None:
    found: list[Any] = []

    def work() -> None:
        with graceful(), shielded():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler]
    with graceful(), shielded():
        child = os.fork()
        if child == 0:
            try:
                interrupt()  # as a worker gets it with its parent
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0


def test_an_error_of_the_block_is_not_hidden_by_an_interrupt() -> None:
    with pytest.raises(ValueError, match="on purpose"), graceful(lambda: None):  # noqa: PT012
        interrupt()
        raise ValueError("on purpose")


def test_a_flag_is_up_or_not() -> None:
    flag = Flag()
    assert not flag.is_set()
    flag.set()
    assert flag.is_set()
    flag.clear()
    assert not flag.is_set()
