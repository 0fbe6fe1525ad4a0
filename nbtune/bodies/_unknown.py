"""What somebody likely meant who gave something else than the name of a body, and a line that works instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from os import PathLike
from pathlib import Path
from typing import Any

from torch import nn

from nbtune.errors import InputError, InputTypeError, MissingExtraError

__all__ = ["no_name", "no_network", "no_weights"]

_WEIGHTS = (".pth", ".pt", ".bin", ".safetensors", ".ckpt", ".pkl")
_KINDS = (
    '"letters", a network of torchvision such as "resnet18" or of fastai such as "xresnet50", "timm:NAME", or '
    '"hf:REPOSITORY"'
)
_RULE = f"it is {_KINDS}; any other network is given as an nn.Module, or as a function that makes one."


def no_name(name: str, known: Iterable[str]) -> InputError:
    """The error for a text that names no body."""
    likely, better = _meant(name, tuple(known))
    return InputError(f"no body is called {name!r:.80}.", rule=_RULE, likely=likely, next=better)


def no_weights(name: str, base: str, tags: tuple[str, ...]) -> InputError:
    """The error for a set of weights that torchvision does not publish."""
    near = get_close_matches(name.partition(".")[2].upper(), tags, n=1, cutoff=0.5)
    return InputError(
        f"no body is called {name!r:.80}.", rule=f"the weights of {base} are {', '.join(tags)}, the best ones first.",
        likely="a misspelling." if near else "weights of another network or library.",
        next=f'task.learner("{base}.{near[0]}")' if near else f'task.learner("{base}"), which takes the first',
    )  # fmt: skip


def _meant(name: str, known: tuple[str, ...]) -> tuple[str, str]:
    library, colon, rest = name.partition(":")
    if colon and rest and library.lower() in _LIBRARIES:
        return "the library in another spelling.", f'task.learner("{_LIBRARIES[library.lower()]}{rest}")'
    if not name.strip():
        return "an empty text, such as a setting that was never filled in.", f'task.learner("{known[0]}")'
    if name.strip().lower() == "tabular":
        return "the model of a table, and these are pictures.", 'task.learner("letters")'
    if Path(name).suffix in _WEIGHTS or (Path(name) / "bundle.json").is_file():
        return _file(name)
    near = get_close_matches(name.strip().lower(), known, n=3, cutoff=0.6)
    if near and name.strip().lower() == near[0]:
        return "a capital letter or a space.", f'task.learner("{near[0]}")'
    if "/" in name:
        return _file(name)
    if name in _of_timm():
        return "a network of timm, whose names begin with timm:.", f'task.learner("timm:{name}")'
    if near:
        return "a misspelling.", f'did you mean {" or ".join(near)}? task.learner("{near[0]}")'
    likely = "a network of another library: it is made by that library, and given as a module."
    return likely, "nt.bodies.table() lists the names; or task.learner(network)"


_LIBRARIES = {
    "timm": "timm:", "hf": "hf:", "hf_hub": "hf:", "hf-hub": "hf:", "huggingface": "hf:", "transformers": "hf:",
    "torchvision": "", "tv": "", "fastai": "",
}  # fmt: skip


def _of_timm() -> tuple[str, ...]:
    """timm's names, where it is installed."""
    from nbtune.bodies import of_timm

    try:
        return of_timm.tags()
    except MissingExtraError:
        return ()


def _file(name: str) -> tuple[str, str]:
    if (Path(name) / "bundle.json").is_file():
        return "the folder of a bundle.", f"task.learner(nt.load({name!r}).module)"
    if Path(name).suffix == ".pkl":
        return "a Learner that fastai exported.", f"task.learner(load_learner({name!r}).model)"
    if Path(name).suffix in _WEIGHTS:
        likely = "a file of weights: the network that they are of is given by its name."
        return likely, f'task.learner("resnet18", weights={name!r})'
    return "a repository of the Hugging Face hub, or a folder in its form.", f'task.learner("hf:{name}")'


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
    rule = f"a body is a name or a network. As a name {_RULE}"
    return InputTypeError(f"{given}.", rule=rule, likely=likely, next=better)
