"""The course of a fine-tuning: phase after phase on one Learner, one history, the best and the last state."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nbtune._fastai.borrow import seed_all
from nbtune.errors import TrainingError
from nbtune.freeze import reinitialise
from nbtune.history import History
from nbtune.phases import Phase
from nbtune.rates import Rates
from nbtune.tuner import checks
from nbtune.tuner.held import Held
from nbtune.tuner.states import States
from nbtune.tuner.train import train

__all__ = ["Training"]


class Training:
    """Trains phases and keeps what came of them; `run_dir` None keeps it in memory."""

    def __init__(self, held: Held, seed: int, run_dir: Path | None) -> None:
        self.held, self.seed, self.run_dir = held, seed, run_dir
        self.learn = held.learn
        self.history = History()
        self.states = States(run_dir)
        self.at = "last"  # the state that the model is at
        self._fresh = False  # were all weights drawn anew since the last phase
        self._rows: tuple[Mapping[str, Any], ...] = ()  # of the running phase

    def begin_anew(self) -> None:
        """Draw every weight anew from the seed: what came before is of another model."""
        seed_all(self.learn, self.seed)
        reinitialise(self.learn.model)
        self.learn.opt = None
        self.states.forget()
        self._fresh = True

    def train(
        self, phase: Phase, rates: Rates, cbs: Any, done: int, stop: Callable[[], None], stopped: Callable[[], bool]
    ) -> History:
        """Train `phase` under the plan in force, of which `done` epochs are made; its part of the history."""
        checks.check_kept(phase, self.held.cut)
        checks.check_learner(self.learn)
        checks.check_batches(self.learn)
        self.held.install()
        number = len(self.history.phases) + 1
        result: list[History] = []

        def end(part: History) -> None:
            result.append(part)
            self.history, self.at, self._fresh = self.history + part, "last", False
            if self.run_dir is not None:
                self.states.keep("last", self.learn.model)

        self._rows = ()
        train(
            self.learn,
            self.held.cut,
            phase,
            rates,
            number=number,
            seed=self.seed + number - 1,
            still=self.held.still,
            cbs=checks.callbacks(cbs),
            done=done,
            fresh=self._fresh,
            stop=stop,
            stopped=stopped,
            on_row=self._row,
            on_end=end,
        )
        seconds = sorted(row["seconds"] for row in result[0].rows)
        self.held.rates, self.held.took = rates.values, seconds[len(seconds) // 2] if seconds else None
        return result[0]

    def _row(self, row: Mapping[str, Any]) -> None:
        """A whole epoch is done: keep it, and the state if it is the best so far."""
        self._rows = (*self._rows, row)
        so_far = (History() if self._fresh else self.history) + History(self._rows)
        if so_far.best == len(so_far.rows) - 1:
            self.states.keep("best", self.learn.model)
        if self.run_dir is not None:
            self.run_dir.mkdir(parents=True, exist_ok=True)
            with (self.run_dir / "history.jsonl").open("a") as stream:
                stream.write(json.dumps({name: _json(value) for name, value in row.items()}, allow_nan=False) + "\n")

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
        self.states.load(name, self.learn.model)
        self.at = name


def _json(value: Any) -> Any:
    """JSON knows neither nan nor infinity: they are written as null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
