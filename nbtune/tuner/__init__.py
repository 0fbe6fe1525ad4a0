"""The Tuner: one object that holds a Learner through all phases of its fine-tuning."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from nbtune._cut import Cut, Grouping, grouping
from nbtune._fastai.borrow import seed_all, without_augmentation
from nbtune._fastai.steps import optimizer
from nbtune.cache import Store
from nbtune.costs import epoch_cost, kept_cost
from nbtune.errors import TrainingError
from nbtune.evaluate import Report
from nbtune.finder import LRCurve, range_test
from nbtune.freeze import FreezePlan, FreezeProof, Hold, Still, cannot_keep, groups_of, plan_of, reinitialise
from nbtune.groups import LayerGroup, index_of
from nbtune.history import History
from nbtune.phases import Phase
from nbtune.rates import Rates, resolve
from nbtune.recipes import DEFAULT_BODY, DEFAULT_HEAD, Recipe
from nbtune.transaction import shielded
from nbtune.tuner import checks, record
from nbtune.tuner.outcome import Outcomes
from nbtune.tuner.proof import prove
from nbtune.tuner.states import States
from nbtune.tuner.test_set import TestSet
from nbtune.tuner.train import augments, train

__all__ = ["Tuner"]


class Tuner:
    """Fine-tune any fastai Learner in phases, with freezing that is true and one history for all.

    `test`: held-out items for `evaluate` (a task's split, a DataLoader, or whatever `learn.dls.test_dl`
    takes). `run_dir`: a folder for best and last state and the history; None keeps them in memory.
    `seed`: every phase seeds all random streams from it; None draws one and records it. `groups`:
    `"stage"`, `"block"`, `"learner"` (the Learner's splitter) or a callable that splits the model.
    The Learner stays an ordinary one: nothing of it is changed that is not asked for.

    Raises InputTypeError for anything but a Learner, InputError for one without loss, data or batches.

    Example:
        >>> import nbtune as nt
        >>> task = nt.tasks.digits(shots=1)
        >>> tuner = nt.Tuner(task.learner("letters", seed=0), test=task.test, seed=0)
        >>> tuner.freeze().still
        ('stem', 'layer1', 'layer2', 'layer3', 'layer4')
        >>> tuner.fit(2).cached
        True
    """

    def __init__(
        self,
        learn: Any,
        test: Any = None,
        *,
        run_dir: str | Path | None = None,
        seed: int | None = None,
        groups: Grouping = "stage",
    ) -> None:
        checks.check_learner(learn)
        checks.check_seed(seed)
        checks.check_run_dir(run_dir)
        self.learn = learn
        self.seed = secrets.randbelow(2**31) if seed is None else seed
        self.run_dir = None if run_dir is None else Path(run_dir)
        self.history = History()
        self._outcomes = Outcomes(learn, TestSet(test, self.run_dir))
        self._cut = Cut(grouping(learn.model, groups, learn.splitter), 0)
        self._still: Still | None = None
        self._prices: dict[str, Any] = {}
        self._rates: Rates | None = None
        self._states = States(self.run_dir)
        self._store = Store()
        self._at = "last"
        self._todo: list[Phase] = []
        self._done = 0  # whole epochs of the first of them
        self._fresh = False  # were all weights drawn anew since the last phase
        self._recipe: Recipe | None = None
        self._stop = threading.Event()
        self._said: list[str] = []

    # What there is

    @property
    def groups(self) -> tuple[LayerGroup, ...]:
        """The groups from input to head, read from the model as it is now."""
        return groups_of(self.learn.model, self._cut, self._rates.values if self._rates else None)

    @property
    def plan(self) -> FreezePlan:
        """What trains and what is still, read from the model as it is now."""
        return plan_of(self.learn.model, self._cut, **self._prices)

    # What trains

    def freeze(self, norms: str = "still") -> FreezePlan:
        """Hold everything still but the last group (the head). Raises FreezeError where that is all there is."""
        checks.check_groups(self._cut.groups)
        plan = self._freeze(-1, norms)
        self._say(record.call("tuner.freeze", norms=(norms, "still")))
        return plan

    def freeze_to(self, group: int | str, norms: str = "still") -> FreezePlan:
        """Hold everything before `group` still: a name, or an index as in fastai (negative from the end).

        Raises FreezeError for a group that does not exist or where nothing would train.
        """
        plan = self._freeze(group, norms)
        self._say(record.call("tuner.freeze_to", group, norms=(norms, "still")))
        return plan

    def unfreeze(self) -> FreezePlan:
        """Let every group train."""
        plan = self._freeze(0, "still")
        self._say("tuner.unfreeze()")
        return plan

    def _freeze(self, group: int | str, norms: str, cost: bool = True) -> FreezePlan:
        cut = Cut(self._cut.groups, index_of(self._cut.groups, group), norms)
        cut.check(self.learn.model)  # and the prices: all that can fail comes before anything is changed
        prices = {"live": epoch_cost(self.learn, cut), "kept": kept_cost(self.learn, cut)} if cost else {}
        with shielded():
            self._apply(cut)
        self._prices = prices
        return self.plan

    def _apply(self, cut: Cut) -> None:
        if self._still is not None:
            self.learn.remove_cb(self._still)  # which gives `requires_grad` back as it was before the first freeze
        self._still, self._cut, self._rates = None, cut, None
        if cut.first:
            self._still = Still(cut.first, cut.norms, groups=cut.groups, store=self._store)
            self._still.hold = Hold(self.learn.model, cut)
        else:
            self._store.clear()  # what nothing still computes is of no use
            for parameter in self.learn.model.parameters():
                parameter.requires_grad_(parameter.is_floating_point() or parameter.is_complex())
        self._install()
        if self.learn.opt is not None:  # or plain learn.fit would go on with the tensors of the old plan
            self.learn.opt = optimizer(self.learn, cut.lists(self.learn.model))

    def _install(self) -> None:
        """The plan is kept by a callback: put it back if somebody took it away."""
        if self._still is not None and self._still not in list(self.learn.cbs):
            hold = self._still.hold
            self.learn.add_cb(self._still)
            self._still.hold = hold or Hold(self.learn.model, self._cut)

    def verify(self) -> FreezeProof:
        """Digests of every frozen tensor and buffer before and after a real step that is rolled back."""
        checks.check_batches(self.learn)
        self._install()
        proof = prove(self.learn, self._cut)
        self._say("tuner.verify()")
        return proof

    # How fast

    def rates(self, lr: Any = None) -> Rates:
        """The table group × learning rate that `lr` means under the present plan.

        `lr`: a number, `slice(lo, hi)`, `nbtune.rates.decay(top, factor)`, one per group, a dict by group
        name, or an LRCurve. None: 1e-3 for the head on a still body, else `slice(1e-4, 1e-3)`.
        Raises InputError or InputTypeError for anything that does not fit the groups.
        """
        return _rates(lr, self._cut)

    def lr_find(self, start: float = 1e-7, end: float = 10, steps: int = 100, seeds: int = 1, lr: Any = 1.0) -> LRCurve:
        """Learning rate range test (Smith, 2015) that leaves everything as it was, to the bit.

        `lr` gives the proportions between the groups: `slice(1/100, 1)` tests discriminative rates together.
        """
        ratios, lists = self.rates(lr).ratios, self._cut.lists(self.learn.model)
        self._install()
        with self._as_in_fit():
            curve = range_test(
                self.learn,
                make_opt=lambda learn: optimizer(learn, lists),
                start=start,
                end=end,
                steps=steps,
                seeds=seeds,
                ratios=ratios,
                seed=self.seed,
                should_stop=self._stop_asked(),
            )
        ranged = {"start": (start, 1e-7), "end": (end, 10), "steps": (steps, 100), "seeds": (seeds, 1)}
        self._say(record.call("curve = tuner.lr_find", **ranged, lr=(lr, 1.0)))
        return curve

    def _as_in_fit(self) -> AbstractContextManager[None]:
        """Batches as a fit of the present plan would see them by default."""
        augmented = augments(self.learn, self._cut, Phase(1))
        return nullcontext() if augmented else without_augmentation(self.learn)

    # Training

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
        is the same training; `"on"` insists, `"off"` never does; the History says which. The kernel's
        interrupt and `stop()` end it after the batch. A loss that is not finite ends it with the weights
        of the last finite step. Raises, before anything is changed, InputError or InputTypeError.
        """
        phase = Phase(epochs, self._cut.first, lr, wd, schedule, self._cut.norms, augment, cache=cache, views=views)
        self._stop.clear()
        result = self._train(phase, cbs)
        given = {"lr": (lr, None), "wd": (wd, None), "augment": (augment, None)}
        self._say(record.call("tuner.fit", epochs, **given, schedule=(schedule, "one_cycle")))
        return result

    def run(self, recipe: Recipe | None = None, cbs: Any = ()) -> History:
        """Run a recipe's phases; without one, go on with what is left of the last.

        Afterwards the model is at its best state across all phases, or at its last if the recipe says so.
        """
        if recipe is not None:
            self._start(recipe)
        elif not self._todo:
            return History()
        self._stop.clear()
        before = len(self.history.phases)
        while self._todo and not self._stop.is_set():
            self._step(cbs)
        if not self._todo and self._recipe is not None and self._recipe.keep == "best" and "best" in self._states:
            self._switch("best")
        self._say("tuner.run()" if recipe is None else f"tuner.run({recipe.code})")
        rows = [row for row in self.history.rows if row["phase"] > before]
        return History() + History(tuple(rows), self.history.phases[before:])

    def _step(self, cbs: Any) -> None:
        """The next phase of the recipe, or what an early end left of it: whole epochs, on the same schedule."""
        phase, seen = self._todo[0], len(self.history.rows)
        try:
            self._freeze(phase.first, phase.norms, cost=False)
            part = self._train(phase, cbs, self._done)
        finally:
            self._done += len(self.history.rows) - seen
        if part.phases[-1].ended.startswith("ended early"):  # a loss that was not finite: the recipe waits
            self._stop.set()
        elif self._done == phase.epochs or not self._stop.is_set():  # done, or a tracker found it good enough
            self._todo.pop(0)
            self._done = 0

    def _start(self, recipe: Recipe) -> None:
        checks.check_recipe(recipe)
        checks.check_learner(self.learn)
        checks.check_batches(self.learn)
        for phase in recipe.phases:  # all of them before the first step
            cut = Cut(self._cut.groups, index_of(self._cut.groups, phase.first), phase.norms)
            _rates(phase.lr, cut)
            checks.check_views(phase.views)
            cut.check(self.learn.model)
        if recipe.fresh:
            seed_all(self.learn, self.seed)
            reinitialise(self.learn.model)
            self.learn.opt = None
            self._states.forget()
        self._fresh = recipe.fresh
        self._recipe, self._todo, self._done = recipe, list(recipe.phases), 0

    def _train(self, phase: Phase, cbs: Any, done: int = 0) -> History:
        rates = self.rates(phase.lr)
        checks.check_views(phase.views)
        if phase.cache == "on" and not self._cut.first:
            raise cannot_keep("Nothing is still, so there is nothing to keep.")
        checks.check_learner(self.learn)
        checks.check_batches(self.learn)
        self._install()
        number = len(self.history.phases) + 1
        result: list[History] = []

        def end(part: History) -> None:
            result.append(part)
            self.history, self._at, self._fresh = self.history + part, "last", False
            if self.run_dir is not None:
                self._states.keep("last", self.learn.model)

        self._rows: tuple[Mapping[str, Any], ...] = ()
        train(
            self.learn,
            self._cut,
            phase,
            rates,
            number=number,
            seed=self.seed + number - 1,
            still=self._still,
            cbs=checks.callbacks(cbs),
            done=done,
            fresh=self._fresh,
            stop=self.stop,
            stopped=self._stop.is_set,
            on_row=self._row,
            on_end=end,
        )
        self._rates = rates
        return result[0]

    def _row(self, row: Mapping[str, Any]) -> None:
        """A whole epoch is done: keep it, and the state if it is the best so far."""
        self._rows = (*self._rows, row)
        so_far = (History() if self._fresh else self.history) + History(self._rows)
        if so_far.best == len(so_far.rows) - 1:
            self._states.keep("best", self.learn.model)
        if self.run_dir is not None:
            record.append(self.run_dir / "history.jsonl", row)

    def stop(self) -> None:
        """End the running verb after its batch; may be called from any thread."""
        self._stop.set()

    def _stop_asked(self) -> Any:
        self._stop.clear()
        return self._stop.is_set

    def best(self) -> Tuner:
        """Put the model at its best state by valid loss across all phases."""
        self._switch("best")
        self._say("tuner.best()")
        return self

    def last(self) -> Tuner:
        """Put the model back at the state after the last step."""
        self._switch("last")
        self._say("tuner.last()")
        return self

    def _switch(self, name: str) -> None:
        if self._at == "last" and (name == "last" or "best" in self._states):
            self._states.keep("last", self.learn.model)
        if name not in self._states:
            raise TrainingError(
                f"{name}() before any whole epoch.",
                rule="a state is kept after every epoch that is finished.",
                likely="no training yet, or it ended within the first epoch.",
                next="tuner.fit(1)",
            )
        self._states.load(name, self.learn.model)
        self._at = name

    # What came of it

    def evaluate(self, dl: Any = None) -> Report:
        """A Report on the test set, with 95 % intervals; counts how often that set has been looked at.

        `dl`: other labelled data instead. Raises InputError without a test set.
        """
        result = self._outcomes.report(dl)
        self._say("report = tuner.evaluate()")
        return result

    def save(self, folder: str | Path) -> Path:
        """Write the model as a folder (safetensors and JSON, no pickle) for `nt.load`; returns its path.

        A model that task.learner did not make is loaded by `nt.load(folder, model=...)`, which needs the
        network to fill. Raises BundleError if the folder cannot be written.
        """
        path = self._outcomes.save(folder, self._cut.groups, self.history)
        self._say(record.call("tuner.save", str(folder)))
        return path

    def code(self) -> str:
        """What was done, as a script."""
        return record.code(self.learn, self.seed, self._said, self._outcomes.test.test is not None)

    def card(self) -> str:
        """The model card as Markdown: data, plan, training, results, how to do it again."""
        return record.card(self.learn, self.plan, self.history, self._outcomes.of_now(), self.code())

    def _say(self, line: str) -> None:
        self._said.append(line)

    def __repr__(self) -> str:
        return f"Tuner (seed {self.seed}): {self.plan!r} {self.history!r}"

    def _repr_html_(self) -> str:
        return self.plan._repr_html_() + (self.history._repr_html_() if len(self.history) else "")


def _rates(lr: Any, cut: Cut) -> Rates:
    if lr is None:
        lr = DEFAULT_HEAD if cut.first == len(cut.groups) - 1 else DEFAULT_BODY
    if isinstance(lr, LRCurve):
        lr = checks.suggested(lr)
    names = [group.name for group in cut.groups]
    return resolve(lr, names, [index < cut.first for index in range(len(names))])
