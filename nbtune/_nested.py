"""Tensors in nested tuples, lists and dicts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

__all__ = ["map_tensors", "tensors"]


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
