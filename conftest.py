"""What the examples in docstrings share: no progress bars, which a busy machine would draw into their outputs."""

from __future__ import annotations

from functools import partial

import pytest
from tqdm import tqdm

_BARS = ("nbtune._fastai.follow", "nbtune._fastai.fill", "nbtune.questions.trials", "nbtune.cache.features")


@pytest.fixture(autouse=True)
def _without_bars(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if isinstance(request.node, pytest.DoctestItem):
        for module in _BARS:
            monkeypatch.setattr(f"{module}.tqdm", partial(tqdm, disable=True))
