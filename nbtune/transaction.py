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

__all__ = ["Streams", "autocast_kept", "graceful", "shielded", "untouched"]


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


@contextmanager
def untouched(learn: Any) -> Iterator[None]:
    """Whatever happens to `learn` inside the block is undone when the block ends, to the bit.

    Kept: weights, buffers, gradients, `requires_grad`, training flags, hooks, the optimizer with its state,
    the loaders' own random streams, the global ones, callbacks (which, their order, their attributes), the
    Learner's attributes and autocast. Not kept: objects that callbacks share with the outside.

    Memory: a copy of the weights, their gradients and the optimizer's state.
    """
    undo = [_model(learn.model), _attributes(learn), _loaders(learn.dls), Streams().restore]
    undo += [_attributes(callback, deep=True) for callback in learn.cbs]
    if learn.opt is not None:
        undo += _optimizer(learn.opt)
    try:
        with autocast_kept():
            yield
    finally:
        with shielded():
            for step in undo:
                step()


@contextmanager
def shielded() -> Iterator[None]:
    """Hold the kernel's interrupt until the block has ended (main thread only: others never receive it)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[Any] = []
    usual = signal.signal(signal.SIGINT, lambda *call: held.append(call))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
    if held and callable(usual):
        usual(*held[-1])


@contextmanager
def graceful(stop: Callable[[], None]) -> Iterator[None]:
    """The kernel's interrupt calls `stop()` and is raised when the block ends; a second one is raised at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    usual = signal.getsignal(signal.SIGINT)
    if usual is not signal.default_int_handler:  # somebody else decides what an interrupt does
        yield
        return
    held: list[int] = []

    def first(number: int, frame: Any) -> None:
        held.append(number)
        signal.signal(signal.SIGINT, usual)
        stop()

    signal.signal(signal.SIGINT, first)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
    if held:
        raise KeyboardInterrupt


@contextmanager
def autocast_kept() -> Iterator[None]:
    """Put autocast back when the block ends: fastai's mixed precision leaks it when a step raises."""
    kinds = ["cpu", "cuda"]
    before = [(torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)) for kind in kinds]
    caching, nesting = torch.is_autocast_cache_enabled(), _autocast_nesting()
    try:
        yield
    finally:
        for kind, (enabled, dtype) in zip(kinds, before, strict=True):
            torch.set_autocast_enabled(kind, enabled)
            torch.set_autocast_dtype(kind, dtype)
        torch.set_autocast_cache_enabled(caching)
        while _autocast_nesting() > nesting:
            if torch.autocast_decrement_nesting() == 0:
                torch.clear_autocast_cache()


def _autocast_nesting() -> int:
    torch.autocast_increment_nesting()
    return torch.autocast_decrement_nesting()


def _model(model: nn.Module) -> Callable[[], None]:
    """Undo for tensors, gradients and everything else that a module holds (flags, hooks, hidden states)."""
    tensors = [*model.parameters(), *model.buffers()]
    values = [tensor.detach().clone() for tensor in tensors]
    grads = [None if tensor.grad is None else tensor.grad.clone() for tensor in tensors]
    wants = [tensor.requires_grad for tensor in tensors]
    modules = [(module, _shallow(vars(module))) for module in model.modules()]

    @torch.no_grad()
    def undo() -> None:
        for module, before in modules:
            _put_back(vars(module), before)
        for tensor, value, grad, want in zip(tensors, values, grads, wants, strict=True):
            if tensor.dtype == value.dtype and tensor.device == value.device and tensor.shape == value.shape:
                tensor.copy_(value)
            else:
                tensor.data = value
            tensor.grad = grad
            if tensor.requires_grad != want:
                tensor.requires_grad_(want)

    return undo


def _shallow(attributes: dict[str, Any]) -> dict[str, Any]:
    """Attributes with their containers copied one level deep (a module's hooks and buffers are dicts)."""
    return {
        name: value.copy() if isinstance(value, (dict, list, set)) or _is_l(value) else value
        for name, value in attributes.items()
    }


def _is_l(value: Any) -> bool:
    """Is it fastcore's list type? (Only `_fastai` imports fastcore.)"""
    return type(value).__name__ == "L" and hasattr(value, "items")


def _put_back(attributes: dict[str, Any], before: dict[str, Any]) -> None:
    """Restore in place, so that whoever holds a container (hook handles do) still holds the right one."""
    now = dict(attributes)
    attributes.clear()
    for name, value in before.items():
        held = now.get(name)
        if isinstance(held, dict) and type(held) is type(value):
            held.clear()
            held.update(value)
            value = held
        attributes[name] = value


def _attributes(thing: Any, deep: bool = False) -> Callable[[], None]:
    """Undo for an object's attributes; `deep` also copies nested containers and the tensors in them."""
    before = {name: _copied(value) for name, value in vars(thing).items()} if deep else _shallow(vars(thing))

    def undo() -> None:
        vars(thing).clear()
        vars(thing).update(before)

    return undo


def _optimizer(opt: Any) -> list[Callable[[], None]]:
    """Undo for a fastai optimizer, and for the torch optimizer that an OptimWrapper holds."""
    undo = [_attributes(opt, deep=True)]
    if isinstance(inner := vars(opt).get("opt"), torch.optim.Optimizer):
        undo.append(_attributes(inner, deep=True))
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
        undo.append(_attributes(loader))
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
