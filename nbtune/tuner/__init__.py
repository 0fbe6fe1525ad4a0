"""The Tuner: one object that holds a Learner through all phases of its fine-tuning."""

from __future__ import annotations

import secrets
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from nbtune._cut import Cut, Grouping
from nbtune._fastai.borrow import without_augmentation
from nbtune.cache import Store
from nbtune.checkpoints import RunFolder
from nbtune.evaluate import Report
from nbtune.finder import Fingerprint, LRCurve, range_test
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
from nbtune.tuner.questions import Questions
from nbtune.tuner.queue import Part, Queue
from nbtune.tuner.saving import Saving
from nbtune.tuner.script import Code, Script
from nbtune.tuner.test_set import TestSet
from nbtune.tuner.train import augments
from nbtune.tuner.training import Training
from nbtune.tuner.verbs import Verbs, verb

__all__ = ["Tuner"]


class Tuner(Questions):
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
        every: float = 60.0,
    ) -> None:
        checks.check_learner(learn)
        checks.check_seed(seed)
        checks.check_run_dir(run_dir)
        checks.check_every(every)
        self.learn = learn
        self.seed = secrets.randbelow(2**31) if seed is None else seed
        self.run_dir = None if run_dir is None else Path(run_dir)
        self._held = Held(learn, groups, Store(None if self.run_dir is None else self.run_dir / "features"))
        self._training = Training(self._held, self.seed)
        self._queue = Queue()
        self._outcomes = Outcomes(learn, TestSet(test, self.run_dir))
        self._stop = threading.Event()
        self._verbs = Verbs()
        self._lr: Any = None
        self.curve: LRCurve | None = None  # of the last range test
        self._script = Script(learn)
        where = None if run_dir is None else str(run_dir)
        options = {"run_dir": (where, None), "seed": (self.seed, None), "groups": (groups, "stage")}
        self._script.begin(test=(test, None), **options, every=(every, 60.0))
        folder = None if self.run_dir is None else RunFolder(self.run_dir)
        self._saving = Saving(folder, float(every), self._training, self._queue, self._script)
        self.resumed_at: tuple[int, int, int] | None = None  # phase, whole epochs, batches: of `nt.resume`

    def _adopt(self, folder: RunFolder, value: Mapping[str, Any], best: Any) -> None:
        """Be the Tuner of a run that was saved, at that place."""
        self.run_dir = folder.path
        self._outcomes.test.file = folder.path / "looks.json"
        self._held.store = Store(folder.path / "features")
        self._saving = Saving(folder, self._saving.every, self._training, self._queue, self._script)
        self._saving.put(value, best)
        self._script.resumed(value["script"], str(folder.path), self._outcomes.test.test)
        self.resumed_at = self._queue.place(self.history)

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
                self.rates(lr)
            self._lr = lr
            self._script.put("lr", lr)

    def stale(self, curve: LRCurve) -> str:
        """Why `curve` is not of the plan and the weights as they are now, in words; "" if it is."""
        now = Fingerprint.of(self.learn.model, self._held.cut)
        return curve.stale(now) or ("trained since" if curve.trained_since(now) else "")

    def rates(self, lr: Any = None) -> Rates:
        """The table group × learning rate that `lr` means under the present plan.

        `lr`: a number, `slice(lo, hi)`, `nbtune.rates.decay(top, factor)`, one per group, a dict by group
        name, or an LRCurve. None: `tuner.lr` if set, or 1e-3 for the head on a still body, else `slice(1e-4, 1e-3)`.
        Raises InputError or InputTypeError for anything that does not fit the groups.
        """
        given = self.lr if lr is None else lr
        return _rates(_of_curve(given, self._held.cut, self.learn.model), self._held.cut)

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
                measured_for=Fingerprint.of(self.learn.model, self._held.cut),
            )
        ranged = {"start": (start, 1e-7), "end": (end, 10), "steps": (steps, 100), "seeds": (seeds, 1)}
        self._script.curve(curve, **ranged, lr=(lr, 1.0))
        self.curve = curve
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
        is the same training; `"on"` insists, `"off"` never does, `"half"` keeps it in half precision and `views=K`
        keeps K augmented views of an item, which are other trainings; the History says which. The kernel's
        interrupt and `stop()` end it after the batch. A loss that is not finite ends it with the weights
        of the last finite step. Raises, before anything is changed, InputError or InputTypeError.
        """
        curve = lr
        lr = _of_curve(self.lr if lr is None else lr, self._held.cut, self.learn.model)
        phase = Phase(
            epochs, self._held.cut.first, lr, wd, schedule, self._held.cut.norms, augment, cache=cache, views=views
        )
        part = Part(phase, alone=True, cbs=cbs)
        _rates(phase.lr, self._held.cut)
        self._training.check(part)
        checks.check_kept(phase, self._held.cut)
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

    @verb
    def run(self, recipe: Recipe | None = None, cbs: Any = ()) -> History:
        """Run a recipe's phases; without one, go on with what is left of the last. Returns the recipe's History.

        Afterwards the model is at its best state across all phases, or at its last if the recipe says so.
        A recipe that is finished is not run again. Raises TrainingError where there was none yet.
        """
        given = checks.callbacks(cbs)
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
            _rates(phase.lr, cut)
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
            self._training.train(part, _rates(part.phase.lr, self._held.cut), self.stop, self._stop.is_set)
        finally:
            phase = self._training.phase(part.number or 0)
            self._queue.trained(phase, self._stop.is_set())
        if phase.phases[-1].ended.startswith("ended early"):  # a loss that was not finite: the recipe waits
            self._stop.set()

    @contextmanager
    def _told(self, name: str, *given: object, **options: tuple[object, object]) -> Iterator[None]:
        """A verb that trains stands in the script also where it raised, if a phase came of it; it saves."""
        before = self.history.phases
        self._script.say(name, *given, **options)
        self._stop.clear()
        try:
            self._saving.now()
            yield
            self._compare()
        finally:
            ended = [phase.ended for phase in self.history.phases if phase not in before]
            if not ended:
                self._script.unsay()
            elif ended[-1] != "finished":
                self._script.note(f"this phase {ended[-1]}")
            self._saving.now()

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

    @property
    def reports(self) -> tuple[Report, ...]:
        """The last report on each set of data that is of the model as it is now, the test set's first; no look."""
        return tuple(self._outcomes.of_now())

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


def _of_curve(lr: Any, cut: Cut, model: Any) -> Any:
    """A curve as the rates that it stands for: where groups were tested at other rates, in these proportions."""
    if not isinstance(lr, LRCurve) or lr.suggestion is None:
        return lr
    if stale := lr.measured_for and lr.stale(Fingerprint.of(model, cut)):
        warnings.warn(
            f"nbtune: the curve is of another plan: {stale}. tuner.lr_find() measures this one.", stacklevel=4
        )
    if lr.ratios is None or len(lr.ratios) != len(cut.training):
        return lr
    return [lr.suggestion * ratio for ratio in lr.ratios]


def _rates(lr: Any, cut: Cut) -> Rates:
    if lr is None:
        lr = DEFAULT_HEAD if cut.first == len(cut.groups) - 1 else DEFAULT_BODY
    names = [group.name for group in cut.groups]
    return resolve(lr, names, [index < cut.first for index in range(len(names))])
