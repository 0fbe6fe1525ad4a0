"""What all tests share: an interrupt that arrives. And in the examples in docstrings no progress bars, which a busy
machine would draw into their outputs.
"""

from __future__ import annotations

import signal
from functools import partial

import pytest
from tqdm import tqdm

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's job in the background inherits it so
    signal.signal(signal.SIGINT, signal.default_int_handler)

_BARS = ("nbtune._fastai.follow", "nbtune._fastai.fill", "nbtune.questions.trials", "nbtune.cache.features")


@pytest.fixture(autouse=True)
def _without_bars(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if isinstance(request.node, pytest.DoctestItem):
        for module in _BARS:
            monkeypatch.setattr(f"{module}.tqdm", partial(tqdm, disable=True))
