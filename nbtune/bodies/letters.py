"""The architecture of the body "letters": a small residual network for 32×32 grey images."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["MEAN", "STD", "WIDTHS", "LetterNet", "Residual", "Root"]

WIDTHS = (32, 32, 64, 96, 160)  # stem and four stages
MEAN, STD = 78 / 255, 95 / 255  # of the letters, on pixels of 0 to 1


def _conv(into: int, out: int, size: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(into, out, size, stride=stride, padding=size // 2, bias=False)


class Residual(nn.Module):
    """Two 3×3 convolutions beside a shortcut (He et al. 2015)."""

    def __init__(self, into: int, out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1, self.bn1 = _conv(into, out, 3, stride), nn.BatchNorm2d(out)
        self.conv2, self.bn2 = _conv(out, out, 3), nn.BatchNorm2d(out)
        plain = stride == 1 and into == out
        self.shortcut = nn.Identity() if plain else nn.Sequential(_conv(into, out, 1, stride), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + self.shortcut(x))


class Root(nn.Module):
    """The square root of non-negative features: no large one drowns the others (Perronnin et al. 2010)."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.sqrt(x + 0.01)  # the small constant keeps the gradient finite at 0


class LetterNet(nn.Sequential):
    """Stem, four stages and a head: images [n, 1, 32, 32] to scores [n, n_out].

    The head averages each quarter of the map, takes roots, normalises each image's features (no parameters) and ends
    in one linear layer that starts at zero: all classes alike, and no noise that few images could not wash out. With
    few images a class, where a stroke lies tells more than how much there is of it.
    """

    def __init__(self, n_out: int) -> None:
        a, b, c, d, e = WIDTHS
        stem = nn.Sequential(_conv(1, a, 5, stride=2), nn.BatchNorm2d(a), nn.ReLU(inplace=True))
        scores = nn.Linear(4 * e, n_out)
        nn.init.zeros_(scores.weight)
        nn.init.zeros_(scores.bias)
        norm = nn.LayerNorm(4 * e, elementwise_affine=False)
        head = nn.Sequential(nn.AdaptiveAvgPool2d(2), Root(), nn.Flatten(), norm, scores)
        stages = {
            "layer1": Residual(a, b),
            "layer2": Residual(b, c, stride=2),
            "layer3": Residual(c, d),
            "layer4": Residual(d, e, stride=2),
        }
        super().__init__(OrderedDict(stem=stem, **stages, head=head))

    def __getitem__(self, index: Any) -> Any:
        # torch makes a slice by calling the class with a dict of modules, which this class does not take.
        if isinstance(index, slice):
            return nn.Sequential(OrderedDict(list(self.named_children())[index]))
        return super().__getitem__(index)
