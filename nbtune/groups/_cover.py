"""From a cut (names and paths) to groups that own every tensor and every leaf module exactly once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn

from nbtune.groups._stages import Cut
from nbtune.groups._tree import children, has_parameters, is_leaf, join, leaves

_LATE = re.compile(r"(logit|temperature|final|head|out(put)?)(_|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Group:
    """Layers that freeze and train together.

    `modules`: dotted paths of the subtrees that make up the group, in model order. `tensors`: every name of
    `named_parameters(remove_duplicate=False)` and `named_buffers(remove_duplicate=False)` that it owns.
    """

    name: str
    modules: tuple[str, ...]
    tensors: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Group {self.name}: {len(self.tensors)} tensors in {', '.join(self.modules[:4])}" + (
            f" and {len(self.modules) - 4} more." if len(self.modules) > 4 else "."
        )


def assemble(model: nn.Module, cut: Cut) -> tuple[Group, ...]:
    """Groups of `cut`; a group without parameters joins its neighbour; names are made unique."""
    owner = _owners(model, cut)
    owner, names = _merged(model, owner, [name for name, _ in cut])
    if len(names) == 1 and sum(has_parameters(leaf) for _, leaf in leaves("", model)) > 1:
        owner, names = _forced(model)
    spans = _spans(model, owner)
    tensors = _tensors(model, spans)
    modules = _modules(model, spans)
    unique = _unique(names)
    return tuple(Group(unique[i], tuple(modules[i]), tuple(tensors[i])) for i in range(len(names)))


def _owners(model: nn.Module, cut: Cut) -> dict[str, int]:
    owner: dict[str, int] = {}
    for index, (_, paths) in enumerate(cut):
        for path in paths:
            for leaf, _ in leaves(path, model.get_submodule(path)):
                owner.setdefault(leaf, index)
    now = 0
    for leaf, _ in leaves("", model):  # what no rule named goes with what stands before it
        now = owner.setdefault(leaf, now)
    return owner


def _merged(model: nn.Module, owner: dict[str, int], names: list[str]) -> tuple[dict[str, int], list[str]]:
    """Drop groups without parameters: they join the next one, the last joins the one before."""
    spans = _spans(model, owner)
    full = {
        _home(spans[path], name)
        for path, module in model.named_modules(remove_duplicate=False)
        for name, value in module._parameters.items()
        if value is not None
    }
    keep = sorted(full)
    target = {i: min((k for k in keep if k >= i), default=keep[-1]) for i in range(len(names))}
    place = {old: new for new, old in enumerate(keep)}
    return {leaf: place[target[i]] for leaf, i in owner.items()}, [names[i] for i in keep]


def _forced(model: nn.Module) -> tuple[dict[str, int], list[str]]:
    """A model that no rule divides: every leaf with parameters is a group."""
    owner: dict[str, int] = {}
    names: list[str] = []
    for path, leaf in leaves("", model):
        if has_parameters(leaf):
            names.append(path)
        owner[path] = max(len(names) - 1, 0)
    return owner, [*names[:-1], "head"]


def _spans(model: nn.Module, owner: dict[str, int]) -> dict[str, tuple[int, int]]:
    """First and last group below every module."""
    spans: dict[str, tuple[int, int]] = {}

    def visit(path: str, module: nn.Module) -> tuple[int, int]:
        inner = [visit(join(path, name), child) for name, child in children(module)]
        here = owner[path] if is_leaf(module) else -1
        low, high = [s[0] for s in inner], [s[1] for s in inner]
        spans[path] = (min(low, default=here), max(high, default=here))
        return spans[path]

    visit("", model)
    return spans


def _home(span: tuple[int, int], name: str) -> int:
    """The group of a tensor that belongs to a module which several groups share."""
    return span[1] if _LATE.search(name) else span[0]


def _tensors(model: nn.Module, spans: dict[str, tuple[int, int]]) -> dict[int, list[str]]:
    out: dict[int, list[str]] = {i: [] for i in range(spans[""][1] + 1)}
    for name in _tensor_names(model):
        path, _, own = name.rpartition(".")
        out[_home(spans[path], own)].append(name)
    return out


def _tensor_names(model: nn.Module) -> Iterable[str]:
    yield from (name for name, _ in model.named_parameters(remove_duplicate=False))
    yield from (name for name, _ in model.named_buffers(remove_duplicate=False))


def _modules(model: nn.Module, spans: dict[str, tuple[int, int]]) -> dict[int, list[str]]:
    """The largest subtrees that lie in one group."""
    out: dict[int, list[str]] = {i: [] for i in range(spans[""][1] + 1)}

    def visit(path: str, module: nn.Module) -> None:
        low, high = spans[path]
        if low == high:
            out[low].append(path)
            return
        for name, child in children(module):
            visit(join(path, name), child)

    visit("", model)
    return out


def _unique(names: list[str]) -> list[str]:
    out: list[str] = []
    for name in names:
        number, new = 2, name
        while new in out:
            number, new = number + 1, f"{name}_{number}"
        out.append(new)
    return out
