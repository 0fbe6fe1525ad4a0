"""The phases that are still to be run: of a recipe, or of a fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from nbtune.history import History
from nbtune.phases import Phase
from nbtune.rates import Decay
from nbtune.recipes import Recipe

__all__ = ["Part", "Queue", "recipe_value"]


@dataclass
class Part:
    """A phase that is to be run, or to be run on."""

    phase: Phase
    alone: bool = False  # of a fit, not of the recipe
    number: int | None = None  # in the history, once it was begun
    position: dict[str, Any] | None = field(default=None, repr=False)  # where it was ended early
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

    def fit(self, part: Part, history: History) -> None:
        """A fit comes first, in the place of one that was ended early."""
        rest = [other for other in self.todo if not other.alone]
        if not rest:
            self.start(Recipe((part.phase,), name="fit", keep="last"), history)
        self.todo = [part, *rest]

    def trained(self, phase: History, stopped: bool) -> None:
        """The first phase was trained, and this is its history.

        It is over where all its epochs are made, or where nobody asked to stop: then a tracker found it good enough.
        """
        ended = phase.phases[-1].ended if phase.phases else "ended early"  # refused
        waits = ended.startswith("ended early")  # a loss that was not finite, or something raised
        if len(phase) >= self.todo[0].phase.epochs or not (stopped or waits):
            self.todo.pop(0)

    def part(self, history: History) -> History:
        """The recipe's own part of the history."""
        rows, phases = self._before
        return History() + History(history.rows[rows:], history.phases[phases:])

    @property
    def keeps_best(self) -> bool:
        """Is the recipe done, and did it ask for its best state?"""
        return not self.todo and self.recipe is not None and self.recipe.keep == "best"

    def place(self, history: History) -> tuple[int, int, int]:
        """(phase, whole epochs of it, batches of the next) to go on from; of a finished run, its end."""
        numbers = [phase.number for phase in history.phases]
        if not self.todo:
            return max(numbers, default=0), sum(row["phase"] == max(numbers) for row in history.rows), 0
        part = self.todo[0]
        position = part.position or {"epoch": 0, "batch": 0}
        return part.number or max(numbers, default=0) + 1, position["epoch"], position["batch"]

    def value(self) -> dict[str, Any]:
        """All of it as plain values."""
        todo = [{**vars(part), "phase": _phase_value(part.phase), "cbs": None} for part in self.todo]
        recipe = None if self.recipe is None else recipe_value(self.recipe)
        return {"recipe": recipe, "todo": todo, "before": list(self._before)}

    def put(self, value: Mapping[str, Any]) -> None:
        """The reverse of `value`."""
        self.recipe = None if value["recipe"] is None else _recipe(value["recipe"])
        self.todo = [Part(**{**part, "phase": _phase(part["phase"]), "cbs": ()}) for part in value["todo"]]
        self._before = value["before"][0], value["before"][1]


def recipe_value(recipe: Recipe) -> dict[str, Any]:
    """A recipe as plain values."""
    own = {one.name: getattr(recipe, one.name) for one in fields(Recipe)}
    return {**own, "phases": [_phase_value(phase) for phase in recipe.phases]}


def _recipe(value: Mapping[str, Any]) -> Recipe:
    given = {name: value[name] for name in ("name", "source", "keep", "fresh")}
    recipe = Recipe(tuple(_phase(phase) for phase in value["phases"]), **given)
    object.__setattr__(recipe, "call", value["call"])  # no argument: it is set where the call is made
    return recipe


def _phase_value(phase: Phase) -> dict[str, Any]:
    own = {one.name: getattr(phase, one.name) for one in fields(Phase)}
    return {**own, "lr": {"decay": [phase.lr.top, phase.lr.factor]} if isinstance(phase.lr, Decay) else phase.lr}


def _phase(value: Mapping[str, Any]) -> Phase:
    lr = value["lr"]
    if isinstance(lr, dict) and isinstance(lr.get("decay"), list):
        lr = Decay(*lr["decay"])
    return Phase(**{**value, "lr": lr})
