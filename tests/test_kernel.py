"""In a real kernel: interrupts that stop a cell, workers that end, and cells after it that work."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from jupyter_client.manager import KernelManager

pytestmark = pytest.mark.faults

SETUP = """
import sys, warnings
warnings.simplefilter("ignore")
sys.path[:0] = [{tests!r}]
import torch; torch.set_num_threads(1)
import nbtune as nt
from learners import digits, loaders, bits
learn = digits()
learn.dls = loaders(num_workers={workers}, persistent_workers={persistent})
tuner = nt.Tuner(learn, test=digits().dls.valid, seed=0)
"""


class Cell:
    """A cell that runs in a kernel."""

    def __init__(self, client: Any, code: str) -> None:
        self.client, self.sent = client, client.execute(code)
        self.trace = ""  # of its error

    def result(self, patience: float = 120.0) -> tuple[str, str]:
        """(name of the error or "", what was printed)."""
        ends, printed = time.monotonic() + patience, ""
        error = ""
        while time.monotonic() < ends:
            message = self.client.get_iopub_msg(timeout=patience)
            if message["parent_header"].get("msg_id") != self.sent:
                continue
            content = message["content"]
            printed += content.get("text", "") if message["msg_type"] == "stream" else ""
            error = content["ename"] if message["msg_type"] == "error" else error
            self.trace += "\n".join(content.get("traceback", ()))
            if message["msg_type"] == "status" and content["execution_state"] == "idle":
                return error, printed
        raise AssertionError(f"no end of the cell; printed {printed!r}")


@pytest.fixture
def kernel(request: Any) -> Iterator[Any]:
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=120)
    workers, persistent = request.param
    setup = SETUP.format(tests=str(Path(__file__).parent), workers=workers, persistent=persistent)
    try:
        assert Cell(client, setup).result() == ("", "")
        yield manager, client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def children(manager: Any) -> list[int]:
    """Processes that the kernel has started and that live; one that ended and was not asked for is none."""
    found = psutil.Process(manager.provisioner.pid).children(recursive=True)
    return [child.pid for child in found if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]


def gone(manager: Any, before: list[int]) -> bool:
    ends = time.monotonic() + 5
    while time.monotonic() < ends:
        if set(children(manager)) <= set(before):
            return True
        time.sleep(0.1)
    return False


@pytest.mark.survives(
    "the kernel's interrupt, once and twice in a row, workers 0 and 2, persistent or not",
    "the cell ends with KeyboardInterrupt, no worker lives after 5 s, the next cell works",
)
@pytest.mark.parametrize("kernel", [(w, p) for w in (0, 2) for p in (False, True)], indirect=True)
def test_any_cell_can_be_interrupted_twice_and_gone_on_with(kernel: Any) -> None:
    manager, client = kernel
    before = children(manager)
    for number, pause in enumerate((None, 0.0, 0.02, 0.3)):
        cell = Cell(client, "tuner.fit(10_000, 1e-3)")
        time.sleep(1.5 + 0.13 * number)
        manager.interrupt_kernel()
        if pause is not None:
            time.sleep(pause)
            manager.interrupt_kernel()
        # A second one can come while IPython tells of the first, which then is not told.
        assert cell.result()[0] in ("KeyboardInterrupt", "KeyboardInterrupt" if pause is None else "")
        assert gone(manager, before)
        error, printed = Cell(client, "print(tuner.running == '', len(tuner.history.phases))").result()
        assert (error, printed.strip()) == ("", f"True {number + 1}")
    code = "before = bits(learn.model); tuner.lr_find(steps=100_000)"
    cell = Cell(client, code)
    time.sleep(1.0)
    manager.interrupt_kernel()
    assert cell.result()[0] == "KeyboardInterrupt"
    assert gone(manager, before)
    error, printed = Cell(client, "print(bits(learn.model) == before); tuner.fit(1, 1e-3); print('on')").result()
    assert error == ""
    assert printed.split()[0] == "True"
    assert printed.split()[-1] == "on"
