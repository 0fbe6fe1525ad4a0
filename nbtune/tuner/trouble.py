"""Errors that a person meets in training and cannot read: out of memory, workers that died or hang."""

from __future__ import annotations

import gc
import re
import traceback
from collections.abc import Callable
from typing import Any

import torch

from nbtune._fastai.borrow import borrowed
from nbtune._fastai.steps import cut_batch, first_batch, trial
from nbtune._memory import Fit, lacks_memory, largest
from nbtune.errors import NbtuneError, TrainingError

__all__ = ["explained"]

_WORKER = re.compile(r"DataLoader worker \(pid(?:\(s\))? ([\d, ]+)\)|DataLoader timed out after (\d+)")
_FORKED = "Cannot re-initialize CUDA in forked subprocess"  # torch's words
_TRAINS = ("fit", "run", "lr_find", "sweep", "noise", "verify")


def explained(error: BaseException, verb: str, tuner: Any) -> NbtuneError | None:
    """The error to raise instead of `error`, or None. What the traceback of a lack of memory held is let go."""
    if lacks_memory(error):
        _let_go(error)
        made = _memory(verb, tuner)
    elif (known := _of_workers(error, verb)) is not None:
        made, known.__cause__ = known, error
    else:
        return None
    for note in getattr(error, "__notes__", ()):
        made.add_note(note)
    return made


def _of_workers(error: BaseException, verb: str) -> TrainingError | None:
    text = str(error) if isinstance(error, RuntimeError) else ""
    if _FORKED in text:
        return _cuda_in_worker(verb)
    if not (found := _WORKER.search(text)):
        return None
    return _hangs(verb, found[2]) if found[2] else _died(verb, found[1], "shared memory" in text)


def _let_go(error: BaseException) -> None:
    """A notebook keeps the last traceback, whose frames hold the batch and all activations."""
    seen: BaseException | None = error
    while seen is not None:
        traceback.clear_frames(seen.__traceback__)
        seen = seen.__cause__ or seen.__context__
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


_RULE = "weights, gradients, the optimizer's state and one batch fit into memory together."


def _memory(verb: str, tuner: Any) -> TrainingError:
    loader = tuner.learn.dls.train
    size = getattr(loader, "bs", None) or getattr(loader, "batch_size", None) or 1
    found, what = largest(size, _step(verb, tuner)), "a training step" if verb in _TRAINS else "a forward pass"
    short = f"{verb}() ran out of memory at batch size {size}"
    if found.fits is None:
        return _none_fits(short, found, what, _set_size(verb, loader, max(1, size // 2)))
    return TrainingError(
        f"{short}; {what} of {found.fits} fits (measured).",
        rule=_RULE,
        likely=f"a batch that is too large, or other programs that took memory since the last {verb}()."
        if found.fits < size
        else "a moment in which something else held memory: the same batch fits now.",
        next=_set_size(verb, loader, found.fits),
    )


def _none_fits(short: str, found: Fit, what: str, smaller: str) -> TrainingError:
    """No size was seen to fit: since all that were tried lack memory, or since another error came first."""
    tried = "" if found.lacked is None else f", and {what} of {found.lacked} does too"
    if found.failed is None or (found.lacked is not None and found.lacked <= 2):
        one = f"; one of {found.failed} fails otherwise ({found.error})" if found.failed else ""
        return TrainingError(
            f"{short}{tried} (measured){one}.",
            rule=_RULE,
            likely="a network that is too large for this machine, or memory that something else holds.",
            next='restart the kernel and look again; or freeze more of it: tuner.freeze_to("head").',
        )
    return TrainingError(
        f"{short}{tried}; which batch would fit is not known: {what} of {found.failed} fails otherwise "
        f"({found.error}).",
        rule=_RULE,
        likely="a batch that is too large; the other error comes of the items or of the model.",
        next=f"tuner.check() looks at a whole step; or {smaller}",
    )


def _set_size(verb: str, loader: Any, size: int) -> str:
    how = "for dl in tuner.learn.dls.loaders: dl.bs" if hasattr(loader, "bs") else "build the loaders with batch_size"
    return f"{how} = {size}; then tuner.{verb}(...) again."


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


def _died(verb: str, pids: str, shared: bool) -> TrainingError:
    return TrainingError(
        f"{verb}() lost a worker process of the loader (pid {pids}).",
        rule="worker processes live as long as their loader is read.",
        likely="too little shared memory (/dev/shm), through which workers hand over their batches."
        if shared
        else "the system ended it for want of memory, or a library crashed in it.",
        next="build the DataLoaders with num_workers=0: then the error shows where it is, and less memory is needed.",
    )


def _cuda_in_worker(verb: str) -> TrainingError:
    return TrainingError(
        f"{verb}() got no batch: an item uses CUDA in a worker process of the loader.",
        rule="workers begin as copies of this kernel; once CUDA was started in it, they cannot use CUDA.",
        likely="a dataset or an item transform that puts its tensors on the GPU; a batch is moved there anyway.",
        next="build the DataLoaders with num_workers=0, or leave items on the CPU.",
    )
