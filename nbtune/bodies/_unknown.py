"""What somebody likely meant who gave something else than the name of a body, and a line that works instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from os import PathLike
from pathlib import Path
from typing import Any

from torch import nn

from nbtune.errors import InputError, InputTypeError

__all__ = ["no_name", "no_network"]

_WEIGHTS = (".pth", ".pt", ".bin", ".safetensors", ".ckpt", ".pkl")
_SCORES = """wrap it, so that it gives its scores:
    class Scores(nn.Module):
        def __init__(self, net):
            super().__init__()
            self.net = net
        def forward(self, x):
            return self.net(x).logits
    task.learner(lambda n: Scores(transformers.AutoModelForImageClassification.from_pretrained(
        {name!r}, num_labels=n, ignore_mismatched_sizes=True)))"""


def _rule(known: Iterable[str]) -> str:
    names = ", ".join(f'"{name}"' for name in known)
    return f"this version ships {names}; any other network is given as an nn.Module, or as a function that makes one."


def no_name(name: str, known: Iterable[str]) -> InputError:
    """The error for a text that names no body."""
    known = tuple(known)
    likely, better = _meant(name, known)
    return InputError(f"no body is called {name!r:.80}.", rule=_rule(known), likely=likely, next=better)


def _meant(name: str, known: tuple[str, ...]) -> tuple[str, str]:
    library, _, rest = name.partition(":")
    if library == "timm" and rest:
        return "a network of timm, which is made by timm in this version.", _timm(rest)
    if library in ("hf", "hf_hub", "hf-hub") and rest:
        likely = "a network of transformers, which is made by transformers in this version."
        return likely, _SCORES.replace("{name!r}", repr(rest))
    if not name.strip():
        return "an empty text, such as a setting that was never filled in.", f'task.learner("{known[0]}")'
    near = get_close_matches(name.strip().lower(), known, n=1, cutoff=0.6)
    if near:
        likely = "a capital letter or a space." if name.strip().lower() == near[0] else "a misspelling."
        return likely, f'did you mean {near[0]}? task.learner("{near[0]}")'
    if Path(name).suffix in _WEIGHTS or "/" in name:
        return _file(name)
    if _of_torchvision(name):
        return "a network of torchvision, which is made by torchvision in this version.", _torchvision(name)
    likely = "a network of another library: it is made by that library, and given as a module."
    return likely, f'task.learner("{known[0]}"), or task.learner(network)'


def _timm(name: str) -> str:
    return f"import timm; task.learner(lambda n: timm.create_model({name!r}, pretrained=True, num_classes=n))"


def _torchvision(name: str) -> str:
    if name.startswith(("vit", "swin", "maxvit", "googlenet", "inception")):  # fastai finds no place to cut these
        whole = f'torchvision.models.{name}(weights="DEFAULT")'
        return f"import torchvision; task.learner(lambda n: nn.Sequential({whole}, nn.Linear(1000, n)))"
    make = f"create_vision_model(models.{name}, n)"
    return f"from fastai.vision.all import *; task.learner(lambda n: {make})"


def _of_torchvision(name: str) -> bool:
    import torchvision.models

    return name in torchvision.models.list_models(module=torchvision.models)


def _file(name: str) -> tuple[str, str]:
    if (Path(name) / "bundle.json").is_file():
        return "the folder of a bundle.", f"task.learner(nt.load({name!r}).module)"
    if Path(name).suffix == ".pkl":
        return "a Learner that fastai exported.", f"task.learner(load_learner({name!r}).model)"
    if Path(name).suffix == ".safetensors":
        likely = "a file of weights: a network is made first, and filled from it."
        return likely, f"safetensors.torch.load_model(network, {name!r}); task.learner(network)"
    if Path(name).suffix in _WEIGHTS:
        likely = "a file of weights: a network is made first, and filled from it."
        return likely, f"network.load_state_dict(torch.load({name!r}, weights_only=True)); task.learner(network)"
    return "a network of the Hugging Face hub, or a path.", _SCORES.replace("{name!r}", repr(name))


def no_network(body: Any, known: Iterable[str]) -> InputTypeError:
    """The error for what is neither a name nor a network nor makes one."""
    known = tuple(known)
    first = f'task.learner("{known[0]}")'
    if body is None:
        likely, better = "a variable that was never set.", first
    elif isinstance(getattr(body, "model", None), nn.Module):
        likely, better = "a Learner: its network is its .model.", "task.learner(learn.model)"
    elif isinstance(getattr(body, "module", None), nn.Module):
        likely, better = "a loaded bundle: its network is its .module.", "task.learner(model.module)"
    elif isinstance(body, Mapping):
        likely = "a table of weights: a network is made first, and filled from it."
        better = "network.load_state_dict(weights); task.learner(network)"
    elif isinstance(body, PathLike):
        likely, better = _file(str(body))
    elif isinstance(body, (list, tuple)):
        likely, better = "several bodies at once.", "[task.learner(body) for body in bodies]"
    elif hasattr(body, "learner"):
        likely, better = "the task itself, or its arguments in another order.", first
    else:
        likely, better = "another argument's value, in the place of the body.", first
    given = "body=None" if body is None else f"a body of type {type(body).__name__}"
    rule = f"a body is a name or a network: {_rule(known)}"
    return InputTypeError(f"{given}.", rule=rule, likely=likely, next=better)
