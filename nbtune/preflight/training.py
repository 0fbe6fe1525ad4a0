"""Findings about what training does with outputs: loss, metrics, monitors, the body's idea of its input."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from nbtune._fastai.fetch import still_pass
from nbtune._nested import tensors
from nbtune.errors import nearest
from nbtune.preflight.subject import Subject
from nbtune.preflight.values import Finding

__all__ = ["loss", "metrics", "monitors", "normalisation"]

_APART, _TIMES = 2.0, 8.0  # of a norm's statistics: standard deviations, and how many times as wide
_LESS = ("rmse", "mae", "mse", "error", "loss", "perplexity", "brier")  # less is better
_PIXELS = 20.0  # a normalised input does not reach that


def loss(subject: Subject) -> Iterator[Finding]:
    """Does the loss take outputs and targets, and give one finite number?"""
    learn = subject.learn
    for split in subject.loaders:
        out, goals = subject.outputs[split], subject.goals(split)
        if subject.chooses and isinstance(out, torch.Tensor) and out.ndim == 2 and out.shape[1] == 1:
            yield Finding(
                "stop", "loss", f"{_name(learn.loss_func)} of one column of scores, {_shapes(out)}.",
                "It is 0 whatever the model says.", "a head with one output a class, or BCEWithLogitsLossFlat()",
            )  # fmt: skip
            return
        try:
            value = learn.loss_func(out, *goals)
        except Exception as error:
            yield Finding(
                "stop", "loss", f"{_name(learn.loss_func)} raises on {split} items: {_first(error)}",
                f"It got outputs of shape {_shapes(out)} and targets of {_shapes(goals)}.",
                "learn.loss_func = nn.CrossEntropyLoss() for classes, nn.MSELoss() for numbers",
            )  # fmt: skip
            return
        if not isinstance(value, torch.Tensor) or value.numel() != 1:
            yield Finding(
                "stop", "loss", f"{_name(learn.loss_func)} gives {_shapes(value)} numbers.", "A loss is one number.",
                'reduction="mean"',
            )  # fmt: skip
        elif not bool(value.isfinite()):
            yield Finding("stop", "loss", f"the loss of {split} items is {float(value)} before training.",
                          "Training cannot begin from it.", "look at these items")  # fmt: skip
        elif _spreads(learn.loss_func, out, goals):
            yield Finding(
                "stop", "loss", f"outputs of shape {_shapes(out)} against targets of {_shapes(goals)}.",
                "torch spreads one over the other: every output is compared with every target.",
                "targets of the outputs' shape: y[:, None].float()",
            )  # fmt: skip
            return
    yield from _unused(subject)


def _unused(subject: Subject) -> Iterator[Finding]:
    """Scores for classes that there are not."""
    vocab, out = getattr(subject.learn.dls, "vocab", None), subject.outputs["training"]
    words = list(vocab) if vocab is not None and hasattr(vocab, "__len__") else []
    single = all(isinstance(word, str) or np.ndim(word) == 0 for word in words)  # not one vocabulary a part of an item
    if subject.chooses and single and isinstance(out, torch.Tensor) and out.ndim == 2 and 1 < len(words) < out.shape[1]:
        yield Finding(
            "warn", "loss", f"the model gives {out.shape[1]:,} scores for {len(words):,} classes.",
            "Scores without a class take probability from the others; mostly the head is of another task.",
            f"a head of {len(words)} outputs",
        )  # fmt: skip


def _spreads(function: Any, out: Any, goals: Any) -> bool:
    pairs = {"MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss"}
    kinds = {type(part).__name__ for part in (function, getattr(function, "func", function))}
    goal = tensors(goals)
    flattened = getattr(function, "flatten", False)
    same = not goal or not isinstance(out, torch.Tensor) or out.shape == goal[0].shape
    return bool(kinds & pairs) and not same and not (flattened and out.numel() == goal[0].numel())


def metrics(subject: Subject) -> Iterator[Finding]:
    """Each metric on some validation items: one that raises would end the first epoch without its row."""
    learn, split = subject.learn, "validation"
    learn.xb, learn.yb = tuple(subject.inputs(split)), tuple(subject.goals(split))
    learn.pred, learn.training = subject.outputs[split], False
    learn.loss_grad = learn.loss = torch.zeros(())
    for metric in learn.metrics:
        try:
            metric.reset()
            metric.accumulate(learn)
            value = metric.value
        except Exception as error:
            yield Finding(
                "stop" if _every_class(subject) else "warn", "metrics",
                f"{metric.name} raises on validation items: {_first(error)}",
                "It would do so after the first epoch, whose training is lost then.",
                'average="macro"' if "average=" in str(error) else
                f"a metric for outputs of shape {_shapes(learn.pred)} and targets of {_shapes(learn.yb)}",
            )  # fmt: skip
            continue
        if value is None or np.ndim(value) or not isinstance(float(value), float):
            yield Finding("warn", "metrics", f"{metric.name} gives {value!r:.60}, which is not one number.",
                          "It cannot be drawn or monitored.", "average it over classes")  # fmt: skip
        elif not np.isfinite(float(value)) and _every_class(subject):
            yield Finding("warn", "metrics", f"{metric.name} is {float(value)} on validation items.",
                          "No state is better or worse by it.", f"another metric than {metric.name}")  # fmt: skip


def _every_class(subject: Subject) -> bool:
    """Do the items looked at hold all classes of the split? Some metrics fail only where one is absent."""
    found, seen = subject.targets["validation"], tensors(subject.goals("validation"))
    return not (found.classes and found.whole and seen) or set(found.values.tolist()) <= set(seen[0].flatten().tolist())


def monitors(subject: Subject) -> Iterator[Finding]:
    """Callbacks that watch a value which nobody records."""
    own = [str(metric.name) for metric in subject.learn.metrics]
    known = ["train_loss", "valid_loss", *own]
    if any(getattr(callback, "train_metrics", False) for callback in subject.learn.cbs if _records(callback)):
        known = [f"{split}_{name}" for split in ("train", "valid") for name in ("loss", *own)]
    for callback in subject.learn.cbs:
        name = vars(callback).get("monitor")
        if isinstance(name, str) and name in known and _wrong_way(callback, name):
            kind = type(callback).__name__
            yield Finding(
                "warn", "monitor", f"{kind} takes a higher {name} for a better one.",
                "It keeps the worst state, or stops while it still improves.",
                f"{kind}(monitor={name!r}, comp=np.less)",
            )  # fmt: skip
        if isinstance(name, str) and name not in known:
            yield Finding(
                "stop", "monitor", f"{type(callback).__name__} watches {name!r}; recorded are {', '.join(known)}.",
                "It raises when training begins.", nearest(name, known),
            )  # fmt: skip


def _records(callback: Any) -> bool:
    return type(callback).__name__ == "Recorder"


def _wrong_way(callback: Any, name: str) -> bool:
    return vars(callback).get("comp") is np.greater and any(word in name for word in _LESS)


def normalisation(subject: Subject) -> Iterator[Finding]:
    """Does the input look as the body knows it? By the statistics of its first batch norm, else by its range."""
    images = [one for one in tensors(subject.inputs("training")) if one.ndim == 4 and one.is_floating_point()]
    if not images:
        return
    seen = _at_norm(subject)
    mend = "Normalize.from_stats(*imagenet_stats) among the batch transforms, or the body's own statistics"
    if seen is not None:
        apart, times = seen
        if apart > _APART or not 1 / _TIMES < times < _TIMES:
            low, high = float(images[0].min()), float(images[0].max())
            yield Finding(
                "warn", "normalisation",
                f"at the body's first batch norm the mean is {apart:.1f} standard deviations from what it knows, the "
                f"spread {times:.2g} times as wide; inputs lie in {low:.3g} to {high:.3g}.",
                "Features of a pretrained body mean little on inputs of another scale.", mend,
            )  # fmt: skip
    elif float(images[0].abs().max()) > _PIXELS:
        yield Finding(
            "warn", "normalisation", f"images reach {float(images[0].abs().max()):.3g}: raw pixels.",
            "Networks are made for inputs about 0 with a spread of about 1.", mend,
        )  # fmt: skip


def _at_norm(subject: Subject) -> tuple[float, float] | None:
    """How far the first trained batch norm's input is from its statistics: median over channels."""
    kept: list[torch.Tensor] = []
    norm = next((m for m in subject.learn.model.modules() if isinstance(m, nn.BatchNorm2d)), None)
    if norm is None or norm.running_mean is None or norm.running_var is None:
        return None
    if bool((norm.running_mean == 0).all()) and bool((norm.running_var == 1).all()):
        return None  # fresh
    handle = norm.register_forward_pre_hook(lambda _, given: kept.append(given[0].detach()))
    try:
        with still_pass(subject.learn):
            subject.learn.model(*subject.inputs("training"))
    finally:
        handle.remove()
    if not kept:
        return None
    found, known = kept[0].float(), norm.running_var.clamp_min(1e-12)
    apart = ((found.mean((0, 2, 3)) - norm.running_mean).abs() / known.sqrt()).median()
    times = (found.var((0, 2, 3)).clamp_min(1e-12) / known).sqrt().median()
    return float(apart), float(times)


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def _first(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or ['no message'])[0]:.120}"


def _shapes(value: Any) -> str:
    return ", ".join(str(list(one.shape)) for one in tensors(value)) or type(value).__name__
