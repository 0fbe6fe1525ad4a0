"""Bodies of the Hugging Face hub, or of a folder in its form: vision models with their image processor's numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from nbtune.bodies._fetch import from_hub, missing_extra
from nbtune.bodies._processor import numbers_of
from nbtune.bodies._weights import described, fill, head_of, last_scores, read_weights
from nbtune.bodies.body import Body
from nbtune.errors import BundleError, InputError, MissingFileError

__all__ = ["Hub", "Scores", "body", "maker"]

_FILES = ("config.json", "preprocessor_config.json", "model.safetensors", "pytorch_model.bin")
_LICENCE = re.compile(r"^license:\s*([\w.\-]+)", re.MULTILINE)
# What would fetch something, run something, or belongs to the weights that were read.
_LEFT_OUT = {
    "auto_map", "architectures", "id2label", "label2id", "num_labels", "transformers_version", "dtype", "torch_dtype",
    "quantization_config", "attn_implementation", "experts_implementation", "use_pretrained_backbone", "problem_type",
}  # fmt: skip


def _library(name: str) -> ModuleType:
    try:
        import transformers
        from transformers import AutoModelForImageClassification  # noqa: F401 (it needs torchvision, too)
    except ImportError as error:
        raise missing_extra(name, "transformers", "hf", error) from error
    return transformers


class Scores(nn.Module):
    """A classifier of transformers whose output is the tensor of scores alone."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.net(pixel_values=x).logits
        return scores


@dataclass(frozen=True)
class Hub:
    """Makes the network of a repository or a folder; `config` is its description as JSON."""

    name: str
    config: str
    path: str = ""

    def __call__(self, n_out: int, pretrained: bool) -> nn.Module:
        if pretrained and not self.path:
            return Scores(self._loaded(n_out))
        net = _made(self.config, n_out)
        if pretrained:
            fill(net, read_weights(self.path), [last_scores(net)], self.path)
        return Scores(net)

    def _loaded(self, n_out: int) -> nn.Module:
        auto = _library(f"hf:{self.name}").AutoModelForImageClassification

        def load() -> Any:
            return auto.from_pretrained(
                self.name, num_labels=n_out, ignore_mismatched_sizes=True, output_loading_info=True,
                trust_remote_code=False, dtype=torch.float32,
            )  # fmt: skip

        with _quiet():
            net, found = _read(self.name, load)
        head = last_scores(net)
        _check_loaded(self.name, found, head.partition(".")[0])
        layer = net.get_submodule(head)
        if head + ".weight" not in {name for name, *_ in found["mismatched_keys"]}:
            layer.reset_parameters()  # a head of as many classes was read, and a body's head is fresh
        made: nn.Module = net
        return made

    def architecture(self, n_out: int) -> tuple[str, dict[str, Any]]:
        return "hf", {"n_out": n_out, "config": self.config}


def _check_loaded(name: str, found: Any, head: str) -> None:
    """Raise InputError where tensors of the body stayed at fresh weights."""
    wrong = [f"{one} is {list(there)} there and {list(here)} in the network"
             for one, there, here in sorted(found["mismatched_keys"]) if not one.startswith(head)]  # fmt: skip
    absent = sorted(one for one in found["missing_keys"] if not one.startswith(head))
    if not (wrong or absent):
        return
    said = wrong or [f"{one} is missing" for one in absent]
    more = f" and {len(said) - 3} more" if len(said) > 3 else ""
    raise InputError(
        f"the weights of {f'hf:{name}'!r} do not fit its config.json: {', '.join(said[:3])}{more}.",
        rule="every tensor of the body is in the weights by name and shape; the head alone is fresh.",
        likely="a config.json of another model." if wrong else "weights of a part of the network, or of another kind.",
        next=f'task.learner("hf:{name}", pretrained=False), or a folder whose files belong together',
    )  # fmt: skip


