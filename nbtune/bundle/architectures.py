"""From the name of an architecture to a fresh network: only names that are known here, never code from a bundle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

import torch
from torch import nn

from nbtune import bodies
from nbtune.bundle.model import Architecture
from nbtune.bundle.tables import made_tabular
from nbtune.bundle.weights import described, mismatch
from nbtune.errors import BundleError, InputError, InputTypeError

__all__ = ["Makers", "check_rebuilds", "made"]

Makers = Mapping[str, Callable[..., nn.Module]]


def check_rebuilds(model: Any, architecture: Architecture | None, makers: Makers | None) -> None:
    if not isinstance(model, nn.Module):
        learner = isinstance(getattr(model, "model", None), nn.Module)
        raise InputTypeError(
            f"model is of type {type(model).__name__}.",
            rule="model is a torch.nn.Module.",
            likely="a Learner: its network is its .model." if learner
            else "the class of a network, which has no weights." if isinstance(model, type)
            else "another argument's value.",
            next="save(folder, model=learn.model, ...)" if learner or not isinstance(model, type)
            else f"save(folder, model={model.__name__}(...), ...)",
        )  # fmt: skip
    if architecture is None:
        return
    found = mismatch(made(architecture, makers, InputError), *described(model))
    if found:
        raise InputError(
            f"the model is not what architecture {architecture.name!r} makes: {found}.",
            rule="the architecture makes a network with the model's tensors, by name and shape.",
            likely="layers that were added or replaced after the network was made.",
            next="save with architecture=None, and load(folder, model=...) with a network made in the same way.",
        )


def made(
    architecture: Architecture, makers: Makers | None, error: type[InputError] | type[BundleError],
    parameters: int | None = None,
) -> nn.Module:  # fmt: skip
    """A fresh network; torch's stream, which its first weights are drawn from, is put back. Raises `error`.

    `parameters`: how many it must have, which is found before any is allocated.
    """
    own = {"tabular": made_tabular, **(makers or {})}
    make = own.get(architecture.name) or bodies.maker_of(architecture.name)
    if make is None:
        raise _unknown(architecture, own, error)
    try:
        with torch.random.fork_rng(devices=[]):
            count = getattr(make, "count", None) if parameters is not None else None
            if count is not None and count(**architecture.kwargs) not in (parameters, None):
                raise TypeError(f"it makes {count(**architecture.kwargs):,} parameters, and {parameters:,} are stated")
            return make(**architecture.kwargs)
    except TypeError as cause:
        raise error(
            f"architecture {architecture.name!r} does not take {dict(architecture.kwargs)!r:.100}: {str(cause)[:100]}",
            rule="the keyword arguments fit the architecture.",
            likely="a bundle that another version of nbtune saved."
            if error is BundleError
            else "arguments of another architecture.",
            next="nt.load(folder, model=network), with the network as it was made for training"
            if error is BundleError
            else f'Architecture({architecture.name!r}, {{"n_out": len(vocab)}}), if it is a body of nbtune',
        ) from cause


def _unknown(
    architecture: Architecture, own: Makers, error: type[InputError] | type[BundleError]
) -> InputError | BundleError:
    names = ", ".join(['"letters"', *(f'"{name}"' for name in own), "a body of torchvision, timm, fastai"])
    loading = error is BundleError
    near = get_close_matches(architecture.name, [*own, *bodies.names()], n=1, cutoff=0.6)
    return error(
        f"there is no architecture {architecture.name[:60]!r}.",
        rule=f"an architecture is one of {names} by name: a name is all that a bundle holds of it.",
        likely="a misspelling." if near and not loading
        else "a name of its author's own, or of a newer nbtune." if loading
        else "a network that is no body of nbtune.",
        next=f'Architecture("{near[0]}", {dict(architecture.kwargs)})' if near and not loading
        else "nt.load(folder, model=network), with the network as it was made for training" if loading
        else "save(folder, architecture=None, ...), then nt.load(folder, model=network)",
    )  # fmt: skip
