"""Bodies of torchvision: its classification networks, with the weights and the transforms that it publishes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn

from nbtune.bodies._fetch import from_url
from nbtune.bodies._sizes import Sized, check_runs, side_of, tried
from nbtune.bodies._weights import described, fill, head_of, last_scores, read_weights
from nbtune.bodies.body import Body

__all__ = ["Torchvision", "body", "family_of", "licence_of", "maker", "published", "tags"]

# Auxiliary heads, which are for training from scratch: nbtune makes these networks without them.
_BESIDE = r"^(AuxLogits|aux1|aux2)\."
_OLD_DENSE = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12])\.")
_FAMILY = re.compile(
    r"alexnet|convnext|densenet|efficientnet_v2|efficientnet|googlenet|inception|maxvit|mnasnet|mobilenet_v\d|regnet_[xy]"
    r"|wide_resnet|resnet|resnext|shufflenet_v2|squeezenet|swin_v2|swin|vgg|vit"
)


@dataclass(frozen=True)
class Torchvision(Sized):
    """Makes a network of torchvision; `weights` is the name of published ones."""

    def __call__(self, n_out: int, pretrained: bool) -> nn.Module:
        state = self._state() if pretrained else None
        model = tried(self, lambda: self._made(n_out, fresh=state is None))
        if state is not None:
            fill(model, state, [last_scores(model)], self._said, _BESIDE)
        check_runs(self, model)
        return model

    @property
    def _said(self) -> str:
        return self.path or f"{self.name}.{self.weights}"

    def _made(self, n_out: int, fresh: bool) -> nn.Module:
        from torchvision import models

        extra: dict[str, Any] = {}
        if self.name in ("googlenet", "inception_v3"):
            # Their weights are for inputs of another scale, to which the network brings them by itself.
            extra = {"aux_logits": False, "transform_input": True, "init_weights": fresh}
        elif self.name.startswith("vit"):
            extra = {"image_size": self.side}
        elif self.name.startswith("maxvit"):
            extra = {"input_size": (self.side, self.side)}
        made: nn.Module = models.get_model(self.name, weights=None, num_classes=n_out, **extra)
        return made

    def _state(self) -> Mapping[str, Tensor]:
        if self.path:
            return self._to_size(read_weights(self.path))
        weights = published(self.name)[self.weights]
        found = from_url(
            weights.url, self.name,
            lambda: weights.get_state_dict(progress=True, check_hash=True, weights_only=True, map_location="cpu"),
        )  # fmt: skip
        return self._to_size({_OLD_DENSE.sub(r"\1\2.", name): value for name, value in found.items()})

    def _to_size(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Position embeddings interpolated to this size."""
        if not self.name.startswith("vit") or "encoder.pos_embedding" not in state:
            return state
        from torchvision.models.vision_transformer import interpolate_embeddings

        patch = int(state["conv_proj.weight"].shape[-1]) if "conv_proj.weight" in state else 16
        copy: Any = dict(state)
        made: Mapping[str, Tensor] = interpolate_embeddings(self.side, patch, copy)
        return made

    def architecture(self, n_out: int) -> tuple[str, dict[str, Any]]:
        return self.name, {"n_out": n_out, **({"size": self.side} if "vit" in self.name else {})}

    @property
    def smallest(self) -> int:
        # Where torchvision states the published size itself (swin, vit), it says nothing of smaller ones.
        weights = published(self.name)[self.weights]
        stated = int(min(weights.meta.get("min_size", (1, 1))))
        return stated if stated < weights.transforms().crop_size[0] else 1


@cache
def published(name: str) -> Mapping[str, Any]:
    """The sets of weights that torchvision publishes for a network, the best one first."""
    from torchvision import models

    enum = models.get_model_weights(name)
    best = enum.DEFAULT
    return MappingProxyType({best.name: best, **{one.name: one for one in enum if one is not best}})


@cache
def tags() -> tuple[str, ...]:
    """The classification networks of this torchvision that have published weights."""
    from torchvision import models

    return tuple(sorted(models.list_models(module=models)))


def family_of(name: str) -> str:
    """The family's name: "resnet" of "resnet18"."""
    found = _FAMILY.search(name)
    return found[0] if found else name


def licence_of(weights: Any) -> str:
    """Of code and weights, as far as torchvision says it."""
    own = weights.meta.get("license", "")
    return "CC-BY-NC-4.0 (SWAG)" if "SWAG" in own else "BSD-3-Clause"


@cache
def _counted(name: str, side: int) -> int:
    """Parameters without the head, of a network that is described and not allocated."""
    model = described(lambda: Torchvision(name, "", side)._made(7, fresh=False))
    return sum(p.numel() for p in model.parameters()) - head_of(model, [last_scores(model)])


@cache
def body(name: str, weights: str = "") -> Body:
    """A network of `tags()` as a Body: size, crop and numbers are those of its weights, the best ones by default."""
    chosen = published(name)[weights or next(iter(published(name)))]
    steps = chosen.transforms()
    side, edge = steps.crop_size[0], steps.resize_size[0]
    maker = Torchvision(name, chosen.name, side)
    return Body(
        name=f"{name}.{weights}" if weights else name, size=(side, side), channels=3, mean=tuple(steps.mean),
        std=tuple(steps.std), params=_counted(name, side), licence=licence_of(chosen),
        source=f"torchvision's {name}, weights {chosen.name} (ImageNet-1k).", build=maker, needs_network=True,
        resize=edge, interpolation=steps.interpolation.value, family=family_of(name),
        card="The licence is that of torchvision's code; ImageNet has terms of its own for its pictures.",
    )  # fmt: skip


def maker(name: str, size: int | None = None) -> Torchvision:
    """What makes this network with fresh weights, as a bundle states it."""
    first = next(iter(published(name).values()))
    side = first.transforms().crop_size[0] if size is None else side_of(size)
    return Torchvision(name, first.name, side)
