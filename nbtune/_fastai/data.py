"""Arrays as fastai DataLoaders: a batch is one indexing, augmentation runs on the batch."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nbtune._fastai import (
    CrossEntropyLossFlat,
    DataLoaders,
    F1Score,
    IntToFloatTensor,
    Learner,
    Normalize,
    Precision,
    RandTransform,
    Recall,
    TensorCategory,
    TensorImage,
    TensorImageBW,
    TfmdDL,
    accuracy,
    error_rate,
)
from nbtune._fastai.optimizer import layered_adamw, stages
from nbtune.errors import InputError, InputTypeError, nearest

# By name, safe for any number of classes: fastai's own defaults are binary.
METRICS: dict[str, Callable[[], Any]] = {
    "accuracy": lambda: accuracy,
    "error_rate": lambda: error_rate,
    "f1": lambda: F1Score(average="macro"),
    "precision": lambda: Precision(average="macro"),
    "recall": lambda: Recall(average="macro"),
}

__all__ = ["METRICS", "ArrayItems", "ArrayLoader", "Deform", "build_loaders", "learner", "seeded"]


class ArrayItems:
    """Images [n, c, h, w] uint8 and targets [n] as a fastai dataset; an item's id does not change with the order.

    `x` is a tensor, or what gives one by an index of it. `wrap` makes a target of fastai's type of `y`.
    `split_idx` 0 marks the training items, to which alone fastai applies augmentation.
    """

    def __init__(self, x: Any, y: Tensor, ids: Sequence[str], split_idx: int, wrap: Any = TensorCategory) -> None:
        self.x, self.y, self.ids, self.split_idx, self.wrap = x, y, tuple(ids), split_idx, wrap
        self.kind = TensorImageBW if x.shape[1] == 1 else TensorImage

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        return self.kind(self.x[index]), self.wrap(self.y[index])

    def batch(self, index: Sequence[int]) -> tuple[Any, ...]:
        """The items of `index`, stacked."""
        where = torch.as_tensor(index)
        return self.kind(self.x[where]), self.wrap(self.y[where])


class ArrayLoader(TfmdDL):  # type: ignore[misc]
    """A fastai loader that takes a whole batch by one indexing where nothing is done item by item."""

    def create_batches(self, samps: Iterable[int]) -> Iterator[Any]:
        """Batches in the order of `samps`."""
        itemwise = self.after_item.fs or self.before_batch.fs or self.bs is None
        if itemwise or not isinstance(self.dataset, ArrayItems):
            yield from super().create_batches(samps)
            return
        order = list(samps)
        stop = len(order) - len(order) % self.bs if self.drop_last else len(order)
        batches = [order[start : start + self.bs] for start in range(0, stop, self.bs)]
        if getattr(self.dataset.x, "ahead", 0):
            yield from _ahead(self.dataset.batch, batches)
        else:
            yield from map(self.dataset.batch, batches)


def _ahead(make: Callable[[Sequence[int]], Any], batches: Sequence[Sequence[int]]) -> Iterator[Any]:
    """Each batch, while the next one is made in a thread; what `make` raises is raised where its batch is due."""
    with ThreadPoolExecutor(1, "nbtune-ahead") as thread:
        due = thread.submit(make, batches[0]) if batches else None
        for following in [*batches[1:], None][: len(batches)]:
            assert due is not None
            made = due.result()
            due = None if following is None else thread.submit(make, following)
            yield made


class Deform(RandTransform):  # type: ignore[misc]
    """Random affine and elastic deformation of a training batch (Simard, Steinkraus and Platt 2003).

    Limits are drawn evenly from both sides: `turn` in degrees, `shear` and `scale` as shares, `shift` as a share of
    the side; `bend` is the standard deviation of a coarse displacement field in shares of the side. The border
    repeats. Random numbers come from torch's global generator only.
    """

    split_idx, order = 0, 30

    def __init__(
        self, turn: float = 12.0, shear: float = 0.2, scale: float = 0.15, shift: float = 0.06, bend: float = 0.02,
        knots: int = 4, p: float = 1.0,
    ) -> None:  # fmt: skip
        super().__init__(p=p)
        self.turn, self.shear, self.scale, self.shift = turn, shear, scale, shift
        self.bend, self.knots = bend, knots

    def encodes(self, x: TensorImage) -> Any:
        """The deformed batch, of the same type and shape."""
        return self.deform(x.as_subclass(Tensor)).as_subclass(type(x))

    def deform(self, x: Tensor) -> Tensor:
        """Plain tensors [n, c, h, w] of float, deformed."""
        grid = F.affine_grid(self._affine(len(x)).to(x), list(x.shape), align_corners=False)
        if self.bend:
            grid = grid + self._field(x.shape).to(x)
        return F.grid_sample(x, grid, padding_mode="border", align_corners=False)

    def _affine(self, n: int) -> Tensor:
        draw = torch.rand(7, n) * 2 - 1
        angle = draw[0] * float(np.deg2rad(self.turn))
        slant, wide, high = (
            draw[1] * self.shear,
            torch.exp(draw[2] * self.scale),
            torch.exp(draw[3] * self.scale),
        )
        cos, sin = torch.cos(angle), torch.sin(angle)
        top = torch.stack([cos * wide, (slant - sin) * wide, draw[4] * 2 * self.shift], 1)
        low = torch.stack([sin * high, cos * high, draw[5] * 2 * self.shift], 1)
        return torch.stack([top, low], 1)

    def _field(self, shape: Sequence[int]) -> Tensor:
        knots = torch.randn(shape[0], 2, self.knots, self.knots) * (2 * self.bend)
        field = F.interpolate(knots, size=tuple(shape[-2:]), mode="bicubic", align_corners=True)
        return field.permute(0, 2, 3, 1)


@contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """Python's, numpy's and torch's streams at `seed` inside, as they were outside; None leaves them alone."""
    if seed is None:
        yield
        return
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])


