"""Kept states of a model, by name ("best", "last")."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["States", "put_tensors", "tensors_of"]


def tensors_of(model: nn.Module) -> dict[str, Tensor]:
    """Every parameter and buffer, also those that `state_dict` leaves out, each once, by its first name."""
    named: dict[str, Tensor] = dict(model.named_parameters())
    named.update(model.named_buffers())
    return named


@torch.no_grad()
def put_tensors(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Copy the values of `tensors` into the model's own. Raises KeyError for a name that it does not have."""
    own = tensors_of(model)
    for name, value in tensors.items():
        own[name].copy_(value)


class States(dict[str, dict[str, Tensor]]):
    """Copies in main memory of whole models (parameters and buffers), bit for bit."""

    def keep(self, name: str, model: nn.Module) -> None:
        """Copy the model's state."""
        self[name] = {
            key: value.detach().cpu().clone(memory_format=torch.contiguous_format)
            for key, value in tensors_of(model).items()
        }
