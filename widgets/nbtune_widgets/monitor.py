"""Monitor: the training as it goes, over all its phases, with a Stop that can be taken back."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import traitlets

from nbtune import Tuner
from nbtune.history import exploded
from nbtune.trace import Now
from nbtune_widgets.panel import Panel, escape, module, picture, style
from nbtune_widgets.words import few, rates, seconds, short, span

__all__ = ["Monitor"]

_REDRAW = 0.1  # seconds between two drawings at least
_SHARE = 200  # and as many times what the last one took: at most 0.5 % of the training's time
_STILL = 30.0  # seconds between two static pictures while it trains
_SPOKEN = 10.0  # seconds between two words to a screen reader
_EPOCHS, _PHASES = 600, 40  # sent at most; the frame of the History has all
_TRAINS = ("fit", "run")
_FIXED = ("phase", "epoch", "train_loss", "valid_loss", "seconds")


class Monitor(Panel):
    """Watch a Tuner train: losses, metrics and rates over all phases, what was still in each, and Stop and Go on.

    Shows every training of the Tuner, whoever began it. Raises InputTypeError for anything but a Tuner.
    """

    _esm, _css = module("monitor"), style("monitor")
    points = traitlets.Bytes().tag(sync=True)  # float32 [n, 5]: epochs trained, mean, lowest, highest loss, rate
    epochs = traitlets.Bytes().tag(sync=True)  # float32 [n, 6 + metrics]: what `_curves` gives
    live = traitlets.Dict().tag(sync=True)  # changes as it trains: a new `view` would take buttons from under a click
    quiet = frozenset({"fit", "run", "freeze", "freeze_to", "unfreeze", "lr"})

    def __init__(self, tuner: Tuner) -> None:
        super().__init__()
        self._due = self._still_due = self._spoke = 0.0
        self._state, self._stopping = "idle", False
        self._frame: tuple[Any, ...] = ()
        self._pen = threading.RLock()  # the training's thread and the page's may draw at once
        self.follow(tuner)
        self._untrace = tuner.trace.watch(self._tick)
        self._catch_up()

    def acts(self) -> dict[str, Callable[..., Any]]:
        return {
            "stop": self.stop,
            "go": self._go,
            "best": lambda: self._switch("best"),
            "last": lambda: self._switch("last"),
        }

    def stop(self) -> None:
        if self.tuner.running not in _TRAINS:
            self.said = "No training is running."
            return
        self._stopping, self._state = True, "stopping"
        self.tuner.stop()
        self.tell("tuner.stop()", "Stopping after this batch.")
        self._draw(anew=True)

    def _go(self) -> None:
        if self.tuner.running not in _TRAINS:
            self.aside(self.tuner.run)

    def _switch(self, name: str) -> None:
        getattr(self.tuner, name)()
        self.tell(f"tuner.{name}()", f"The model is at its {name} state.")

    # As it trains

    def _told(self) -> None:
        running = self.tuner.running
        if running in _TRAINS:
            self._stopping, self._due, self._still_due = False, 0.0, time.monotonic() + _STILL
            self.error = {}
        self._state = "running" if running in _TRAINS else "idle"
        if self._state == "idle":
            self._stopping = False
        super()._told()
        self._catch_up()

    def redraw(self) -> None:
        trained = len(self.tuner.history.rows), self.tuner.history.phases, self.tuner.at
        if trained != getattr(self, "_in_still", None):  # a picture takes longer than most verbs
            self._in_still = trained
            super().redraw()

    def _tick(self) -> None:
        """After each batch, in the training's thread: cheap, and seldom more than that."""
        began = time.perf_counter()
        if began < self._due:
            return
        if self._due == 0.0:  # the first batch: its line before its points
            self.code = _line(self.tuner)
        self._draw()
        if time.monotonic() > self._still_due:
            super().redraw()
            self._still_due = time.monotonic() + _STILL
        now = time.perf_counter()
        self._due = now + max(_REDRAW, _SHARE * (now - began))

    def _catch_up(self) -> None:
        self._draw(anew=True)
        if not self.code or self.tuner.running in _TRAINS:
            self.code = _line(self.tuner)

    def _draw(self, anew: bool = False) -> None:
        """Send curves and words; the frame around them only when it is another."""
        with self._pen:
            trace = self.tuner.trace
            rows = trace.rows
            names = self._names(rows)
            self.points, self.epochs = trace.points.tobytes(), _curves(rows, names).tobytes()
            self.live = self._live(trace.now)
            frame = self._state, names, len(trace.stretches)
            if anew or frame != self._frame:
                self._frame = frame
                self.refresh()

    def _names(self, rows: Sequence[Any]) -> tuple[str, ...]:
        """Names of the metrics; of a first phase that runs, from its rows: the History has them when it ends."""
        row = rows[-1][1] if rows else {}
        return self.tuner.history.metrics or tuple(name for name in row if name not in _FIXED)

    def refresh(self) -> None:
        with self._pen:
            super().refresh()

    def _live(self, now: Now | None) -> dict[str, Any]:
        trace = self.tuner.trace
        rows = trace.rows
        words = {"sentence": self._sentence(), "best": _best(rows, self.tuner.history), "all": len(rows)}
        words["log"] = exploded([row for _, row in rows])
        if now is None:
            return {**words, "status": "", "facts": "", "rates": "", "share": 0.0}
        left = "" if math.isnan(now.left) else f", {seconds(now.left)} left"
        epoch = min(now.epoch + 1, now.epochs)
        facts = [f"{seconds(now.seconds)} trained", f"{short(now.speed)} items a second" if now.speed else ""]
        facts.append(f"{short(now.memory)}B on the GPU" if now.memory else "")
        if time.monotonic() - self._spoke > _SPOKEN and not self._stopping:
            self._spoke, self.said = time.monotonic(), f"Epoch {epoch} of {now.epochs}{left}."
        return {
            **words,
            "status": f"Epoch {epoch} of {now.epochs}, batch {now.batch} of {now.batches}{left}",
            "facts": " · ".join(filter(None, facts)),
            "rates": rates(list(now.rates.items())),
            "share": (now.epoch + now.batch / now.batches) / now.epochs,
        }

    # What is so

    def look(self) -> dict[str, Any]:
        tuner = self.tuner
        trace, history = tuner.trace, tuner.history
        names = self._names(trace.rows)
        return {
            "title": "Training",
            # Of a training that runs `live` has the words: focus, which asks for a new view, changes nothing then.
            "sentence": self._sentence() if self._state == "idle" else f"{tuner.running or 'The training'} runs.",
            "state": self._state,
            "phases": [_phase(one, history) for one in trace.stretches[-_PHASES:]],
            "metrics": list(names),
            "at": tuner.at,
            "has_best": history.best is not None,
            "left": len(tuner.left),
        }

    def _sentence(self) -> str:
        trace, history = self.tuner.trace, self.tuner.history
        judged = repr(trace.fitting()) if trace.stretches else ""
        if self._stopping:
            return f"Stopping after this batch; what was best is kept. {judged}"
        if self._state == "running":
            return judged if trace.now is not None else f"{self.tuner.running}() gets ready. {judged}"
        if not history.phases:
            return "No training yet: tuner.fit(4) in a cell begins one, and it is drawn here as it goes."
        go = " Go on takes it up there." if self.tuner.left else ""
        at = " The model is at its best state." if self.tuner.at == "best" else ""
        return f"{history!r}{go}{at} {judged}"

    def static(self) -> str:
        history = self.tuner.history
        if not history.phases:
            return "<strong>Training</strong><p>No training yet.</p>"
        trace = self.tuner.trace
        judged = f"<p>{escape(trace.fitting())}</p>" if trace.stretches else ""
        return (picture(history.plot()) if history.rows else "") + history._repr_html_() + judged

    def close(self) -> None:
        self._untrace()
        super().close()


