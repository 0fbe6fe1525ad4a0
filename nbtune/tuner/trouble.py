"""Errors that a person meets in training and cannot read: out of memory, workers that died or hang."""

from __future__ import annotations

import gc
import re
import time
import traceback
from collections.abc import Callable
from typing import Any

import torch

from nbtune._fastai.borrow import borrowed
from nbtune._fastai.steps import cut_batch, first_batch, trial
from nbtune.errors import NbtuneError, TrainingError

__all__ = ["explained", "fitting"]

_TRIES, _SECONDS = 12, 20.0  # of the search for a batch size: each try is one step
_WORKER = re.compile(r"DataLoader worker \(pid(?:\(s\))? ([\d, ]+)\)|DataLoader timed out after (\d+)")
_TRAINS = ("fit", "run", "lr_find", "sweep", "noise", "verify")


def explained(error: BaseException, verb: str, tuner: Any) -> NbtuneError | None:
    """The error to raise instead of `error`, or None. What the traceback of a lack of memory held is let go."""
    if lacks_memory(error):
        _let_go(error)
        return _memory(verb, tuner)
    if isinstance(error, RuntimeError) and (found := _WORKER.search(str(error))):
        made = _hangs(verb, found[2]) if found[2] else _died(verb, found[1])
        made.__cause__ = error
        return made
    return None


def lacks_memory(error: BaseException) -> bool:
    """Is it torch's error where a GPU or the computer has no memory left, or python's?"""
    said = isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    return said or isinstance(error, torch.OutOfMemoryError | MemoryError)


def _let_go(error: BaseException) -> None:
    """A notebook keeps the last traceback, whose frames hold the batch and all activations."""
    seen: BaseException | None = error
    while seen is not None:
        traceback.clear_frames(seen.__traceback__)
        seen = seen.__cause__ or seen.__context__
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _memory(verb: str, tuner: Any) -> TrainingError:
    loader = tuner.learn.dls.train
    size = getattr(loader, "bs", None) or getattr(loader, "batch_size", None) or 1
    fits = fitting(size, _step(verb, tuner))
    what = "a training step" if verb in _TRAINS else "a forward pass"
    if fits is None:
        return TrainingError(
            f"{verb}() ran out of memory at batch size {size}, and {what} of a smaller batch does too.",
            rule="weights, gradients, the optimizer's state and one batch fit into memory together.",
            likely="a network that is too large for this machine, or memory that something else holds.",
            next='restart the kernel and look again; or freeze more of it: tuner.freeze_to("head").',
        )
    return TrainingError(
        f"{verb}() ran out of memory at batch size {size}; {what} of {fits} fits (measured).",
        rule="weights, gradients, the optimizer's state and one batch fit into memory together.",
        likely=f"a batch that is too large, or other programs that took memory since the last {verb}()."
        if fits < size
        else "a moment in which something else held memory: the same batch fits now.",
        next=(
            f"for dl in tuner.learn.dls.loaders: dl.bs = {fits}"
            if hasattr(loader, "bs")
            else f"build the loaders with batch_size={fits}"
        )
        + f"; then tuner.{verb}(...) again.",
    )


def fitting(size: int, step: Callable[[int], None]) -> int | None:
    """The largest of size, size / 2, size / 4 … with which `step` has memory enough; None where none has."""
    ends = time.monotonic() + _SECONDS
    for _ in range(_TRIES):
        try:
            step(size)
            return size
        except Exception as error:
            if not lacks_memory(error):  # a batch norm refuses a batch of one
                return None
            traceback.clear_frames(error.__traceback__)
        if size == 1 or time.monotonic() > ends:
            break
        size //= 2
    return None


def _step(verb: str, tuner: Any) -> Callable[[int], None]:
    """One step at a batch size on the Learner as it is, everything as before to the bit afterwards."""
    learn = tuner.learn

    def forward(size: int) -> None:
        with borrowed(learn), torch.no_grad():
            batch = cut_batch(first_batch(learn, size), size)
            learn.model(*batch[: getattr(learn.dls, "n_inp", 1)])

    def train(size: int) -> None:
        with borrowed(learn):
            batch = first_batch(learn, size)
        trial(learn, [batch], tuner._held.cut.lists(learn.model))

    return train if verb in _TRAINS else forward


def _hangs(verb: str, waited: str) -> TrainingError:
    return TrainingError(
        f"{verb}() waited {waited} s for a batch from the loader's workers.",
        rule=f"a worker process gives its batch within {waited} s; a loader may have a longer timeout of its own.",
        likely="an item whose loading waits: a network drive, a lock, or a library that was used before the fork.",
        next="build the DataLoaders with num_workers=0: then it stops in the line that waits; or with timeout=3600.",
    )


def _died(verb: str, pids: str) -> TrainingError:
    return TrainingError(
        f"{verb}() lost a worker process of the loader (pid {pids}).",
        rule="worker processes live as long as their loader is read.",
        likely="the system ended it for want of memory, or a library crashed in it.",
        next="build the DataLoaders with num_workers=0: then the error shows where it is, and less memory is needed.",
    )
