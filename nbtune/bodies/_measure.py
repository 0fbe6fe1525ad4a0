"""One body after another over a task's training and validation items, and a probe on what comes out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from torch import nn

from nbtune._cut import Cut
from nbtune._fastai.borrow import borrowed, seed_all
from nbtune._fastai.feed import Stopped
from nbtune.bodies import get
from nbtune.bodies._sizes import Sized, resized
from nbtune.bodies.body import Body
from nbtune.bodies.ranking import Measured
from nbtune.errors import FreezeError, InputError, InputTypeError, TrainingError
from nbtune.evaluate.intervals import Estimate
from nbtune.groups import split
from nbtune.questions.kinds import kind_for
from nbtune.questions.linear import FITS
from nbtune.questions.passes import ends_of, loaders_of, one_pass
from nbtune.questions.trials import progress
from nbtune.tasks.stacks import Rows
from nbtune.tasks.task import Task

__all__ = ["checked", "measured"]

Chosen = tuple[str, Any]


def checked(task: Any, bodies: Any, size: Any) -> list[Chosen]:
    """Names and Bodies or networks. Raises InputTypeError or InputError before anything is computed."""
    _check_task(task)
    if isinstance(bodies, (str, Body, nn.Module)) or not hasattr(bodies, "__iter__"):
        raise InputTypeError(
            f"bodies of type {type(bodies).__name__}.", rule="compare takes a list of bodies.",
            likely="one body without a list around it.", next='nt.bodies.compare(task, ["letters", "resnet18"])',
        )  # fmt: skip
    if isinstance(bodies, Mapping):
        found = [(str(name), _one(body, size)[1]) for name, body in bodies.items()]
    else:
        found = [_one(body, size) for body in bodies]
    names = [name for name, _ in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if not found:
        raise InputError(
            "no body to compare.", rule="compare takes a list of bodies.", likely="a filter that left nothing.",
            next='nt.bodies.compare(task, ["letters", "resnet18"])',
        )  # fmt: skip
    if twice:
        raise InputError(
            f"{twice[0]!r} twice.", rule="each body stands in the list once, by another name.",
            likely="two lists that were joined, or two networks of one class.",
            next='nt.bodies.compare(task, {"one": first, "other": second})',
        )  # fmt: skip
    return found


def _check_task(task: Any) -> None:
    if not isinstance(task, Task):
        raise InputTypeError(
            f"a task of type {type(task).__name__}.", rule="the first argument is a Task.",
            likely="the bodies in its place." if isinstance(task, (list, tuple, str)) else "a Learner or a data set.",
            next="nt.bodies.compare(nt.tasks.digits(), [...])",
        )  # fmt: skip
    if not isinstance(task.train.x, Rows):
        return
    raise InputError(
        "a comparison on a table.", rule="bodies are compared by what they give of pictures.",
        likely="a table, which trains its own network.",
        next="nt.Tuner(task.learner(body)).fit(1), for each body, and compare tuner.evaluate(task.valid)",
    )  # fmt: skip


def _one(body: Any, size: Any) -> Chosen:
    if isinstance(body, str):
        body = get(body)
    if isinstance(body, Body):
        takes = size is not None and isinstance(body.build, Sized)
        return body.name, resized(body, size) if takes else body
    return getattr(body, "__name__", type(body).__name__), body


def measured(
    task: Any, chosen: Sequence[Chosen], pretrained: bool, seed: int, stopped: Callable[[], bool]
) -> list[Measured]:
    """Each body measured, as far as `stopped()` lets it. Raises TrainingError before the first one is done."""
    done: list[Measured] = []
    with progress("compare", 2 * len(chosen) * FITS, "step") as tick, suppress(Stopped):
        for name, body in chosen:
            done.append(_measure(task, name, body, pretrained, seed, stopped, tick))
    if not done:
        raise TrainingError(
            "a comparison that was stopped before one body was measured.",
            rule="a body is measured when all its features and its probe are there.",
            likely="stopped() was true from the beginning, or the first body is large.",
            next="nt.bodies.compare(task, bodies), with the smallest body first",
        )  # fmt: skip
    return done


def _measure(
    task: Any, name: str, body: Any, pretrained: bool, seed: int, stopped: Callable[[], bool],
    tick: Callable[[], None],
) -> Measured:  # fmt: skip
    if stopped():
        raise Stopped("The comparison was stopped.")
    began, steps = time.perf_counter(), _Steps(tick)
    learn = task.learner(body, seed=seed, augment=False, pretrained=pretrained)
    params = sum(p.numel() for p in learn.model.parameters())
    seen = _features(learn, name, seed, stopped, steps)
    kind = kind_for(learn, task.kind)
    kind.check(seen.split, f"of {name!r}")
    steps.reach(FITS)
    found = kind.fit(seen.split, seed, stopped, steps)
    if found.partial:
        raise Stopped("The comparison was stopped.")
    steps.reach(2 * FITS)
    origin = learn.nbtune_origin
    return Measured(
        name, found.outcome, Estimate(0.0, 0.0, 0.0), params, origin.body.size[0], seen.split.train.shape[1],
        seen.cost.seconds, time.perf_counter() - began, origin.body.licence, found.c, found.alpha,
    )  # fmt: skip


def _features(learn: Any, name: str, seed: int, stopped: Callable[[], bool], steps: _Steps) -> Any:
    groups = split(learn.model)
    if len(groups) < 2:
        raise FreezeError(
            f"{name!r} is one group of layers.", rule="a probe reads what the groups before the last one give.",
            likely="a network without a body.", next=f"leave {name!r} out",
        )  # fmt: skip
    cut = Cut(tuple(groups), len(groups) - 1)
    with borrowed(learn):
        end = ends_of(learn, [cut])[0]
        if isinstance(end, FreezeError):
            raise end
        seed_all(learn, seed)
        steps.share(FITS, sum(len(loader) for loader in loaders_of(learn)))
        return one_pass(learn, [end], stopped, steps)[0]


class _Steps:
    """A body's 2 × FITS steps of progress: half for its features, however many batches, half for its probe."""

    def __init__(self, tick: Callable[[], None]) -> None:
        self._tick, self._done, self._at, self._each = tick, 0, 0.0, 1.0

    def share(self, steps: int, calls: int) -> None:
        """The next `calls` calls are worth `steps` steps."""
        self._each = steps / max(1, calls)

    def reach(self, steps: int) -> None:
        """Be at so many steps; from here a call is a step."""
        while self._done < steps:
            self._tick()
            self._done += 1
        self._at, self._each = float(steps), 1.0

    def __call__(self) -> None:
        self._at += self._each
        while self._done < int(self._at):
            self._tick()
            self._done += 1
