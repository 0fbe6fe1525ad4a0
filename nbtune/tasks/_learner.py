"""From a task and a body to a fastai Learner."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import torch

from nbtune.bodies import Body, get
from nbtune.bodies.own import check_alone, own_body
from nbtune.tasks._options import check_augment, check_names, check_switch
from nbtune.tasks.split import check_seed
from nbtune.tasks.task import Origin, batch_size
from nbtune.transaction import Streams

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
    _check(seed, augment, pretrained, options)
    size, drop_last = batch_size(len(task.train), bs)
    streams = Streams()
    try:
        with data.seeded(seed):  # a callable draws its first weights when it is looked at
            chosen, learn = _made(task, body, size, drop_last, augment, pretrained, options)
    except BaseException:
        streams.restore()
        raise
    given = {"bs": bs, "augment": augment, "seed": seed, "pretrained": pretrained, **options}
    usual = {"bs": None, "augment": None, "seed": None, "pretrained": True}
    said = [repr(body) if isinstance(body, str) else "...  # your own network"]
    said += [f"{name}={value!r}" for name, value in given.items() if name not in usual or value != usual[name]]
    learn.nbtune_origin = Origin(task, chosen, len(task.vocab), size, bs, f"task.learner({', '.join(said)})")
    return learn


def _made(
    task: Task, body: Any, size: int, drop_last: bool, augment: Any, pretrained: bool, options: dict[str, Any]
) -> tuple[Body, Any]:
    data = _fastai_data()
    chosen = _body(task, body)
    model = chosen.make(len(task.vocab), pretrained=pretrained)
    if size == 1:
        check_alone(model, chosen, task.train.x[:1])
    train, valid = (
        data.ArrayItems(chosen.prepare(items.x), torch.tensor(items.y), items.ids, place)
        for place, items in enumerate((task.train, task.valid))
    )
    dls = data.build_loaders(
        train, valid, bs=size, drop_last=drop_last, mean=chosen.mean, std=chosen.std, augment=_transforms(augment),
        vocab=task.vocab,
    )  # fmt: skip
    return chosen, data.learner(dls, model, **{"metrics": list(task.metrics), **options})


def _fastai_data() -> Any:
    """The module; importing fastai draws from Python's stream, so a first call would differ from later ones."""
    before = random.getstate()
    from nbtune._fastai import data

    random.setstate(before)
    return data


def _body(task: Task, body: Any) -> Body:
    if isinstance(body, Body):
        return body
    if isinstance(body, str):
        return get(body)
    return own_body(body, task.train.x, len(task.vocab))


def _check(seed: int | None, augment: Any, pretrained: Any, options: dict[str, Any]) -> None:
    from nbtune._fastai import Learner

    check_names(options, Learner)
    check_switch("pretrained", pretrained)
    check_augment(augment)
    if seed is not None:
        check_seed(seed)


def _transforms(augment: Any) -> list[Any]:
    """The augmentation as fastai batch transforms."""
    if augment is None:
        return [_fastai_data().Deform()]
    return [] if augment is False or augment == "none" else list(augment)
