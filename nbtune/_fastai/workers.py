"""Worker processes of loaders: none outlives an error, and one that gives nothing is waited for only so long."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import GeneratorType
from typing import Any

from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from nbtune._fastai import FastaiLoader

__all__ = ["PATIENCE", "answering", "end_workers"]

PATIENCE = 300  # seconds that a batch may take where the loader says nothing; torch would wait for ever


@contextmanager
def answering(loader: Any) -> Iterator[None]:
    """Inside, an iteration of `loader` raises torch's RuntimeError where its workers give nothing for long."""
    settings = getattr(loader, "fake_l", loader)  # fastai keeps them apart
    if not getattr(settings, "num_workers", 0) or getattr(settings, "timeout", True):
        yield
        return
    settings.timeout = PATIENCE
    try:
        yield
    finally:
        settings.timeout = 0


def _reads(value: Any) -> bool:
    """Is it a fastai loader's iteration?"""
    return isinstance(value, GeneratorType) and value.gi_code is FastaiLoader.__iter__.__code__


def end_workers(error: BaseException) -> None:
    """End the workers of loaders that `error` came through: whoever keeps its traceback would keep them too."""
    # Not of the caller's own frame: to look at its variables makes a copy, which would hold the error.
    trace = error.__traceback__ and error.__traceback__.tb_next
    while trace is not None:
        for value in list(trace.tb_frame.f_locals.values()):
            if isinstance(value, _MultiProcessingDataLoaderIter):
                value._shutdown_workers()
            elif _reads(value) and not value.gi_running:
                value.close()
        trace = trace.tb_next
