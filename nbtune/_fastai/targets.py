"""Losses and metrics for several labels and for numbers, beside those for classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from fastai.metrics import AccumMetric, F1ScoreMulti, PrecisionMulti, RecallMulti, accuracy_multi
from torch import Tensor, nn

from nbtune._fastai import CrossEntropyLossFlat
from nbtune._fastai.data import METRICS

__all__ = ["ScaledMSE", "SeveralLabels", "loss_of", "metric_of"]


class ScaledMSE(nn.Module):
    """Mean squared error on targets [n, k] brought to mean 0 and spread 1; outputs are on that scale.

    `activation` gives outputs in the targets' own units. A network that starts near 0 then starts at the mean,
    and one learning rate serves prices and shares alike.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.mean, self.std = tuple(map(float, mean)), tuple(map(float, std))

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        out, goal = (one.as_subclass(Tensor) for one in (outputs, targets))
        return nn.functional.mse_loss(out.float(), (goal.reshape(out.shape) - self._of(out, 0)) / self._of(out, 1))

    def activation(self, outputs: Tensor) -> Tensor:
        """Outputs in the targets' own units."""
        out = outputs.as_subclass(Tensor).float()
        return out * self._of(out, 1) + self._of(out, 0)

    def decodes(self, outputs: Tensor) -> Tensor:
        """What the loss calls a decision: the number itself."""
        return outputs

    def _of(self, like: Tensor, which: int) -> Tensor:
        return torch.tensor((self.mean, self.std)[which], device=like.device)

    def extra_repr(self) -> str:
        return f"mean={self.mean}, std={self.std}"


class SeveralLabels(nn.Module):
    """Binary cross-entropy of each label, on scores [n, k] and targets [n, k] of 0 and 1."""

    thresh = 0.5

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        out, goal = (one.as_subclass(Tensor).float() for one in (outputs, targets))
        return nn.functional.binary_cross_entropy_with_logits(out, goal)

    def activation(self, outputs: Tensor) -> Tensor:
        """The probability of each label."""
        return outputs.as_subclass(Tensor).sigmoid()

    def decodes(self, outputs: Tensor) -> Tensor:
        """Which labels an item has."""
        return outputs > self.thresh


def loss_of(kind: str, y: Any) -> Any:
    """The loss for targets of this kind; `y`: those of the training items, from which numbers take their scale."""
    if kind == "single":
        return CrossEntropyLossFlat()
    if kind == "multi":
        return SeveralLabels()
    columns = torch.tensor(y, dtype=torch.float64).reshape(len(y), -1)
    std = columns.std(0, correction=0)
    return ScaledMSE(columns.mean(0).tolist(), [float(s) if s > 1e-12 else 1.0 for s in std])


def metric_of(kind: str, name: Any, loss: Any) -> Any:
    """A fastai metric by its name (`nbtune.tasks._proposal.FITTING`); anything else as it is."""
    if not isinstance(name, str):
        return name
    made = {"single": METRICS, "multi": _MULTI}.get(kind, {})
    if name in made:
        metric = made[name]()
        if kind == "multi" and isinstance(metric, AccumMetric):
            metric._name = name  # fastai calls macro and micro F1 the same, and a history keeps one of a name
        return metric
    if name in _NUMBERS:
        function = partial(_in_units, _NUMBERS[name], getattr(loss, "activation", _same))
        return AccumMetric(function, flatten=False, name=name)
    return name


_MULTI: dict[str, Callable[[], Any]] = {
    "f1": lambda: F1ScoreMulti(average="macro"),
    "f1_micro": lambda: F1ScoreMulti(average="micro"),
    "precision": lambda: PrecisionMulti(average="macro"),
    "recall": lambda: RecallMulti(average="macro"),
    "accuracy": lambda: accuracy_multi,
}


def _same(outputs: Tensor) -> Tensor:
    return outputs


def _in_units(measure: Callable[[Tensor, Tensor], Tensor], activation: Any, outputs: Tensor, targets: Tensor) -> float:
    found = activation(outputs).double()
    return float(measure(found, targets.as_subclass(Tensor).double().reshape(found.shape)))


def _r2(found: Tensor, goal: Tensor) -> Tensor:
    """1 − residual over total sum of squares, the mean over several numbers."""
    total = (goal - goal.mean(0)).pow(2).sum(0)
    return (1 - (goal - found).pow(2).sum(0) / total.clamp_min(1e-12)).mean()


_NUMBERS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mae": lambda found, goal: (found - goal).abs().mean(),
    "rmse": lambda found, goal: (found - goal).pow(2).mean().sqrt(),
    "r2": _r2,
}
