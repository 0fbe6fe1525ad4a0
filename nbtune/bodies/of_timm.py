"""Bodies of timm, by the names of timm: its own loading, with mean, std, size and crop of the pretrained config."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from types import ModuleType
from typing import Any

from torch import nn

from nbtune.bodies._fetch import from_hub, from_url, missing_extra
from nbtune.bodies._sizes import Sized, check_runs, side_of, tried
from nbtune.bodies._weights import described, fill, head_of, last_scores, read_weights
from nbtune.bodies.body import Body
from nbtune.bodies.images import METHODS
from nbtune.errors import InputError

__all__ = ["Timm", "body", "library", "maker", "tags"]

_PLAIN = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)?")  # no repository, folder or address
_FILES = ("model.safetensors", "pytorch_model.bin")


def library(name: str) -> ModuleType:
    """timm itself. Raises MissingExtraError, an ImportError, where it is not installed."""
    try:
        import timm
    except ImportError as error:
        raise missing_extra(name, "timm", "timm", error) from error
    return timm


@dataclass(frozen=True)
class Timm(Sized):
    """Makes a network of timm; `name` has timm's tag where one was given, `weights` says the config's tag."""

    def __call__(self, n_out: int, pretrained: bool) -> nn.Module:
        model = tried(self, lambda: self._made(n_out, pretrained and not self.path))
        if pretrained and self.path:
            fill(model, read_weights(self.path), _heads(self.name, model), self.path)
        check_runs(self, model)
        return model

    def _made(self, n_out: int, pretrained: bool) -> nn.Module:
        timm, config = library(self.name), _config(self.name)
        size = {"img_size": self.side} if config.fixed_input_size and self.asked else {}

        def make() -> nn.Module:
            model: nn.Module = timm.create_model(self.name, pretrained=pretrained, num_classes=n_out, **size)
            return model

        if not pretrained:
            return make()
        model = self._loaded(config, make)
        if n_out == config.num_classes:  # timm keeps a head that fits
            model.reset_classifier(n_out)  # type: ignore[operator]
        return model

    def _loaded(self, config: Any, make: Any) -> nn.Module:
        if not config.has_weights:
            raise InputError(
                f"pretrained weights of {f'timm:{self.name}'!r}: timm publishes none.",
                rule="a pretrained body has published weights, or a file of them.",
                likely="an architecture of which timm has only the code.",
                next=f'task.learner("timm:{self.name}", pretrained=False), or weights="my.safetensors"',
            )  # fmt: skip
        called = f"timm:{self.name}"
        if config.hf_hub_id:
            made: nn.Module = from_hub(config.hf_hub_id, called, _FILES, make)
        else:
            made = from_url(config.url, called, make)
        return made

    def architecture(self, n_out: int) -> tuple[str, dict[str, Any]]:
        size = {"size": self.side} if self.asked and _config(self.name).fixed_input_size else {}
        return f"timm:{self.name.partition('.')[0]}", {"n_out": n_out, **size}


def _config(name: str) -> Any:
    """timm's pretrained config of a name with or without tag."""
    return library(name).get_pretrained_cfg(name)


def _heads(name: str, model: nn.Module) -> list[str]:
    found = _config(name).classifier
    return [last_scores(model)] if not found else [found] if isinstance(found, str) else list(found)


def tags() -> tuple[str, ...]:
    """All architectures of the installed timm. Raises MissingExtraError where it is not installed."""
    return tuple(library("timm:...").list_models())


@cache
def body(name: str) -> Body:
    """A network of timm as a Body. Raises InputError for a name that timm does not know."""
    _check(name)
    config, timm = _config(name), library(name)
    channels, side, wide = config.input_size
    if channels != 3 or side != wide:
        raise InputError(
            f"{f'timm:{name}'!r} takes input of {config.input_size}.", rule="a body by name takes square pictures in "
            "three channels.", likely="a network for other data than photographs.",
            next=f"task.learner(lambda n: timm.create_model({name!r}, num_classes=n))",
        )  # fmt: skip
    tag = config.tag or "its only ones"
    model = described(lambda: timm.create_model(name, pretrained=False, num_classes=7))
    return Body(
        name=f"timm:{name}", size=(side, side), channels=3, mean=tuple(config.mean), std=tuple(config.std),
        params=sum(p.numel() for p in model.parameters()) - head_of(model, _heads(name, model)),
        licence=config.license or "see the weights' own page", source=f"timm's {name}, weights {tag}.",
        build=Timm(name, tag, side), needs_network=bool(config.has_weights), resize=_edge(config, side),
        interpolation=config.interpolation if config.interpolation in METHODS else "bicubic",
        family=type(model).__name__.lower(), card=config.description or "",
    )  # fmt: skip


def _edge(config: Any, side: int) -> int | tuple[int, int] | None:
    """Before the crop, as timm's transform for evaluation."""
    edge: int = math.floor(side / config.crop_pct)
    if config.crop_mode == "center":
        return edge
    return None if edge == side else (edge, edge)


def _check(name: str) -> None:
    timm = library(f"timm:{name}")
    arch, _, tag = name.partition(".")
    if _PLAIN.fullmatch(name) and timm.is_model(arch):
        known = timm.models.get_arch_pretrained_cfgs(arch)
        if not tag or name in known:
            return
        listed = ", ".join(known) or "none"
        raise InputError(
            f"timm has no weights {tag!r} of {arch!r}.", rule=f"the weights of {arch} are {listed:.300}.",
            likely="a misspelling, or a tag of another version of timm.", next=f'task.learner("timm:{arch}")',
        )  # fmt: skip
    near = get_close_matches(arch.lower(), timm.list_models(), n=3, cutoff=0.5)
    raise InputError(
        f"timm {timm.__version__} has no network {name!r:.80}.",
        rule="what follows timm: is a name that timm.list_models() lists, with a tag of its weights where you like.",
        likely="a repository: those of the hub begin with hf:." if "/" in name else "a misspelling."
        if near else "a network of another library, or of another version of timm.",
        next=f'task.learner("hf:{name}")' if "/" in name
        else f"did you mean {' or '.join(near)}? task.learner(\"timm:{near[0]}\")" if near
        else 'timm.list_models("*resnet*") lists names',
    )  # fmt: skip


def maker(name: str, size: int | None = None) -> Timm:
    """What makes this network with fresh weights, as a bundle states it; raises as `body`."""
    _check(name)
    side = _config(name).input_size[1] if size is None else side_of(size)
    return Timm(name, "", side, asked=size is not None)
