"""Any model as named groups of layers, in forward order from input to head."""

from __future__ import annotations

from difflib import get_close_matches
from numbers import Integral
from typing import Literal

from torch import nn

from nbtune._numbers import no_group, plain
from nbtune.errors import FreezeError, InputError, InputTypeError
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
        likely, better = _no_model(model)
        raise InputTypeError(
            f"split({type(model).__name__}) is no model.",
            rule="a model is a torch.nn.Module.",
            likely=likely,
            next=better,
        )
    if grain not in ("stage", "block"):
        close = get_close_matches(str(grain), ("stage", "block"), 1, 0.5)
        raise InputError(
            f"split(grain={grain!r:.80}) is unknown.",
            rule='grain is "stage" or "block".',
            likely="a typing slip." if close else "another argument's value.",
            next=f'grain="{close[0] if close else "stage"}"',
        )
    if next(model.parameters(), None) is None:
        raise InputError(
            f"split({type(model).__name__}) has nothing to divide: the model has no parameters.",
            rule="a model has at least one parameter.",
            likely="the layers are kept in a plain list, which torch does not register.",
            next="keep them in nn.ModuleList or nn.Sequential, then look at list(model.parameters()).",
        )


def _no_model(value: object) -> tuple[str, str]:
    """What a person did who gave something else than a model, and what was meant."""
    if isinstance(getattr(value, "model", None), nn.Module):
        return "the Learner instead of its model.", "split(learn.model)"
    if isinstance(value, str):
        return "the name of a model instead of the model.", "split(timm.create_model(name, pretrained=True))"
    if callable(value):
        return "the function or class that makes the model: it is to be called first.", "split(make())"
    return "a variable that holds something else.", "split(learn.model)"


def index_of(groups: tuple[Group, ...] | tuple[LayerGroup, ...], first: int | str) -> int:
    """Index (0 .. len - 1) of the first group that trains: as in fastai, negative from the end, or a name.

    "head" names the last group of a model that calls none of its groups so.
    Raises FreezeError for an unknown name or an index out of range, InputTypeError for any other type.

    Example:
        >>> index_of(split(nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2))), -1)
        1
    """
    names = [group.name for group in groups]
    first = plain(first)
    if isinstance(first, str):
        return _by_name(names, first)
    if isinstance(first, bool) or not isinstance(first, Integral):
        likely, better = no_group(first)
        raise InputTypeError(
            f"{first!r:.80} names no group of this model.",
            rule="the first group that trains is an index or a name.",
            likely=likely,
            next=f"{better!r} in its place.",
        )
    if not -len(names) <= first < len(names):
        raise FreezeError(
            f"group {first} of {len(names)}, which is outside the model.",
            rule=f"an index lies in -{len(names)} .. {len(names) - 1}: the groups are {_listed(names)}.",
            likely="a count of the groups: indices begin at 0." if first == len(names) else _OTHER,
            next=f'-1 or "head" for the last group, {-len(names)} or 0 for the first.',
        )
    return int(first) % len(names)


_OTHER = "an index, or a recipe, for a model with more groups."


def _by_name(names: list[str], first: str) -> int:
    if first in names:
        return names.index(first)
    if first == "head":
        return len(names) - 1
    close = get_close_matches(first.lower(), [*names, "head"], 1, 0.5)
    number = first.strip().lstrip("-").isdigit()
    raise FreezeError(
        f"{first!r} names no group of this model.",
        rule=f"a group is one of {_listed(names)}.",
        likely="an index written as text." if number else "a typing slip." if close else "a group of another model.",
        next=f"{first.strip()} without quotes."
        if number
        else f'"{close[0] if close else names[-1]}"{" in its place" if close else " for the last group"}.',
    )


def _listed(names: list[str]) -> str:
    if len(names) <= 16:
        return ", ".join(names)
    return f"{', '.join(names[:8])}, ..., {', '.join(names[-4:])} ({len(names)} in all)"
