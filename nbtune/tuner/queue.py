"""The phases that are still to be run: of a recipe, or of a fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from nbtune.finder import LRCurve
from nbtune.history import History
from nbtune.phases import Phase
from nbtune.rates import Decay, Rates
from nbtune.recipes import Recipe
from nbtune.tuner.checks import suggested

__all__ = ["Part", "Queue", "recipe_value"]


@dataclass
class Part:
    """A phase that is to be run, or to be run on."""

    phase: Phase
    alone: bool = False  # of a fit, not of the recipe
    number: int | None = None  # in the history, once it was begun
    position: dict[str, Any] | None = None  # where it was ended early
    cbs: Any = ()  # that it was run with


class Queue:
    """What is left of the last recipe, and in front of it of the last fit, which counts as a recipe of one phase."""

    def __init__(self) -> None:
        self.recipe: Recipe | None = None
        self.todo: list[Part] = []
        self._before = 0, 0  # rows and phases of the history when it was started

    def start(self, recipe: Recipe, history: History) -> None:
        """Take a recipe's phases in; `history`: what was trained before it."""
        self.recipe, self.todo = recipe, [Part(phase) for phase in recipe.phases]
        self._before = len(history.rows), len(history.phases)

    def fit(self, phase: Phase, history: History) -> None:
        """A fit comes first, in the place of one that was ended early."""
        rest = [part for part in self.todo if not part.alone]
        if not rest:
            self.start(Recipe((phase,), name="fit", keep="last"), history)
        self.todo = [Part(phase, alone=True), *rest]

    def trained(self, made: int, position: dict[str, Any] | None, ended: str, stopped: bool) -> None:
        """The first phase was trained: `made` whole epochs of it are there, and it `ended` so.

        It is over where all are made, or where nobody asked to stop: then a tracker found it good enough.
        """
        waits = ended.startswith("ended early")  # a loss that was not finite, or something raised
        if made >= self.todo[0].phase.epochs or not (stopped or waits):
            self.todo.pop(0)
        else:
            self.todo[0].position = position

    def part(self, history: History) -> History:
        """The recipe's own part of the history."""
        rows, phases = self._before
        return History() + History(history.rows[rows:], history.phases[phases:])

    @property
    def keeps_best(self) -> bool:
        """Is the recipe done, and did it ask for its best state?"""
        return not self.todo and self.recipe is not None and self.recipe.keep == "best"

    def value(self) -> dict[str, Any]:
        """All of it as plain values."""
        todo = [{**vars(part), "phase": _phase_value(part.phase), "cbs": None} for part in self.todo]
        recipe = None if self.recipe is None else recipe_value(self.recipe)
        return {"recipe": recipe, "todo": todo, "before": list(self._before)}

    def put(self, value: Mapping[str, Any]) -> None:
        """The reverse of `value`."""
        made = value["recipe"]
        if made is not None:
            self.recipe = Recipe(**{**made, "phases": tuple(_phase(phase) for phase in made["phases"])})
        self.todo = [Part(**{**part, "phase": _phase(part["phase"]), "cbs": ()}) for part in value["todo"]]
        self._before = value["before"][0], value["before"][1]


def recipe_value(recipe: Recipe) -> dict[str, Any]:
    """A recipe as plain values."""
    own = {field.name: getattr(recipe, field.name) for field in fields(Recipe)}
    return {**own, "phases": [_phase_value(phase) for phase in recipe.phases]}


def _phase_value(phase: Phase) -> dict[str, Any]:
    own = {field.name: getattr(phase, field.name) for field in fields(Phase)}
    return {**own, "lr": _rate_value(phase.lr)}


def _rate_value(lr: Any) -> Any:
    """A rate as plain values: an LR curve as the number that it suggests."""
    if lr is None or isinstance(lr, slice):
        return lr
    if isinstance(lr, LRCurve):
        return suggested(lr)
    if isinstance(lr, Decay):
        return {"decay": [lr.top, lr.factor]}
    if isinstance(lr, Rates):
        return dict(zip(lr.names, lr.values, strict=True))
    if isinstance(lr, Mapping):
        return {name: float(rate) for name, rate in lr.items()}
    return [float(rate) for rate in lr] if hasattr(lr, "__len__") and getattr(lr, "ndim", 1) else float(lr)


def _phase(value: Mapping[str, Any]) -> Phase:
    lr = value["lr"]
    if isinstance(lr, dict) and isinstance(lr.get("decay"), list):
        lr = Decay(*lr["decay"])
    return Phase(**{**value, "lr": lr})
