"""Fits of the training part on kept features, one after another from the same weights, on a borrowed Learner."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from nbtune._cut import Cut
from nbtune._fastai import CancelFitException, OptimWrapper, OwnCallback, Recorder
from nbtune._fastai.borrow import borrowed, seed_all, without_augmentation
from nbtune._fastai.feed import Way, feeding
from nbtune._fastai.steps import optimizer, scheduler
from nbtune._nested import map_tensors
from nbtune.cache import Store
from nbtune.errors import InputError
from nbtune.freeze import Hold, Still
from nbtune.phases import Phase
from nbtune.questions.checks import no_features
from nbtune.rates import resolve
from nbtune.transaction import attributes_undo

__all__ = ["Run", "Setting", "Trials", "dropouts_of", "metric_of", "progress", "since", "store_for"]


@dataclass(frozen=True)
class Setting:
    """How the training part is trained; None leaves a thing as it is."""

    lr: Any  # highest rate, in any form that `fit` takes
    wd: float | None = None
    dropout: float | None = None
    bs: int | None = None


@dataclass(frozen=True)
class Run:
    """One fit and what it gave on the validation items."""

    setting: Setting
    epochs: int
    seed: int
    values: dict[str, float]  # valid_loss and the metrics after the last epoch; empty if it diverged
    ended: str = ""  # "", "diverged" or "stopped"


class _Watch(OwnCallback):
    """Keeps the still part still, ends a fit whose loss is not finite, and asks after every epoch whether to go on."""

    order = 88  # as Still: after whatever else changes training modes
    takes_part = True

    def __init__(self, hold: Hold, stopped: Callable[[], bool], tick: Callable[[], None]) -> None:
        super().__init__()
        self.hold, self.stopped, self.tick, self.ended = hold, stopped, tick, ""

    def before_train(self) -> None:
        self.hold.enforce()

    def after_loss(self) -> None:
        if self.learn.training and not math.isfinite(float(self.learn.loss.detach())):
            self.ended = "diverged"
            raise CancelFitException

    def after_epoch(self) -> None:
        self.tick()
        if self.learn.epoch + 1 < self.learn.n_epoch and self.stopped():
            self.ended = "stopped"
            raise CancelFitException


class Trials:
    """A Learner borrowed for fits on what its still part gives; inside `with`, each `run` begins at its weights.

    A run is what `tuner.fit(epochs, lr, wd=wd)` with the same seed would be: fastai's own fit, the same optimizer,
    schedule, batches and random streams. Of the Learner's callbacks only those that change a step take part.
    Raises FreezeError, with the reason and the live alternative, where features cannot be kept; `Stopped`
    where `stopped()` while they are computed.
    """

    def __init__(
        self, learn: Any, cut: Cut, store: Store, verb: str, augment: bool | None, stopped: Callable[[], bool]
    ) -> None:
        self.learn, self.cut, self.store, self.verb, self.stopped = learn, cut, store, verb, stopped
        self.augmented = _augments(learn, cut, augment)

    def __enter__(self) -> Trials:
        with ExitStack() as stack:
            learn = stack.enter_context(borrowed(self.learn))
            if not self.augmented:
                stack.enter_context(without_augmentation(learn))
            self.hold = Hold(learn.model, self.cut) if self.cut.first else None
            digest = self.hold.digest if self.hold is not None else ""
            store = store_for(self.store, digest)
            fed, why = stack.enter_context(feeding(learn, self.cut, store, digest, Way(stopped=self.stopped)))
            if not fed or self.hold is None:
                raise no_features(self.verb, why, 'tuner.fit(1, lr=1e-3, cache="off") for each setting.')
            learn.cbs = type(learn.cbs)(callback for callback in learn.cbs if not isinstance(callback, Still))
            self._begin()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *raised: Any) -> None:
        self._stack.__exit__(*raised)

    def _begin(self) -> None:
        """Note what every run begins with."""
        learn, model = self.learn, self.learn.model
        self._attributes = [attributes_undo(thing) for thing in (learn, learn.dls.train, *learn.cbs, *model.modules())]
        self._parameters = [parameter for group in self.cut.lists(model) for parameter in group]
        moving = [*self._parameters, *model.buffers()]
        self._tensors = [(tensor, tensor.detach().clone()) for tensor in moving]
        self._grads = [None if p.grad is None else p.grad.clone() for p in self._parameters]

    @torch.no_grad()
    def _renew(self) -> None:
        for undo in self._attributes:
            undo()
        for tensor, value in self._tensors:
            tensor.copy_(value)
        for parameter, grad in zip(self._parameters, self._grads, strict=True):
            parameter.grad = None if grad is None else grad.clone()

    def run(self, setting: Setting, epochs: int, seed: int, tick: Callable[[], None]) -> Run:
        """Train with `setting` from the Learner's weights; `tick()` is called after every epoch."""
        learn, phase, watch = self.learn, Phase(epochs), _Watch(self._held, self.stopped, tick)
        self._renew()
        for module in dropouts_of(learn.model, self.cut) if setting.dropout is not None else []:
            module.p = setting.dropout
        if setting.bs is not None:
            learn.dls.train.bs = setting.bs
        names = [group.name for group in self.cut.groups]
        top = list(resolve(setting.lr, names, [at < self.cut.first for at in range(len(names))]).values)
        top = top[self.cut.first :]
        learn.opt = self._optimizer()
        schedule = scheduler(phase.schedule, top, pct_start=phase.pct_start, div=phase.div, moms=learn.moms)
        seed_all(learn, seed)
        recorder = Recorder()
        learn.fit(epochs, lr=top, wd=setting.wd, cbs=[recorder, schedule, watch])
        values = {} if watch.ended else _values(recorder)
        diverged = not watch.ended and not math.isfinite(values.get("valid_loss", 0.0))
        return Run(setting, epochs, seed, {} if diverged else values, "diverged" if diverged else watch.ended)

    @property
    def _held(self) -> Hold:
        assert self.hold is not None  # or __enter__ would have raised
        return self.hold

    def _optimizer(self) -> Any:
        """As a fit makes it; what it carries over of an earlier one is copied, for the next run needs it too."""
        made = optimizer(self.learn, self.cut.lists(self.learn.model))
        state = made.opt.state if isinstance(made, OptimWrapper) else made.state
        for parameter in list(state):
            state[parameter] = map_tensors(state[parameter], torch.clone)
        return made


