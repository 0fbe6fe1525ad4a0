"""Where a fit is, between two batches: what must be known to go on from there to the bit, and how to go on.

A loader cannot be put in the middle of an epoch. So the random streams are put where they were when the epoch
began, the loader runs (workers and samplers draw from seeds that they take then), what was trained already is
fetched and left aside, and the streams are put where they were after it. The model runs on nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import nn

from nbtune._fastai import CancelEpochException, CancelFitException, L, OptimWrapper
from nbtune._fastai.borrow import takes_part
from nbtune._fastai.follow import Follow
from nbtune._fastai.streams import put_streams, streams
from nbtune._fastai.workers import answering
from nbtune.checkpoints import copied, is_plain
from nbtune.interrupts import shielded
from nbtune.transaction import optimizer_undo

__all__ = ["Course", "optimizer_state", "put_optimizer"]

_MODULE = frozenset(vars(nn.Module()))  # what every module holds


@dataclass
class _Point:
    """A moment between two batches."""

    epoch: int  # whole epochs made
    batch: int  # training batches made in the one that is not whole
    steps: int
    share: float  # fastai's pct_train, which is accumulated by addition
    iters: int  # fastai's train_iter
    total: float  # of the epoch: loss times items, and items
    items: int
    start: Any  # random streams at the start of the epoch's loader
    now: Any  # random streams
    hidden: dict[str, Any]  # states that modules keep outside parameters and buffers (recurrent ones)


@dataclass
class Course:
    """One fit, from its beginning or from a `position`; its loop has a safe point after every batch and epoch.

    At each, `on_point(self)` is called, and the fit ends where `stopped()`.
    """

    learn: Any
    follow: Follow
    stopped: Callable[[], bool]
    on_point: Callable[[Course], None]
    begin: dict[str, Any] | None = None  # the position to go on from
    settled: dict[str, Any] | None = None  # the position at an early end
    torn: str = ""  # why nothing can go on to the bit from where it ended
    _point: _Point | None = None
    _marks: int = 0
    _stepped: bool = False  # was a whole optimizer step made in this fit
    _start: Any = None
    _trained: Any = None  # what callbacks had counted at the end of the epoch's training
    _holders: list[tuple[str, nn.Module]] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Inside, the Learner's fit runs this course."""
        self.follow.settle, self.follow.stopped = self.settle, self.stopped
        learn = self.learn
        learn._do_fit, learn.all_batches, learn._step = self._epochs, self._batches, self._step
        try:
            yield
        finally:
            for name in ("_do_fit", "all_batches", "_step"):
                vars(self.learn).pop(name, None)

    def _epochs(self) -> None:
        """As fastai's `_do_fit`, from the epoch that is not whole yet."""
        learn, first = self.learn, 0
        if self.begin is None:
            self._mark(0, 0)
        else:
            first = self.begin["epoch"]
            self._put(self.begin)
        for epoch in range(first, learn.n_epoch):
            learn.epoch = epoch
            learn._with_events(learn._do_epoch, "epoch", CancelEpochException)
            self._mark(epoch + 1, 0)
            if epoch + 1 < learn.n_epoch:  # after the last one the phase ends, and is kept then
                self._safe()

    def _step(self) -> None:
        """As fastai's `_step`, not to be broken in two: an interrupt waits for its end.

        The first one makes the optimizer's state, which is where memory runs out: it is undone where it fails. A later
        one is not, for that would take a copy of weights and state before each: the end says so (`torn`).
        """
        learn = self.learn
        undo = None if self._stepped else [*optimizer_undo(learn.opt), _values_undo(learn.opt)]
        with shielded():
            self.follow.within = "stepping"
            try:
                learn.opt.step()
            except BaseException:
                if undo is not None:
                    for act in undo:
                        act()
                    self.follow.within = "begun"
                raise
            self.follow.within, self._stepped = "stepped", True

    def _batches(self) -> None:
        """As fastai's `all_batches`, from the batch that is not made yet."""
        with answering(self.learn.dl):
            self._each_batch()

    def _each_batch(self) -> None:
        learn = self.learn
        learn.n_iter = len(learn.dl)
        if not learn.training:
            for number, batch in enumerate(learn.dl):
                learn.one_batch(number, batch)
                self._stop()
            return
        begin = self.begin if self.begin is not None and self.begin["epoch"] == learn.epoch else None
        made = begin["batch"] if begin is not None else 0
        if begin is not None and made:
            put_streams(learn, begin["start"])
        self._start = streams(learn)
        batches = iter(learn.dl)
        for _ in range(made):
            next(batches)
        if begin is not None and made:
            self._put(begin)
            self._mark(learn.epoch, made)
        for number, batch in enumerate(batches, made):
            learn.one_batch(number, batch)
            self._mark(learn.epoch, number + 1)
            self._safe()
        self._trained = _seen(learn)  # from here on callbacks sum the epoch up, and would again

    def _mark(self, epoch: int, batch: int) -> None:
        """Now is a point to go on from."""
        with shielded():
            self._noted(epoch, batch)

    def _noted(self, epoch: int, batch: int) -> None:
        learn, follow = self.learn, self.follow
        if self._marks < 2:  # before and after the first batch: then all are known
            self._marks += 1
            self._holders = [(path, module) for path, module in learn.model.named_modules() if _hides(module)]
        total, items = (follow.total, follow.items) if batch else (0.0, 0)
        hidden = {path: _plain_attributes(vars(module), _MODULE) for path, module in self._holders}
        self._point = _Point(
            epoch, batch, follow.steps, learn.pct_train, learn.train_iter, total, items,
            self._start if batch else None, streams(learn), hidden,
        )  # fmt: skip
        follow.within, self._trained = "", None

    def _safe(self) -> None:
        self.on_point(self)
        self._stop()

    def _stop(self) -> None:
        if self.stopped():
            self.follow.ended = f"was stopped after step {self.follow.steps}"
            raise CancelFitException

    def settle(self) -> None:
        """The fit ends early, in whatever way: be at a point from which it can go on."""
        if self.settled is not None or self._point is None:  # nothing was done, since here or since `begin`
            self.settled = self.settled or self.begin
            return
        follow, point, within = self.follow, self._point, self.follow.within
        if within == "begun":
            follow.roll_back()
        elif within:  # the step is made: on from after it
            self._mark(point.epoch, point.batch + 1)
            follow.steps = self._point.steps = point.steps + 1
            self._point.share = point.share + 1.0 / (self.learn.n_iter * self.learn.n_epoch)
            self._point.iters = point.iters + 1
        if follow.rows and follow.rows[-1]["epoch"] > point.epoch:  # the epoch was whole, its end was not
            self._mark(follow.rows[-1]["epoch"], 0)
        # What is accumulated over batches in gradients cannot be rolled back.
        gathers = any(type(callback).__name__ == "GradientAccumulation" for callback in self.learn.cbs)
        if within == "stepping":
            self.torn = f"within an optimizer step: some weights were moved and others not, in step {follow.steps}"
        elif within and gathers:
            self.torn = f"between batches whose gradients are gathered, after step {follow.steps}: these are lost"
        self.settled = self.position(clean=not within)

    def position(self, clean: bool = True) -> dict[str, Any]:
        """The last point with all that a fit moves besides weights, buffers and the optimizer's state of tensors."""
        learn, scaler = self.learn, getattr(self.learn, "scaler", None)
        grads = {name: p.grad for name, p in learn.model.named_parameters() if clean and p.grad is not None}
        return copied(  # type: ignore[no-any-return]
            {
                "number": self.follow.phase,
                **vars(self._point),
                "seconds": self.follow.elapsed if cast(_Point, self._point).batch else 0.0,
                "callbacks": _counts(self._trained or _seen(learn)),
                "needs": sorted({type(callback).__name__ for callback in learn.cbs if _matters(callback)}),
                "scaler": None if scaler is None else scaler.state_dict(),
                "optimizer": _plain_attributes(vars(learn.opt), ("hypers",)),
                "grads": {name: grad for name, grad in grads.items() if bool(grad.any())},
            }
        )

    def _put(self, position: dict[str, Any]) -> None:
        """Everything but the loader's place as it was at `position`."""
        learn, follow = self.learn, self.follow
        position = copied(position)  # what a fit moves must not move the position
        learn.pct_train, learn.train_iter = position["share"], position["iters"]
        follow.steps, follow.total, follow.items = (position[name] for name in ("steps", "total", "items"))
        follow.elapsed = position["seconds"]
        _put_counts(learn, position["callbacks"])
        for path, attributes in position["hidden"].items():
            vars(learn.model.get_submodule(path)).update(attributes)
        if position["scaler"] and getattr(learn, "scaler", None) is not None:
            learn.scaler.load_state_dict(position["scaler"])
        vars(learn.opt).update(position["optimizer"])
        parameters = dict(learn.model.named_parameters())
        for name, grad in position["grads"].items():
            parameters[name].grad = grad.to(parameters[name])
        put_streams(learn, position["now"])


