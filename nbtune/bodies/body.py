"""A body: what can be fine-tuned, with the preprocessing that it was trained with."""

from __future__ import annotations

from collections.abc import Callable, Sized
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from nbtune._display import html_table, html_value, short
from nbtune.bodies.images import Edge, as_batch
from nbtune.errors import InputError, InputTypeError

__all__ = ["Body", "first_channels"]


@dataclass(frozen=True)
class Body:
    """A network to tune, its input and where it comes from.

    `build(n_out, pretrained)` makes a module with a fresh head; `mean` and `std` are per channel, on pixels of 0
    to 1; `params` counts the body without a head. `resize`: pixels of the shorter side (a pair: of both) before
    `size` is cut from the middle; None: the whole picture is brought to `size`.
    """

    name: str
    size: tuple[int, int]
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    params: int
    licence: str
    source: str
    build: Callable[[int, bool], nn.Module] = field(repr=False)
    needs_network: bool = False
    card: str = field(default="", repr=False)
    resize: Edge = None
    interpolation: str = "bilinear"
    family: str = ""

    def make(self, n_out: int, *, pretrained: bool = True) -> nn.Module:
        """The network with a fresh head for `n_out` classes; `pretrained=False`: every weight is fresh.

        Fresh weights come from torch's global stream, by each layer's own init; "letters" starts its last layer at 0.

        Raises:
            InputTypeError: `n_out` is no whole number.
            InputError: fewer than two classes.
        """
        if isinstance(n_out, bool) or not isinstance(n_out, int):
            given: Any = n_out
            classes = len(given) if isinstance(given, Sized) and not isinstance(given, str) else 0
            raise InputTypeError(
                f"n_out={given!r:.60}.", rule="n_out is a whole number: how many classes there are.",
                likely="the vocab itself." if classes else f"a value of type {type(given).__name__} for a count.",
                next=f"get({self.name!r}).make({classes or 'len(task.vocab)'})",
            )  # fmt: skip
        if n_out < 2:
            raise InputError(
                f"n_out={n_out}.", rule="a classifier has two classes or more.",
                likely="a yes-or-no question, which has two classes here." if n_out == 1
                else "a vocab without classes." if n_out == 0 else "a subtraction that went below 0.",
                next=f"get({self.name!r}).make(2)" if n_out == 1 else f"get({self.name!r}).make(len(task.vocab))",
            )  # fmt: skip
        return self.build(n_out, pretrained)

    def prepare(self, images: Any) -> Tensor:
        """Images as uint8 [n, channels, h, w] of this body's size: the same for training and for predicting.

        Takes arrays, tensors and PIL images; raises as `nbtune.bodies.images.as_batch` does.
        """
        return as_batch(images, self.size, self.channels, self.resize, self.interpolation)

    def normalise(self, batch: Tensor) -> Tensor:
        """A prepared batch, uint8 of 0 to 255, as float with this body's mean and standard deviation removed."""
        shape = (1, -1, 1, 1)
        mean = torch.tensor(self.mean, device=batch.device).view(shape)
        std = torch.tensor(self.std, device=batch.device).view(shape)
        return (batch.float() / 255 - mean) / std

    def architecture(self, n_out: int) -> tuple[str, dict[str, Any]] | None:
        """The name and the simple arguments that make this network again, without its weights; None: nothing does."""
        known = getattr(self.build, "architecture", None)
        return None if known is None else known(n_out)

    def __repr__(self) -> str:
        high, wide = self.size
        colour = "grey" if self.channels == 1 else f"{self.channels}-channel"
        return f'Body "{self.name}": {short(self.params)} parameters, {wide}×{high} {colour} input. {self.source}'

    def _repr_html_(self) -> str:
        rows = [
            ("parameters", short(self.params)),
            ("input", f"{self.channels} × {self.size[0]} × {self.size[1]}{_cut(self)}"),
            ("licence", self.licence),
            ("needs the network", "yes" if self.needs_network else "no"),
        ]
        return html_value(f"Body {self.name}", self.source, html_table(["", ""], rows))


def _cut(body: Body) -> str:
    if body.resize is None:
        return ""
    edge = f"shorter side {body.resize}" if isinstance(body.resize, int) else " × ".join(map(str, body.resize))
    return f", the middle of {edge} ({body.interpolation})"


def first_channels(model: nn.Module) -> int | None:
    """The input channels of a model's first convolution; None where it has none."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            return module.in_channels
    return None
