"""What is looked at: a Learner, the phases it is to be trained in, and a few of its items."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nbtune._cut import Cut
from nbtune._fastai import FastaiLoader
from nbtune._fastai.fetch import fetch, plain, spread, still_pass
from nbtune._fastai.steps import cut_batch, first_batch
from nbtune._nested import tensors
from nbtune.phases import Phase

__all__ = ["SAMPLE", "Subject", "Targets"]

SAMPLE = 64  # items of a split that are looked at
MOST = 100_000  # targets that are read at most


@dataclass(frozen=True)
class Targets:
    """Targets of a split's items, or of a sample of them."""

    values: Any  # float64 or int64 [n, ...]
    items: int  # of the split

    @property
    def whole(self) -> bool:
        """Were all items looked at?"""
        return len(self.values) == self.items

    @property
    def classes(self) -> bool:
        """Are they numbers of classes?"""
        return self.values.ndim == 1 and self.values.dtype.kind in "iu"

    def __str__(self) -> str:
        return f"{self.items:,} items" if self.whole else f"{len(self.values):,} of {self.items:,} items"


@dataclass(frozen=True)
class Subject:
    """A Learner before its training. Made and read inside `untouched`, so that looking leaves no trace."""

    learn: Any
    cuts: tuple[Cut, ...]  # of the phases, in their order
    phases: tuple[Phase, ...]
    folder: Path | None  # of the run
    test: Callable[[], tuple[Any, Any]] | None = None  # gives the Tuner's test set: its loader, its items if a task's

    @cached_property
    def loaders(self) -> Mapping[str, Any]:
        """The loaders by the name of their split."""
        return dict(zip(("training", "validation"), self.learn.dls.loaders, strict=False))

    @property
    def n_inp(self) -> int:
        return getattr(self.learn.dls, "n_inp", 1)

    def count(self, split: str) -> int | None:
        """Items of a split; None for a stream."""
        dataset = getattr(self.loaders.get(split), "dataset", None)
        return len(dataset) if hasattr(dataset, "__len__") else None  # type: ignore[arg-type]

    @property
    def chooses(self) -> bool:
        """Does the loss choose one of several classes?"""
        function = self.learn.loss_func
        kinds = [type(function), type(getattr(function, "func", None))]
        name = " ".join([*(kind.__name__ for kind in kinds), str(getattr(function, "__name__", ""))]).lower()
        return "bce" not in name and any(word in name for word in ("crossentropy", "cross_entropy", "nll", "focal"))

    @cached_property
    def batch(self) -> Any:
        """The first training batch, at its true size."""
        return plain(first_batch(self.learn))

    @cached_property
    def samples(self) -> Mapping[str, Any]:
        """A few items of each split as one batch: evenly spread where the loader is indexed, else the first."""
        return {name: self._sample(loader) for name, loader in self.loaders.items()}

    def _sample(self, loader: Any) -> Any:
        if isinstance(loader, FastaiLoader) and loader.bs is not None and loader.indexed and loader.n:
            return fetch(loader, spread(loader.n, SAMPLE))
        batch = plain(cut_batch(next(iter(loader)), SAMPLE))
        device = next(self.learn.model.parameters()).device
        return [part.to(device) if isinstance(part, torch.Tensor) else part for part in batch]

    def inputs(self, split: str) -> Any:
        """The inputs of the sample."""
        return self.samples[split][: self.n_inp]

    def goals(self, split: str) -> Any:
        """The targets of the sample, as the loss gets them."""
        return self.samples[split][self.n_inp :]

    @cached_property
    def outputs(self) -> Mapping[str, Any]:
        """What the model gives for the samples, in evaluation mode."""
        with still_pass(self.learn):
            return {split: self.learn.model(*self.inputs(split)) for split in self.samples}

    @cached_property
    def targets(self) -> Mapping[str, Targets]:
        """Targets of all items where they can be had without making the items, else of the sample."""
        return {name: self._targets(name, loader) for name, loader in self.loaders.items()}

    def _targets(self, name: str, loader: Any) -> Targets:
        dataset = getattr(loader, "dataset", None)
        count = len(dataset) if dataset is not None and hasattr(dataset, "__len__") else 0
        sample = tensors(self.goals(name))
        try:
            held = _held(dataset, count)
        except Exception:  # targets of several shapes, or a dataset of somebody's own: the sample has to do
            held = None
        if held is None:
            held = sample[0].cpu().numpy() if sample else np.empty(0)
        return Targets(np.asarray(held), max(count, len(held)))


def _held(dataset: Any, count: int) -> Any:
    """The targets that a dataset holds as such, or None."""
    if count > MOST or not count:
        return None
    for name in ("y", "targets"):
        value = getattr(dataset, name, None)
        if isinstance(value, torch.Tensor | np.ndarray | list) and len(value) == count:
            return np.asarray(value)
    if hasattr(dataset, "tensors"):
        return np.asarray(dataset.tensors[-1])
    if isinstance(dataset, list) and all(isinstance(item, tuple) and len(item) > 1 for item in dataset):
        return np.stack([np.asarray(item[-1]) for item in dataset])
    parts = getattr(dataset, "tls", None)  # fastai's Datasets: one list a part, targets last
    if parts is not None and len(parts) > 1:
        found = [parts[-1][place] for place in range(count)]
        return np.asarray([int(value) for value in found]) if all(np.ndim(value) == 0 for value in found) else None
    return None
