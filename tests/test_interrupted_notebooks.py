"""The notebooks in a real kernel, each cell interrupted twice and gone on with: two of them to the very same end."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import KernelManager

from test_kernel import Cell, children, gone

pytestmark = pytest.mark.faults

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
BEGIN = """
import os, sys
os.environ["OMP_NUM_THREADS"] = "1"  # equal bits need one thread
os.chdir({folder!r})
sys.path[:0] = {places!r}
_whole = {{}}
get_ipython().events.register("post_run_cell", lambda found: _whole.update({{found.info.raw_cell: found.success}}))
"""
# What a notebook comes to: printed at its end, without what depends on the clock.
WHOLE = """
import hashlib, json
def _digest(model):
    total = hashlib.sha256()
    for tensor in model.state_dict().values():
        total.update(tensor.numpy().tobytes())
    return total.hexdigest()
def _rows(history):
    return [{n: repr(v) for n, v in row.items() if n != "seconds"} for row in history.rows]
"""
COMES_TO = {
    "00_quickstart": "[_digest(tuner.learn.model), _rows(history), _rows(tuner.history), repr(curve.suggestion), "
    "repr(dict(report.metrics)), {n: [repr(a) for a, _ in r] for n, r in results.items()}, "
    "model.predict(task.test.x[:5]).to_csv()]",
    "05_freeze": "[_digest(tuner.learn.model), _rows(cached), _rows(live), repr(sweep.best), "
    "depth.frame().iloc[:, :3].to_csv()]",
}
TUNERS_FIT = re.compile(r"\btuner\.fit\((?:[^()]|\([^()]*\))*\)")  # of the notebook's own Tuner
LONG = 0.1  # seconds from which a cell is interrupted: in a shorter one the interrupt meets IPython, not the cell


def cells(name: str) -> list[str]:
    book = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text())
    return ["".join(cell["source"]) for cell in book["cells"] if cell["cell_type"] == "code"]


@contextmanager
def kernel(folder: Path) -> Iterator[Any]:
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=120)
        places = [str(NOTEBOOKS.parent), str(NOTEBOOKS.parent / "widgets")]
        assert Cell(client, BEGIN.format(folder=str(folder), places=places)).result()[0] == ""
        yield manager, client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def comes_to(client: Any, name: str) -> Any:
    error, printed = Cell(client, f"{WHOLE}\nprint(json.dumps({COMES_TO[name]}))").result()
    assert error == "", (error, printed)
    return json.loads(printed.splitlines()[-1])


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: Any) -> Any:
    """What a notebook comes to, and the seconds of each cell."""

    @cache
    def run(name: str) -> tuple[Any, list[float]]:
        took = []
        with kernel(tmp_path_factory.mktemp(name)) as (_, client):
            for source in cells(name):
                began = time.monotonic()
                assert Cell(client, source).result(600)[0] == "", source
                took.append(time.monotonic() - began)
            return comes_to(client, name), took

    return run


def ended(manager: Any, client: Any, source: str, at: float, pause: float) -> bool:
    """Interrupt a cell twice; did it come to its end all the same?"""
    cell = Cell(client, source)
    time.sleep(at)
    manager.interrupt_kernel()
    time.sleep(pause)
    manager.interrupt_kernel()
    error = cell.result(600)[0]
    assert error in ("", "KeyboardInterrupt"), (source, error)
    # A second one can come while IPython tells of the first, which then is not told.
    return said(client, f"_whole.get({source!r})") == "True"


def said(client: Any, expression: str) -> str:
    error, printed = Cell(client, f"print({expression})").result()
    assert error == "", (expression, error)
    return printed.strip()


def gone_on_with(client: Any, source: str) -> str:
    """The cell again, with what is left of the fit of the notebook's own Tuner in the place of that fit."""
    if not TUNERS_FIT.search(source) or "nt.Tuner(" in source or said(client, "bool(tuner.left)") == "False":
        return source
    return TUNERS_FIT.sub("tuner.run()", source)


@pytest.mark.survives(
    "two interrupts in each cell of two notebooks that takes 0.1 s or more, in a real kernel",
    "the cell run again, or run() where it trained the notebook's own Tuner, goes on to the very same end, to the bit",
)
@pytest.mark.parametrize("name", COMES_TO)
@pytest.mark.parametrize("share", [0.35, 0.02])
def test_every_cell_can_be_interrupted_twice_and_gone_on_with(
    name: str, share: float, undisturbed: Any, tmp_path: Path
) -> None:
    (expected, took), cut, tried = undisturbed(name), 0, 0
    with kernel(tmp_path) as (manager, client):
        before = children(manager)
        for source, seconds, pause in zip(cells(name), took, cycle([0.0, 0.05, 0.3]), strict=False):
            if seconds > LONG:
                tried += 1
                if ended(manager, client, source, share * seconds, pause):
                    continue
                cut += 1
                assert gone(manager, before)
            again = Cell(client, gone_on_with(client, source))
            assert again.result(600)[0] == "", (source, again.trace)
        assert comes_to(client, name) == expected
    print(f"{name}: {cut} of {tried} cells were broken off, {share:.0%} into them")
    assert cut >= tried // 3


OTHERS = [path.stem for path in sorted(NOTEBOOKS.glob("*.ipynb")) if path.stem not in COMES_TO]


@pytest.mark.survives(
    "two interrupts in each cell of the other notebooks that takes longer than 0.15 s, 0.6 s or 2.5 s (in turn)",
    "the cell run again, or run() where it trained the notebook's own Tuner, and all cells after it come to their end",
)
@pytest.mark.parametrize("name", OTHERS)
def test_every_cell_of_any_notebook_can_be_interrupted_twice(name: str, tmp_path: Path) -> None:
    cut = []
    shutil.copytree(NOTEBOOKS, tmp_path / "notebooks", ignore=shutil.ignore_patterns("runs", ".*", "*.ipynb"))
    with kernel(tmp_path / "notebooks") as (manager, client):
        before = children(manager)
        for source, at, pause in zip(cells(name), cycle([0.15, 0.6, 2.5]), cycle([0.0, 0.05, 0.3]), strict=False):
            if ended(manager, client, source, at, pause):
                continue
            cut.append(source)
            assert "subprocess." in source or gone(manager, before), source  # a cell's own process ends by itself
            again = Cell(client, gone_on_with(client, source))
            assert again.result(600)[0] == "", (source, again.trace)
    print(f"{name}: {len(cut)} of {len(cells(name))} cells were broken off")
    assert cut
