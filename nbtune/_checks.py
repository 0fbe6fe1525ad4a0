"""What must hold before a Tuner touches anything."""

from __future__ import annotations

from typing import Any

from torch import nn

from nbtune._fastai import Learner
from nbtune.errors import InputError, InputTypeError, TrainingError
from nbtune.finder import LRCurve

__all__ = ["check_batches", "check_learner", "check_seed", "check_views", "suggested"]


def check_learner(learn: Any) -> None:
    """Raise InputTypeError or InputError unless `learn` is a Learner with model, loss, and both splits."""
    if not isinstance(learn, Learner):
        raise InputTypeError(
            f"Tuner({type(learn).__name__}).",
            rule="a Tuner holds a fastai Learner.",
            likely="a model or a task was given."
            if isinstance(learn, nn.Module) or hasattr(learn, "learner")
            else "another kind of trainer.",
            next='nt.Tuner(task.learner("letters"), test=task.test), or nt.Still(...).apply(model) without fastai.',
        )
    if not callable(learn.loss_func):
        raise InputError(
            f"a Learner whose loss_func is {learn.loss_func!r}.",
            rule="training needs a loss: a function of outputs and targets.",
            likely="the data named none, or it was set to None.",
            next="learn.loss_func = nn.CrossEntropyLoss()",
        )
    for name, number in (("training", 0), ("validation", 1)):
        loaders = getattr(learn.dls, "loaders", [])
        if len(loaders) <= number or _items(loaders[number]) == 0:
            raise InputError(
                f"a Learner with an empty {name} split.",
                rule="both the training and the validation split have at least one item.",
                likely="the splitter gave everything to the other split."
                if len(loaders) > number
                else "the DataLoaders hold one loader only.",
                next="look at [len(dl.dataset) for dl in learn.dls.loaders].",
            )


def _items(loader: Any) -> int:
    try:
        return len(loader.dataset)
    except (TypeError, AttributeError):
        return -1  # a stream: its length shows when it is read


def check_seed(seed: Any) -> None:
    """Raise unless `seed` is None or a whole number that numpy and torch take."""
    if seed is None:
        return
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise InputTypeError(
            f"seed={seed!r}.",
            rule="a seed is a whole number from 0 to 2**32 - 1, or None to draw one.",
            likely="a text or a float.",
            next="seed=0",
        )
    if not 0 <= seed < 2**32:
        raise InputError(
            f"seed={seed}.",
            rule="a seed is a whole number from 0 to 2**32 - 1, or None to draw one.",
            likely="a negative number or a hash.",
            next=f"seed={seed % 2**32}",
        )


def check_batches(learn: Any) -> None:
    """Raise TrainingError if an epoch would have no batch: fastai then "succeeds" with nan."""
    train = learn.dls.train
    if len(train) == 0:
        size = getattr(train, "bs", None)
        raise TrainingError(
            f"{_items(train)} training items at a batch size of {size} give no batch.",
            rule="an epoch has at least one batch.",
            likely="the batch size is above the number of training items, and short batches are dropped.",
            next=f"build the DataLoaders with bs={max(1, _items(train))} or drop_last=False.",
        )


def check_views(views: int) -> None:
    """Raise InputError for more than one augmented view an item, which this version does not keep."""
    if views != 1:
        raise InputError(
            f"views={views}.",
            rule="this version keeps one view an item: views is 1.",
            likely="a walkthrough for a later version.",
            next="views=1, or augment=True, which trains live.",
        )


def suggested(curve: LRCurve) -> float:
    """The curve's suggestion. Raises InputError with its verdict if it makes none."""
    if curve.suggestion is None:
        raise InputError(
            f"an LR curve without a suggestion: {curve.verdict}",
            rule="a curve is taken as a rate only where it suggests one.",
            likely="too few steps or seeds, or the loss does not fall.",
            next="curve.plot(), then give the rate as a number; or tuner.lr_find(seeds=5).",
        )
    return curve.suggestion