def _values_undo(opt: Any) -> Callable[[], None]:
    """Undo for the values of what the optimizer moves."""
    kept = [(p, p.detach().clone()) for group in opt.param_lists for p in group]

    @torch.no_grad()
    def act() -> None:
        for parameter, value in kept:
            parameter.copy_(value)

    return act


def _plain_attributes(attributes: Mapping[str, Any], but: Iterable[str] = ()) -> dict[str, Any]:
    skip = {"learn", "_learn", *but}
    return {name: copied(value) for name, value in attributes.items() if name not in skip and is_plain(value)}


def _hides(module: nn.Module) -> bool:
    """Does the module keep a state in plain tensors (as recurrent ones do)?"""
    own = [value for name, value in vars(module).items() if name not in _MODULE]
    return any(True for value in own if is_plain(value) for _ in _tensors(value))


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _tensors(item)


def _is_metric(value: Any) -> bool:
    return hasattr(type(value), "accumulate") and hasattr(type(value), "reset")


def _matters(callback: Any) -> bool:
    """Would training go another way without it?"""
    own = type(callback).__module__.startswith("nbtune") or type(callback).__name__ == "TrainEvalCallback"
    tracks = "TrackerCallback" in [kind.__name__ for kind in type(callback).__mro__]
    return not own and (takes_part(callback) or tracks)


