"""The phases of a recipe that are still to be run."""

from __future__ import annotations

from nbtune.history import History
from nbtune.phases import Phase
from nbtune.recipes import Recipe

__all__ = ["Queue"]


class Queue:
    """What is left of the last recipe, from its first phase on, of which `done` whole epochs are made."""

    def __init__(self) -> None:
        self.recipe: Recipe | None = None
        self.todo: list[Phase] = []
        self.done = 0
        self._before = History()

    def start(self, recipe: Recipe, history: History) -> None:
        """Take a recipe's phases in; `history`: what was trained before it."""
        self.recipe, self.todo, self.done, self._before = recipe, list(recipe.phases), 0, history

    def trained(self, epochs: int, ended: str, stopped: bool) -> None:
        """The first phase was trained for `epochs` more whole epochs and `ended` so.

        It is over where all are made, or where nobody asked to stop: then a tracker found it good enough.
        """
        self.done += epochs
        waits = ended.startswith("ended early")  # a loss that was not finite, or something raised
        if self.done == self.todo[0].epochs or not (stopped or waits):
            self.todo.pop(0)
            self.done = 0

    def part(self, history: History) -> History:
        """The recipe's own part of the history."""
        rows, phases = len(self._before.rows), len(self._before.phases)
        return History() + History(history.rows[rows:], history.phases[phases:])

    @property
    def keeps_best(self) -> bool:
        """Is the recipe done, and did it ask for its best state?"""
        return not self.todo and self.recipe is not None and self.recipe.keep == "best"
