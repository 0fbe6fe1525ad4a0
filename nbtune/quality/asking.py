"""All questions to a task's data, one after another; what does not apply says so, and Stop keeps what was found."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nbtune.bodies.own import first_line
from nbtune.errors import InputTypeError
from nbtune.quality import classes, columns, straddling
from nbtune.quality.curve import FITS, Curve, learning_curve
from nbtune.quality.domain import Domain, fit, said_of_domain
from nbtune.quality.duplicates import DUPLICATES, Pair, said_of_duplicates, twins
from nbtune.quality.labels import LEAST, read, wrong_classes, wrong_numbers, wrong_sets
from nbtune.quality.near import near_pictures, near_rows, steps
from nbtune.quality.said import said_of_curve, said_of_doubts, said_of_far, said_of_shift, unreadable
from nbtune.quality.seen import Seen, look
from nbtune.quality.shift import Shift, apart
from nbtune.quality.stopping import Stopped
from nbtune.quality.subject import network, new_inputs, readable, reseed
from nbtune.quality.table import seen_rows
from nbtune.quality.value import Quality, no_marks
from nbtune.quality.words import percent
from nbtune.questions.checks import check_seed
from nbtune.questions.linear import FITS as PROBES
from nbtune.questions.trials import progress
from nbtune.tasks.copies import copies
from nbtune.tasks.split import SPLITS
from nbtune.tasks.stacks import Files, Rows
from nbtune.transaction import Streams

if TYPE_CHECKING:
    from nbtune.preflight.values import Finding
    from nbtune.tasks.task import Task

__all__ = ["quality"]

_GRAVITY = {"stop": 0, "warn": 1, "note": 2}
_UNLIKE = 50  # new items that are listed


def quality(
    task: Task, body: Any = None, *, new: Any = None, seed: int = 0, stopped: Callable[[], bool] = lambda: False
) -> Quality:
    """See `Task.quality`."""
    seed = check_seed(seed)
    if not hasattr(task, "train") or not hasattr(task, "kind"):
        raise InputTypeError(
            f"quality of a {type(task).__name__}.", rule="quality looks at a task.",
            likely="its items, or a Learner." if hasattr(task, "dls") else "data that no task was made of yet.",
            next="nt.tasks.from_folder(path).quality()",
        )  # fmt: skip
    streams = Streams()
    try:
        reseed(seed)
        given = None if new is None else new_inputs(task, new)
        clean = readable(task)
        chosen, model = network(clean, body)
        return _Look(task, clean, chosen, model, given, seed, stopped).value()
    finally:
        streams.restore()


class _Look:
    """One look: what each question found so far."""

    def __init__(
        self, whole: Task, task: Task, body: Any, model: Any, new: Any, seed: int, stopped: Callable[[], bool]
    ) -> None:  # fmt: skip
        self.whole, self.task, self.body, self.model, self.new = whole, task, body, model, new
        self.seed, self.stopped = seed, stopped
        self.table = isinstance(task.train.x, Rows)
        self.findings: list[Finding] = []
        self.skipped: dict[str, str] = {}
        self.wrong, self.twins = no_marks(), pd.DataFrame(columns=list(DUPLICATES))
        self.far, self.unlike = pd.DataFrame(columns=["split", "item", "number", "far"]), pd.DataFrame()
        self.tells: tuple[columns.Column, ...] = ()
        self.domain: Domain | None = None
        self.valid_shift: Shift | None = None
        self.new_shift: Shift | None = None
        self.curve: Curve | None = None
        self.seen: Seen | None = None
        self.judged, self.c = "", float("nan")

    def value(self) -> Quality:
        """Ask everything; Stop ends it, and what was found stays."""
        began, partial = time.perf_counter(), False
        try:
            for question in (
                self._bare, self._columns, self._items, self._duplicates, self._labels, self._domain, self._shifts,
                self._curve,
            ):  # fmt: skip
                if self.stopped():
                    raise Stopped(question.__name__)
                question()
        except Stopped:
            partial = True
        counts = {split: getattr(self.task, split).counts(len(self.task.vocab)) for split in SPLITS}
        order = sorted(self.findings, key=lambda one: _GRAVITY[one.severity])
        return Quality(
            self.task.name, tuple(order), self.wrong, self.twins, self.far, self.tells, self.domain,
            self.valid_shift, self.new_shift, self.unlike, self.curve, self._broken(), counts, self.task.vocab,
            self.seen.said if self.seen else "", self.judged, self.skipped, time.perf_counter() - began, partial,
        )  # fmt: skip

    def _found(self, some: Iterable[Finding]) -> None:
        self.findings += some

    # Each question

    def _bare(self) -> None:
        self._found(classes.bare(self.whole))
        self._found(classes.balance(self.task))
        self._found(straddling.groups(self.task))
        self._found(straddling.times(self.task))
        if self.task.kind == "regression":
            self.far = classes.far_numbers(self.task)
            self._found(said_of_far(self.far, self.task))

    def _columns(self) -> None:
        """Columns of a table, or the form of picture files, that tell the label."""
        frame = self.task.train.x.frame if self.table else _forms(self.task.train.x)
        if self.table:
            self._found(columns.gaps({split: getattr(self.task, split).x.frame for split in SPLITS}))
        if self.task.kind == "multi":
            self.skipped["columns that tell the label"] = "asked where an item has one label or one number."
            return
        if frame is None or (self.task.kind == "regression" and self.task.train.y.ndim > 1):
            return
        with progress("columns", len(frame.columns), "column") as tick:
            found = columns.leaks(frame, self.task.train.y, self.task.kind, self.seed, self.stopped, tick)
        self.tells = found if self.table else tuple(one for one in found if one.tells >= columns.TELLS)
        self._found(columns.said_of_leaks(found, not self.table))

    def _items(self) -> None:
        """Read every item once."""
        splits = {split: getattr(self.task, split).x for split in SPLITS}
        if self.new is not None:
            splits["new"] = self.new
        self.seen = seen_rows(splits) if self.table else look(splits, self.body, self.model, self.stopped)
        self._found(unreadable(self._broken()))

    def _broken(self) -> dict[str, str]:
        found = self.seen.broken if self.seen is not None else {}
        return {
            f"new {place}" if split == "new" else getattr(self.task, split).ids[place]: why
            for (split, place), why in found.items()
        }  # fmt: skip

    def _duplicates(self) -> None:
        seen, names = self._seen, [(split, name) for split in SPLITS for name in getattr(self.task, split).ids]
        at = {name: number for number, name in enumerate(names)}
        rows = seen.rows(*SPLITS)
        offset = dict(zip(SPLITS, np.cumsum([0, len(self.task.train), len(self.task.valid)]).tolist(), strict=True))
        place = np.array([offset[seen.where[row][0]] + seen.where[row][1] for row in rows], dtype=np.int64)
        if self.table:
            frame = pd.concat([getattr(self.task, split).x.frame for split in SPLITS], ignore_index=True)
            pairs = near_rows(frame, self.task.train.x.cats, self.task.train.x.conts)
            if pairs is None:
                self.skipped["near duplicates"] = "rows of fewer than three columns of many numbers agree by chance."
            near = [Pair(int(i), int(j), "near", 0.99) for i, j in pairs] if pairs is not None else []
        else:
            with progress("duplicates", steps(len(rows)), "part") as tick:
                pairs, alike = near_pictures(seen.vectors[rows], self._thumbs[rows], self.stopped, tick)
            near = [Pair(int(place[i]), int(place[j]), "near", float(s))
                    for (i, j), s in zip(pairs, alike, strict=True)]  # fmt: skip
        self.twins = twins(self.task, copies(self.task), near, at)
        self._found(said_of_duplicates(self.task, self.twins))

    def _labels(self) -> None:
        """Of train and valid alone: the test split's labels are not looked at."""
        task, seen = self.task, self._seen
        rows, y, names = self._judged()
        least = np.unique(y, return_counts=True)[1].max() if task.kind == "single" and len(y) else 2
        if len(rows) < LEAST or least < 2 or (task.kind == "single" and len(np.unique(y)) < 2):
            self.skipped["wrong labels"] = (
                f"{len(rows)} items are too few to fit on some and judge others." if len(rows) < LEAST
                else "every item is alone in its class." if least < 2 else "there is one class."
            )  # fmt: skip
            return
        steps_ = {"single": PROBES, "multi": 10, "regression": 5}[task.kind]
        vectors = seen.vectors[rows].astype(np.float64)
        spread = vectors.std(0)
        with progress("labels", steps_, "fit") as tick:
            found = read((vectors - vectors.mean(0)) / np.where(spread > 1e-12, spread, 1), y, task.kind, self.seed,
                         self.stopped, tick)  # fmt: skip
        judge = {"single": wrong_classes, "multi": wrong_sets, "regression": wrong_numbers}[task.kind]
        self.wrong = judge(found.values, y, names, task.vocab)
        agrees = "" if np.isnan(found.agrees) else f", which first read {percent(found.agrees)} as labelled"
        self.judged, self.c = f"{found.how} on {seen.said}{agrees}", found.c or float("nan")
        self._found(said_of_doubts(self.wrong, len(rows) - found.alone, found.alone, self.judged, task.kind))

    def _judged(self) -> tuple[Any, Any, list[tuple[str, str]]]:
        """Rows, targets and names of the training and validation items that could be read."""
        rows = self._seen.rows("train", "valid")
        where = [self._seen.where[row] for row in rows]
        y = [getattr(self.task, split).y[place] for split, place in where]
        names = [(split, getattr(self.task, split).ids[place]) for split, place in where]
        return rows, np.array(y), names

    def _domain(self) -> None:
        if self.table or self.body is None:
            return
        if self.model is None:
            self.skipped["domain"] = 'no body was named: task.quality("letters"), or your own, asks how far it is.'
            return
        try:
            self.domain = fit(self.model, self.body, self.task.train.x)
        except Exception as error:  # of a network that cannot run as it is: the other questions stand
            self.skipped["domain"] = f"the network failed: {first_line(error)}"
        self._found(said_of_domain(self.domain, self.body, self.task.train.x))

    def _shifts(self) -> None:
        seen = self._seen
        train = seen.vectors[seen.rows("train")]
        for other in ("valid", "new"):
            rows = seen.rows(other)
            if other == "new" and self.new is None:
                self.skipped["data that it will meet"] = "none was given: new= takes pictures or rows without labels."
                continue
            with progress(f"train against {other}", 5, "fold") as tick:
                shift = apart(train, seen.vectors[rows], ("train", other), self.seed, self.stopped, tick)
            if shift is None:
                self.skipped[f"train against {other}"] = "fewer than 20 items of one of them."
                continue
            if other == "valid":
                self.valid_shift = shift
            else:
                self.new_shift, self.unlike = shift, _unlike(shift, seen.places(rows))
            self._found(said_of_shift(shift))

    def _curve(self) -> None:
        task, seen = self.task, self._seen
        parts = []
        for split in ("train", "valid"):
            rows = seen.rows(split)
            parts.append((seen.vectors[rows], np.asarray(getattr(task, split).y)[seen.places(rows)]))
        if task.kind == "single" and len(np.unique(parts[0][1])) < 2:
            self.skipped["learning curve"] = "there is one class."
            return
        with progress("learning curve", FITS, "fit") as tick:
            self.curve = learning_curve(
                parts[0], parts[1], task.kind, self.c, self.seed, self.stopped, tick
            )  # fmt: skip
        if self.curve is None:
            self.skipped["learning curve"] = f"{len(parts[0][1])} training items are too few to take parts of."
            return
        self._found(said_of_curve(self.curve))

    @property
    def _seen(self) -> Seen:
        assert self.seen is not None  # asked first
        return self.seen

    @property
    def _thumbs(self) -> Any:
        assert self._seen.thumbs is not None  # of pictures
        return self._seen.thumbs


def _forms(x: Any) -> pd.DataFrame | None:
    """Of picture files what is known beside their content: sides, kind of file, grey or not; None where all agree."""
    if not isinstance(x, Files):
        return None
    frame = pd.DataFrame(
        {
            "height": [look.size[0] for look in x.looks],
            "width": [look.size[1] for look in x.looks],
            "the kind of file": [look.path.suffix.lower() for look in x.looks],
            "whether it is grey": [float(look.grey) for look in x.looks],
        }
    )
    vary = [name for name in frame.columns if frame[name].nunique() > 1]
    return frame[vary] if vary else None


def _unlike(shift: Shift, places: Any) -> pd.DataFrame:
    """New items by how surely they are told from training items, most first: place, odd."""
    found = pd.DataFrame({"place": places[shift.rows], "odd": shift.odd})
    return found.sort_values("odd", ascending=False, kind="stable", ignore_index=True).head(_UNLIKE)