def _counting(learn: Any) -> dict[str, tuple[Any, list[Any]]]:
    """What counts along in a fit, by name: each callback (not ours) with its metrics, and the Learner's metrics."""
    found: dict[str, tuple[Any, list[Any]]] = {"Learner": (None, list(learn.metrics))}
    for callback in learn.cbs:
        if not type(callback).__module__.startswith("nbtune"):
            kind = type(callback).__name__
            number = sum(name.split()[0] == kind for name in found)
            found[f"{kind} {number}"] = (callback, [value for value in vars(callback).values() if _is_metric(value)])
    return found


def _seen(learn: Any) -> dict[str, Any]:
    """The attributes of what counts along, as they are now; cheap, for it is done once an epoch."""
    return {
        name: [{} if callback is None else _held(callback), [_held(metric) for metric in metrics]]
        for name, (callback, metrics) in _counting(learn).items()
    }


def _held(thing: Any) -> dict[str, Any]:
    return {n: copy(v) if isinstance(v, list | dict | L) else v for n, v in vars(thing).items()}


def _counts(seen: dict[str, Any]) -> dict[str, Any]:
    return {
        name: [_plain_attributes(attributes), [_plain_attributes(one) for one in metrics]]
        for name, (attributes, metrics) in seen.items()
    }


def _put_counts(learn: Any, stored: dict[str, Any]) -> None:
    for name, (callback, metrics) in _counting(learn).items():
        attributes, of_metrics = stored.get(name, ({}, ()))
        for owner, values in [(callback, attributes), *zip(metrics, of_metrics, strict=False)]:
            for attribute, value in values.items():
                before = vars(owner).get(attribute)
                vars(owner)[attribute] = type(before)(value) if isinstance(before, L) else value


def optimizer_state(opt: Any, model: nn.Module) -> dict[str, dict[str, Any]]:
    """What the optimizer knows of each parameter, by its name."""
    state = opt.opt.state if isinstance(opt, OptimWrapper) else opt.state
    named = {name: state.get(parameter) for name, parameter in model.named_parameters()}
    return {name: copied(values) for name, values in named.items() if values}


def put_optimizer(opt: Any, model: nn.Module, stored: Mapping[str, Mapping[str, Any]]) -> None:
    """The reverse of `optimizer_state`."""
    state = opt.opt.state if isinstance(opt, OptimWrapper) else opt.state
    parameters = dict(model.named_parameters())
    for name, values in stored.items():
        state[parameters[name]] = copied(values)
