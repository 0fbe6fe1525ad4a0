"""Tensors in nested tuples, lists and dicts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

__all__ = ["joined", "map_tensors", "tensors"]


def map_tensors(value: Any, act: Callable[[torch.Tensor], Any]) -> Any:
    """`act` on every tensor of nested tuples, lists and dicts; anything else as it is."""
    if isinstance(value, torch.Tensor):
        return act(value)
    if isinstance(value, (tuple, list)) and not hasattr(value, "_fields"):
        return type(value)(map_tensors(item, act) for item in value)
    if isinstance(value, dict):
        return type(value)((key, map_tensors(item, act)) for key, item in value.items())
    return value


def tensors(value: Any) -> list[torch.Tensor]:
    """The tensors in nested tuples, lists and dicts, in order."""
    found: list[torch.Tensor] = []
    map_tensors(value, found.append)
    return found


def joined(parts: list[Any]) -> Any:
    """One nested value of all items: the parts' tensors one after another; a single part as it is."""
    if len(parts) == 1:
        return parts[0]
    columns = iter([torch.cat(column) for column in zip(*(tensors(part) for part in parts), strict=True)])
    return map_tensors(parts[0], lambda _: next(columns))
