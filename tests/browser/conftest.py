"""A JupyterLab and a Chromium for the tests of this folder. In CI a missing browser is a failure."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from browser.lab import Lab, OpenNotebook

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
)
NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests; each gets a context of its own."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        say = pytest.fail if os.environ.get("CI") else pytest.skip
        say(f"no Chromium here ({', '.join(NAMES)}): install Debian's chromium to drive JupyterLab")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One JupyterLab for all tests."""
    with Lab(tmp_path_factory.mktemp("lab")) as server:
        yield server


@pytest.fixture
def open_notebook(browser: Browser, lab: Lab) -> Iterator[Callable[[Path], OpenNotebook]]:
    """A function that opens a copy of a notebook in a fresh browser context."""
    contexts = []

    def open_copy(path: Path) -> OpenNotebook:
        shutil.copy(path, lab.notebooks)
        contexts.append(browser.new_context(viewport={"width": 1280, "height": 1600}))
        return OpenNotebook(contexts[-1].new_page(), lab, path.name)

    yield open_copy
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def screenshots(root: Path) -> Path:
    """Where pictures go, for a person to look at; git ignores it."""
    return root / "runs" / "screenshots"
