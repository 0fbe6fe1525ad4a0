"""Borrow a Learner and hand it back as it was, however the borrowing ends.

The idea of a borrowed trainer is ignite's (its learning rate finder works inside a `with`); what is kept here
is wider: weights, buffers, gradients, optimizer, random streams, flags, hooks, callbacks, loaders, autocast.
"""

from __future__ import annotations

import random
import signal
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

__all__ = ["Streams", "attributes_undo", "autocast_kept", "optimizer_undo", "untouched"]


class Streams:
    """The global random streams (python, numpy, torch, every CUDA device) at the moment of construction."""

    def __init__(self) -> None:
        self.python = random.getstate()
        self.numpy = np.random.get_state()
        self.torch = torch.get_rng_state()
        self.cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []

    def same(self) -> bool:
        """Are all streams where they were?"""
        cuda = torch.cuda.get_rng_state_all() if self.cuda else []
        now = np.random.get_state()
        return (
            random.getstate() == self.python
            and all(np.array_equal(a, b) for a, b in zip(now, self.numpy, strict=True))
            and torch.equal(torch.get_rng_state(), self.torch)
            and all(torch.equal(a, b) for a, b in zip(cuda, self.cuda, strict=True))
        )

    def restore(self) -> None:
        random.setstate(self.python)
        np.random.set_state(self.numpy)
        torch.set_rng_state(self.torch)
        if self.cuda:
            torch.cuda.set_rng_state_all(self.cuda)


class untouched:  # noqa: N801 - reads as a verb's adjective: with untouched(learn)
    """Whatever happens to `learn` inside the block is undone when the block ends, to the bit.

    Kept: weights, buffers, gradients, `requires_grad`, training flags, hooks, the optimizer with its state,
    the loaders' own random streams, the global ones, callbacks (which, their order, their attributes), metrics,
    the Learner's attributes and autocast. Not kept: other objects that callbacks share with the outside.

    An interrupt in the block ends it as usual; one that arrives while things are put back is raised after it.
    Memory: a copy of the weights, their gradients and the optimizer's state.
    """

    def __init__(self, learn: Any) -> None:
        self.learn = learn
        self._closing = False
        self._held: list[Any] = []
        self._usual: Any = None

    def __enter__(self) -> Any:
        learn = self.learn
        undo = [autocast_undo(), _model(learn.model), attributes_undo(learn), _loaders(learn.dls), Streams().restore]
        undo += [_deep(callback) for callback in learn.cbs]
        undo += [_deep(measure) for measure in _measures(learn)]
        self._undo = undo + (optimizer_undo(learn.opt) if learn.opt is not None else [])
        if threading.current_thread() is threading.main_thread() and callable(signal.getsignal(signal.SIGINT)):
            self._usual = signal.getsignal(signal.SIGINT)
            signal.signal(signal.SIGINT, self._interrupted)
        return learn

    def _interrupted(self, number: int, frame: Any) -> None:
        # In our own methods (an instant before or after the block) an exception would leave things half put back.
        if self._closing or (frame is not None and frame.f_locals.get("self") is self):
            self._held.append((number, frame))
        else:
            self._usual(number, frame)

    def __exit__(self, *_: object) -> None:
        self._closing = True
        try:
            for step in self._undo:
                step()
        finally:
            if self._usual is not None:
                signal.signal(signal.SIGINT, self._usual)
        if self._held:
            self._usual(*self._held[-1])


@contextmanager
def autocast_kept() -> Iterator[None]:
    """Put autocast back when the block ends: fastai's mixed precision leaks it when a step raises."""
    undo = autocast_undo()
    try:
        yield
    finally:
        undo()


def autocast_undo() -> Callable[[], None]:
    """Puts autocast back to what it is now."""
    kinds = ["cpu", "cuda"]
    before = [(torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)) for kind in kinds]
    caching, nesting = torch.is_autocast_cache_enabled(), _autocast_nesting()

    def undo() -> None:
        for kind, (enabled, dtype) in zip(kinds, before, strict=True):
            torch.set_autocast_enabled(kind, enabled)
            torch.set_autocast_dtype(kind, dtype)
        torch.set_autocast_cache_enabled(caching)
        while _autocast_nesting() > nesting:
            if torch.autocast_decrement_nesting() == 0:
                torch.clear_autocast_cache()

    return undo


def _autocast_nesting() -> int:
    torch.autocast_increment_nesting()
    return torch.autocast_decrement_nesting()


