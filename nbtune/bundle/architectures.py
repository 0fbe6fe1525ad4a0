"""From the name of an architecture to a fresh network: only names that are known here, never code from a bundle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from nbtune import bodies
from nbtune.bundle.model import Architecture
from nbtune.bundle.weights import described, mismatch
from nbtune.errors import BundleError, InputError, InputTypeError

__all__ = ["Makers", "check_rebuilds", "made"]

Makers = Mapping[str, Callable[..., nn.Module]]


def check_rebuilds(model: Any, architecture: Architecture | None, makers: Makers | None) -> None:
    if not isinstance(model, nn.Module):
        raise InputTypeError(
            f"model is a {type(model).__name__}.",
            rule="model is a torch.nn.Module.",
            likely="A Learner was given.",
            next="model=learn.model.",
        )
    if architecture is None:
        return
    found = mismatch(made(architecture, makers, InputError), *described(model))
    if found:
        raise InputError(
            f"The model is not what architecture {architecture.name!r} makes: {found}.",
            rule="The architecture makes a network with the model's tensors, by name and shape.",
            likely="Layers were added or replaced after the network was made.",
            next="save with architecture=None, and load(folder, model=...) with a network made in the same way.",
        )


def made(architecture: Architecture, makers: Makers | None, error: type[InputError] | type[BundleError]) -> nn.Module:
    """A fresh network; torch's stream, which its first weights are drawn from, is put back. Raises `error`."""
    known = {**{name: _body_maker(name) for name in bodies.names()}, **(makers or {})}
    if architecture.name not in known:
        raise error(
            f"There is no architecture {architecture.name[:60]!r}.",
            rule=f"An architecture is one of {', '.join(known)}.",
            likely="A network of one's own, or of a newer nbtune.",
            next="save with architecture=None, and load(folder, model=...) with the network.",
        )
    try:
        with torch.random.fork_rng(devices=[]):
            return known[architecture.name](**architecture.kwargs)
    except TypeError as cause:
        raise error(
            f"Architecture {architecture.name!r} does not take {architecture.kwargs!r:.100}: {str(cause)[:100]}",
            rule="The keyword arguments fit the architecture.",
            likely="Another version made the bundle.",
            next="load with the versions that its README names.",
        ) from cause


def _body_maker(name: str) -> Callable[..., nn.Module]:
    return lambda n_out: bodies.get(name).make(n_out, pretrained=False)
