"""Use a Learner for a trial: only the callbacks that take part in a step, and everything undone after it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from nbtune._fastai import ParamScheduler
from nbtune.transaction import untouched

__all__ = ["borrowed", "quiet", "seed_all", "takes_part", "without_augmentation"]

# A callback that acts on one of these changes what a step computes; the others watch, draw, save or stop.
_STEP = ("before_batch", "after_pred", "after_loss", "before_backward", "after_backward", "before_step")


def takes_part(callback: Any) -> bool:
    """Does this callback change what a training step computes? (Schedules do not count.)"""
    if isinstance(callback, ParamScheduler):
        return False
    inner = getattr(callback, "takes_part", None)
    if inner is not None:
        return bool(inner)
    if type(callback).__name__ == "TrainEvalCallback":
        return True
    # not hasattr: a callback looks up what it lacks in its Learner
    places = [vars(callback), *(vars(kind) for kind in type(callback).__mro__)]
    return any(event in place for event in _STEP for place in places)


class borrowed(untouched):  # noqa: N801 - as untouched
    """`learn` for a trial: no bar, no log, no tracker, no file; afterwards it is as before, to the bit."""

    def __enter__(self) -> Any:
        learn = super().__enter__()
        try:
            learn.cbs = type(learn.cbs)(callback for callback in learn.cbs if takes_part(callback))
            learn.logger, learn.create_mbar = _silent, False
        except BaseException:
            self.__exit__()
            raise
        return learn


@contextmanager
def quiet(learn: Any) -> Iterator[None]:
    """Without fastai's progress bar and printed table; put back, in their place, also when the block raises."""
    before, logger, mbar = list(learn.cbs), learn.logger, learn.create_mbar
    bars = [callback for callback in before if type(callback).__name__ == "ProgressCallback"]
    learn.logger, learn.create_mbar = _silent, False
    learn.cbs = type(learn.cbs)(callback for callback in before if callback not in bars)
    try:
        yield
    finally:
        learn.logger, learn.create_mbar = logger, mbar
        now = list(learn.cbs)
        for bar in bars:
            now.insert(before.index(bar), bar)
        learn.cbs = type(learn.cbs)(now)


def _silent(*_: Any) -> None:
    pass


def seed_all(learn: Any, seed: int) -> None:
    """Seed the global random streams and the loaders' own, so that a run is a function of the seed."""
    for loader in learn.dls.loaders:
        getattr(loader, "n_inp", None)  # the first time, fastai fetches an item to know it, which moves the streams
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    for number, loader in enumerate(learn.dls.loaders):
        if isinstance(getattr(loader, "rng", None), random.Random):
            loader.rng = random.Random(seed + number)
        if isinstance(generator := getattr(loader, "generator", None), torch.Generator):
            generator.manual_seed(seed + number)


@contextmanager
def without_augmentation(learn: Any) -> Iterator[None]:
    """Train batches as validation sees them: the random transforms of the training loader are left out.

    fastai marks a transform that runs on training batches only with `split_idx` 0.
    """
    train = learn.dls.train
    kept = []
    for stage in ("after_item", "before_batch", "after_batch"):
        pipeline = getattr(train, stage, None)
        if pipeline is not None and hasattr(pipeline, "fs"):
            kept.append((pipeline, pipeline.fs))
            pipeline.fs = type(pipeline.fs)(f for f in pipeline.fs if getattr(f, "split_idx", None) != 0)
    try:
        yield
    finally:
        for pipeline, before in kept:
            pipeline.fs = before