def _model(model: nn.Module) -> Callable[[], None]:
    """Undo for tensors, gradients and everything else that a module holds (flags, hooks, hidden states)."""
    tensors = [*model.parameters(), *model.buffers()]
    values = [tensor.detach().clone() for tensor in tensors]
    grads = [None if tensor.grad is None else tensor.grad.clone() for tensor in tensors]
    wants = [tensor.requires_grad for tensor in tensors]
    modules = [attributes_undo(module) for module in model.modules()]
    hooks = [_undo_hooks(tensor) for tensor in tensors]

    @torch.no_grad()
    def undo() -> None:
        for step in [*modules, *hooks]:
            step()
        for tensor, value, grad, want in zip(tensors, values, grads, wants, strict=True):
            if tensor.dtype == value.dtype and tensor.device == value.device and tensor.shape == value.shape:
                tensor.copy_(value)
            else:
                tensor.data = value
            tensor.grad = grad
            if tensor.requires_grad != want:
                tensor.requires_grad_(want)

    return undo


def _undo_hooks(tensor: torch.Tensor) -> Callable[[], None]:
    """Undo for hooks on a tensor: torch's engine holds the very dict, so it is refilled."""
    names = ("_backward_hooks", "_post_accumulate_grad_hooks")
    before = {name: dict(getattr(tensor, name, None) or {}) for name in names}

    def undo() -> None:
        for name, hooks in before.items():
            if (held := getattr(tensor, name, None)) is not None:
                _refill(held, hooks)

    return undo


def attributes_undo(thing: Any) -> Callable[[], None]:
    """Undo for an object's attributes and, one level deep, the contents of its containers (a module's hooks).

    The containers themselves stay, so that whoever holds one (hook handles, samplers) still holds the right one.
    """
    before = {
        name: (value, value.copy() if isinstance(value, (dict, list, set)) or _is_l(value) else None)
        for name, value in vars(thing).items()
    }

    def undo() -> None:
        vars(thing).clear()
        for name, (value, contents) in before.items():
            if contents is not None:
                _refill(value, contents)
            vars(thing)[name] = value

    return undo


def _refill(container: Any, contents: Any) -> None:
    if isinstance(container, (dict, set)):
        container.clear()
        container.update(contents)
    elif isinstance(container, list):
        container[:] = contents
    else:
        container.items = contents.items


def _is_l(value: Any) -> bool:
    """Is it fastcore's list type? (Only `_fastai` imports fastcore.)"""
    return type(value).__name__ == "L" and hasattr(value, "items")


def _deep(thing: Any) -> Callable[[], None]:
    """Undo for an object's attributes with the containers nested in them and the tensors in those, copied."""
    before = {name: _copied(value) for name, value in vars(thing).items()}

    def undo() -> None:
        vars(thing).clear()
        vars(thing).update(before)

    return undo


def _measures(learn: Any) -> list[Any]:
    """fastai's metrics and running losses, wherever the Learner and its callbacks keep them."""
    found: dict[int, Any] = {}
    for owner in [learn, *learn.cbs]:
        for value in vars(owner).values():
            for item in value if isinstance(value, (list, tuple)) or _is_l(value) else [value]:
                if hasattr(type(item), "accumulate") and hasattr(type(item), "reset"):
                    found[id(item)] = item
    return list(found.values())


def optimizer_undo(opt: Any) -> list[Callable[[], None]]:
    """Undo for a fastai optimizer, and for the torch optimizer that an OptimWrapper holds."""
    undo = [_deep(opt)]
    if isinstance(inner := vars(opt).get("opt"), torch.optim.Optimizer):
        undo.append(_deep(inner))
    return undo


def _copied(value: Any) -> Any:
    """A copy of nested containers and plain tensors; parameters and other objects are kept by reference."""
    if isinstance(value, nn.Parameter):
        return value
    if isinstance(value, torch.Tensor):
        return value.clone() if value.grad_fn is None else value
    if isinstance(value, defaultdict):
        return defaultdict(value.default_factory, {key: _copied(item) for key, item in value.items()})
    if type(value) is dict:
        return {key: _copied(item) for key, item in value.items()}
    if type(value) is tuple:
        return tuple(_copied(item) for item in value)
    if isinstance(value, list):
        return [_copied(item) for item in value]
    if _is_l(value):
        return type(value)(_copied(list(value.items)))
    return value


def _loaders(dls: Any) -> Callable[[], None]:
    """Undo for the random streams that loaders and samplers hold for themselves."""
    undo: list[Callable[[], None]] = []
    for loader in getattr(dls, "loaders", []):
        undo.append(attributes_undo(loader))
        if isinstance(rng := getattr(loader, "rng", None), random.Random):
            undo.append(_later(rng.setstate, rng.getstate()))
        for holder in (loader, getattr(loader, "sampler", None)):
            if isinstance(generator := getattr(holder, "generator", None), torch.Generator):
                undo.append(_later(generator.set_state, generator.get_state()))

    def restore() -> None:
        for step in undo:
            step()

    return restore


def _later(call: Callable[[Any], Any], value: Any) -> Callable[[], None]:
    return lambda: call(value) and None
