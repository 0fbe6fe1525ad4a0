"""Predictions of a Learner without its trackers, bars or recorder being touched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from nbtune._fastai.borrow import borrowed
from nbtune._fastai.workers import answering
from nbtune.errors import InputError

__all__ = ["answers", "foreign_parts", "kind_of", "predictions", "vocabulary"]


def predictions(learn: Any, loader: Any) -> tuple[Any, Any]:
    """Probabilities float64 [n, classes] and targets int64 [n] over `loader`, in its order.

    Raises InputError if the loss does not say how outputs become probabilities.
    """
    act = getattr(learn.loss_func, "activation", None)
    if act is None and isinstance(learn.loss_func, nn.CrossEntropyLoss):
        act = _softmax
    with borrowed(learn), _left_whole(), answering(loader):
        outputs, targets = learn.get_preds(dl=loader, act=act or _same, reorder=False)
    probs = torch.as_tensor(outputs).double().numpy()
    if act is None and not _are_probabilities(probs):
        raise InputError(
            f"a loss ({type(learn.loss_func).__name__}) that does not say how outputs become probabilities.",
            rule="outputs are probabilities, or the loss is CrossEntropyLoss or has fastai's `activation`.",
            likely="a loss of your own.",
            next="give it an activation: loss.activation = lambda x: x.softmax(-1)",
        )
    return probs / probs.sum(1, keepdims=True), np.asarray(torch.as_tensor(targets).long())


@contextmanager
def _left_whole() -> Iterator[None]:
    """Leave what fastai has entered where its predictions fail as they begin: it does not.

    The Learner's lock would be kept, and loggers be put back whenever the error is forgotten.
    """
    try:
        yield
    except BaseException as error:
        trace, entered = error.__traceback__, []
        while trace is not None:
            entered.append(trace.tb_frame.f_locals.get("self"))
            trace = trace.tb_next
        for block in reversed(entered):
            if type(block).__name__ == "ContextManagers":
                block.stack.close()
        raise


def answers(learn: Any, loader: Any) -> tuple[Any, Any]:
    """Outputs through the loss's activation and targets, both float64 [n, k]: of several labels, or of numbers."""
    with borrowed(learn), _left_whole(), answering(loader):
        outputs, targets = learn.get_preds(dl=loader, act=_activation(learn.loss_func), reorder=False)
    found, goal = (torch.as_tensor(one).as_subclass(torch.Tensor).double().numpy() for one in (outputs, targets))
    return (found[:, None] if found.ndim == 1 else found), (goal[:, None] if goal.ndim == 1 else goal)


def kind_of(learn: Any) -> str:
    """What the Learner's loss is for: single (classes), multi (several labels) or regression (numbers)."""
    loss = learn.loss_func
    parts = (loss, getattr(loss, "func", loss))
    names = {type(part).__name__ for part in parts} | {getattr(part, "__name__", "") for part in parts}
    if names & {"SeveralLabels", "BCEWithLogitsLoss", "BCEWithLogitsLossFlat", "BCELoss"}:
        return "multi"
    numbers = {"ScaledMSE", "MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss",
               "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"}  # fmt: skip
    return "regression" if names & numbers else "single"


def _activation(loss: Any) -> Any:
    """What makes outputs answers: the loss's own activation; PyTorch's loss of several labels takes scores."""
    plain = torch.sigmoid if isinstance(loss, nn.BCEWithLogitsLoss) else _same
    return getattr(loss, "activation", plain)


def _softmax(outputs: torch.Tensor) -> torch.Tensor:
    return outputs.softmax(-1)


def _same(outputs: torch.Tensor) -> torch.Tensor:
    return outputs


def _are_probabilities(values: Any) -> bool:
    return bool(values.ndim == 2 and (values >= 0).all() and np.allclose(values.sum(1), 1, atol=1e-3))


def vocabulary(learn: Any, classes: int) -> list[str]:
    """Class names of the Learner's data, or numbers where it names none."""
    vocab: Any = getattr(learn.dls, "vocab", None)
    if (vocab is not None and len(vocab) and isinstance(vocab[-1], (list, tuple))) or hasattr(vocab, "map_ids"):
        vocab = vocab[-1]
    names = [str(name) for name in vocab] if vocab is not None else []
    return names if len(names) == classes else [str(number) for number in range(classes)]


def foreign_parts(learn: Any) -> dict[str, Any]:
    """What a bundle needs to know of a Learner that task.learner did not make, read from one of its batches.

    Raises InputError unless its input is one batch of images.
    """
    with borrowed(learn):
        batch = next(iter(learn.dls.valid))
        images = [part for part in batch[: getattr(learn.dls, "n_inp", 1)] if getattr(part, "ndim", 0) == 4]
    if len(images) != 1 or images[0].shape[1] not in (1, 3):
        raise InputError(
            f"a Learner whose input is {[tuple(getattr(part, 'shape', ())) for part in batch]}.",
            rule="a bundle holds a classifier of images with 1 or 3 channels.",
            likely="a table or a text, which this version cannot save.",
            next="torch.save(learn.model.state_dict(), ...), and keep the preprocessing yourself.",
        )
    channels = images[0].shape[1]
    steps = getattr(learn.dls.valid, "after_batch", None)
    found = [step for step in getattr(steps, "fs", []) if type(step).__name__ == "Normalize"]
    mean, std = (found[0].mean, found[0].std) if found else (torch.zeros(channels), torch.ones(channels))
    with torch.no_grad():
        classes = int(learn.model(images[0][:1].as_subclass(torch.Tensor)).shape[-1])
    kind = kind_of(learn)
    scale = {"scale": [[0.0] * classes, [1.0] * classes]} if kind == "regression" else {}
    return {
        "architecture": None,
        "preprocessing": {
            "size": tuple(images[0].shape[-2:]),
            "channels": channels,
            "mean": [float(value) for value in mean.flatten()],
            "std": [float(value) for value in std.flatten()],
        },
        "vocab": vocabulary(learn, classes),
        "task_card": {} if kind == "single" else {"kind": kind, **scale},
    }
