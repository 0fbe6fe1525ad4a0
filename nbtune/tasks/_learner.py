"""From a task and a body to a fastai Learner."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from nbtune.bodies import Body, get
from nbtune.errors import InputTypeError
from nbtune.tasks.split import check_seed
from nbtune.tasks.task import Origin, batch_size

if TYPE_CHECKING:
    from nbtune.tasks.task import Task

__all__ = ["make_learner"]


def make_learner(
    task: Task,
    body: Any,
    *,
    bs: int | None,
    augment: Any,
    seed: int | None,
    pretrained: bool,
    options: dict[str, Any],
) -> Any:
    """See `Task.learner`."""
    data = _fastai_data()
    if seed is not None:
        check_seed(seed)
    size, drop_last = batch_size(len(task.train), bs)
    transforms = _transforms(augment)
    chosen = _body(task, body)
    with data.seeded(seed):
        model = chosen.make(len(task.vocab), pretrained=pretrained)
        train, valid = (
            data.ArrayItems(chosen.prepare(items.x), torch.tensor(items.y), items.ids, place)
            for place, items in enumerate((task.train, task.valid))
        )
        dls = data.build_loaders(
            train, valid, bs=size, drop_last=drop_last, mean=chosen.mean, std=chosen.std, augment=transforms,
            vocab=task.vocab,
        )  # fmt: skip
        learn = data.learner(dls, model, **options)
    given = {"bs": bs, "augment": augment, "seed": seed, "pretrained": pretrained, **options}
    usual = {"bs": None, "augment": None, "seed": None, "pretrained": True}
    said = [repr(body) if isinstance(body, str) else "...  # your own network"]
    said += [f"{name}={value!r}" for name, value in given.items() if name not in usual or value != usual[name]]
    learn.nbtune_origin = Origin(task, chosen, len(task.vocab), size, bs, f"task.learner({', '.join(said)})")
    return learn


def _fastai_data() -> Any:
    """The module; importing fastai draws from Python's stream, so a first call would differ from later ones."""
    before = random.getstate()
    from nbtune._fastai import data

    random.setstate(before)
    return data


def _body(task: Task, body: Any) -> Body:
    from nbtune.bodies.own import own_body

    if isinstance(body, Body):
        return body
    if isinstance(body, nn.Module) or (callable(body) and not isinstance(body, str)):
        return own_body(body, task.train.x, len(task.vocab))
    return get(body)


def _transforms(augment: Any) -> list[Any]:
    """The augmentation as fastai batch transforms."""
    data = _fastai_data()
    if augment is None:
        return [data.Deform()]
    if augment is False or augment == "none":
        return []
    if isinstance(augment, Sequence) and not isinstance(augment, str) and all(callable(t) for t in augment):
        return list(augment)
    raise InputTypeError(
        f"augment={augment!r:.80}.", rule='augment is None, False, "none" or a list of fastai batch transforms.',
        likely="A single transform, or the name of a preset.", next="augment=[transform], or leave it out.",
    )  # fmt: skip
