"""Kept states of a model, by name ("best", "last"): in memory, or as safetensors in the run's folder."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

__all__ = ["States"]


class States:
    """Whole models (parameters and persistent buffers), bit for bit."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self._memory: dict[str, dict[str, torch.Tensor]] = {}
        self._names: set[str] = set()  # of this run: a file of another is none of ours

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def _file(self, name: str) -> Path:
        assert self.folder is not None
        return self.folder / f"{name}.safetensors"

    def keep(self, name: str, model: nn.Module) -> None:
        """Copy the model's state; on disk by a temporary file and one rename, so never half a state."""
        state = {key: value.detach().cpu().clone().contiguous() for key, value in model.state_dict().items()}
        if self.folder is None:
            self._memory[name] = state
        else:
            self.folder.mkdir(parents=True, exist_ok=True)
            part = self._file(name).with_suffix(".tmp")
            save_file(state, part)
            os.replace(part, self._file(name))
        self._names.add(name)

    def forget(self) -> None:
        """No state is kept any more: the model they were of is gone. Files stay until they are written anew."""
        self._names.clear()
        self._memory.clear()

    def load(self, name: str, model: nn.Module) -> None:
        """Put a kept state into the model. Raises KeyError for a name that was not kept."""
        if name not in self:
            raise KeyError(name)
        model.load_state_dict(self._memory[name] if self.folder is None else load_file(self._file(name)))