def build_loaders(
    train: ArrayItems, valid: ArrayItems, *, bs: int, drop_last: bool, mean: Sequence[float], std: Sequence[float],
    augment: Sequence[Any], vocab: Sequence[str],
) -> Any:  # fmt: skip
    """fastai DataLoaders: shuffled training batches, valid in order, normalised by `mean` and `std`."""

    def tfms() -> list[Any]:
        return [IntToFloatTensor(), Normalize.from_stats(list(mean), list(std), cuda=False)]

    first = ArrayLoader(train, bs=bs, shuffle=True, drop_last=drop_last, num_workers=0, after_batch=[*tfms(), *augment])
    second = ArrayLoader(valid, bs=max(bs, 128), num_workers=0, after_batch=tfms())
    dls = DataLoaders(first, second, device=torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    for loader in dls.loaders:
        loader.vocab, loader._n_inp = list(vocab), 1
    dls.vocab, dls.c = list(vocab), len(vocab)
    return dls


def learner(dls: Any, model: nn.Module, **options: Any) -> Any:
    """A fastai Learner with cross-entropy, accuracy, fused AdamW and nbtune's groups, where `options` do not differ."""
    defaults = {
        "loss_func": CrossEntropyLossFlat(),
        "metrics": [accuracy],
        "opt_func": layered_adamw,
        "splitter": stages,
    }
    if "metrics" in options:
        options = {**options, "metrics": _metrics(options["metrics"])}
    return Learner(dls, model, **{**defaults, **options})


def _metrics(given: Any) -> list[Any]:
    """fastai metrics from names or functions. Raises InputError for an unknown name, InputTypeError for no metric."""
    made = []
    for metric in given if isinstance(given, (list, tuple)) else [given]:
        if isinstance(metric, str) and metric not in METRICS:
            raise InputError(
                f"metrics={metric!r}.",
                rule=f"a metric is a fastai metric, a function, or one of {', '.join(METRICS)}.",
                likely="a misspelt name.",
                next=nearest(metric, METRICS),
            )
        if not isinstance(metric, str) and not callable(metric) and not hasattr(metric, "accumulate"):
            raise InputTypeError(
                f"metrics={metric!r:.80}.",
                rule=f"a metric is a fastai metric, a function, or one of {', '.join(METRICS)}.",
                likely="the value of a metric instead of the metric.",
                next='metrics="accuracy"',
            )
        made.append(METRICS[metric]() if isinstance(metric, str) else metric)
    return made
