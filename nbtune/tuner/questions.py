"""Questions that a Tuner answers from kept features; each leaves everything as it was, to the bit."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from nbtune._fastai.borrow import without_augmentation
from nbtune.errors import FreezeError, InputError
from nbtune.phases import Phase
from nbtune.preflight import Preflight, preflight
from nbtune.questions import Depth, Losses, Noise, Probe, Sweep, depth, item_losses, noise, now, probe, sweep
from nbtune.recipes import Recipe
from nbtune.tuner import checks
from nbtune.tuner.fitting import Fitting
from nbtune.tuner.script import Code
from nbtune.tuner.verbs import stoppable, verb

__all__ = ["Questions"]

_LRS = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
_WDS = (0.0, 0.01, 0.1, 0.3)


class Questions(Fitting):
    """The part of a Tuner that asks; `stop()` ends each with what there is so far."""

    _probe: Probe | None = None

    @verb
    def check(self, recipe: Recipe | None = None, *, strict: bool = False) -> Preflight:
        """Preflight: what would fail later, or mean nothing, and what time and memory it takes; nothing is changed.

        Looks at the present plan, at what is left of the last recipe, or at `recipe`; a few items of each split are
        fetched, and one real step is made and undone. A plan that is not part of a recipe is priced for one epoch.
        `strict=True` raises TrainingError where something stands in the way.
        """
        if recipe is not None:
            checks.check_recipe(recipe)
        phases = self.left if recipe is None else recipe.phases
        plan = self._held.cut
        cuts = [self._held.at(phase.first, phase.norms) for phase in phases] or [plan]
        test = self._outcomes.test
        look = None if test.test is None else partial(test.loader, self.learn)
        found = preflight(self.learn, cuts, phases or [Phase(1, plan.first, norms=plan.norms)], self.run_dir, look)
        self._script.say("check", *([] if recipe is None else [Code(recipe.code)]), strict=(strict, False))
        if strict:
            found.insist()
        return found

    @stoppable
    def probe(self) -> Probe:
        """A linear probe of the features before the last group: the baseline that every fine-tuning must beat.

        Kornblith, Shlens & Le (2019). Logistic regression of classes, one for each of several labels, ridge regression
        of numbers; the penalty by cross-validation on the training items; accuracy, macro F1 or MAE (or the Learner's
        first metric of such) on the validation items. Later plans then say what training brought over it. Raises
        InputError for targets that do not fit the loss.
        """
        with without_augmentation(self.learn):
            found = probe(self.learn, self._held.cut.groups, store=self._held.store, seed=self.seed, **self._stopped())
        self._probe = found
        self._script.say("probe")
        return found

    @stoppable
    def depth(self) -> Depth:
        """A linear probe at every group boundary, with parameters, sizes and seconds: where to cut.

        Alain & Bengio (2016). Means over positions stand in for full maps. Raises as `probe`.
        """
        found = depth(self.learn, self._held.cut.groups, store=self._held.store, seed=self.seed, **self._stopped())
        self._script.say("depth")
        return found

    @stoppable
    def item_losses(self) -> Losses:
        """The loss of each training and validation item under a probe fitted without it, highest first; never of test.

        Wrong labels and hard items come first. Northcutt, Jiang & Chuang (2021), Confident learning. Raises as `probe`,
        and InputError for targets that are no classes.
        """
        groups, phases = self._held.cut.groups, self.history.phases
        with without_augmentation(self.learn):
            found = item_losses(self.learn, groups, store=self._held.store, seed=self.seed, **self._stopped())
        body = [group.name for group in groups[:-1]]
        if any(phase.rates.get(name) for phase in phases for name in body):
            found = replace(found, trained=True)
        self._script.say("item_losses")
        return found

    @stoppable
    def sweep(
        self, lrs: Any = _LRS, wds: Any = _WDS, *, dropouts: Any = None, batch_sizes: Any = None,
        epochs: int = 5, seeds: int = 3,
    ) -> Sweep:  # fmt: skip
        """Rates × weight decays (× dropouts × batch sizes) of what trains, as a map on the validation items.

        By successive halving (Jamieson & Talwalkar, 2016), each run from the present weights, so that before the
        first fit it tells of a whole training; the last three settings, of different rates, are run with all `epochs`
        and `seeds` seeds. What is dropped before is not compared with them.
        `.best` gives keywords for `fit`. Raises FreezeError where nothing is still or features cannot be kept.
        """
        self._still("sweep")
        options = {"lrs": lrs, "wds": wds, "dropouts": dropouts, "batch_sizes": batch_sizes, "epochs": epochs}
        found = sweep(self.learn, self._held.cut, seeds=seeds, **options, **self._asked())
        found = replace(found, trained=self.history.trained)
        usual = {"lrs": _LRS, "wds": _WDS, "dropouts": None, "batch_sizes": None, "epochs": 5}
        self._script.say("sweep", **{name: (options[name], usual[name]) for name in usual}, seeds=(seeds, 3))
        return found

    @stoppable
    def noise(self, epochs: int = 5, lr: Any = None, *, wd: float | None = None, seeds: int = 10) -> Noise:
        """How much the result of `fit(epochs, lr, wd=wd)` moves by the seed alone, so that a difference can be judged.

        Each run goes on from the present weights: asked before the first fit it tells of a whole training.
        Raises FreezeError where nothing is still or features cannot be kept.
        """
        self._still("noise")
        rates = [rate for rate in self.rates(lr).values if rate]
        found = noise(self.learn, self._held.cut, lr=rates, wd=wd, epochs=epochs, seeds=seeds, **self._asked())
        found = replace(found, trained=self.history.trained)
        self._script.say("noise", epochs, lr=(lr, None), wd=(wd, None), seeds=(seeds, 10))
        return found

    def _still(self, name: str) -> None:
        if not self._held.cut.first:
            raise FreezeError(
                f"{name}() while everything trains.",
                rule="it trains many times from what the still part computed once, so something is still.",
                likely="a new Tuner, or unfreeze() before it.",
                next=f"tuner.freeze(), then tuner.{name}().",
            )
        self._held.install()

    def _stopped(self) -> dict[str, Any]:
        return {"stopped": self._stop.is_set}

    def _asked(self) -> dict[str, Any]:
        """The seed is that of the next fit, which then gives the very same."""
        return {"store": self._held.store, "seed": self.seed + len(self.history.phases), **self._stopped()}

    def _compare(self) -> None:
        """What training brought over the probe, where that was asked for."""
        if self._probe is not None:
            with suppress(InputError):  # of a model whose answers are not finite nothing can be said
                self._held.gain = self._probe.gain(now(self.learn, self._probe.kind))
