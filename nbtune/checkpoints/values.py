"""Nested values as JSON, their tensors and long lists of numbers apart: what is read back is data, never code."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nbtune.errors import BundleError

__all__ = ["copied", "is_plain", "pack", "unpack"]

_LONG = 16  # lists of as many numbers, or more, are stored as one tensor
_DEPTH = 32
_TAG = "~"
_NUMBERS = {float: torch.float64, int: torch.int64}


def is_plain(value: Any, depth: int = 0) -> bool:
    """Can `value` be stored: numbers, texts, tensors, arrays, and lists, tuples and dicts of these? No parameters."""
    if value is None or isinstance(value, bool | float | str | np.generic | slice):
        return True
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    if isinstance(value, Tensor):
        return not isinstance(value, nn.Parameter) and value.layout == torch.strided and not value.is_complex()
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "biuf"
    if depth > _DEPTH:
        return False
    if isinstance(value, Mapping):
        return all(isinstance(key, str | int) and is_plain(item, depth + 1) for key, item in value.items())
    return _is_list(value) and all(is_plain(item, depth + 1) for item in value)


def _is_list(value: Any) -> bool:
    """A list, a tuple, or fastcore's list type (only `_fastai` imports fastcore)."""
    return isinstance(value, list | tuple) or type(value).__name__ == "L"


def copied(value: Any) -> Any:
    """A copy that shares nothing with `value`: tensors detached, every kind of list as a list or tuple."""
    if isinstance(value, Tensor):
        return value.detach().as_subclass(Tensor).clone()
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, Mapping):
        return {key: copied(item) for key, item in value.items()}
    if _is_list(value):
        return tuple(copied(item) for item in value) if type(value) is tuple else [copied(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def pack(value: Any, tensors: dict[str, Tensor]) -> Any:
    """`value` as JSON; its tensors are added to `tensors`, under numbers. Raises TypeError for what is not plain."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {_TAG: "float", "value": str(value)}
    if isinstance(value, slice):
        return {_TAG: "slice", "value": [value.start, value.stop, value.step]}
    if isinstance(value, Tensor):
        return _apart("tensor", value, tensors, device=str(value.device))
    if isinstance(value, np.ndarray):
        return _apart("array", torch.from_numpy(value.copy()), tensors)
    if isinstance(value, Mapping):
        return _packed_dict(value, tensors)
    if _is_list(value):
        return _packed_list(value, tensors)
    raise TypeError(f"a {type(value).__name__} cannot be stored")


def _apart(kind: str, value: Tensor, tensors: dict[str, Tensor], **more: Any) -> dict[str, Any]:
    name = str(len(tensors))
    # Cloned: what is stored shares no memory, and a view stores no more than itself.
    tensors[name] = value.detach().as_subclass(Tensor).cpu().clone(memory_format=torch.contiguous_format)
    return {_TAG: kind, "name": name, **more}


def _packed_dict(value: Mapping[Any, Any], tensors: dict[str, Tensor]) -> Any:
    if all(isinstance(key, str) for key in value) and _TAG not in value:
        return {key: pack(item, tensors) for key, item in value.items()}
    return {_TAG: "dict", "items": [[pack(key, tensors), pack(item, tensors)] for key, item in value.items()]}


def _packed_list(value: Sequence[Any], tensors: dict[str, Tensor]) -> Any:
    items = list(value)
    kind = _uniform(items)
    if kind is None:
        packed: Any = [pack(item, tensors) for item in items]
    else:
        whole = torch.stack(items) if kind is Tensor else torch.tensor(items, dtype=_NUMBERS[kind])
        device = str(items[0].device) if kind is Tensor else ""
        packed = _apart("numbers", whole, tensors, device=device)
    return {_TAG: "tuple", "items": packed} if isinstance(value, tuple) else packed


def _uniform(items: list[Any]) -> Any:
    """float, int or Tensor where all of many items are numbers, or scalar tensors, of that one kind; else None."""
    if len(items) < _LONG:
        return None
    first = type(items[0])
    if first in _NUMBERS and all(type(item) is first for item in items):
        return first
    if not all(isinstance(item, Tensor) and item.ndim == 0 for item in items):
        return None
    return Tensor if len({(item.dtype, item.device) for item in items}) == 1 else None


def unpack(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The value that `pack` was given. Raises BundleError for a tag or a tensor that is unknown."""
    if isinstance(value, list):
        return [unpack(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if _TAG not in value:
        return {key: unpack(item, tensors) for key, item in value.items()}
    try:
        return _READ[value[_TAG]](value, tensors)
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise BundleError(
            f"a checkpoint with an entry that cannot be read ({type(error).__name__}: {str(error)[:80]}).",
            rule="every entry is of a kind that nbtune wrote.",
            likely="the file was edited, or written by another version.",
            next="take the folder from a backup, or begin a new run.",
        ) from error


def _tensor(value: Any, tensors: Mapping[str, Tensor]) -> Tensor:
    tensor = tensors[value["name"]]
    here = value.get("device", "cpu").startswith("cuda") and torch.cuda.is_available()
    return tensor.to(value["device"]) if here else tensor


def _numbers(value: Any, tensors: Mapping[str, Tensor]) -> list[Any]:
    return list(_tensor(value, tensors).unbind()) if value["device"] else list(tensors[value["name"]].tolist())


_READ: dict[str, Callable[[Any, Mapping[str, Tensor]], Any]] = {
    "float": lambda value, tensors: float(value["value"]),
    "slice": lambda value, tensors: slice(*value["value"]),
    "tensor": _tensor,
    "array": lambda value, tensors: tensors[value["name"]].numpy(),
    "numbers": _numbers,
    "tuple": lambda value, tensors: tuple(unpack(value["items"], tensors)),
    "dict": lambda value, tensors: {unpack(key, tensors): unpack(item, tensors) for key, item in value["items"]},
}
