"""What must hold before a question runs anything."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from nbtune import rates
from nbtune._numbers import plain, real, shown, whole
from nbtune.errors import FreezeError, InputError, InputTypeError, TrainingError

__all__ = ["check_batches", "check_seed", "check_split", "grid", "no_features", "several"]


def several(given: Any, name: str, each: str, example: str) -> list[Any]:
    """`given` as a list: one value, or several. Raises InputError for none, InputTypeError for a text."""
    if isinstance(given, str | bytes | dict):
        raise InputTypeError(
            f"{name}={shown(given)}.",
            rule=f"{name} is a list: {each}.",
            likely="a text or a dict in the place of a list.",
            next=f"{name}={example}",
        )
    one = not isinstance(given, Iterable) or getattr(given, "shape", None) == ()
    found = [given] if one or hasattr(given, "suggestion") else list(given)
    if not found:
        raise InputError(
            f"{name} is empty.",
            rule=f"{name} holds at least one value: {each}.",
            likely="a list that was to be filled, or a filter that left nothing.",
            next=f"{name}={example}",
        )
    return found


def grid(
    lrs: Any, wds: Any, dropouts: Any, batch_sizes: Any
) -> list[tuple[Any, float | None, float | None, int | None]]:
    """Every combination of learning rate, weight decay, dropout and batch size, each once, in the order given."""
    checked: list[list[Any]] = [
        [rates.check(lr, f"lrs[{at}]") for at, lr in enumerate(several(lrs, "lrs", "learning rates", "[1e-4, 1e-3]"))],
        [
            None if wd is None else real(wd, f"wds[{at}]", "weight decay", 0.0)
            for at, wd in enumerate(several(wds, "wds", "weight decays", "[0.0, 0.1]"))
        ],
        [None]
        if dropouts is None
        else [
            real(p, f"dropouts[{at}]", "the share that dropout leaves out", 0.0, 0.99, 0.5)
            for at, p in enumerate(several(dropouts, "dropouts", "shares from 0 to 0.99", "[0.0, 0.5]"))
        ],
        [None]
        if batch_sizes is None
        else [
            whole(bs, f"batch_sizes[{at}]", "a number of items", 64)
            for at, bs in enumerate(several(batch_sizes, "batch_sizes", "numbers of items", "[32, 64]"))
        ],
    ]
    every = itertools.product(*checked)
    return list({repr(one): one for one in every}.values())


def check_seed(seed: Any) -> int:
    """`seed` if it is a whole number that numpy and torch take. Raises InputTypeError or InputError."""
    seed = plain(seed)
    rule = "a seed is a whole number from 0 to 2**32 - 1."
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise InputTypeError(f"seed={shown(seed)}.", rule=rule, likely="a text, a float or a switch.", next="seed=0")
    if not 0 <= seed < 2**32:
        raise InputError(f"seed={seed}.", rule=rule, likely="a sign too many, or a hash.", next=f"seed={seed % 2**32}")
    return seed


def check_split(learn: Any) -> None:
    """Raise InputError unless there are training and validation items."""
    for name, number in (("training", 0), ("validation", 1)):
        loaders = getattr(learn.dls, "loaders", [])
        if len(loaders) <= number or not _items(loaders[number]):
            raise InputError(
                f"a Learner with an empty {name} split.",
                rule="a question is answered from training items and measured on validation items.",
                likely="the splitter gave everything to the other split."
                if len(loaders) > number
                else "the DataLoaders hold one loader only.",
                next="look at [len(dl.dataset) for dl in learn.dls.loaders].",
            )


def check_batches(learn: Any, sizes: Iterable[int | None]) -> None:
    """Raise TrainingError if an epoch would have no batch at one of the batch `sizes` (None: the loader's own)."""
    train = learn.dls.train
    items, drops = _items(train), getattr(train, "drop_last", False)
    for size in sizes:
        size = getattr(train, "bs", None) if size is None else size
        if drops and size is not None and items is not None and size > items:
            raise TrainingError(
                f"{items} training items at a batch size of {size} give no batch.",
                rule="an epoch has at least one batch, and short ones are dropped here.",
                likely="the batch size is above the number of training items.",
                next=f"a batch size of {items} at most, or drop_last=False in the training loader.",
            )


def _items(loader: Any) -> int | None:
    try:
        return len(loader.dataset)
    except (TypeError, AttributeError):
        return None  # a stream: its length shows when it is read


def no_features(verb: str, why: str, live: str) -> FreezeError:
    """A question that cannot be answered from kept features; `live`: the line that does it without them."""
    if why.startswith("Nothing is still"):
        likely, step = (
            "every group trains: after unfreeze(), or before the first freeze().",
            "tuner.freeze(), then ask.",
        )
    elif "change" in why and "items" in why:
        likely, step = "augmentation in the training loader.", f"{verb}(..., augment=False); or live: {live}"
    elif "items make no batch" in why:
        likely = "an item that cannot be read, or items of several shapes."
        step = f"next(iter(tuner.learn.dls.train)) shows the first; items of several shapes train live: {live}"
    elif why.startswith("Norm layers"):
        likely, step = "a plan whose still norm layers move.", f'tuner.freeze(norms="still"), then ask; or live: {live}'
    else:
        likely = "a callback, a hook or a connection in the model that needs what is left out, or features too large."
        step = f"live: {live}"
    return FreezeError(
        f"{verb}() cannot be answered from kept features: {why}",
        rule="the still part runs first and once, and the items reach it unchanged.",
        likely=likely,
        next=step,
    )
