"""Learners with one fault each, planted for Preflight to find."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from fastai.callback.tracker import EarlyStoppingCallback
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner
from fastai.losses import BCEWithLogitsLossFlat, CrossEntropyLossFlat
from fastai.metrics import F1Score, accuracy
from torch import nn
from torch.utils.data import DataLoader as TorchLoader

from learners import X, Y, cnn, loaders, parts, quiet, seed, tabular


def learner(x: Any = X, y: Any = Y, model: Any = None, **options: Any) -> Any:
    """96 training and 32 validation digits, or what stands in for them."""
    seed(0)
    bs, items = options.pop("bs", 32), options.pop("items", 96)
    dls = options.pop("dls", None) or loaders(x, items, bs, y, **options.pop("loader", {}))
    kept = {"loss_func": CrossEntropyLossFlat(), "splitter": parts, "metrics": accuracy}
    return quiet(Learner(dls, cnn() if model is None else model, **{**kept, **options}))


def nan_inputs() -> Any:
    x = X.clone()
    x[5, 0, 2, 2] = float("nan")
    return learner(x)


def empty_pictures() -> Any:
    x = X.clone()
    x[10:20] = 0.5
    return learner(x)


def missing_class() -> Any:
    order = torch.cat([(Y != 3).nonzero().flatten(), (Y == 3).nonzero().flatten()])
    return learner(X[order], Y[order])


def nan_targets() -> Any:
    y = Y.float()
    y[4] = float("nan")
    return learner(y=y[:, None], model=_numbers(), loss_func=nn.MSELoss(), metrics=[])


def _numbers() -> nn.Sequential:
    model = cnn()
    model[3][3] = nn.Linear(10, 1)
    return model


def copied() -> Any:
    x, y = X.clone(), Y.clone()
    x[-32:-16], y[-32:-16] = x[:16], y[:16]
    return learner(x, y)


def raw_pixels() -> Any:
    model = cnn()
    with torch.no_grad():
        for _ in range(30):
            model.train()(X[:256])  # statistics of inputs of 0 to 1
    return learner(X * 255, model=model)


class Own:
    """A transform with a generator of its own."""

    def __init__(self) -> None:
        self.stream = np.random.default_rng(0)

    def __call__(self, item: Any) -> Any:
        return item[0] + float(self.stream.normal()), item[1]


class Greedy(nn.Module):
    """Runs out of memory in a training step of more than eight items."""

    def __init__(self) -> None:
        super().__init__()
        self.net = cnn()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training and len(x) > 8:
            raise torch.OutOfMemoryError("planted")
        return self.net(x)


class FailsInTraining(nn.Sequential):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            raise RuntimeError("planted in the step")
        return super().forward(x)


def class_by_class(loader: Any = None) -> Any:
    order = torch.argsort(Y[:96], stable=True)
    pairs = list(zip(X[:96][order], Y[:96][order], strict=True))
    learn = learner()
    learn.dls = DataLoaders(DataLoader(pairs, bs=16) if loader is None else loader(pairs), learn.dls.valid)
    return learn


def torch_loader(pairs: Any) -> Any:
    return TorchLoader(pairs, batch_size=16)


def no_batch() -> Any:
    learn = learner()
    learn.dls = DataLoaders(DataLoader([(X[0], Y[0]), (X[1][:, :4], Y[1])] * 20, bs=8), learn.dls.valid)
    return learn


def one_item_left() -> Any:
    learn = learner()
    learn.dls = DataLoaders(DataLoader(list(zip(X[:97], Y[:97], strict=True)), bs=32, shuffle=True), learn.dls.valid)
    return learn


def one_column(learn: Any) -> Any:
    frame = learn.dls.train.dataset.items
    frame["ash"] = np.float32(0.5)
    learn.dls.train = learn.dls.train.new(learn.dls.train.dataset)
    return learn


def too_many_scores() -> Any:
    learn = learner(model=cnn_of(12))
    learn.dls.vocab = [str(number) for number in range(10)]
    return learn


def cnn_of(scores: int) -> nn.Sequential:
    model = cnn()
    model[3][3] = nn.Linear(10, scores)
    return model


def whole(model: nn.Module) -> Any:
    return learner(model=model, splitter=lambda net: [list(net.parameters())])


def class_mae(out: Any, y: Any) -> Any:
    return (out.argmax(1) - y).abs().float().mean()


def nan_metric(out: Any, y: Any) -> Any:
    return out.sum() * float("nan")


# How it is made; severity, subject and words of the finding.
FAULTS: dict[str, tuple[Callable[[], Any], str, str, str]] = {
    "NaN in an input": (nan_inputs, "stop", "inputs", "hold NaN"),
    "equal inputs": (lambda: learner(torch.ones_like(X)), "stop", "inputs", "are equal"),
    "empty pictures": (empty_pictures, "warn", "inputs", "one value everywhere"),
    "labels from 1": (lambda: learner(y=Y + 1), "stop", "labels", "are 10"),
    "negative labels": (lambda: learner(y=Y - 1), "stop", "labels", "are -1"),
    "NaN targets": (nan_targets, "stop", "targets", "NaN or infinite"),
    "a class without training items": (missing_class, "warn", "classes", "class 3"),
    "a batch above the training split": (lambda: learner(items=20, bs=64), "stop", "batch size", "none is left"),
    "a loss for other targets": (
        lambda: learner(loss_func=BCEWithLogitsLossFlat(), metrics=[]), "stop", "loss", "raises"),
    "numbers spread over each other": (
        lambda: learner(y=Y.float(), model=_numbers(), loss_func=nn.MSELoss(), metrics=[]), "stop", "loss", "[64, 1]"),
    "a metric of two classes": (lambda: learner(metrics=[accuracy, F1Score()]), "stop", "metrics", "raises"),
    "a metric of many numbers": (
        lambda: learner(metrics=[lambda out, y: out.softmax(1)[0]]), "warn", "metrics", "not one number"),
    "a monitor that nobody records": (
        lambda: learner(cbs=EarlyStoppingCallback(monitor="acuracy")), "stop", "monitor", "'acuracy'"),
    "copies across splits": (copied, "warn", "copies", "16 of 32"),
    "pixels that are not normalised": (raw_pixels, "warn", "normalisation", "times as wide"),
    "a step without memory": (lambda: whole(Greedy()), "stop", "memory", "32 items runs out of memory"),
    "a step that fails": (lambda: whole(FailsInTraining(*cnn())), "stop", "step", "planted in the step"),
    "no batch": (no_batch, "stop", "batch", "no training batch can be made"),
    "one item in the last batch": (one_item_left, "warn", "batch size", "has one item"),
    "one class": (lambda: learner(y=torch.zeros_like(Y)), "stop", "classes", "all 96 training items are of class 0"),
    "one score": (lambda: learner(y=torch.zeros_like(Y), model=cnn_of(1)), "stop", "loss", "one column"),
    "scores without a class": (too_many_scores, "warn", "loss", "12 scores for 10 classes"),
    "class by class": (class_by_class, "warn", "order", "class by class: the class changes 9 times"),
    "class by class, torch's loader": (lambda: class_by_class(torch_loader), "warn", "order", "changes 9 times"),
    "a constant column": (lambda: one_column(tabular()), "warn", "inputs", "at place 1 are the same"),
    "a monitor the wrong way": (
        lambda: learner(metrics=class_mae, cbs=EarlyStoppingCallback(monitor="class_mae")), "warn", "monitor",
        "higher class_mae"),
    "a metric that is no number": (lambda: learner(metrics=nan_metric), "warn", "metrics", "is nan"),
    "a stream of its own": (lambda: learner(loader={"after_item": Own()}), "warn", "order", "two different"),
}  # fmt: skip
