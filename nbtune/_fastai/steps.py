"""Optimizers for a cut, schedules by name, and trial steps on a borrowed Learner."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from fastai.optimizer import OptimWrapper
from torch import nn

from nbtune._fastai import (
    Callback,
    CancelValidException,
    ParamScheduler,
    SchedCos,
    SchedLin,
    SchedNo,
    combined_cos,
)
from nbtune._fastai.borrow import borrowed
from nbtune.errors import TrainingError

__all__ = ["SCHEDULES", "Clock", "first_batch", "optimizer", "scheduler", "trial"]

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
    name: str, rates: Sequence[float], *, pct_start: float, div: float, moms: tuple[float, float, float]
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


class _NoValidation(Callback):  # type: ignore[misc]
    order = -100
    takes_part = True

    def before_validate(self) -> None:
        raise CancelValidException


class Clock(Callback):  # type: ignore[misc]
    """Seconds of every training step, and of its forward part."""

    order = 1000
    takes_part = True

    def before_fit(self) -> None:
        self.steps: list[float] = []
        self.forwards: list[float] = []
        self.began = time.perf_counter()

    def before_batch(self) -> None:
        self.began = time.perf_counter()

    def after_pred(self) -> None:
        self.forwards.append(time.perf_counter() - self.began)

    def after_batch(self) -> None:
        self.steps.append(time.perf_counter() - self.began)


def trial(
    learn: Any,
    batches: list[Any],
    lists: Sequence[Sequence[nn.Parameter]],
    cbs: Sequence[Any] = (),
    *,
    lr: float = 1e-3,
    look: Callable[[], None] | None = None,
) -> None:
    """Real training steps on `batches`, then `look()`, then everything as before to the bit."""
    with borrowed(learn):
        learn.opt = optimizer(learn, lists, lr)
        learn.dls = _Given(learn.dls, batches)
        learn.fit(1, lr, cbs=[_NoValidation(), *cbs])
        if look is not None:
            look()


def first_batch(learn: Any, size: int | None = None) -> Any:
    """The first training batch, at most `size` items fetched if the loader allows; moves random streams."""
    loader = learn.dls.train
    if size is not None and hasattr(loader, "new"):
        loader = loader.new(bs=size, shuffle=False, num_workers=0, drop_last=False)
    for batch in loader:
        return batch if size is None else _cut(batch, size)
    return None


def _cut(batch: Any, size: int) -> Any:
    if isinstance(batch, (tuple, list)):
        return type(batch)(_cut(part, size) for part in batch)
    if isinstance(batch, dict):
        return {key: _cut(part, size) for key, part in batch.items()}
    return batch[:size]
