"""The output of a model's first groups for all of a loader's items, as one tensor."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sized
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from nbtune._cut import Cut
from nbtune._nested import joined, map_tensors, tensors
from nbtune.cache.boundary import Boundary, boundary, captured, resting
from nbtune.errors import FreezeError, InputError, InputTypeError, nearest
from nbtune.groups import split

__all__ = ["features"]


def features(model: nn.Module, upto: int | str, dl: Iterable[Any]) -> tuple[Any, Any]:
    """The output of group `upto` (the last that is computed) for every item of `dl`, and the targets.

    `upto`: a name or an index of `nbtune.groups.split(model)`, negative from the end. `dl`: any iterable of
    batches (x, y), (x1, x2, y), x alone or a dict, whose `labels` are then the targets; a fastai loader says
    itself what is a target. Returns X, a tensor [n, ...] in main memory (nested where the group's output is),
    and y, a tensor [n, ...] or None. The model runs in eval mode, without gradient, on its own device, and is
    left as it was, to the bit. Raises FreezeError for an unknown group or one whose output is not all that
    goes on, InputError or InputTypeError for data that do not fit.

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> X, y = features(model, upto=0, dl=[(torch.ones(3, 4), torch.tensor([0, 1, 1]))])
        >>> X.shape, y
        (torch.Size([3, 8]), tensor([0, 1, 1]))
    """
    _check(model, dl)
    groups = split(model)
    cut = Cut(groups, _index([group.name for group in groups], upto) + 1)
    where, parts, targets = None, [], []
    with resting(model):
        device = next((tensor.device for tensor in [*model.parameters(), *model.buffers()]), torch.device("cpu"))
        for batch in _bar(dl):
            inputs, named, target = _divided(map_tensors(batch, lambda t: _plain(t).to(device)), dl)
            where = where or _end(model, cut, *inputs, **named)
            parts.append(map_tensors(captured(model, where, *inputs, **named), torch.Tensor.cpu))
            targets.append(map_tensors(target, torch.Tensor.cpu))
            _same_shape(parts[0], parts[-1])
    if not parts:
        raise InputError(
            "features(dl=...) gave no batch.",
            rule="dl yields one batch or more.",
            likely="a generator that was used up before, or fewer items than a batch with drop_last=True.",
            next="give a loader that can be iterated again, such as a DataLoader or a list.",
        )
    return joined(parts), joined(targets) if tensors(targets) else None


def _end(model: nn.Module, cut: Cut, *inputs: Any, **named: Any) -> Boundary:
    try:
        return boundary(model, cut, *inputs, **named)
    except FreezeError as error:
        last = cut.groups[-1].name
        step = f'upto="{last}", whose output nothing follows, or another group.'
        raise FreezeError(error.given, rule=error.rule, likely=error.likely, next=step) from None


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.as_subclass(torch.Tensor)


def _bar(dl: Iterable[Any]) -> Any:
    total = len(dl) if isinstance(dl, Sized) else None
    return tqdm(dl, total=total, desc="features", unit="batch", leave=False, delay=0.5, file=sys.stdout)


def _divided(batch: Any, dl: Any) -> tuple[tuple[Any, ...], dict[str, Any], Any]:
    """Positional inputs, named inputs and targets of a batch."""
    if isinstance(batch, Mapping):
        named = dict(batch)
        return (), named, named.pop("labels", None)
    if not isinstance(batch, (tuple, list)):
        return (batch,), {}, None
    n_inp = getattr(dl, "n_inp", None) or max(1, len(batch) - 1)
    rest = batch[n_inp:]
    return tuple(batch[:n_inp]), {}, rest[0] if len(rest) == 1 else tuple(rest) or None


def _same_shape(first: Any, part: Any) -> None:
    shapes = [[tuple(tensor.shape[1:]) for tensor in tensors(value)] for value in (first, part)]
    if shapes[0] != shapes[1]:
        raise InputError(
            f"features of one item are {_text(shapes[0])} in the first batch and {_text(shapes[1])} in a later one.",
            rule="the features of all items have one shape.",
            likely="images of different sizes, or texts that are padded a batch each.",
            next="resize or pad all items to one size.",
        )


def _text(shapes: list[tuple[int, ...]]) -> str:
    return " and ".join(" x ".join(map(str, shape)) or "one number" for shape in shapes)


def _index(names: list[str], upto: int | str) -> int:
    if isinstance(upto, str) and upto in names:
        return names.index(upto)
    if upto == "head":
        return len(names) - 1
    if isinstance(upto, int) and not isinstance(upto, bool) and -len(names) <= upto < len(names):
        return upto % len(names)
    if isinstance(upto, bool) or not isinstance(upto, (int, str)):
        raise InputTypeError(
            f"features(upto={upto!r:.80}), a {type(upto).__name__}.",
            rule="upto is the name or the index of a group.",
            likely="the module itself instead of its name.",
            next=f'upto="{names[-2] if len(names) > 1 else names[0]}"',
        )
    raise FreezeError(
        f"features(upto={upto!r}) names no group of this model.",
        rule=f"the groups are {', '.join(names)}.",
        likely="a misspelt name or a layer within a group." if isinstance(upto, str) else "an index of another model.",
        next=nearest(str(upto), names) if isinstance(upto, str) else f"upto={len(names) - 1} is the last.",
    )


def _check(model: Any, dl: Any) -> None:
    if not isinstance(model, nn.Module):
        raise InputTypeError(
            f"features({type(model).__name__}, ...).",
            rule="the model is a torch.nn.Module.",
            likely="a Learner or a Tuner."
            if hasattr(model, "learn") or hasattr(model, "dls")
            else "another library's.",
            next="nt.features(learn.model, ...)" if hasattr(model, "dls") else "give the nn.Module itself.",
        )
    if isinstance(dl, (torch.Tensor, str, bytes, Mapping)) or not isinstance(dl, Iterable):
        single = isinstance(dl, (torch.Tensor, Mapping))
        raise InputTypeError(
            f"features(dl={type(dl).__name__}).",
            rule="dl is an iterable of batches: a DataLoader, or a list of (x, y).",
            likely="one batch instead of a list of batches." if single else "a path or a dataset's name.",
            next="dl=[x]" if single else "dl=torch.utils.data.DataLoader(dataset, batch_size=64)",
        )
