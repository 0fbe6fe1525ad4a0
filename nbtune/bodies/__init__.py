"""What can be tuned: pretrained bodies by name, and any network of the user's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

from torch import nn

from nbtune.bodies._adapt import adapted
from nbtune.bodies._unknown import no_name, no_network, no_weights
from nbtune.bodies._weights import read_weights
from nbtune.bodies.body import Body
from nbtune.errors import InputTypeError

if TYPE_CHECKING:
    import pandas as pd

    from nbtune.bodies.ranking import Ranking

__all__ = ["Body", "compare", "get", "maker_of", "names", "read_weights", "table"]


def names() -> tuple[str, ...]:
    """The names that `get` knows, without those of timm ("timm:...") and of the hub ("hf:...")."""
    from nbtune.bodies import of_fastai, of_torchvision

    return "letters", *of_torchvision.tags(), *of_fastai.NAMES


def get(name: str, *, size: int | None = None, weights: str | PathLike[str] | None = None) -> Body:
    """The body of this name: "letters"; a network of torchvision ("resnet34", or "resnet34.IMAGENET1K_V1" for one
    of several sets of weights) or of fastai ("xresnet50"); "timm:NAME"; "hf:REPOSITORY" or "hf:FOLDER".

    `size`: the side of its input, where that is not to be the one that it was trained at. `weights`: a file
    (safetensors; a PyTorch file of tensors alone) that stands in for the published weights; the head stays fresh.
    Weights are read or fetched when a network is made, not here; for "hf:" the description is read here.

    Raises:
        InputTypeError: the name is no text.
        InputError: no body has this name, or it has no such size; the error has a line that works.
        MissingExtraError: the library is not installed. MissingFileError: not here, and not to be fetched.

    Example:
        >>> get("letters").size, get("resnet18").size, get("resnet18", size=64).size
        ((32, 32), (224, 224), (64, 64))
    """
    if isinstance(name, nn.Module):
        raise InputTypeError(
            f"a network ({type(name).__name__}) where a name belongs.", rule="get finds a body by its name.",
            likely="a network of your own, which needs no name.", next="task.learner(network)",
        )  # fmt: skip
    if not isinstance(name, str):
        raise no_network(name, names())
    return adapted(_found(name), size, weights)


def _found(name: str) -> Body:
    library, colon, rest = name.partition(":")
    if colon and rest and library in ("timm", "hf"):
        from nbtune.bodies import of_hub, of_timm

        return of_timm.body(rest) if library == "timm" else of_hub.body(rest)
    from nbtune.bodies import of_fastai, of_torchvision, shipped

    if name == "letters":
        return shipped.letters()
    base, dot, tag = name.partition(".")
    if base in of_torchvision.tags():
        if dot and tag not in of_torchvision.published(base):
            raise no_weights(name, base, tuple(of_torchvision.published(base)))
        return of_torchvision.body(base, tag)
    if name in of_fastai.NAMES:
        return of_fastai.body(name)
    raise no_name(name, names())


def maker_of(name: str) -> Callable[..., nn.Module] | None:
    """What makes the network that a bundle names, with fresh weights and from nothing but names and numbers."""
    from nbtune.bodies._rebuild import maker_of as found

    return found(name)


def table(
    *, family: str | None = None, licence: str | None = None, max_params: float | None = None,
    max_size: int | None = None, offline: bool = False, timm: bool = False,
) -> pd.DataFrame:  # fmt: skip
    """Bodies that can be tuned by name, a row each: name, parameters, input, licence, family, library, needs network.

    Nothing is made or fetched for it. `family`, `licence`: a part of the word ("resnet", "Apache"). `max_params`:
    parameters, as their authors count them, with the head for their own classes. `max_size`: the input's side.
    `offline=True`: those that need no network. `timm=True`: also timm's, as far as it is installed, which says no
    number of parameters without making them; `max_params` leaves these out.

    Raises InputTypeError, InputError: a filter of another kind, or a family or licence that no body has.

    Example:
        >>> list(table(family="squeezenet")["name"])
        ['squeezenet1_0', 'squeezenet1_1']
    """
    from nbtune.bodies.catalogue import table as made

    return made(family, licence, max_params, max_size, offline, timm)


def compare(
    task: Any, bodies: Sequence[Any] | Mapping[str, Any], *, size: int | None = None, pretrained: bool = True,
    seed: int = 0, stopped: Callable[[], bool] = lambda: False,
) -> Ranking:  # fmt: skip
    """Bodies ranked by a linear probe on a task's validation items, with intervals and cost. Never on test.

    Kornblith, Shlens & Le (2019), Do better ImageNet models transfer better? Each body's features of all training
    and validation items are computed once, without augmentation; a linear probe is fitted on them, as by
    `tuner.probe`, its penalty chosen on the training items. `bodies`: names, Bodies, networks or callables, or a dict
    of these by a name of your own. `size`: one input size for all bodies that take it. Where `stopped()` is true it
    ends with the bodies that are done.

    Raises InputTypeError, InputError: no pictures, no bodies, one twice, and as `get` and
    `task.learner`, before anything is computed; TrainingError: stopped before one body was done.
    """
    from nbtune.bodies.ranking import compare as made

    return made(task, bodies, size=size, pretrained=pretrained, seed=seed, stopped=stopped)
