"""The Tuner: one object that holds a Learner through all phases of its fine-tuning."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from nbtune._cut import Cut, Grouping
from nbtune._fastai.borrow import without_augmentation
from nbtune.cache import Store
from nbtune.evaluate import Report
from nbtune.finder import LRCurve, range_test
from nbtune.freeze import FreezePlan, FreezeProof, groups_of
from nbtune.groups import LayerGroup
from nbtune.history import History
from nbtune.phases import Phase
from nbtune.prices import Prices
from nbtune.rates import Rates, resolve
from nbtune.recipes import DEFAULT_BODY, DEFAULT_HEAD, Recipe
from nbtune.tuner import checks
from nbtune.tuner.card import card
from nbtune.tuner.held import Held
from nbtune.tuner.outcome import Outcomes
from nbtune.tuner.proof import prove
from nbtune.tuner.queue import Queue
from nbtune.tuner.script import Code, Script
from nbtune.tuner.test_set import TestSet
from nbtune.tuner.train import augments
from nbtune.tuner.training import Training
from nbtune.tuner.verbs import Verbs

__all__ = ["Tuner"]

P = ParamSpec("P")
R = TypeVar("R")


def verb(method: Callable[Concatenate[Tuner, P], R]) -> Callable[Concatenate[Tuner, P], R]:
    """A method during which no other verb of the same Tuner may begin."""

    @wraps(method)
    def alone(self: Tuner, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self._verbs.doing(method.__name__):
            return method(self, *args, **kwargs)

    return alone


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
        self._held = Held(learn, groups, Store())
        self._training = Training(self._held, self.seed, self.run_dir)
        self._queue = Queue()
        self._outcomes = Outcomes(learn, TestSet(test, self.run_dir))
        self._stop = threading.Event()
        self._verbs = Verbs()
        self._lr: Any = None
        self._script = Script(learn)
        where = None if run_dir is None else str(run_dir)
        self._script.begin(test=(test, None), run_dir=(where, None), seed=(self.seed, None), groups=(groups, "stage"))

    # What there is

    @property
    def groups(self) -> tuple[LayerGroup, ...]:
        """The groups from input to head, read from the model as it is now."""
        return groups_of(self.learn.model, self._held.cut, self._held.rates)

    @property
    def plan(self) -> FreezePlan:
        """What trains and what is still, read from the model as it is now."""
        return self._held.plan

    @property
    def history(self) -> History:
        """All phases so far, append-only."""
        return self._training.history

    # What trains

    @verb
    def freeze(self, norms: str = "still") -> FreezePlan:
        """Hold everything still but the last group (the head). Raises FreezeError where that is all there is."""
        checks.check_groups(self._held.cut.groups)
        plan = self._held.freeze(-1, norms)
        self._script.say("freeze", norms=(norms, "still"))
        return plan

    @verb
    def freeze_to(self, group: int | str, norms: str = "still") -> FreezePlan:
        """Hold everything before `group` still: a name, or an index as in fastai (negative from the end).

        Raises FreezeError for a group that does not exist or where nothing would train.
        """
        plan = self._held.freeze(group, norms)
        self._script.say("freeze_to", group, norms=(norms, "still"))
        return plan

    @verb
    def unfreeze(self) -> FreezePlan:
        """Let every group train."""
        plan = self._held.freeze(0)
        self._script.say("unfreeze")
        return plan

    @verb
    def verify(self) -> FreezeProof:
        """Digests of every frozen tensor and buffer before and after a real step that is rolled back."""
        checks.check_batches(self.learn)
        self._held.install()
        proof = prove(self.learn, self._held.cut)
        self._script.say("verify")
        return proof

    @verb
    def prices(self, seconds: float = 2.0) -> Prices:
        """What each group costs in a step, and an epoch at each boundary; each is measured once and then kept.

        `seconds`: how long to measure at most; boundaries that were not reached are None until they are.
        The Learner is left as it was, to the bit.
        """
        return self._held.prices(seconds)

    # How fast

    @property
    def lr(self) -> Any:
        """The rate that `fit` and `rates` take where none is given; None: their own default.

        May be set to all that `rates` takes; raises InputError or InputTypeError for what does not fit the plan.
        """
        return self._lr

    @lr.setter
    def lr(self, lr: Any) -> None:
        with self._verbs.doing("lr"):
            if lr is not None:
                _rates(lr, self._held.cut)
            self._lr = lr
            self._script.put("lr", lr)

    def fresh(self, curve: LRCurve) -> bool:
        """Is `curve` of the plan and of the weights as they are now?"""
        return curve.fingerprint == self._held.fingerprint()

    def rates(self, lr: Any = None) -> Rates:
        """The table group × learning rate that `lr` means under the present plan.

        `lr`: a number, `slice(lo, hi)`, `nbtune.rates.decay(top, factor)`, one per group, a dict by group
        name, or an LRCurve. None: `tuner.lr` if set, or 1e-3 for the head on a still body, else `slice(1e-4, 1e-3)`.
        Raises InputError or InputTypeError for anything that does not fit the groups.
        """
        return _rates(self.lr if lr is None else lr, self._held.cut)

    @verb
    def lr_find(
        self,
        start: float = 1e-7,
        end: float = 10,
        steps: int = 100,
        seeds: int = 1,
        lr: Any = 1.0,
        on_step: Callable[[int, int], None] | None = None,
    ) -> LRCurve:
        """Learning rate range test (Smith, 2015) that leaves everything as it was, to the bit.

        `lr` gives the proportions between the groups: `slice(1/100, 1)` tests discriminative rates together.
        `on_step(done, total)` is called after each step; `stop()` ends the test early.
        """
        ratios = self.rates(lr).ratios
        self._held.install()
        with self._as_in_fit():
            curve = range_test(
                self.learn,
                make_opt=self._held.optimizer,
                start=start,
                end=end,
                steps=steps,
                seeds=seeds,
                ratios=ratios,
                seed=self.seed,
                on_step=on_step,
                should_stop=self._stop_asked(),
            )
        curve = replace(curve, fingerprint=self._held.fingerprint())
        ranged = {"start": (start, 1e-7), "end": (end, 10), "steps": (steps, 100), "seeds": (seeds, 1)}
        self._script.curve(curve, **ranged, lr=(lr, 1.0))
        return curve

    def _as_in_fit(self) -> AbstractContextManager[None]:
        """Batches as a fit of the present plan would see them by default."""
        augmented = augments(self.learn, self._held.cut, Phase(1))
        return nullcontext() if augmented else without_augmentation(self.learn)

    # Training

    @verb
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
        phase = Phase(
            epochs,
            self._held.cut.first,
            self.lr if lr is None else lr,
            wd,
            schedule,
            self._held.cut.norms,
            augment,
            cache=cache,
            views=views,
        )
        self._stop.clear()
        given = {"lr": (lr, None), "wd": (wd, None), "augment": (augment, None), "cbs": (cbs, ())}
        usual = {"schedule": (schedule, "one_cycle"), "views": (views, 1)}
        with self._told("fit", epochs, **given, **usual):
            return self._train(phase, cbs)

    @verb
    def run(self, recipe: Recipe | None = None, cbs: Any = ()) -> History:
        """Run a recipe's phases; without one, go on with what is left of the last. Returns the recipe's History.

        Afterwards the model is at its best state across all phases, or at its last if the recipe says so.
        A recipe that is finished is not run again. Raises TrainingError where there was none yet.
        """
        if recipe is not None:
            self._start(recipe)
        elif self._queue.recipe is None:
            raise checks.no_recipe()
        elif not self._queue.todo:
            return self._queue.part(self.history)
        self._stop.clear()
        with self._told("run", *([] if recipe is None else [Code(recipe.code)]), cbs=(cbs, ())):
            while self._queue.todo and not self._stop.is_set():
                self._step(cbs)
        if self._queue.keeps_best and "best" in self._training.states:
            self._training.switch("best")
        return self._queue.part(self.history)

    def _step(self, cbs: Any) -> None:
        """The next phase of the recipe, or what an early end left of it: whole epochs, on the same schedule."""
        phase, seen, ended = self._queue.todo[0], len(self.history.rows), "ended early"
        try:
            self._held.freeze(phase.first, phase.norms, cost=False)
            ended = self._train(phase, cbs, self._queue.done).phases[-1].ended
        finally:
            self._queue.trained(len(self.history.rows) - seen, ended, self._stop.is_set())
        if ended.startswith("ended early"):  # a loss that was not finite: the recipe waits
            self._stop.set()

    def _start(self, recipe: Recipe) -> None:
        checks.check_recipe(recipe)
        checks.check_learner(self.learn)
        checks.check_batches(self.learn)
        for phase in recipe.phases:  # all of them before the first step
            _rates(phase.lr, self._held.at(phase.first, phase.norms))
            checks.check_views(phase.views)
        if recipe.fresh:
            self._training.begin_anew()
        self._queue.start(recipe, self.history)

    def _train(self, phase: Phase, cbs: Any, done: int = 0) -> History:
        return self._training.train(phase, _rates(phase.lr, self._held.cut), cbs, done, self.stop, self._stop.is_set)

    @contextmanager
    def _told(self, name: str, *given: object, **options: tuple[object, object]) -> Iterator[None]:
        """A verb that trains stands in the script also where it raised, if a phase came of it."""
        before = len(self.history.phases)
        try:
            yield
        finally:
            new = self.history.phases[before:]
            if new:
                note = "" if new[-1].ended == "finished" else f"this phase {new[-1].ended}"
                self._script.say(name, *given, note=note, **options)

    def watch(self, act: Callable[[], None]) -> Callable[[], None]:
        """Call `act()` whenever a verb begins or ends, from its thread; returns what ends the watching."""
        return self._verbs.watch(act)

    @property
    def running(self) -> str:
        """The verb in progress, or ""."""
        return self._verbs.running

    def stop(self) -> None:
        """End the running verb after its batch; may be called from any thread."""
        self._stop.set()

    def _stop_asked(self) -> Any:
        self._stop.clear()
        return self._stop.is_set

    @verb
    def best(self) -> Tuner:
        """Put the model at its best state by valid loss across all phases."""
        self._training.switch("best")
        self._script.say("best")
        return self

    @verb
    def last(self) -> Tuner:
        """Put the model back at the state after the last step."""
        self._training.switch("last")
        self._script.say("last")
        return self

    # What came of it

    @verb
    def evaluate(self, dl: Any = None) -> Report:
        """A Report on the test set, with 95 % intervals; counts how often that set has been looked at.

        `dl`: other labelled data instead. Raises InputError without a test set.
        """
        result = self._outcomes.report(dl)
        self._script.say("evaluate", *([] if dl is None else [dl]))
        return result

    @verb
    def save(self, folder: str | Path) -> Path:
        """Write the model as a folder (safetensors and JSON, no pickle) for `nt.load`; returns its path.

        A model that task.learner did not make is loaded by `nt.load(folder, model=...)`, which needs the
        network to fill. Raises BundleError if the folder cannot be written.
        """
        path = self._outcomes.save(folder, self._held.cut.groups, self.history)
        self._script.say("save", str(folder))
        return path

    def code(self) -> str:
        """What was done, as a script."""
        return str(self._script)

    def card(self) -> str:
        """The model card as Markdown: data, plan, training, results, how to do it again."""
        return card(self.learn, self.plan, self.history, self._outcomes.of_now(), self.code())

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