def _values(recorder: Any) -> dict[str, float]:
    """The last epoch's valid loss and metrics by name."""
    names = [name for name in list(recorder.metric_names)[1:] if name != "time"]
    found = dict(zip(names, list(recorder.values[-1]), strict=False))
    found.pop("train_loss", None)
    return {name: math.nan if value is None else float(value) for name, value in found.items()}


def metric_of(learn: Any) -> str:
    """The name of the metric that decides: the Learner's first, or the valid loss where it has none."""
    return str(learn.metrics[0].name) if len(learn.metrics) else "valid_loss"


def _augments(learn: Any, cut: Cut, augment: bool | None) -> bool:
    """As in a fit: the still phases of a task's Learner leave the random transforms out by default."""
    if augment is None and hasattr(learn, "nbtune_origin"):
        return not (cut.first and cut.norms == "still")
    return augment is not False


def store_for(store: Store, digest: str) -> Store:
    """`store`, or one for this question alone where it holds what the still part of another plan computes."""
    return store if store.digest in ("", digest) else Store(budget=store.budget)


def dropouts_of(model: nn.Module, cut: Cut) -> list[Any]:
    """The dropout modules of the training part. Raises InputError where there are none."""
    roots = [path for group in cut.training for path in group.modules]
    found = [
        module
        for path, module in model.named_modules()
        if isinstance(module, nn.modules.dropout._DropoutNd)
        and any(path == root or path.startswith(f"{root}.") for root in roots)
    ]
    if not found:
        raise InputError(
            "dropouts for a training part without a dropout module.",
            rule="dropouts sets p of the nn.Dropout modules in the groups that train.",
            likely="the head has none, or the model calls dropout as a function.",
            next="leave dropouts out, or build the head with nn.Dropout.",
        )
    return found


@contextmanager
def progress(title: str, total: int, unit: str = "epoch") -> Iterator[Callable[[], None]]:
    """A bar with the time left, shown after half a second; yields what moves it on by one."""
    bar = tqdm(total=total, desc=title, unit=unit, leave=False, delay=0.5, mininterval=0.3, file=sys.stdout)

    def tick() -> None:
        bar.update()

    try:
        yield tick
    finally:
        bar.close()


def since(began: float) -> float:
    """Seconds since `began`, a reading of `time.perf_counter`."""
    return time.perf_counter() - began
