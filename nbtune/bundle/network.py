"""Which network a bundle is of: in its bundle.json, in a warning when it is saved, and when it is loaded."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from nbtune.bundle.architectures import Makers, made
from nbtune.bundle.model import Architecture
from nbtune.errors import BundleError, InputError, InputTypeError

__all__ = ["described", "in_words", "to_fill", "warn_of_own"]


def described(model: nn.Module) -> dict[str, Any]:
    """What tells a person which network this is; nothing is made from it."""
    kind = type(model)
    return {
        "class": f"{kind.__module__}.{kind.__qualname__}",
        "parts": [type(part).__name__ for part in model.children()][:20],
        "parameters": sum(p.numel() for p in model.parameters()),
    }


def warn_of_own(place: Path, network: Mapping[str, Any]) -> None:
    warnings.warn(
        f"A bundle holds no code, and {in_words(network)} is no body of nbtune: "
        f"nt.load({str(place)!r}, model=network) will need the network, made as it was for training.",
        stacklevel=_outside(),
    )


def _outside() -> int:
    """The level at which `warnings.warn`, called by this function's caller, names the first line outside nbtune."""
    level, frame = 1, inspect.currentframe()
    frame = frame and frame.f_back
    while frame is not None and str(frame.f_globals.get("__name__", "")).partition(".")[0] == "nbtune":
        level, frame = level + 1, frame.f_back
    return level


def in_words(network: Mapping[str, Any]) -> str:
    """A network of its author's own in a few words: class, parts, number of parameters."""
    home, _, name = network["class"].rpartition(".")
    parts = ", ".join(part[:30] for part in network["parts"][:6]) + (", …" if len(network["parts"]) > 6 else "")
    # Everybody has a Sequential: its parts tell which.
    where = f" of {parts}" if name in ("Sequential", "ModuleList") and parts else f" ({home[:60]})"
    return f"a {name[:60]}{where} with {network['parameters']:,} parameters"


def to_fill(place: Path, data: Mapping[str, Any], model: nn.Module | None, architectures: Makers | None) -> nn.Module:
    """The network to fill: the given one, or a new one of the bundle's architecture."""
    if model is not None:
        return _given(place, model)
    stated = data["architecture"]
    if stated is not None:
        stated = Architecture(stated["name"], stated["kwargs"])
        return made(stated, architectures, BundleError, data["network"]["parameters"])
    name = data["network"]["class"].rpartition(".")[2][:60]
    raise InputError(
        f"{place.name!r} holds weights of {in_words(data['network'])} for {len(data['classes'])} classes, "
        "and no network was given.",
        rule="a bundle holds no code: a network that is no body of nbtune is given to load.",
        likely="a network that was saved from a module or a function of its author's own.",
        next=f"nt.load({str(place)!r}, model={name}(...)), made as it was for training",
    )


def _given(place: Path, model: Any) -> nn.Module:
    if isinstance(model, nn.Module):
        return model
    inner = getattr(model, "model", None)
    if isinstance(inner, nn.Module):
        likely, better = "a Learner: its network is its .model.", "model=learn.model"
    elif isinstance(model, type) and issubclass(model, nn.Module):
        likely, better = "the class of the network instead of a network.", f"model={model.__name__}(...)"
    elif isinstance(model, str):
        likely, better = "the name of a body: a bundle of one needs no model.", ""
    else:
        likely, better = "the function that makes the network." if callable(model) else "another argument's value.", ""
        better = f"model={getattr(model, '__name__', 'make')}(10)" if callable(model) else ""
    raise InputTypeError(
        f"model={model!r:.60}, of type {type(model).__name__}.",
        rule="model is a torch.nn.Module, or left out.",
        likely=likely,
        next=f"nt.load({str(place)!r}{better and f', {better}'})",
    )
