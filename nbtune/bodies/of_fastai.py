"""fastai's own networks: XResNet, a ResNet with the changes of He et al. (2019), Bag of tricks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import nn

from nbtune.bodies._fetch import from_url
from nbtune.bodies._sizes import Sized, check_runs, side_of, tried
from nbtune.bodies._weights import described, fill, head_of, last_scores, read_weights
from nbtune.bodies.body import Body
from nbtune.errors import InputError

__all__ = ["NAMES", "PARAMETERS", "XResNet", "body", "maker"]

NAMES = ("xresnet18", "xresnet34", "xresnet50", "xresnet101", "xresnet152")
# With 1,000 classes, for the table; a test counts them.
PARAMETERS = dict(zip(NAMES, (11_708_744, 21_816_904, 25_576_264, 44_568_392, 60_212_040), strict=True))
_URL = "https://s3.amazonaws.com/fast-ai-modelzoo/xrn50_940.pth"  # as in fastai, which has none for the other sizes
_SIDE = 224


@dataclass(frozen=True)
class XResNet(Sized):
    """Makes an XResNet of fastai."""

    def __call__(self, n_out: int, pretrained: bool) -> nn.Module:
        state = self._state() if pretrained else None
        model = tried(self, lambda: self._made(n_out))
        if state is not None:
            fill(model, state, [last_scores(model)], self.path or f"{self.name}'s weights")
        check_runs(self, model)
        return model

    def _made(self, n_out: int) -> nn.Module:
        from nbtune._fastai.networks import xresnet

        made: nn.Module = xresnet(self.name, n_out)
        return made

    def _state(self) -> Any:
        if self.path:
            return read_weights(self.path)
        if not self.weights:
            raise InputError(
                f"pretrained weights of {self.name!r}: fastai publishes none.",
                rule="of fastai's own networks xresnet50 has published weights.",
                likely="an architecture of which fastai has only the code.",
                next=f'task.learner("{self.name}", pretrained=False), or weights="my.safetensors"',
            )  # fmt: skip

        def load() -> Any:
            return torch.hub.load_state_dict_from_url(_URL, map_location="cpu", weights_only=True)["model"]

        return from_url(_URL, self.name, load)

    def architecture(self, n_out: int) -> tuple[str, dict[str, Any]]:
        return self.name, {"n_out": n_out}


@cache
def body(name: str) -> Body:
    """One of `NAMES` as a Body, with the mean and spread of ImageNet that fastai normalises by."""
    made = maker(name)
    model = described(lambda: made._made(7))
    params = sum(p.numel() for p in model.parameters()) - head_of(model, [last_scores(model)])
    said = "weights xrn50_940 (ImageNet-1k)" if made.weights else "of which it publishes no weights"
    return Body(
        name=name, size=(_SIDE, _SIDE), channels=3, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225),
        params=params, licence="Apache-2.0", source=f"fastai's {name}, {said}.", build=made,
        needs_network=bool(made.weights), family="xresnet",
    )  # fmt: skip


def maker(name: str, size: int | None = None) -> XResNet:
    """What makes this network."""
    return XResNet(name, "xrn50_940" if name == "xresnet50" else "", _SIDE if size is None else side_of(size))
