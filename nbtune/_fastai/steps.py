"""Optimizers for a cut, schedules by name, and trial steps on a borrowed Learner."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader as TorchLoader
from torch.utils.data import Subset

from nbtune._fastai import (
    CancelFitException,
    CancelValidException,
    OptimWrapper,
    OwnCallback,
    ParamScheduler,
    SchedCos,
    SchedLin,
    SchedNo,
    combined_cos,
)
from nbtune._fastai.borrow import borrowed
from nbtune._nested import tensors
from nbtune.errors import TrainingError

__all__ = ["SCHEDULES", "Clock", "cut_batch", "first_batch", "optimizer", "scheduler", "steps", "trial", "wait"]

SCHEDULES = ("one_cycle", "cosine", "linear", "flat")


def optimizer(learn: Any, lists: Sequence[Sequence[nn.Parameter]], lr: float = 1e-3) -> Any:
    """A new optimizer of the Learner's own kind over `lists`; state of tensors it had before is carried over.

    Raises TrainingError if the Learner holds one finished optimizer instead of a way to make one.
    """
    if isinstance(learn.opt_func, OptimWrapper):
        raise TrainingError(
            "opt_func is an optimizer that is already built.",
            rule="nbtune makes an optimizer for the groups that train, so it needs a function that makes one.",
            likely="opt_func=OptimWrapper(opt=torch_optimizer).",
            next="opt_func=partial(OptimWrapper, opt=torch.optim.AdamW)",
        )
    before, splitter, rate = learn.opt, learn.splitter, learn.lr
    try:
        learn.splitter = lambda model: [list(group) for group in lists]
        learn.lr = lr
        learn.create_opt()
        made = learn.opt
    finally:
        learn.opt, learn.splitter, learn.lr = before, splitter, rate
    if before is not None:
        _carry(_state(before), _state(made), lists)
    return made


def _state(opt: Any) -> Any:
    return opt.opt.state if isinstance(opt, OptimWrapper) else opt.state


def _carry(before: Any, made: Any, lists: Sequence[Sequence[nn.Parameter]]) -> None:
    for group in lists:
        for parameter in group:
            if before.get(parameter):
                made[parameter] = {**made.get(parameter, {}), **before[parameter]}


def scheduler(
    name: str,
    rates: Sequence[float],
    *,
    pct_start: float,
    div: float,
    moms: tuple[float, float, float],
) -> Any:
    """The callback that runs schedule `name` with `rates` (one per optimizer group) at its highest.

    `"one_cycle"` is fastai's: cosine up from `rates / div` over `pct_start` of the steps, then down to
    `rates / 1e5`, momentum against it (Smith & Topin, 2018).
    """
    top = np.array(rates)
    if name == "one_cycle":
        shape = combined_cos(pct_start, top / div, top, top / 1e5)
        return ParamScheduler({"lr": shape, "mom": combined_cos(pct_start, *moms)})
    down = {"cosine": SchedCos, "linear": SchedLin, "flat": SchedNo}[name]
    return ParamScheduler({"lr": down(top, top / 1e5)})


class _Given:
    """Stands in for a DataLoaders: these batches, nothing to validate on."""

    def __init__(self, dls: Any, batches: list[Any]) -> None:
        self.train = batches
        self.valid: list[Any] = []
        self.loaders: list[Any] = []
        self.n_inp = getattr(dls, "n_inp", 1)
        if hasattr(dls, "device"):
            self.device = dls.device

    def __getitem__(self, index: int) -> list[Any]:
        return self.valid if index else self.train


class _NoValidation(OwnCallback):
    order = -100
    takes_part = True

    def before_validate(self) -> None:
        raise CancelValidException


class Clock(OwnCallback):
    """Seconds of every training step with what the loop adds to it, and of its forward part with the same.

    Ends the fit after `least` steps once `most` seconds are over, so that short steps are measured more often.
    """

    order = 1000
    takes_part = True

    def __init__(self, least: int, most: float) -> None:
        super().__init__()
        self.least, self.most, self.besides = least, most, 0.0

    def after_fit(self) -> None:
        self.besides = time.perf_counter() - self.begun - sum(self.steps)

    def before_fit(self) -> None:
        self.steps: list[float] = []
        self.forwards: list[float] = []
        self.begun = self.ended = time.perf_counter()

    def after_pred(self) -> None:
        wait(self.learn.pred)
        self.forwards.append(time.perf_counter() - self.ended)

    def after_batch(self) -> None:
        wait(self.learn.pred)
        now = time.perf_counter()
        self.steps.append(now - self.ended)
        self.ended = now
        if len(self.steps) >= self.least and sum(self.steps) > self.most:
            raise CancelFitException


def wait(value: Any) -> None:
    """Wait for a GPU to have computed `value`: it works behind the program."""
    if any(tensor.is_cuda for tensor in tensors(value)):
        torch.cuda.synchronize()


def trial(
    learn: Any,
    batches: list[Any],
    lists: Sequence[Sequence[nn.Parameter]],
    cbs: Sequence[Any] = (),
    *,
    lr: float = 1e-3,
    without: tuple[type, ...] = (),
    look: Callable[[], None] | None = None,
) -> None:
    """Real training steps on `batches`, then `look()`, then everything as before to the bit.

    `without`: kinds of callbacks that are left out.
    """
    with borrowed(learn):
        steps(learn, batches, lists, cbs, lr=lr, without=without)
        if look is not None:
            look()


def steps(
    learn: Any,
    batches: list[Any],
    lists: Sequence[Sequence[nn.Parameter]],
    cbs: Sequence[Any] = (),
    *,
    lr: float = 1e-3,
    without: tuple[type, ...] = (),
) -> None:
    """The steps of `trial` on a Learner that is borrowed already: who borrowed it puts it back."""
    learn.cbs = type(learn.cbs)(callback for callback in learn.cbs if not isinstance(callback, without))
    learn.opt = optimizer(learn, lists, lr)
    learn.dls = _Given(learn.dls, batches)
    learn.fit(1, lr, cbs=[_NoValidation(), *cbs])


def first_batch(learn: Any, size: int | None = None) -> Any:
    """The first training batch, with `size` at most that many items, fetched alone where the loader allows it.

    Moves random streams.
    """
    loader = learn.dls.train
    if size is not None and isinstance(loader, TorchLoader):
        loader = _few_of(loader, size)
    elif size is not None and hasattr(loader, "new"):
        loader = loader.new(bs=size, shuffle=False, num_workers=0, drop_last=False)
    for batch in loader:
        return batch if size is None else cut_batch(batch, size)
    return None


def _few_of(loader: Any, size: int) -> Any:
    if loader.batch_size is None or not hasattr(loader.dataset, "__getitem__"):
        return loader
    few = Subset(loader.dataset, range(min(size, len(loader.dataset))))
    return TorchLoader(few, batch_size=size, collate_fn=loader.collate_fn)


def cut_batch(batch: Any, size: int) -> Any:
    """The first `size` items of a batch."""
    if isinstance(batch, (tuple, list)):
        return type(batch)(cut_batch(part, size) for part in batch)
    if isinstance(batch, dict):
        return {key: cut_batch(part, size) for key, part in batch.items()}
    return batch[:size]
