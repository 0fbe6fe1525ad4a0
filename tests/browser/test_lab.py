"""The driver itself, on a notebook of few cells: it sees a run, its pictures, and its errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from playwright.sync_api import TimeoutError as PlaywrightTimeout

import small_notebook
from browser.conftest import opening, program
from browser.lab import Lab, OpenNotebook

pytestmark = pytest.mark.browser
Open = Callable[[Path], OpenNotebook]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_notebook.write(tmp_path_factory.mktemp("small") / "small.ipynb")


def test_all_cells_run_and_the_picture_is_drawn_in_light_and_dark(
    open_notebook: Open, small: Path, tmp_path: Path
) -> None:
    notebook = open_notebook(small)
    assert notebook.errors()[0] == "cell 1: did not run"
    notebook.run_all(seconds=60)
    assert notebook.errors() == []
    assert notebook.pictures() == (1, 1)
    made = notebook.screenshots(tmp_path, "small")
    light, dark = (next(path for path in made if theme in path.name) for theme in ("light", "dark"))
    assert light.read_bytes() != dark.read_bytes()


def test_a_restart_runs_all_cells_in_a_new_kernel(open_notebook: Open, small: Path) -> None:
    notebook = open_notebook(small)
    notebook.run_all(seconds=60)
    notebook.restart_and_run_all(seconds=60)
    counts = [cell["execution_count"] for cell in notebook.cells() if cell["cell_type"] == "code"]
    assert counts == [1, 2, 3, 4, 5, 6]
    assert notebook.errors() == []


def test_an_error_and_what_did_not_run_after_it_are_seen(open_notebook: Open, tmp_path: Path) -> None:
    path = small_notebook.write(tmp_path / "fails.ipynb", (("1 / 0", ()), ("2", ())))
    notebook = open_notebook(path)
    notebook.run_all(seconds=30)
    assert notebook.errors() == ["cell 1: ZeroDivisionError: division by zero", "cell 2: did not run"]


def test_a_run_that_does_not_end_is_given_up(open_notebook: Open, tmp_path: Path) -> None:
    path = small_notebook.write(tmp_path / "endless.ipynb", (("import time; time.sleep(30)", ()),))
    notebook = open_notebook(path)
    with pytest.raises(PlaywrightTimeout):
        notebook.run_all(seconds=1)


OUT = """import socket
for act in (lambda: socket.socket().connect(("192.0.2.1", 9)), lambda: socket.getaddrinfo("example.com", 80)):
    try:
        act()
    except ConnectionRefusedError as error:
        assert "offline" in str(error)
    else:
        raise AssertionError("it was not refused")"""


def test_a_kernel_that_asks_another_machine_is_refused_and_seen(open_notebook: Open, tmp_path: Path, lab: Lab) -> None:
    notebook = open_notebook(small_notebook.write(tmp_path / "out.ipynb", ((OUT, ()),)))
    notebook.run_all(seconds=30)
    assert notebook.errors() == []
    assert lab.outside.read_text().split() == ["socket.connect", "192.0.2.1", "socket.getaddrinfo", "example.com"]
    lab.outside.unlink()  # or the tests of this run would be said to have asked


def test_a_page_that_asks_another_machine_fails(browser: Browser, lab: Lab, small: Path) -> None:
    ask = "url => fetch(url, { signal: AbortSignal.timeout(2000) }).then(() => true, () => false)"
    with pytest.raises(AssertionError, match=r"192\.0\.2\.1"), opening(browser, lab) as open_copy:
        assert not open_copy(small).page.evaluate(ask, "http://192.0.2.1/")


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_in_ci_a_missing_browser_fails(ci: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(outcome, match="no Chromium here"):
        program()
