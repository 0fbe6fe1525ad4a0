"""Any model as named groups of layers, in forward order from input to head."""

from __future__ import annotations

from typing import Literal

from torch import nn

from nbtune.errors import FreezeError, InputError, InputTypeError, nearest
from nbtune.groups._cover import Group, assemble
from nbtune.groups._known import around, find
from nbtune.groups._read import LayerGroup, LayerGroups, read
from nbtune.groups._stages import Cut, by_structure, flatten
from nbtune.groups._tree import is_norm

__all__ = ["Group", "LayerGroup", "LayerGroups", "index_of", "is_norm", "read", "split"]


def split(model: nn.Module, grain: Literal["stage", "block"] = "stage") -> tuple[Group, ...]:
    """The model as named groups in forward order, from input to head.

    `grain="stage"` cuts where the resolution falls (layer1, layer2, ...; transformers: a group a block),
    "block" cuts every stage into its blocks (layer1.0, layer1.1, ...). Every parameter, buffer and leaf
    module is in exactly one group. Tensors that belong to the model itself (class token, position embedding)
    go with the first group below their owner. Tied tensors appear under each of their names.

    Raises InputTypeError if `model` is no `nn.Module`, InputError without parameters or for another `grain`.

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> [group.name for group in split(model)]
        ['linear0', 'head']
    """
    _check(model, grain)
    return assemble(model, _cut(model, grain))


def _cut(model: nn.Module, grain: str) -> Cut:
    known = find(model, grain)
    if known is not None:
        return around(model, *known)
    return by_structure(flatten(model), grain)


def _check(model: object, grain: object) -> None:
    if not isinstance(model, nn.Module):
        raise InputTypeError(
            f"split({type(model).__name__}) is no model.",
            rule="a model is a torch.nn.Module.",
            likely="a Learner, a function that makes the model, or its name was given.",
            next="split(learn.model), or call the function first.",
        )
    if grain not in ("stage", "block"):
        raise InputError(
            f"split(grain={grain!r}) is unknown.",
            rule='grain is "stage" or "block".',
            likely="a typing error.",
            next=nearest(str(grain), ("stage", "block")),
        )
    if next(model.parameters(), None) is None:
        raise InputError(
            f"split({type(model).__name__}) has nothing to divide: the model has no parameters.",
            rule="a model has at least one parameter.",
            likely="the layers are kept in a plain list, which torch does not register.",
            next="keep them in nn.ModuleList or nn.Sequential, then look at list(model.parameters()).",
        )


def index_of(groups: tuple[Group, ...] | tuple[LayerGroup, ...], first: int | str) -> int:
    """Index (0 .. len - 1) of the first group that trains: as in fastai, negative from the end, or a name.

    "head" names the last group of a model that calls none of its groups so.
    Raises FreezeError for an unknown name or an index out of range, InputTypeError for any other type.

    Example:
        >>> index_of(split(nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2))), -1)
        1
    """
    names = [group.name for group in groups]
    if isinstance(first, str):
        return _by_name(names, first)
    if isinstance(first, bool) or not isinstance(first, int):
        raise InputTypeError(
            f"freeze_to({first!r}) is a {type(first).__name__}.",
            rule="the first group that trains is an index or a name.",
            likely="freeze() and unfreeze() take no such argument; a slice or a float is for rates.",
            next=f'tuner.freeze_to("{names[-1]}"), or tuner.freeze_to(-1).',
        )
    if not -len(names) <= first < len(names):
        raise FreezeError(
            f"freeze_to({first}) is outside this model's {len(names)} groups.",
            rule=f"an index lies in -{len(names)} .. {len(names) - 1}; at least one group trains.",
            likely=f"the index is meant for another model; these are {_listed(names)}.",
            next=f'tuner.freeze_to("{names[-1]}"), or look at tuner.groups.',
        )
    return first % len(names)


def _by_name(names: list[str], first: str) -> int:
    if first in names:
        return names.index(first)
    if first == "head":
        return len(names) - 1
    raise FreezeError(
        f'freeze_to("{first}") names no group of this model.',
        rule=f"a group is one of {_listed(names)}.",
        likely=f"the model has {len(names)} groups, and none of this name.",
        next=f"{nearest(first, names)} Or look at tuner.groups.",
    )


def _listed(names: list[str]) -> str:
    if len(names) <= 16:
        return ", ".join(names)
    return f"{', '.join(names[:8])}, ..., {', '.join(names[-4:])} ({len(names)} in all)"
