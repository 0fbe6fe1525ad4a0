"""What a Tuner keeps in its run's folder, when, and how it is put back."""

from __future__ import annotations

import json
import math
import time
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields
from typing import Any

from nbtune._fastai.position import Course, optimizer_state, put_optimizer
from nbtune.checkpoints import RunFolder, is_plain, write_file
from nbtune.errors import BundleError, TrainingError
from nbtune.freeze import FreezeProof
from nbtune.groups import Group
from nbtune.history import History, PhaseRecord
from nbtune.interrupts import shielded
from nbtune.tuner.likeness import likeness
from nbtune.tuner.queue import Queue
from nbtune.tuner.script import Script
from nbtune.tuner.states import put_tensors, tensors_of
from nbtune.tuner.training import Training

__all__ = ["Saving", "check_value", "groups_of_value"]


class Saving:
    """Saves at the beginning and the end of a verb and of a phase, and every `every` seconds in between.

    Where the folder cannot be written, training goes on in memory; a warning says so, once.
    """

    def __init__(
        self, folder: RunFolder | None, every: float, training: Training, queue: Queue, script: Script
    ) -> None:
        self.folder, self.every = folder, every
        self.training, self.queue, self.script = training, queue, script
        self._last, self._failed = time.monotonic(), False
        self._likeness: dict[str, str] = {}
        if folder is not None:
            training.on_row, training.on_point = self._row, self._point

    def now(self, history: History | None = None, position: dict[str, Any] | None = None) -> None:
        """Save, unless weights are in the middle of a step; `position` of the phase that runs."""
        if self.folder is None or (self.training.torn and position is None):
            return
        history = self.training.history if history is None else history
        best = self.training.states.get("best")
        top: Mapping[str, Any] = {} if history.best is None else history.rows[history.best]
        with shielded():
            try:
                self.folder.save(self._value(history, position), best, (top.get("phase", 0), top.get("epoch", 0)))
                if self._failed or not (self.folder.path / _ROWS).exists():
                    write_file(self.folder.path / _ROWS, "".join(map(_line, history.rows)).encode())
                self._failed = False
            except (OSError, TrainingError) as error:
                self._warn(error)
        self._last = time.monotonic()

    def claim(self) -> None:
        """Before a verb that saves. Raises TrainingError where another process writes that folder."""
        if self.folder is not None:
            with suppress(OSError):  # saving will say it
                self.folder.claim()

    def _warn(self, error: OSError | TrainingError) -> None:
        why = error.given if isinstance(error, TrainingError) else error.strerror or error
        if not self._failed and self.folder is not None:
            warnings.warn(
                f"nbtune: the run cannot be saved in {str(self.folder.path)!r} ({why}). Training "
                "goes on in memory and is saved when that is possible again.",
                stacklevel=2,
            )
        self._failed = True

    def _point(self, course: Course, history: History) -> None:
        if time.monotonic() - self._last >= self.every:
            self.now(history, course.position())

    def _row(self, row: Mapping[str, Any]) -> None:
        """A line an epoch for whoever watches the folder; the checkpoint is what counts."""
        assert self.folder is not None
        try:
            with (self.folder.path / _ROWS).open("a") as stream:
                stream.write(_line(row))
        except OSError as error:
            self._warn(error)

    def _value(self, history: History, position: dict[str, Any] | None) -> dict[str, Any]:
        training, held = self.training, self.training.held
        learn = training.learn
        self._likeness = self._likeness or likeness(learn)
        queue = self.queue.value()
        if position is not None:
            queue["todo"][0]["position"] = position
        return {
            "likeness": self._likeness,
            "seed": training.seed,
            "groups": [[group.name, group.modules, group.tensors] for group in held.cut.groups],
            "cut": [held.cut.first, held.cut.norms],
            "rates": held.rates,
            "history": {"rows": [dict(row) for row in history.rows], "phases": [_record(p) for p in history.phases]},
            "at": training.at,
            "fresh": training.fresh,
            "queue": queue,
            "script": self.script.value(),
            "model": tensors_of(learn.model) if training.at == "last" else training.states["last"],
            "optimizer": {} if learn.opt is None else optimizer_state(learn.opt, learn.model),
        }

    def put(self, value: Mapping[str, Any], best: Any) -> None:
        """Be at the checkpoint `value`, which fits the Learner."""
        training, held = self.training, self.training.held
        learn = training.learn
        put_tensors(learn.model, {name: tensor.detach() for name, tensor in value["model"].items()})
        learn.opt = None
        first, norms = value["cut"]
        held.freeze(first, norms, cost=False)
        if value["optimizer"]:
            learn.opt = held.optimizer(learn)
            put_optimizer(learn.opt, learn.model, value["optimizer"])
        held.rates = None if value["rates"] is None else tuple(value["rates"])
        rows, phases = value["history"]["rows"], value["history"]["phases"]
        training.history = History() + History(tuple(rows), tuple(_record_of(phase) for phase in phases))
        training.fresh = value["fresh"]
        self.queue.put(value["queue"])
        if best is not None:
            training.states["best"] = best
        if value["at"] != "last":
            training.switch(value["at"])
        self._failed = True  # the lines are written anew: some may be of what was lost


_ROWS = "history.jsonl"


_KINDS = {
    "likeness": dict, "seed": int, "groups": list, "cut": list, "history": dict, "at": str, "fresh": bool,
    "queue": dict, "script": list, "model": dict, "optimizer": dict,
}  # fmt: skip


def check_value(value: Any) -> None:
    """Raise BundleError unless `value` has the parts of a checkpoint of a run."""
    parts = value if isinstance(value, dict) else {}
    odd = [name for name, kind in _KINDS.items() if not isinstance(parts.get(name), kind)]
    if odd or "rates" not in parts:
        raise BundleError(
            f"a checkpoint whose {', '.join(odd) or 'rates'} is missing or of another kind.",
            rule="a checkpoint holds what nbtune wrote.",
            likely="a folder that another program or a person made.",
            next='begin a run of your own: nt.Tuner(learn, run_dir="...").fit(1)',
        )


def groups_of_value(value: Mapping[str, Any]) -> list[Group]:
    """The groups of the model that a checkpoint is of."""
    return [Group(name, tuple(modules), tuple(tensors)) for name, modules, tensors in value["groups"]]


def _record(phase: PhaseRecord) -> dict[str, Any]:
    own = {field.name: getattr(phase, field.name) for field in fields(PhaseRecord)}
    return {**own, "rates": dict(phase.rates), "proof": None if phase.proof is None else vars(phase.proof)}


def _record_of(value: Mapping[str, Any]) -> PhaseRecord:
    proof = value["proof"]
    made = None if proof is None else FreezeProof(proof["checked"], tuple(proof["changed"]), tuple(proof["moved"]))
    return PhaseRecord(**{**value, "proof": made})


def _line(row: Mapping[str, Any]) -> str:
    """A row as a line of JSON, which knows neither nan nor infinity: they are null."""
    values = {n: None if isinstance(v, float) and not math.isfinite(v) else v for n, v in row.items() if is_plain(v)}
    return json.dumps(values, allow_nan=False, default=float) + "\n"
