"""A network of the user's own as a body: normalised by the task's statistics, at the task's size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from nbtune.bodies.body import Body, first_channels
from nbtune.errors import InputError, InputTypeError

__all__ = ["own_body"]


def own_body(network: nn.Module | Callable[[int], nn.Module], images: npt.NDArray[np.uint8], n_out: int) -> Body:
    """A module, or a callable that makes one for n classes, as a Body for these training images.

    A module is taken itself, weights and all, and must already give `n_out` scores. Channels are those of its
    first convolution, else the images' own.

    Raises:
        InputTypeError: the callable gives no module.
        InputError: the network cannot take the images, or gives another number of scores.
    """
    module = network if isinstance(network, nn.Module) else _called(network, n_out)
    colours = 3 if images.ndim == 4 else 1
    channels = first_channels(module) or colours
    mean, std = _statistics(images, channels)
    body = Body(
        name=type(module).__name__, size=(images.shape[1], images.shape[2]), channels=channels, mean=mean, std=std,
        params=sum(p.numel() for p in module.parameters()), licence="the user's own",
        source="The user's own network, normalised by the mean and spread of the training images.",
        build=_builder(network, module),
    )  # fmt: skip
    _check_scores(body, module, images[:2], n_out)
    return body


def _called(network: Any, n_out: int) -> nn.Module:
    if not callable(network):
        raise InputTypeError(
            f"body of type {type(network).__name__}.", rule="a body is a name, a Body, a module or a callable.",
            likely="A state dict or a path was given.", next='task.learner("letters"), or nbtune.bodies.table().',
        )  # fmt: skip
    module = network(n_out)
    if isinstance(module, nn.Module):
        return module
    raise InputTypeError(
        f"a callable that gave {type(module).__name__} for n_out={n_out}.", rule="it gives a torch.nn.Module.",
        likely="It makes something else than a network.", next="task.learner(lambda n: MyNet(n)).",
    )  # fmt: skip


def _builder(network: Any, first: nn.Module) -> Callable[[int, bool], nn.Module]:
    """The module itself; from a callable the one that was looked at, then a new one each time."""
    waiting = [first]

    def build(n_out: int, pretrained: bool) -> nn.Module:
        if isinstance(network, nn.Module):
            return network
        return waiting.pop() if waiting else _called(network, n_out)

    return build


def _statistics(images: npt.NDArray[np.uint8], channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel, on pixels of 0 to 1; a constant channel keeps spread 1."""
    grey = images.ndim == 3
    pixels = images.reshape(-1, 1 if grey else images.shape[-1]) / 255.0
    mean, std = pixels.mean(0), pixels.std(0)
    if len(mean) != channels:
        mean, std = np.full(channels, mean.mean()), np.full(channels, std.mean())
    return tuple(map(float, mean)), tuple(float(s) if s > 1e-6 else 1.0 for s in std)


def _check_scores(body: Body, module: nn.Module, images: npt.NDArray[np.uint8], n_out: int) -> None:
    """Refuses a network that cannot score two images, or not with `n_out` numbers; its mode and buffers stay."""
    modes = {m: m.training for m in module.modules()}
    tensor = next(module.parameters(), torch.zeros(0))
    try:
        with torch.no_grad():
            shape = list(module.eval()(body.normalise(body.prepare(images)).to(tensor.device)).shape)
    except (RuntimeError, ValueError, TypeError, AttributeError) as cause:
        raise InputError(
            f"{body.name} failed on images {list(images.shape)}: {str(cause).splitlines()[0]:.90}",
            rule="the network takes the task's images.", likely="It was made for another size or number of channels.",
            next='try it on task.train.x[:2] by hand, or task.learner("letters").',
        ) from cause  # fmt: skip
    finally:
        for part, mode in modes.items():
            part.training = mode
    if shape != [len(images), n_out]:
        raise InputError(
            f"{body.name} gives scores of shape {shape} for {len(images)} images.",
            rule=f"it gives [{len(images)}, {n_out}]: a score for each class of the vocab.",
            likely="Its head was made for another task.", next=f"replace its last layer by one with {n_out} outputs.",
        )  # fmt: skip
