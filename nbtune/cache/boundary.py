"""What a still prefix computes, computed once: capture it at a boundary, and run the rest from there.

The model's own forward runs as it is (class tokens, masks and flattening included). Only the modules of the
prefix are stood in for: the one that ends it returns the kept features, each earlier one a tensor of zeros of
its usual shape that takes no memory. Whether the rest really depends on nothing else is tried, not assumed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from nbtune._cut import Cut
from nbtune._nested import map_tensors, tensors
from nbtune.errors import FreezeError
from nbtune.transaction import attributes_undo

__all__ = ["Boundary", "boundary", "captured", "replayed", "resting"]


class _Reached(Exception):  # noqa: N818 (no error: it ends a forward pass that has given what was wanted)
    pass


@dataclass(frozen=True)
class Boundary:
    """Where a model can be cut for good: the still modules in the order of their calls, the last one the end."""

    end: str  # path of the module whose output is kept
    shapes: dict[str, Any] = field(repr=False)  # output of every earlier module: nested (shape, dtype)
    group: str = ""  # the group that ends here


def boundary(model: nn.Module, cut: Cut, *inputs: Any, **named: Any) -> Boundary:
    """Find the boundary of `cut` by one forward pass on `inputs`.

    Raises FreezeError, with the reason, where no single place divides still from training.
    """
    still = [path for group in cut.still for path in group.modules]
    live = {path for group in cut.training for path in group.modules}
    calls: list[tuple[str, Any]] = []

    def watch(path: str) -> Callable[..., None]:
        return lambda module, given, output: calls.append((path, map_tensors(output, lambda t: (t.shape, t.dtype))))

    handles = [model.get_submodule(path).register_forward_hook(watch(path)) for path in [*still, *live]]
    try:
        with torch.no_grad():
            model(*inputs, **named)
    finally:
        for handle in handles:
            handle.remove()
    order = [path for path, _ in calls]
    first_live = next((at for at, path in enumerate(order) if path in live), len(order))
    before = order[:first_live]
    if not before:
        raise _indivisible("no still module runs before the first that trains", cut)
    if any(path not in live for path in order[first_live:]):
        raise _indivisible("a still module runs after one that trains", cut)
    if len(set(before)) != len(before):
        raise _indivisible("a still module runs more than once in a pass", cut)
    return Boundary(before[-1], dict(calls[: first_live - 1]), cut.groups[cut.first - 1].name)


def _indivisible(reason: str, cut: Cut) -> FreezeError:
    return FreezeError(
        f"the part that ends with {cut.groups[cut.first - 1].name!r} cannot be kept: {reason}.",
        rule="what is still runs first, each module once, and hands over at one place.",
        likely="a skip connection, or modules that are registered in another order than they run.",
        next='train live (cache="off"), or cut at another group.',
    )


def captured(model: nn.Module, where: Boundary, *inputs: Any, **named: Any) -> Any:
    """The end's output on `inputs`, without running what follows it; the model in eval mode, no gradient."""
    kept: list[Any] = []

    def stop(module: nn.Module, given: Any, output: Any) -> None:
        kept.append(map_tensors(output, lambda t: t.detach().clone()))
        raise _Reached

    handle = model.get_submodule(where.end).register_forward_hook(stop)
    try:
        with torch.no_grad():
            model(*inputs, **named)
    except _Reached:
        pass
    finally:
        handle.remove()
    return kept[0]


@contextmanager
def resting(model: nn.Module) -> Iterator[None]:
    """The model in eval mode, without gradient; afterwards flags, hooks, hidden states and buffers are as before."""
    # All that modules hold, not their flags alone: a recurrent one keeps its state, which a pass moves.
    undo = [attributes_undo(module) for module in model.modules()]
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for step in undo:
            step()
        for buffer, before in buffers:
            if not torch.equal(buffer, before):
                buffer.copy_(before)


@contextmanager
def replayed(model: nn.Module, where: Boundary, current: Callable[[], Any]) -> Iterator[None]:
    """Inside, the prefix is not run: its end gives `current()`, every earlier module zeros for its shape.

    `forward` is replaced on the module instances, so parameters and `state_dict` stay whole.
    """
    places = {path: model.get_submodule(path) for path in [*where.shapes, where.end]}

    def silent(shapes: Any) -> Callable[..., Any]:
        def forward(*_: Any, **__: Any) -> Any:
            kept = tensors(current())[0]
            return _blank(shapes, len(kept), kept.device)

        return forward

    for path, module in places.items():
        given = (lambda *_, **__: current()) if path == where.end else silent(where.shapes[path])
        module.__dict__["forward"] = given
    try:
        yield
    finally:
        for module in places.values():
            module.__dict__.pop("forward", None)


def _blank(shapes: Any, size: int, device: torch.device) -> Any:
    """Zeros of the recorded shapes for `size` items, without memory."""
    if isinstance(shapes, tuple) and len(shapes) == 2 and isinstance(shapes[0], torch.Size):
        shape, dtype = shapes
        return torch.zeros((), dtype=dtype, device=device).expand(size, *shape[1:])
    if isinstance(shapes, dict):
        return {key: _blank(value, size, device) for key, value in shapes.items()}
    if isinstance(shapes, (tuple, list)):
        return type(shapes)(_blank(value, size, device) for value in shapes)
    return shapes