def _read(name: str, load: Any) -> Any:
    """What `load` reads of a folder or of the hub; raises as `from_hub`."""
    if not Path(name).is_dir():
        return from_hub(name, f"hf:{name}", _FILES, load)
    try:
        return load()
    except Exception as error:
        absent = isinstance(error, OSError) and "no file" in str(error)
        what = f"{str(error).splitlines()[0]:.160}"
        kind = MissingFileError if absent else BundleError
        raise kind(
            f"{name!r}: {what}", rule="the folder has config.json, preprocessor_config.json and model.safetensors.",
            likely="a folder that was copied in part." if absent else "a model of another kind than one of pictures.",
            next="model.save_pretrained(folder); processor.save_pretrained(folder)",
        ) from error  # fmt: skip


@contextmanager
def _quiet() -> Iterator[None]:
    """Without reports of what is loaded: that the head is fresh is known here."""
    logging: Any = import_module("transformers.utils.logging")
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _made(config: str, n_out: int) -> nn.Module:
    """A network with fresh weights by its description; nothing is fetched, no code but transformers' own is run."""
    transformers = _library("hf:...")
    stated = json.loads(config)
    kind = stated.pop("model_type", "")
    if kind == "timm_wrapper" or not isinstance(kind, str):
        raise InputError(
            f"a model of the type {kind!r}.", rule="it is one of transformers' own vision models.",
            likely="a network of timm that transformers only wraps.", next='task.learner("timm:NAME")',
        )  # fmt: skip
    known = transformers.AutoConfig.for_model(kind, num_labels=n_out, **_cleaned(stated))
    with _quiet():
        made: nn.Module = transformers.AutoModelForImageClassification.from_config(known, trust_remote_code=False)
    return made.float()


def _cleaned(stated: dict[str, Any]) -> dict[str, Any]:
    return {name: _cleaned(value) if isinstance(value, dict) else value
            for name, value in stated.items() if name not in _LEFT_OUT and not name.startswith("_")}  # fmt: skip


def body(name: str) -> Body:
    """A repository of the hub, or a folder in its form, as a Body.

    Raises MissingExtraError without transformers, MissingFileError where it is not here and cannot be fetched,
    InputError where its image processor does what no size, crop, mean and spread can say.
    """
    transformers = _library(f"hf:{name}")

    def load() -> tuple[Any, Any]:
        config = transformers.AutoConfig.from_pretrained(name, trust_remote_code=False)
        return config, transformers.AutoImageProcessor.from_pretrained(name, trust_remote_code=False)

    with _quiet():
        config, processor = _read(name, load)
    stated = {"model_type": config.model_type, **_cleaned(config.to_dict())}
    build = Hub(name, json.dumps(stated, sort_keys=True))
    net = described(lambda: _made(build.config, 7))
    local = Path(name).is_dir()
    params = sum(p.numel() for p in net.parameters()) - head_of(net, [last_scores(net)])
    return Body(
        name=f"hf:{name}", channels=3, params=params,
        licence=_licence(name), source=f"{config.model_type} {'in a folder' if local else 'of the Hugging Face hub'}.",
        build=build, needs_network=not local, family=config.model_type, **numbers_of(processor, f"hf:{name}"),
    )  # fmt: skip


def _licence(name: str) -> str:
    """As the model's card says it, where that is here."""
    from huggingface_hub import try_to_load_from_cache

    card = Path(name) / "README.md" if Path(name).is_dir() else try_to_load_from_cache(name, "README.md")
    place = Path(card) if isinstance(card, (str, Path)) else None
    found = _LICENCE.search(place.read_text(errors="replace")[:4000]) if place and place.is_file() else None
    return found[1] if found else "see the model's own page"


def maker(config: Any) -> Hub:
    """What makes a network from a bundle's description of it. Raises TypeError for a text that is none."""
    try:
        stated = json.loads(config)
    except (TypeError, ValueError) as error:
        raise TypeError("config is a text of JSON.") from error
    if not isinstance(stated, dict):
        raise TypeError("config is a table.")
    return Hub("", config)
