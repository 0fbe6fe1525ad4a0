"""A network of the user's own as a body: normalised by the task's statistics, at the task's size."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn.parameter import is_lazy

from nbtune.bodies import names
from nbtune.bodies._unknown import no_network
from nbtune.bodies.body import Body, first_channels
from nbtune.errors import InputError, InputTypeError, NbtuneError

__all__ = ["called", "check_alone", "first_line", "own_body"]


def own_body(network: nn.Module | Callable[[int], nn.Module], images: npt.NDArray[np.uint8], n_out: int) -> Body:
    """A module, or a callable that makes one for n classes, as a Body for these training images.

    A module is taken itself, weights and all, and must already give `n_out` scores. Channels are those of its
    first convolution, else the images' own.

    Raises:
        InputTypeError: no network, or the callable gives none.
        InputError: the callable fails, the network cannot take the images, or it gives another number of scores.
    """
    module = network if isinstance(network, nn.Module) else called(network, n_out)
    colours = 3 if images.ndim == 4 else 1
    _check_ready(module, (2, colours, images.shape[1], images.shape[2]))
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


def called(network: Any, n_out: int) -> nn.Module:
    """The network that a function makes for `n_out` outputs. Raises InputError or InputTypeError."""
    if not callable(network):
        raise no_network(network, names())
    name = getattr(network, "__name__", type(network).__name__)
    try:
        module = network(n_out)
    except NbtuneError:
        raise
    except Exception as cause:
        raise InputError(
            f"{name}({n_out}) failed: {first_line(cause)}",
            rule="a function that is given as a body takes the number of classes and gives a torch.nn.Module.",
            likely="the class of a network that needs other arguments." if isinstance(network, type)
            else "an error in that function.",
            next=f"task.learner(lambda n: {name}(..., n))" if isinstance(network, type)
            else f"{name}({n_out}), by itself, shows where it fails.",
        ) from cause  # fmt: skip
    if isinstance(module, nn.Module):
        return module
    raise InputTypeError(
        f"{name}({n_out}) gave {'nothing' if module is None else f'a value of type {type(module).__name__}'}.",
        rule="a function that is given as a body takes the number of classes and gives a torch.nn.Module.",
        likely="a return that is missing." if module is None
        else "a network inside another value." if hasattr(module, "__iter__") and not isinstance(module, str)
        else "another function than the one that makes the network.",
        next="task.learner(lambda n: make(n)[0])" if isinstance(module, tuple) else "task.learner(lambda n: MyNet(n))",
    )  # fmt: skip


def _check_ready(module: nn.Module, shape: tuple[int, ...]) -> None:
    """Refuse a network with lazy layers: their weights are made by the first batch."""
    if any(is_lazy(tensor) for tensor in (*module.parameters(), *module.buffers())):
        raise InputError(
            f"{type(module).__name__} with lazy layers, whose sizes are not known yet.",
            rule="a network has its weights before it is split into groups.",
            likely="a network that has seen no batch.",
            next=f"network(torch.zeros{shape}); task.learner(network)",
        )  # fmt: skip


def first_line(cause: BaseException) -> str:
    """What an exception says, on one short line."""
    return f"{(str(cause) or type(cause).__name__).splitlines()[0]:.90}"


def check_alone(module: nn.Module, body: Body, image: npt.NDArray[np.uint8]) -> None:
    """Refuse a network whose batch norm cannot train on one image; warn of one whose batch norm can.

    The module and torch's stream stay as they are.
    """
    norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training]
    if not norms:
        return
    tried = deepcopy(module)
    tensor = next(tried.parameters(), torch.zeros(0))
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            tried(body.normalise(body.prepare(image)).to(tensor.device))
    except ValueError as cause:
        raise InputError(
            f"bs=1 for {body.name}, whose batch norm fails on one image: {first_line(cause)}",
            rule="batch norm that trains takes mean and spread over a batch, so a batch has two items or more.",
            likely="a batch size for a network without batch norm, or for little memory.", next="bs=2",
        ) from cause  # fmt: skip
    warnings.warn(
        f"bs=1: while the batch norm of {body.name} trains, it takes mean and spread from one image, which is "
        "noisy. Groups that are held still keep their statistics; bs=8 or more is steadier.",
        stacklevel=5,
    )


def _builder(network: Any, first: nn.Module) -> Callable[[int, bool], nn.Module]:
    """The module itself; from a callable the one that was looked at, then a new one each time."""
    waiting = [first]

    def build(n_out: int, pretrained: bool) -> nn.Module:
        if isinstance(network, nn.Module):
            return network
        return waiting.pop() if waiting else called(network, n_out)

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
            f"{body.name} failed on {len(images)} images [{body.channels}, {body.size[0]}, {body.size[1]}]: "
            f"{first_line(cause)}",
            rule="the network takes a batch of the task's images and gives a tensor of scores.",
            likely=_why(cause), next=_instead(cause, (body.channels, *body.size), n_out),
        ) from cause  # fmt: skip
    finally:
        for part, mode in modes.items():
            part.training = mode
    if shape != [len(images), n_out]:
        raise InputError(
            f"{body.name} gives scores of shape {shape} for {len(images)} images.",
            rule=f"it gives [{len(images)}, {n_out}]: a score for each class of the vocab.",
            likely="a head for another number of classes." if len(shape) == 2
            else "a network without a head: its output is a map of features.",
            next=f"task.learner(nn.Sequential(network, nn.Linear({shape[1]}, {n_out})))" if len(shape) == 2
            else "task.learner(lambda n: nn.Sequential(network, nn.AdaptiveAvgPool2d(1), nn.Flatten(), "
            f"nn.Linear({shape[1] if len(shape) > 1 else '...'}, n)))",
        )  # fmt: skip


def _why(cause: BaseException) -> str:
    """What a network that failed was likely made for."""
    if isinstance(cause, AttributeError):
        return "an output that is no tensor, such as a record that holds the scores."
    return "a network for images of another size, or for other input than images."


def _instead(cause: BaseException, shape: tuple[int, ...], n_out: int) -> str:
    if isinstance(cause, AttributeError):
        return "wrap the network in a module whose forward gives the tensor of scores alone."
    flat = f"nn.Sequential(nn.Flatten(), nn.Linear({math.prod(shape)}, {n_out}))"
    return f'task.learner("letters"), or a network for this size, such as task.learner({flat})'
