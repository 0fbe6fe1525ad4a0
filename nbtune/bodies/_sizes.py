"""Another input size for a body by name: its transform scaled with it, and one picture tried before it is believed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from torch import nn

from nbtune.bodies.body import Body
from nbtune.errors import InputError, InputTypeError, NbtuneError

__all__ = ["Sized", "check_runs", "resized", "side_of", "tried"]

_RULE = "size is the side of a square in pixels, from 8 to 4,096; pictures are scaled to it."


@dataclass(frozen=True)
class Sized:
    """A maker of networks for pictures of `side` × `side` pixels; `asked`: this is not the published size."""

    name: str
    weights: str
    side: int
    path: str = ""  # of a file of weights that stands in for the published ones
    asked: bool = False

    @property
    def smallest(self) -> int:
        """The smallest side that the network's author states."""
        return 1

    def at(self, side: int) -> Self:
        """The same for another size."""
        return replace(self, side=side, asked=True)


def side_of(size: Any) -> int:
    """The side that was asked for. Raises InputTypeError, InputError."""
    pair = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
    if len(pair) != 2 or not all(isinstance(s, (int, np.integer)) and not isinstance(s, bool) for s in pair):
        raise InputTypeError(
            f"size={size!r:.60}.", rule=_RULE, likely="channels among the sides." if len(pair) == 3
            else "a value that is no whole number.", next="size=128",
        )  # fmt: skip
    if pair[0] != pair[1] or not 8 <= pair[0] <= 4096:
        raise InputError(
            f"size={size!r:.60}.", rule=_RULE, likely="height and width of the pictures themselves."
            if pair[0] != pair[1] else "a factor instead of pixels.", next=f"size={max(32, min(512, max(pair)))}",
        )  # fmt: skip
    return int(pair[0])


def resized(body: Body, size: Any) -> Body:
    """The body for pictures of another size; the crop keeps its share. Raises InputTypeError, InputError."""
    side = side_of(size)
    if (side, side) == body.size:
        return body
    if not isinstance(body.build, Sized):
        raise _fixed(body, size)
    if side < body.build.smallest:
        raise InputError(
            f"size={side} for {body.name!r}.", rule=f"it takes pictures of {body.build.smallest} pixels or more.",
            likely="small pictures, which may be enlarged.", next=f"size={body.build.smallest}",
        )  # fmt: skip
    return replace(body, size=(side, side), build=body.build.at(side), resize=_edge(body, side))


def _edge(body: Body, side: int) -> Any:
    if body.resize is None:
        return None
    if isinstance(body.resize, int):
        return round(body.resize * side / body.size[0])
    return tuple(round(edge * side / was) for edge, was in zip(body.resize, body.size, strict=True))


def _fixed(body: Body, size: Any) -> InputError:
    return InputError(
        f"size={size!r:.40} for the body {body.name!r}.",
        rule=f"{body.name!r} has the size that it was trained at, {body.size[0]} × {body.size[1]}.",
        likely="a size for another body: those of torchvision and timm mostly take any.",
        next=f"task.learner({body.name!r}), without a size",
    )  # fmt: skip


def tried(maker: Sized, make: Callable[[], nn.Module]) -> nn.Module:
    """The network that `make` gives. Raises InputError where it cannot be made for the size asked for."""
    try:
        return make()
    except NbtuneError:
        raise
    except _NO_SIZE as cause:
        if not maker.asked:
            raise
        raise _refused(maker, cause) from cause


_NO_SIZE = (RuntimeError, ValueError, AssertionError, IndexError, TypeError)


def check_runs(maker: Sized, model: nn.Module) -> None:
    """Raise InputError where the network does not take a picture of the size asked for; streams and modes stay."""
    if not maker.asked:
        return
    modes = [(part, part.training) for part in model.modules()]
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            model.eval()(torch.zeros(1, 3, maker.side, maker.side))
    except _NO_SIZE as cause:
        raise _refused(maker, cause) from cause
    finally:
        for part, mode in modes:
            part.training = mode


def _refused(maker: Sized, cause: BaseException) -> InputError:
    """The error for a size that this network does not take."""
    why = (str(cause) or type(cause).__name__).splitlines()[0]
    return InputError(
        f"size={maker.side} for {maker.name!r}: {why:.100}",
        rule="the network's own steps divide the picture's side: patches, windows, strides.",
        likely="a side that is too small, or no multiple of its patches or windows.",
        next=f"task.learner({maker.name!r}), at the size that it was trained at",
    )  # fmt: skip
