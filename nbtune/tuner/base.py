"""What a Tuner holds, and what of it is read: groups, plan, history, the verb in progress."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nbtune._cut import Grouping
from nbtune.cache import Store
from nbtune.checkpoints import RunFolder
from nbtune.finder import LRCurve
from nbtune.freeze import FreezePlan, groups_of
from nbtune.groups import LayerGroup
from nbtune.history import History
from nbtune.interrupts import Flag
from nbtune.phases import Phase
from nbtune.trace import Trace
from nbtune.tuner import checks
from nbtune.tuner.held import Held
from nbtune.tuner.outcome import Outcomes
from nbtune.tuner.queue import Queue
from nbtune.tuner.saving import Saving
from nbtune.tuner.script import Script
from nbtune.tuner.test_set import TestSet
from nbtune.tuner.training import Training
from nbtune.tuner.verbs import Verbs

__all__ = ["Base"]


class Base:
    """One Learner, its plan, its run, and who is at work on it; verbs come in the classes that build on this one."""

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
        self._stop = Flag()
        self._verbs = Verbs(self._stop)
        self._lr: Any = None
        self._limits: dict[str, str] = {}
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

    @property
    def trace(self) -> Trace:
        """The training batch by batch, over all phases, in bounded memory; also while one runs."""
        self._training.trace.catch_up(self.history)
        return self._training.trace

    @property
    def left(self) -> tuple[Phase, ...]:
        """The phases that `run()` would go on with: what is left of the last fit and of the last recipe."""
        return tuple(part.phase for part in self._queue.todo)

    @property
    def at(self) -> str:
        """The state that the model is at: "last" or "best"."""
        return self._training.at

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
