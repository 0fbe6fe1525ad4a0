"""Recipes: whole fine-tunings as values, each with its source."""

from __future__ import annotations

from typing import Any

from nbtune._calls import told
from nbtune._numbers import rate, real, whole
from nbtune._recipe import Recipe
from nbtune.phases import PASSES, SKIPPED, Phase
from nbtune.rates import check, decay

__all__ = [
    "DEFAULT_BODY",
    "DEFAULT_HEAD",
    "Recipe",
    "fine_tune",
    "from_scratch",
    "gradual_unfreezing",
    "linear_probe",
    "probe_then_finetune",
]

# Rates where none is given: the head alone on a still body, and everything from the input to the head. Nothing follows
# a head alone, so it is to be trained out: 20 epochs at 1e-3 leave its log loss 1.6 to 3.2 times as high as at 5e-3 (at
# 1 to 50 digits a class, on validation items; benchmarks/draws.py), with the same accuracy.
DEFAULT_HEAD: float = 5e-3
DEFAULT_BODY: slice = slice(1e-4, 1e-3)


def _passes(value: Any, name: str, good: int) -> int:
    return whole(value, name, PASSES, good, SKIPPED)


def _lr(value: Any, name: str) -> Any:
    return None if value is None else check(value, name)


@told
def probe_then_finetune(
    head_epochs: int = 20,
    body_epochs: int = 30,
    *,
    head_lr: Any = DEFAULT_BODY.stop,
    body_lr: Any = DEFAULT_BODY,
    wd: float | None = 0.05,
    keep: str = "best",
) -> Recipe:
    """The head on a still body first, then everything at discriminative rates.

    A head that starts from noise distorts the body's features when both train at once (Kumar et al., 2022,
    "Fine-Tuning can Distort Pretrained Features"). The still phase sees the items without augmentation, so
    that its many epochs cost about one, and the head learns at the rate at which it goes on. Rates and weight
    decay were chosen on the digits' validation split.
    """
    first, second = _passes(head_epochs, "head_epochs", 20), _passes(body_epochs, "body_epochs", 30)
    head = Phase(first, first=-1, lr=_lr(head_lr, "head_lr"), wd=wd, augment=False)
    body = Phase(second, first=0, lr=_lr(body_lr, "body_lr"), wd=wd)
    return Recipe((head, body), "probe_then_finetune", "Kumar et al. (2022).", keep)


@told
def linear_probe(epochs: int = 20, *, lr: Any = DEFAULT_HEAD, wd: float | None = 0.05, keep: str = "last") -> Recipe:
    """The head alone on a still body: the baseline that every fine-tuning must beat (Kornblith et al., 2019)."""
    head = Phase(epochs, first=-1, lr=lr, wd=wd, augment=False)
    return Recipe((head,), "linear_probe", "Kornblith et al. (2019).", keep)


@told
def fine_tune(
    epochs: int,
    base_lr: float = 2e-3,
    freeze_epochs: int = 1,
    lr_mult: float = 100,
    *,
    pct_start: float = 0.3,
    div: float = 5.0,
    keep: str = "last",
) -> Recipe:
    """fastai's `Learner.fine_tune`: the head at `base_lr`, then all at half of it over `lr_mult`.

    Howard & Ruder (2018); the figures are fastai's. Unlike fastai's, the frozen body is truly still.
    """
    epochs, freeze_epochs = _passes(epochs, "epochs", 4), _passes(freeze_epochs, "freeze_epochs", 1)
    base_lr = rate(base_lr, "base_lr")
    lr_mult = real(lr_mult, "lr_mult", "the head's rate over the input's", 1.0, good=100.0)
    half = base_lr / 2
    head = Phase(freeze_epochs, first=-1, lr=slice(base_lr), pct_start=0.99)
    body = Phase(epochs, first=0, lr=slice(half / lr_mult, half), pct_start=pct_start, div=div)
    return Recipe((head, body), "fine_tune", "Howard & Ruder (2018), as in fastai.", keep)


@told
def gradual_unfreezing(
    groups: int,
    epochs: int = 1,
    last_epochs: int = 4,
    *,
    lr: float = 2e-3,
    factor: float = 2.6,
    keep: str = "best",
) -> Recipe:
    """One more group from the head down each phase, then all: `groups` is the number of groups.

    Rates fall by `factor` a group (Howard & Ruder, 2018, who give 2.6).
    """
    groups = whole(groups, "groups", "the number of groups, len(tuner.groups)", 6, "an empty list was counted.")
    epochs, last_epochs = _passes(epochs, "epochs", 1), _passes(last_epochs, "last_epochs", 4)
    factor = real(factor, "factor", "what the rate is divided by from group to group", 1.0, good=2.6)
    rates = decay(rate(lr, "lr"), 1 / factor)
    parts = [Phase(epochs, first=-count, lr=rates) for count in range(1, groups)]
    return Recipe((*parts, Phase(last_epochs, lr=rates)), "gradual_unfreezing", "Howard & Ruder (2018).", keep)


@told
def from_scratch(epochs: int = 45, lr: Any = 1e-3, *, wd: float | None = 0.05, keep: str = "best") -> Recipe:
    """The same network from random weights: the baseline that a pretrained body must beat."""
    return Recipe((Phase(epochs, lr=lr, wd=wd),), "from_scratch", "", keep, fresh=True)
