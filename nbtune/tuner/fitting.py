"""Verbs that train: one phase, or a recipe's phases with what is left of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

from nbtune.history import History
from nbtune.interrupts import shielded
from nbtune.phases import Phase
from nbtune.recipes import Recipe
from nbtune.tuner import checks
from nbtune.tuner.queue import Part
from nbtune.tuner.rating import Rating, of_curve, rates_of
from nbtune.tuner.script import Code
from nbtune.tuner.verbs import stoppable, verb

__all__ = ["Fitting"]


class Fitting(Rating):
    """The part of a Tuner that trains."""

    @stoppable
    def fit(
        self,
        epochs: int,
        lr: Any = None,
        *,
        wd: float | None = None,
        schedule: str = "one_cycle",
        augment: bool | None = None,
        cache: str = "auto",
        views: int = 1,
        cbs: Any = (),
    ) -> History:
        """Train the present plan for `epochs` passes; returns the History of this phase.

        `lr` as in `rates`; `wd` weight decay (None: the optimizer's own); `schedule`: `"one_cycle"`,
        `"cosine"`, `"linear"`, `"flat"`; `augment`: with the random transforms or without; None leaves
        them out in the still phases of a task's Learner, so that what is still runs once, and leaves any
        other Learner as it is. `cache="auto"` trains from what the still part computes, kept, whenever that
        is the same training; `"on"` insists, `"off"` never does, `"half"` keeps it in half precision and `views=K`
        keeps K augmented views of an item, which are other trainings; the History says which. The kernel's
        interrupt and `stop()` end it after the batch. A loss that is not finite ends it with the weights
        of the last finite step. Raises, before anything is changed, InputError or InputTypeError.
        """
        curve = lr
        lr = of_curve(self.lr if lr is None else lr, self._held.cut, self.learn.model)
        phase = Phase(
            epochs, self._held.cut.first, lr, wd, schedule, self._held.cut.norms, augment, cache=cache, views=views
        )
        part = Part(phase, alone=True, cbs=cbs)
        rates_of(phase.lr, self._held.cut)
        self._training.check(part)
        checks.check_kept(phase, self._held.cut)
        self._saving.claim()
        self._queue.fit(part, self.history)
        given = {"lr": (curve, None), "wd": (wd, None), "augment": (augment, None), "cbs": (cbs, ())}
        usual = {
            "schedule": (schedule, "one_cycle"),
            "views": (views, 1),
            "cache": (cache if cache == "half" else "auto", "auto"),
        }
        with self._told("fit", epochs, **given, **usual):
            self._step()
        return self._training.phase(part.number or 0)

    @stoppable
    def run(self, recipe: Recipe | None = None, cbs: Any = ()) -> History:
        """Run a recipe's phases; without one, go on with what is left of the last. Returns the recipe's History.

        Afterwards the model is at its best state across all phases, or at its last if the recipe says so.
        A recipe that is finished is not run again. Raises TrainingError where there was none yet.
        """
        given = checks.callbacks(cbs)
        self._saving.claim()
        going_on = recipe is None or self._resumes(recipe)
        if recipe is not None and not going_on:
            self._start(recipe, given)
        elif self._queue.recipe is None:
            raise checks.no_recipe()
        elif not self._queue.todo:
            return self._queue.part(self.history)
        else:
            self._go_on(given)
        with self._told("run", *([] if recipe is None else [Code(recipe.code)]), cbs=(cbs, ())):
            while self._queue.todo and not self._stop.is_set():
                self._step()
                if self._queue.todo and not self._stop.is_set():
                    self._saving.now()
            if self._queue.keeps_best and "best" in self._training.states:
                self._training.switch("best")
        return self._queue.part(self.history)

    def _resumes(self, recipe: Recipe) -> bool:
        """Is `recipe` the one that was resumed and is to go on? Raises InputError for another."""
        checks.check_recipe(recipe)
        known = self._queue.recipe
        if self.resumed_at is None or known is None or not self._queue.todo:
            return False
        if recipe != known:
            raise checks.another_recipe(recipe, known)
        return True

    def _start(self, recipe: Recipe, cbs: list[Any]) -> None:
        checks.check_recipe(recipe)
        checks.check_learner(self.learn)
        checks.check_batches(self.learn)
        for phase in recipe.phases:  # all of them before the first step
            cut = self._held.at(phase.first, phase.norms)
            rates_of(phase.lr, cut)
            checks.check_kept(phase, cut)
        if recipe.fresh:
            self._training.begin_anew()
        self._queue.start(recipe, self.history)
        for part in self._queue.todo:
            part.cbs = cbs

    def _go_on(self, cbs: list[Any]) -> None:
        """With what is left, from the last state; with the callbacks from before where none are given."""
        for part in self._queue.todo:
            part.cbs = cbs or part.cbs
        self._training.check(self._queue.todo[0])
        if self._training.at != "last":
            self._training.switch("last")

    def _step(self) -> None:
        """The next phase, or what an early end left of it."""
        part = self._queue.todo[0]
        try:
            if not part.alone or (part.phase.first, part.phase.norms) != (self._held.cut.first, self._held.cut.norms):
                self._held.freeze(part.phase.first, part.phase.norms, cost=False)
            self._training.check(part)
            self._training.train(part, rates_of(part.phase.lr, self._held.cut), self._stop.is_set)
        except Exception as error:
            if self._training.torn:
                error.add_note(f"nbtune: it ended {self._training.torn}. {self._way_back()}")
            raise
        finally:
            with shielded():
                phase = self._training.phase(part.number or 0)
                self._queue.trained(phase, self._stop.is_set())
        if phase.phases[-1].ended.startswith("ended early"):  # a loss that was not finite: the recipe waits
            self._stop.set()

    def _way_back(self) -> str:
        """From a state that is not whole to one that is."""
        if self._saving.folder is not None:
            return f"nt.resume({str(self._saving.folder.path)!r}, learn) goes back to the last whole state."
        if "best" in self._training.states:
            return "tuner.best() goes back to the best whole epoch."
        return "Make the Learner anew; with run_dir= a whole state is kept every minute."

    def _compare(self) -> None:
        """Called after a training that ended by itself."""

    @contextmanager
    def _told(self, name: str, *given: object, **options: tuple[object, object]) -> Iterator[None]:
        """A verb that trains stands in the script also where it raised, if a phase came of it; it saves."""
        before = self.history.phases
        self._script.say(name, *given, **options)
        try:
            self._saving.now()
            yield
            self._compare()
        finally:
            with shielded():
                ended = [phase.ended for phase in self.history.phases if phase not in before]
                if not ended:
                    self._script.unsay()
                elif ended[-1] != "finished":
                    self._script.note(f"this phase {ended[-1]}")
                self._saving.now()

    @verb
    def best(self) -> Self:
        """Put the model at its best state by valid loss across all phases."""
        self._training.switch("best")
        self._script.say("best")
        return self

    @verb
    def last(self) -> Self:
        """Put the model back at the state after the last step."""
        self._training.switch("last")
        self._script.say("last")
        return self
