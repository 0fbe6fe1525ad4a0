"""The course of a fine-tuning: phase after phase on one Learner, one history, the best and the last state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nbtune._fastai.borrow import seed_all
from nbtune._fastai.position import Course
from nbtune.errors import TrainingError
from nbtune.freeze import reinitialise
from nbtune.history import History, PhaseRecord
from nbtune.interrupts import shielded
from nbtune.rates import Rates
from nbtune.trace import Trace
from nbtune.tuner import checks
from nbtune.tuner.held import Held
from nbtune.tuner.queue import Part
from nbtune.tuner.states import States, put_tensors
from nbtune.tuner.train import Setting, train

__all__ = ["Training"]


class Training:
    """Trains phases and keeps what came of them."""

    def __init__(self, held: Held, seed: int) -> None:
        self.held, self.seed = held, seed
        self.learn = held.learn
        self.history = History()
        self.trace = Trace()
        self.states = States()
        self.at = "last"  # the state that the model is at
        self.fresh = False  # were all weights drawn anew since the last phase
        self.torn = ""  # why the state that the last phase ended in is not whole
        self.on_row: Callable[[Mapping[str, Any]], None] = lambda row: None
        self.on_point: Callable[[Course, History], None] = lambda course, history: None
        self._rows: tuple[Mapping[str, Any], ...] = ()  # of the running phase

    def begin_anew(self) -> None:
        """Draw every weight anew from the seed: what came before is of another model."""
        seed_all(self.learn, self.seed)
        reinitialise(self.learn.model)
        self.learn.opt = None
        self.states.clear()
        self.fresh = True

    def check(self, part: Part) -> None:
        """Raise, before anything is touched, unless the phase can be trained; its callbacks become a list."""
        part.cbs = checks.callbacks(part.cbs)
        checks.check_learner(self.learn)
        checks.check_batches(self.learn)
        checks.check_needed(part.position, [*self.learn.cbs, *part.cbs])

    def train(self, part: Part, rates: Rates, stopped: Callable[[], bool]) -> None:
        """Train a phase under the plan in force; from where it was ended, if it was. Where it ends, `part` says."""
        checks.check_kept(part.phase, self.held.cut)
        self.held.install()
        part.number = part.number or len(self.history.phases) + 1
        known = [record for record in self.history.phases if record.number == part.number]
        self._rows = ()
        self.trace.catch_up(self.history)

        def end(course: Course, record: PhaseRecord) -> None:
            part.position, self.torn = course.settled, course.torn
            self.history, self.at, self.fresh, self._rows = self._with(record), "last", False, ()

        fresh = known[0].fresh if known else self.fresh
        seed = self.seed + part.number - 1
        train(
            Setting(self.learn, self.held.cut, part.phase, rates, part.number, seed, self.held.still, fresh),
            cbs=part.cbs,
            begin=part.position,
            stopped=stopped,
            on_row=self._row,
            on_point=lambda course, record: self.on_point(course, self._with(record)),
            on_end=end,
            trace=self.trace,
        )
        seconds = sorted(row["seconds"] for row in self.phase(part.number).rows)
        self.held.rates, self.held.took = rates.values, seconds[len(seconds) // 2] if seconds else None

    def phase(self, number: int) -> History:
        """The part of the history that one phase made."""
        rows = tuple(row for row in self.history.rows if row["phase"] == number)
        return History() + History(rows, tuple(p for p in self.history.phases if p.number == number))

    def _with(self, record: PhaseRecord) -> History:
        """The history with the rows of the running phase, and its record in the place of an earlier one."""
        others = [known for known in self.history.phases if known.number != record.number]
        phases = sorted([*others, record], key=lambda known: known.number)
        return History() + History(self.history.rows + self._rows, tuple(phases))

    def _row(self, row: Mapping[str, Any]) -> None:
        """A whole epoch is done: keep it, and the state if it is the best so far."""
        self._rows = (*self._rows, row)
        so_far = (History() if self.fresh else self.history) + History(self._rows)
        if so_far.best == len(so_far.rows) - 1:
            self.states.keep("best", self.learn.model)
        self.on_row(row)

    def switch(self, name: str) -> None:
        """Put the model at its "best" or "last" state. Raises TrainingError before any whole epoch."""
        if self.at == "last" and (name == "last" or "best" in self.states):
            self.states.keep("last", self.learn.model)
        if name not in self.states:
            raise TrainingError(
                f"{name}() before any whole epoch.",
                rule="a state is kept after every epoch that is finished.",
                likely="no training yet, or it ended within the first epoch.",
                next="tuner.fit(1)",
            )
        with shielded():
            put_tensors(self.learn.model, self.states[name])
            self.at = name
