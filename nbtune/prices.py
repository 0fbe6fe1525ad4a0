"""What each group costs in a step, and what an epoch costs at each boundary: measured once, kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from time import perf_counter
from typing import Any, cast

import torch
from torch import nn

from nbtune._cut import Cut
from nbtune._fastai import OwnCallback, Recorder
from nbtune._fastai.borrow import borrowed
from nbtune._fastai.steps import cut_batch, first_batch, trial, wait
from nbtune._nested import tensors
from nbtune.freeze import Still
from nbtune.groups import Group

__all__ = ["Prices", "Step", "step_of"]

_FEW, _MANY, _REPEATS = 2, 8, 3


@dataclass(frozen=True)
class Step:
    """One group's part in a training step at the Learner's batch size."""

    forward: float  # seconds
    backward: float  # seconds, if it and all after it train
    out: int  # bytes of what it hands on, an item


@dataclass(frozen=True)
class Prices:
    """By group in forward order: its part in a step, and the Costs of an epoch if it is the first that trains."""

    groups: tuple[str, ...]
    steps: tuple[Step | None, ...]  # None where the model could not be timed in parts
    live: tuple[Any, ...]  # Cost without the cache, or None: not measured
    kept: tuple[Any, ...]  # Cost from kept features, or None: not measured, or they cannot be used

    def __repr__(self) -> str:
        known = sum(cost is not None for cost in self.live)
        return f"Prices of {len(self.groups)} groups; an epoch measured at {known} of {len(self.groups)} boundaries."

    def frame(self) -> Any:
        """A pandas frame, a row a group: group, forward_ms, backward_ms, item_bytes, live_s, kept_s."""
        import pandas as pd

        rows = [
            (
                name,
                *((step.forward * 1e3, step.backward * 1e3, step.out) if step else (None, None, None)),
                live and live.seconds,
                kept and kept.seconds,
            )
            for name, step, live, kept in zip(self.groups, self.steps, self.live, self.kept, strict=True)
        ]
        return pd.DataFrame(rows, columns=["group", "forward_ms", "backward_ms", "item_bytes", "live_s", "kept_s"])


class _Laps(OwnCallback):
    """When each group began, forwards, and when its gradient had passed, backwards."""

    order = 1000
    takes_part = True

    def __init__(self, groups: Sequence[Group]) -> None:
        self.groups = groups
        self.laps: list[tuple[list[float], list[float], list[int]]] = []

    def before_batch(self) -> None:
        count = len(self.groups)
        self.begun, self.passed, self.sizes = [0.0] * count, [0.0] * count, [0] * count
        self.seen = [False] * count

    def enter(self, at: int) -> Callable[..., None]:
        def hook(_: nn.Module, given: tuple[Any, ...]) -> None:
            found = [one for one in tensors(given) if isinstance(one, torch.Tensor)]
            if self.seen[at] or not found:
                return
            wait(found)
            self.seen[at], self.begun[at] = True, perf_counter()
            self.sizes[at] = sum(one.numel() * one.element_size() for one in found) // max(1, len(found[0]))
            for one in found:
                if one.requires_grad:
                    cast(Any, one).register_hook(lambda grad: self._pass(at, grad))

        return hook

    def _pass(self, at: int, grad: Any) -> None:
        wait(grad)
        self.passed[at] = perf_counter()

    def after_pred(self) -> None:
        wait(self.learn.pred)
        self.done = perf_counter()

    def after_loss(self) -> None:
        self.lost = perf_counter()

    def after_backward(self) -> None:
        wait(self.learn.pred)
        self.back = perf_counter()
        outs = [*self.sizes[1:], sum(t.numel() * t.element_size() for t in tensors(self.learn.pred)) // len(self.y)]
        ends = [*self.begun[1:], self.done]
        forward = [max(0.0, end - begin) for begin, end in zip(self.begun, ends, strict=True)]
        stops = [self.back, *self.passed[1:]]
        starts = [*self.passed[1:], self.lost]
        if not all(self.seen) or not all(self.passed[1:]):
            raise ValueError("a group without a forward or a backward pass of its own")
        backward = [max(0.0, stop - start) for start, stop in zip(starts, stops, strict=True)]
        self.laps.append((forward, backward, outs))


def step_of(learn: Any, groups: Sequence[Group]) -> tuple[Step | None, ...]:
    """The part of each group in a training step, from trial steps on at most eight items; Nones if untried.

    The Learner is left as it was, to the bit.
    """
    try:
        with borrowed(learn):
            many = first_batch(learn, _MANY)
        sizes = (_FEW, _MANY)
        few, more = (_timed(learn, groups, cut_batch(many, size)) for size in sizes)
        size = getattr(learn.dls.train, "bs", None) or getattr(learn.dls.train, "batch_size", None) or 1
        found: list[Step | None] = []
        for at in range(len(groups)):
            forward, backward = (_at([few[p][at], more[p][at]], sizes, size) for p in (0, 1))
            found.append(Step(forward, backward, int(more[2][at])))
    except Exception:
        return (None,) * len(groups)  # a model that cannot be timed in parts still has its whole price
    return tuple(found)


def _timed(learn: Any, groups: Sequence[Group], batch: Any) -> list[list[float]]:
    """Median forward and backward seconds of each group, and bytes an item; without the warm-up."""
    laps = _Laps(groups)
    modules = dict(learn.model.named_modules())
    with ExitStack() as stack:
        for at, group in enumerate(groups):
            for path in group.modules:
                handle = modules[path].register_forward_pre_hook(laps.enter(at))
                stack.callback(handle.remove)
        lists = Cut(tuple(groups), 0).lists(learn.model)
        wanted = [(p, p.requires_grad) for p in learn.model.parameters()]
        stack.callback(lambda: [p.requires_grad_(flag) for p, flag in wanted])
        for parameter in learn.model.parameters():
            parameter.requires_grad_(parameter.is_floating_point() or parameter.is_complex())
        trial(learn, [batch] * (_REPEATS + 1), lists, [Recorder(), laps], without=(Still,))
    rounds = laps.laps[1:]
    return [[sorted(lap[p][at] for lap in rounds)[len(rounds) // 2] for at in range(len(groups))] for p in range(3)]


def _at(pair: list[float], sizes: tuple[int, int], size: int) -> float:
    """The line through both measured batch sizes, at `size`."""
    item = max(0.0, (pair[1] - pair[0]) / (sizes[1] - sizes[0]))
    return max(0.0, pair[0] - item * sizes[0]) + item * size
