"""Where a model is cut into a still part and a training part, and which tensors that means."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, cast

import torch
from torch import nn

from nbtune.errors import FreezeError, InputError
from nbtune.groups import Group, is_norm, split

__all__ = ["NORMS", "Cut", "digests", "from_lists", "grouping"]

NORMS = ("still", "stats", "train")

Grouping = str | Sequence[Group] | Callable[[nn.Module], Any]


@dataclass(frozen=True)
class Cut:
    """Groups before `first` are still, the others train; `norms` says what norm layers do in the still part.

    `"still"`: statistics and affine parameters fixed; `"stats"`: running statistics follow the data;
    `"train"`: both follow (fastai's default). A tensor that a still and a training group share is still.
    """

    groups: tuple[Group, ...]
    first: int
    norms: str = "still"

    def __post_init__(self) -> None:
        if self.norms not in NORMS:
            names = [group.name for group in self.groups]
            if self.norms in names or isinstance(self.norms, int):
                raise InputError(
                    f"norms={self.norms!r}, {'a group' if self.norms in names else 'a number'}.",
                    rule="freeze() holds all but the last group still; freeze_to(group) all before that group.",
                    likely="freeze_to was meant.",
                    next=f"tuner.freeze_to({self.norms!r})",
                )
            raise InputError(
                f"norms={self.norms!r}.",
                rule=f"norms is one of {', '.join(map(repr, NORMS))}.",
                likely='"still" fixes norm layers, "train" is what fastai does.',
                next='norms="still" unless the data are far from those of the pretraining.',
            )

    @property
    def still(self) -> tuple[Group, ...]:
        return self.groups[: self.first]

    @property
    def training(self) -> tuple[Group, ...]:
        return self.groups[self.first :]

    def modules(self, model: nn.Module) -> tuple[list[nn.Module], list[nn.Module]]:
        """The modules of the still part to hold in eval mode, and its norm layers that follow the data.

        A container is still if it holds nothing but still modules.
        """
        still = {root for group in self.still for root in group.modules}
        above_live = {up for group in self.training for root in group.modules for up in _upwards(root)}
        above_still = {up for root in still for up in _upwards(root)} - above_live
        # Every path of a module counts: one that a still and a training group share is still, as its tensors are.
        found = {
            id(module): module
            for path, module in model.named_modules(remove_duplicate=False)
            if path in above_still or any(up in still for up in _upwards(path))
        }
        following = [m for m in found.values() if self.norms != "still" and is_norm(m)]
        follows = {id(module) for module in following}
        return [module for key, module in found.items() if key not in follows], following

    def frozen(self, model: nn.Module) -> dict[str, torch.Tensor]:
        """Every tensor and buffer that must not change, by name."""
        return {name: tensor for name, (tensor, fixed) in self._all(model).items() if fixed}

    def live(self, model: nn.Module) -> list[tuple[Group, list[tuple[str, nn.Parameter]]]]:
        """The parameters to train, by group in forward order, each once.

        Norm layers of still groups that train (`norms="train"`) go with the first group that trains.
        """
        every = self._all(model)
        seen: set[int] = set()
        lists: dict[str, list[tuple[str, nn.Parameter]]] = {group.name: [] for group in self.training}
        for group in self.groups:
            home = group.name if group.name in lists else self.training[0].name if self.training else ""
            for name in group.tensors:
                tensor, fixed = every[name] if name in every else _gone(name)
                learns = isinstance(tensor, nn.Parameter) and (tensor.is_floating_point() or tensor.is_complex())
                if learns and not fixed and id(tensor) not in seen:
                    seen.add(id(tensor))
                    lists[home].append((name, cast(nn.Parameter, tensor)))
        return [(group, lists[group.name]) for group in self.training]

    def lists(self, model: nn.Module) -> list[list[nn.Parameter]]:
        """The parameters to train, a list a group: the optimizer's groups."""
        return [[parameter for _, parameter in named] for _, named in self.live(model)]

    def check(self, model: nn.Module) -> None:
        """Raise FreezeError if nothing of `model` would be left to train."""
        if not any(self.lists(model)):
            raise FreezeError(
                f"with {self.groups[self.first].name!r} as the first group to train, no tensor would.",
                rule="at least one group with parameters trains.",
                likely="the groups that should train have no parameters, or share them with still groups.",
                next="freeze fewer groups.",
            )

    def tied(self, frozen: Iterable[str]) -> tuple[str, ...]:
        """Those names of `frozen(model)` in training groups: still because a still group shares their tensor."""
        names = {name for group in self.training for name in group.tensors}
        return tuple(name for name in frozen if name in names)

    def _all(self, model: nn.Module) -> dict[str, tuple[torch.Tensor, bool]]:
        """Every parameter and buffer by name, and whether it must not change."""
        tensors: dict[str, torch.Tensor] = dict(model.named_parameters(remove_duplicate=False))
        tensors.update(model.named_buffers(remove_duplicate=False))
        _, following = self.modules(model)
        free = {
            id(tensor)
            for module in following
            for tensor in [
                *module.buffers(False),
                *(module.parameters(False) if self.norms == "train" else []),
            ]
        }
        fixed = {
            id(tensors[name])
            for group in self.still
            for name in group.tensors
            if name in tensors and id(tensors[name]) not in free
        }
        return {name: (tensor, id(tensor) in fixed) for name, tensor in tensors.items()}


def _gone(name: str) -> NoReturn:
    raise FreezeError(
        f"the model has no tensor {name!r}.",
        rule="the groups are those of the model that is trained.",
        likely="the model was replaced, or layers were, after the groups were made.",
        next="make the Tuner (or the Still) anew.",
    )


def _upwards(path: str) -> list[str]:
    """The path itself and every container above it, the model ("") included."""
    parts = path.split(".") if path else []
    return [".".join(parts[:size]) for size in range(len(parts), -1, -1)]


def digests(tensors: Mapping[str, torch.Tensor]) -> dict[str, str]:
    """A SHA-256 digest of each tensor's bytes, type and shape: equal if and only if equal to the bit.

    Processors of today compute it in hardware: here at twice the speed of BLAKE2.
    """
    result = {}
    for name, tensor in tensors.items():
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest = hashlib.sha256(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(flat.view(torch.uint8).numpy().data if flat.numel() else b"")
        result[name] = digest.hexdigest()[:32]
    return result


def grouping(model: nn.Module, groups: Grouping, splitter: Callable[[nn.Module], Any] | None) -> tuple[Group, ...]:
    """The groups of `model`: a grain of ours, the Learner's splitter, a callable, or groups as they are.

    Raises FreezeError if `groups` is none of these.
    """
    if isinstance(groups, str):
        if groups in ("stage", "block"):
            return split(model, "stage" if groups == "stage" else "block")
        if groups == "learner" and splitter is not None:
            return from_lists(model, splitter(model))
    elif callable(groups):
        return from_lists(model, groups(model))
    elif isinstance(groups, Sequence) and groups and all(isinstance(group, Group) for group in groups):
        return tuple(group for group in groups if isinstance(group, Group))
    raise FreezeError(
        f"groups={groups!r}.",
        rule='groups is "stage", "block", "learner" (the Learner\'s splitter) or a callable that splits a model.',
        likely='a misspelt grain, or "learner" for a bare module.',
        next='groups="stage"',
    )


def from_lists(model: nn.Module, lists: Iterable[Any]) -> tuple[Group, ...]:
    """Groups from parameter lists as a fastai splitter gives them; Groups pass through.

    What no list holds (fixed tensors, buffers) goes with its module, or else with the first group.
    """
    found = list(lists) if isinstance(lists, Iterable) else _flat(lists)
    if found and all(isinstance(group, Group) for group in found):
        return tuple(found)
    place = {id(p): number for number, group in enumerate(found) for p in _flat(group)}
    modules: list[list[str]] = [[] for _ in found]
    tensors: list[list[str]] = [[] for _ in found]
    current = 0
    for path, module in model.named_modules(remove_duplicate=False):
        own = [*module.named_parameters(recurse=False, remove_duplicate=False)]
        homes = [place[id(p)] for _, p in own if id(p) in place]
        leaf = next(module.children(), None) is None
        if homes and leaf:
            current = homes[0]
        if leaf and path:
            modules[current].append(path)
        prefix = f"{path}." if path else ""
        for name, tensor in [*own, *module.named_buffers(recurse=False, remove_duplicate=False)]:
            tensors[place.get(id(tensor), current)].append(prefix + name)
    return tuple(
        Group(f"group{number}", tuple(paths), tuple(names))
        for number, (paths, names) in enumerate(zip(modules, tensors, strict=True))
    )


def _flat(group: Any) -> list[Any]:
    if isinstance(group, torch.Tensor):
        return [group]
    if isinstance(group, Mapping) and "params" in group:
        return _flat(group["params"])
    if isinstance(group, nn.Module):
        return list(group.parameters())
    if isinstance(group, (str, Mapping)) or not isinstance(group, Iterable):
        raise FreezeError(
            f"groups that hold {group!r:.60}.",
            rule="a splitter gives a list of groups, each a list of parameters (or a module).",
            likely="a dict of modules by name."
            if isinstance(group, (str, Mapping))
            else "something that has no parameters.",
            next="groups=lambda model: [list(part.parameters()) for part in model.children()]",
        )
    return [parameter for item in group for parameter in _flat(item)]
