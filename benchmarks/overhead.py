"""What does a training step cost in nbtune, beside a plain PyTorch loop and beside fastai's default?

resnet18, random images named synthetic (a step costs the same on any), batch 64 at 128 px, every group trains.
The plain loop uses the same fused AdamW. Rounds are interleaved; a step is timed from one batch's end to the next.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision.models import resnet18

import nbtune as nt
from nbtune._fastai import Callback, DataLoaders, Learner
from nbtune._fastai.optimizer import layered_adamw

Step = list[float]


class Ends(Callback):  # type: ignore[misc]
    """The moment at which each training batch ends."""

    order = 2000

    def __init__(self) -> None:
        super().__init__()
        self.ends: Step = []

    def after_batch(self) -> None:
        if self.learn.training:
            self.ends.append(time.perf_counter())

    @property
    def steps(self) -> Step:
        """Seconds of every step but the first."""
        return [b - a for a, b in pairwise(self.ends)]


def plain(batches: list[Any]) -> Step:
    """A loop without a framework."""
    model, loss = resnet18(num_classes=10), nn.CrossEntropyLoss()
    opt = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    model.train()
    ends = []
    for x, y in batches:
        loss(model(x), y).backward()
        opt.step()
        opt.zero_grad()
        ends.append(time.perf_counter())
    return [b - a for a, b in pairwise(ends)]


def learner(batches: list[Any], **options: Any) -> Any:
    """A Learner on the batches as they are; one of them serves as validation, outside the clock."""
    loaders = [DataLoader(part, batch_size=None) for part in (batches, batches[:1])]
    return Learner(DataLoaders(*loaders), resnet18(num_classes=10), loss_func=nn.CrossEntropyLoss(), **options)


def tuned(batches: list[Any]) -> Step:
    """The Tuner with every group training."""
    clock = Ends()
    nt.Tuner(learner(batches, opt_func=layered_adamw), seed=0).fit(1, 1e-3, cbs=clock)
    return clock.steps


def fastai(batches: list[Any]) -> Step:
    """fastai as it comes: its own Adam, one cycle, no bar."""
    learn, clock = learner(batches), Ends()
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(1, 1e-3, cbs=clock)
    return clock.steps


def main() -> None:
    """Print median milliseconds a step and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--size", type=int, default=128)
    given = parser.parse_args()
    torch.manual_seed(0)
    batches = [(torch.randn(64, 3, given.size, given.size), torch.randint(10, (64,))) for _ in range(5)]
    ways: dict[str, Callable[[list[Any]], Step]] = {"plain loop": plain, "nbtune": tuned, "fastai": fastai}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(given.rounds):
        for name in list(ways)[number % 3 :] + list(ways)[: number % 3]:
            times[name].append(statistics.median(ways[name](batches)))
    for name, found in times.items():
        ratios = [a / b for a, b in zip(found, times["plain loop"], strict=True)]
        print(
            f"{name:10}  {statistics.median(found) * 1000:6.0f} ms a step"
            f"  {statistics.median(ratios):.3f} of the plain loop (rounds {min(ratios):.3f} to {max(ratios):.3f})"
        )


if __name__ == "__main__":
    main()
