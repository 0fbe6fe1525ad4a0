"""Weights from a file into a network: nothing is executed, and what does not fit is refused by its name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from nbtune.errors import BundleError, InputError, InputTypeError, MissingFileError

__all__ = ["SUFFIXES", "described", "existing", "fill", "head_of", "last_scores", "read_weights"]

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt")
_INNER = ("state_dict", "model_state_dict", "model", "model_ema")
_WRAPPED = re.compile(r"^(module\.|_orig_mod\.)+")


def read_weights(path: str | PathLike[str]) -> dict[str, Tensor]:
    """The tensors of a safetensors file, or of a PyTorch file that holds nothing else, by name, on the CPU.

    Weights one level down ("state_dict", "model") are found; the names lose what DataParallel and compile put before.
    Raises MissingFileError, BundleError for a file that cannot be read so, InputTypeError for no path.
    """
    place = existing(path)
    found = _read_safe(place) if place.suffix == ".safetensors" else _read_torch(place)
    state = {_WRAPPED.sub("", name): value for name, value in _inner(found).items() if isinstance(value, Tensor)}
    if not state:
        raise BundleError(
            f"{place.name} holds no tensors by name.", rule="a file of weights is a table of tensors (a state_dict).",
            likely="an optimizer's state, or a whole training checkpoint of another program.",
            next="torch.save(network.state_dict(), path) writes such a file",
        )  # fmt: skip
    return state


def existing(path: Any) -> Path:
    """The file of weights at a path. Raises MissingFileError, InputTypeError."""
    if not isinstance(path, (str, PathLike)):
        table = isinstance(path, Mapping)
        raise InputTypeError(
            f"weights of type {type(path).__name__}.", rule="weights is the path of a file.",
            likely="the tensors themselves." if table else "another argument's value.",
            next='safetensors.torch.save_file(weights, "w.safetensors"); weights="w.safetensors"' if table
            else 'weights="my.safetensors"',
        )  # fmt: skip
    place = Path(path).expanduser()
    if place.is_file():
        return place
    near = sorted(one.name for one in place.parent.glob("*") if one.suffix in SUFFIXES) if place.parent.is_dir() else []
    raise MissingFileError(
        f"there is no file {str(place)!r}.", rule="weights is the path of a file of weights.",
        likely="the folder of the file." if place.is_dir() else "a misspelling." if near
        else "a path from another folder than the present one.",
        next=f"weights={str(place.parent / near[0])!r}" if near and not place.is_dir()
        else f"sorted(Path({str(place if place.is_dir() else place.parent)!r}).iterdir())",
    )  # fmt: skip


def _read_safe(place: Path) -> dict[str, Any]:
    try:
        return dict(load_file(place))
    except (SafetensorError, OSError, ValueError) as error:
        raise _unread(place, error, "a download that broke off, or a file of another kind with this ending.") from error


def _read_torch(place: Path) -> Any:
    try:
        return torch.load(place, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise BundleError(
            f"{place.name} holds more than tensors, or is no file of PyTorch: {_line(error)}",
            rule="a PyTorch file is read with weights_only=True, so that nothing in it is executed.",
            likely="a whole network or a Learner that was pickled.",
            next="save its state_dict() where it was made: safetensors.torch.save_file(network.state_dict(), path)",
        ) from error  # fmt: skip
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise _unread(place, error, "a download that broke off, or a file of another kind.") from error


def _line(error: BaseException) -> str:
    return f"{(str(error) or type(error).__name__).splitlines()[0]:.100}"


def _unread(place: Path, error: BaseException, likely: str) -> BundleError:
    return BundleError(
        f"{place.name} cannot be read: {_line(error)}", rule="the file is whole and of the kind that its name says.",
        likely=likely, next=f"delete {str(place)!r} and fetch or copy it again",
    )  # fmt: skip


def _inner(found: Any) -> Mapping[str, Any]:
    if not isinstance(found, Mapping):
        return {}
    for name in _INNER:
        if isinstance(found.get(name), Mapping):
            return found[name]  # type: ignore[no-any-return]
    return found


def described(make: Callable[[], nn.Module]) -> nn.Module:
    """The network that `make` gives, without its numbers where it can be made so; torch's stream stays."""
    try:
        with torch.device("meta"):
            return make()
    except (NotImplementedError, RuntimeError):  # some count on real numbers while they are made
        with torch.random.fork_rng(devices=[]):
            return make()


def last_scores(model: nn.Module) -> str:
    """The path of the layer that gives the scores: the last linear or convolutional one."""
    paths: list[str] = [path for path, module in model.named_modules() if isinstance(module, (nn.Linear, nn.Conv2d))]
    return paths[-1]


def head_of(model: nn.Module, paths: Sequence[str]) -> int:
    """How many parameters the layers at these paths have."""
    return sum(p.numel() for path in paths for p in model.get_submodule(path).parameters())


def fill(model: nn.Module, state: Mapping[str, Tensor], heads: Sequence[str], said: str, beside: str = "^$") -> None:
    """Put the weights into the body of `model`; the layers at `heads` keep their fresh ones.

    `said` names the weights in messages; tensors whose names match `beside` may stand in the file unused. Raises
    InputError, before anything is changed, where a tensor is missing, unknown or of another shape.
    """
    fresh = tuple(f"{path}." for path in heads)
    own = {name: value for name, value in model.state_dict().items() if not name.startswith(fresh)}
    given = {n: v for n, v in state.items() if not n.startswith(fresh) and not re.match(beside, n)}
    _check_fit(own, given, said)
    model.load_state_dict(given, strict=False)


def _check_fit(own: Mapping[str, Tensor], given: Mapping[str, Tensor], said: str) -> None:
    shapes = [f"{name} is {list(given[name].shape)} there and {list(value.shape)} in the network"
              for name, value in own.items() if name in given and given[name].shape != value.shape]  # fmt: skip
    # Files from before PyTorch 0.4.1 have no such counter.
    absent = [name for name in own if name not in given and not name.endswith("num_batches_tracked")]
    unknown = [name for name in given if name not in own]
    if not (shapes or absent or unknown):
        return
    if shapes:
        what, likely = _some(shapes), "weights of another variant of this network, such as another depth or width."
    elif absent and unknown:
        what = f"it lacks {_some(absent)}, and has unknown {_some(unknown)}"
        likely = "weights of another network, or of the same one under the names of another library."
    elif absent:
        what, likely = f"it lacks {_some(absent)}", "weights of a smaller network, or of a part of one."
    else:
        what, likely = f"it has unknown {_some(unknown)}", "weights of a larger network."
    raise InputError(
        f"{said} does not fit: {what}.",
        rule="every tensor of the body is there by name and shape, and no other; the head alone is fresh.",
        likely=likely, next="give the name of the network that the weights were saved from, such as "
        'task.learner("resnet34", weights=...)',
    )  # fmt: skip


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    first = sorted(names, key=lambda name: ".weight" not in name)  # what a person knows a layer by
    return ", ".join(first[:3]) + more
