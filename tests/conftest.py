"""What all tests share: the project's folder, the same hypothesis examples in every CI run, panels offline."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from offline import refused

ROOT = Path(__file__).resolve().parent.parent

# A first call that imports torch takes seconds, which is no fault of the example that made it.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return ROOT


@pytest.fixture(autouse=True)
def offline(request: pytest.FixtureRequest) -> Iterator[None]:
    """The tests of panels reach no other machine, whatever they catch."""
    if not request.path.name.startswith(("test_widgets", "test_data_browser")):
        yield
        return
    with refused() as tried:
        yield
    assert tried == []