def _line(tuner: Tuner) -> str:
    """The last line of the script that trains."""
    lines = [line for line in tuner.code().splitlines() if line.startswith(("tuner.fit(", "tuner.run("))]
    return lines[-1] if lines else ""


def _curves(rows: Sequence[Any], names: Sequence[str]) -> Any:
    """A row an epoch, at most `_EPOCHS`, evenly spaced: epochs trained, losses, metrics, phase, epoch, seconds."""
    if len(rows) > _EPOCHS:
        rows = [rows[at] for at in np.linspace(0, len(rows) - 1, _EPOCHS).astype(int)]
    columns = ("train_loss", "valid_loss", *names, "phase", "epoch", "seconds")
    numbers = [[x, *(_number(row.get(name)) for name in columns)] for x, row in rows]
    return np.array(numbers, np.float32).reshape(len(rows), 1 + len(columns))


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else math.nan


def _phase(stretch: Any, history: Any) -> dict[str, Any]:
    record = next((one for one in history.phases if one.number == stretch.number), None)
    still = [name for name, lr in stretch.rates.items() if not lr]
    told = f"still: {few(still)}" if still else "nothing still"
    return {
        "number": stretch.number,
        "label": " · ".join(filter(None, [stretch.trains, "cached" if record is not None and record.cached else ""])),
        "told": f"Phase {stretch.number}: {told}; trains: {stretch.trains}",
        "begin": stretch.begin,
        "epochs": stretch.epochs,
        "still": len(still) / max(1, len(stretch.rates)),
        "fresh": stretch.fresh,
        "row": [stretch.number, f"{stretch.begin:.3g}", stretch.epochs, stretch.trains, few(still) if still else "",
                span(lr for lr in stretch.rates.values() if lr)],
    }  # fmt: skip


def _best(rows: Sequence[Any], history: Any) -> list[float] | None:
    """Where the lowest valid loss since all weights were drawn anew is: epochs trained, and the loss."""
    first = max((one.number for one in history.phases if one.fresh), default=0)
    found = [
        (row["valid_loss"], x) for x, row in rows if row["phase"] >= first and math.isfinite(_number(row["valid_loss"]))
    ]
    return [min(found)[1], min(found)[0]] if found else None
