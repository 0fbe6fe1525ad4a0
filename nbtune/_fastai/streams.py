"""All random streams that a fit draws from, those of its loaders and samplers too, as values."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch

__all__ = ["put_streams", "streams"]


def streams(learn: Any) -> dict[str, Any]:
    """The global random streams and the loaders' own."""
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "loaders": [_own_streams(loader) for loader in learn.dls.loaders],
    }


def _own_streams(loader: Any) -> dict[str, Any]:
    found = {name: generator.get_state() for name, generator in _generators(loader).items()}
    return {**found, "rng": loader.rng.getstate()} if isinstance(getattr(loader, "rng", None), random.Random) else found


def _generators(loader: Any) -> dict[str, torch.Generator]:
    holders = {"generator": loader, "sampler": getattr(loader, "sampler", None)}
    found = {name: getattr(holder, "generator", None) for name, holder in holders.items()}
    return {name: value for name, value in found.items() if isinstance(value, torch.Generator)}


def put_streams(learn: Any, streams: dict[str, Any]) -> None:
    random.setstate(_tuples(streams["python"]))
    np.random.set_state(tuple(streams["numpy"]))
    torch.set_rng_state(streams["torch"].cpu())
    if streams["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all([state.cpu() for state in streams["cuda"]])
    for loader, own in zip(learn.dls.loaders, streams["loaders"], strict=True):
        for name, generator in _generators(loader).items():
            generator.set_state(own[name].cpu())
        if "rng" in own:
            loader.rng.setstate(_tuples(own["rng"]))


def _tuples(state: Any) -> Any:
    return (state[0], tuple(state[1]), state[2])
