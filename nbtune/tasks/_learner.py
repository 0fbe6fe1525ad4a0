"""From a task and a body to a fastai Learner."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np

from nbtune.bodies import Body, get
from nbtune.bodies._adapt import adapted
from nbtune.bodies.images import as_batch
from nbtune.bodies.own import check_alone, own_body
from nbtune.tasks._options import check_augment, check_names, check_switch
from nbtune.tasks._ready import dataset
from nbtune.tasks._size import check_own, check_weights, size_of
from nbtune.tasks._tabular import table_body
from nbtune.tasks._tuned import code_of
from nbtune.tasks.split import check_seed
from nbtune.tasks.stacks import Rows, lazy
from nbtune.tasks.task import Origin, batch_size
from nbtune.transaction import Streams

if TYPE_CHECKING:
    from nbtune.tasks.task import Task

__all__ = ["make_learner"]

_SAMPLE = 512  # pictures from which a network of the user's own takes mean and spread


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
            chosen, learn, scale = _made(task, body, size, drop_last, augment, pretrained, dict(options))
    except BaseException:
        streams.restore()
        raise
    given = {"bs": bs, "augment": augment, "seed": seed, "pretrained": pretrained, **options}
    usual = {"bs": None, "augment": None, "seed": None, "pretrained": True}
    said = [repr(body) if isinstance(body, str) else code_of(body) or "...  # your own network"]
    said += [f"{name}={value!r}" for name, value in given.items() if name not in usual or value != usual[name]]
    learn.nbtune_origin = Origin(task, chosen, len(task.vocab), size, bs, f"task.learner({', '.join(said)})", scale)
    return learn


def _made(
    task: Task, body: Any, size: int, drop_last: bool, augment: Any, pretrained: bool, options: dict[str, Any]
) -> tuple[Any, Any, Any]:
    data = _fastai_data()
    layers, side, weights = (options.pop(name, None) for name in ("layers", "size", "weights"))
    table = isinstance(task.train.x, Rows)
    check_own(table, layers, side, augment)
    check_weights(body, weights, pretrained, table)
    chosen: Any
    if table:
        chosen, model = table_body(task, body, layers, pretrained)
    else:
        chosen = _body(task, body, side, weights)
        model = chosen.make(len(task.vocab), pretrained=pretrained) if task.kind != "regression" else (
            chosen.build(len(task.vocab), pretrained))  # fmt: skip
        if size == 1:
            check_alone(model, chosen, _sample(task.train.x, 1))
    train, valid = (dataset(task.kind, chosen, items, place) for place, items in enumerate((task.train, task.valid)))
    loss = _targets().loss_of(task.kind, task.train.y)
    dls = _loaders(task, train, valid, chosen, size, drop_last, augment)
    metrics = [_targets().metric_of(task.kind, metric, loss) for metric in task.metrics]
    learn = data.learner(dls, model, **{"metrics": metrics, "loss_func": loss, **options})
    return chosen, learn, (loss.mean, loss.std) if task.kind == "regression" else None


def _loaders(task: Task, train: Any, valid: Any, body: Any, size: int, drop_last: bool, augment: Any) -> Any:
    if isinstance(task.train.x, Rows):
        from nbtune._fastai.rows import row_loaders

        return row_loaders(train, valid, bs=size, drop_last=drop_last, vocab=task.vocab)
    return _fastai_data().build_loaders(
        train, valid, bs=size, drop_last=drop_last, mean=body.mean, std=body.std, augment=_transforms(augment),
        vocab=task.vocab,
    )  # fmt: skip


def _targets() -> Any:
    from nbtune._fastai import targets

    return targets


def _fastai_data() -> Any:
    """The module; importing fastai draws from Python's stream, so a first call would differ from later ones."""
    before = random.getstate()
    from nbtune._fastai import data

    random.setstate(before)
    return data


def _body(task: Task, body: Any, side: Any, weights: Any) -> Body:
    if isinstance(body, str):
        return get(body, size=side, weights=weights)
    if isinstance(body, Body):
        return adapted(body, side, weights)
    return own_body(body, _sample(task.train.x, _SAMPLE, side), len(task.vocab))


def _sample(x: Any, most: int, side: Any = None) -> Any:
    """Images of one size as an array: all of an array, at most `most` of pictures that are decoded at need."""
    if not lazy(x):
        return x[:1] if most == 1 else x
    shape = size_of(x.sizes, side) if most > 1 else next(iter(x.sizes))
    places = np.linspace(0, len(x) - 1, min(most, len(x))).astype(int)
    pictures = [x[int(place)] for place in places]
    channels = 3 if any(picture.ndim == 3 for picture in pictures) else 1
    stack = as_batch(pictures, shape, channels).numpy()
    return stack[:, 0] if channels == 1 else np.moveaxis(stack, 1, -1)


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
