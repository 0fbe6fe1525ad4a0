"""A JupyterLab and a Chromium for the tests of this folder. In CI a missing browser is a failure."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from browser.lab import Lab, OpenNotebook

expect.set_options(timeout=20_000)  # a machine may have more to do than this
pytest.register_assert_rewrite("browser.panels")  # so that its checks say what they found

# Debian's Chromium in a container without a GPU, which asks nothing of the network.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
LOCAL = ("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:", "about:")
Open = Callable[[Path], OpenNotebook]
NAMES = ("chromium", "chromium-browser", "google-chrome")


def program() -> str:
    """Where Chromium is. Without one a test is skipped; in CI it fails."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        say = pytest.fail if os.environ.get("CI") else pytest.skip
        say(f"no Chromium here ({', '.join(NAMES)}): install Debian's chromium to drive JupyterLab")
    return path


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests; each gets a context of its own."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program(), args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One JupyterLab for all tests; no kernel of it asked the network for anything."""
    with Lab(tmp_path_factory.mktemp("lab")) as server:
        yield server
        assert not server.outside.exists(), server.outside.read_text()


@pytest.fixture
def open_notebook(browser: Browser, lab: Lab) -> Iterator[Open]:
    """A function that opens a copy of a notebook in a fresh browser context."""
    with opening(browser, lab) as open_copy:
        yield open_copy


@pytest.fixture(scope="module")
def open_once(browser: Browser, lab: Lab) -> Iterator[Open]:
    """The same for all tests of a file: its notebooks stay open until the last of them has ended."""
    with opening(browser, lab) as open_copy:
        yield open_copy


@contextmanager
def opening(browser: Browser, lab: Lab) -> Iterator[Open]:
    """Opens notebooks, and closes them; AssertionError where a page asked another machine for anything."""
    books: list[OpenNotebook] = []
    asked: list[str] = []

    def open_copy(path: Path) -> OpenNotebook:
        shutil.copy(path, lab.notebooks)
        context = browser.new_context(viewport={"width": 1280, "height": 1600})
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = context.new_page()  # other pages of the context may be of others' making, as nbconvert's is
        page.on("request", lambda request: asked.append(request.url))
        page.on("websocket", lambda socket: asked.append(socket.url))
        books.append(OpenNotebook(page, lab, path.name))
        return books[-1]

    yield open_copy
    for book in books:
        book.shut_down()
        book.page.context.close()
    outside = [url for url in asked if not url.startswith(LOCAL)]
    assert outside == []


@pytest.fixture(scope="session")
def screenshots(root: Path) -> Path:
    """Where pictures go, for a person to look at; git ignores it."""
    return root / "runs" / "screenshots"
