"""A task with labels corrected and items left out: first as a difference, then as a new task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from nbtune._display import COLD, WARM, Chart, chart, html_table, html_value
from nbtune.tasks._marks import COLUMNS, Mark, marks_of
from nbtune.tasks.split import SPLITS

if TYPE_CHECKING:
    from nbtune.tasks.task import Task

__all__ = ["Edit", "Mark", "edit"]

_WRITTEN = 20  # marks that the code of a task writes out: more are data
_SHOWN = 20  # rows in the notebook


@dataclass(frozen=True, repr=False, eq=False)
class Edit:
    """What marks would change in a task: nothing is changed until `.task` is taken, and no file ever.

    `before` and `after` count the items of each class by split; `reason` is why the test split is edited.

    Example:
        >>> import nbtune as nt
        >>> task = nt.tasks.digits(shots=5)
        >>> marks = [["train", task.train.ids[0], "label", "7"], ["valid", task.valid.ids[3], "exclude", ""]]
        >>> task.edited(marks, dry_run=True)
        Edit of task digits: train: 1 relabelled of 50; valid: 1 left out of 200.
        >>> len(task.edited(marks).valid)
        199
    """

    source: Task
    marks: tuple[Mark, ...]  # those that change something
    idle: int  # those that do not: the label is the same
    before: dict[str, tuple[int, ...]]
    after: dict[str, tuple[int, ...]]
    reason: str = ""

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """How many items are relabelled and left out, by split."""
        found = Counter((mark.split, mark.what) for mark in self.marks)
        return {s: {"label": found[s, "label"], "exclude": found[s, "exclude"]} for s in SPLITS if self.touches(s)}

    @property
    def emptied(self) -> tuple[str, ...]:
        """Classes that have training items now and would have none."""
        pairs = zip(self.source.vocab, self.before["train"], self.after["train"], strict=True)
        return tuple(name for name, old, new in pairs if old and not new)

    def touches(self, split: str) -> bool:
        return any(mark.split == split for mark in self.marks)

    @cached_property
    def task(self) -> Task:
        """The task with these changes: new items, a new digest, and a card that says it."""
        return _applied(self)

    @property
    def sentence(self) -> str:
        """What would change, and what follows from it."""
        if not self.marks:
            return f"Nothing changes{f': {_idle(self.idle)}' if self.idle else ''}."
        parts = [_words(split, found, sum(self.before[split])) for split, found in self.counts.items()]
        said = [f"{'; '.join(parts)}."]
        if self.idle:
            said.append(f"{_idle(self.idle).capitalize()}.")
        if self.emptied:
            said.append(f"No training item is left of {', '.join(self.emptied)}.")
        if self.touches("test"):
            said.append("Reports on the test split before and after cannot be compared, and its looks count anew.")
        return " ".join(said)

    def frame(self) -> Any:
        """A pandas frame, a row a change: split, item, what, label, now."""
        import pandas as pd

        labels = _labels(self.source)
        rows = [(*mark, labels[mark.split, mark.item]) for mark in self.marks]
        return pd.DataFrame(rows, columns=[*COLUMNS, "now"])

    def plot(self) -> Chart:
        """Training items of each class, before and after."""
        figure, ax = chart(f"Training items of each class before and after. {self.sentence}")
        at = np.arange(len(self.source.vocab))
        ax.bar(at - 0.2, self.before["train"], 0.4, color=COLD, label="now")
        ax.bar(at + 0.2, self.after["train"], 0.4, color=WARM, hatch="//", edgecolor="white", label="edited")
        if len(at) <= 30:
            ax.set_xticks(at, [name.replace("$", r"\$") for name in self.source.vocab])
        ax.set_ylabel("training items")
        ax.legend(frameon=False)
        return figure

    def __repr__(self) -> str:
        return f"Edit of task {self.source.name}: {self.sentence}"

    def _repr_html_(self) -> str:
        rows = self.frame()[["split", "item", "now", "what", "label"]].itertuples(index=False)
        shown = [(s, item, now, "→" if what == "label" else "left out", to) for s, item, now, what, to in rows]
        more = f" The first {_SHOWN} of {len(shown)} changes:" if len(shown) > _SHOWN else ""
        table = html_table(["split", "item", "label now", "", "label then"], shown[:_SHOWN])
        return html_value(f"Edit of task {self.source.name}", self.sentence + more, table if shown else "")


def edit(task: Task, marks: Any, reason: str | None) -> Edit:
    """See `Task.edited`."""
    found = marks_of(task, marks, reason)
    labels = _labels(task)
    real = tuple(mark for mark in found if mark.what == "exclude" or mark.label != labels[mark.split, mark.item])
    count = len(task.vocab)
    before = {split: tuple(np.bincount(getattr(task, split).y, minlength=count).tolist()) for split in SPLITS}
    after = {split: list(counts) for split, counts in before.items()}
    for mark in real:
        after[mark.split][task.vocab.index(labels[mark.split, mark.item])] -= 1
        if mark.what == "label":
            after[mark.split][task.vocab.index(mark.label)] += 1
    touched = any(mark.split == "test" for mark in real)
    ends = {split: tuple(counts) for split, counts in after.items()}
    return Edit(task, real, len(found) - len(real), before, ends, (reason or "") if touched else "")


def _applied(edit: Edit) -> Task:
    from nbtune.tasks.task import digest_of

    task = edit.source
    if not edit.marks:
        return task
    new = {split: _split(task, split, edit.marks) for split in SPLITS}
    counts = dict(zip(task.vocab, edit.after["train"], strict=True))
    sizes = {split: len(items) for split, items in new.items()}
    parts = [_words(split, found, sum(edit.before[split])) for split, found in edit.counts.items()]
    why = f" Why the test split: {edit.reason.strip().rstrip('.')}." if edit.reason else ""
    note = f"{task.card.note} Edited: {'; '.join(parts)}.{why}".strip()
    card = replace(task.card, sizes=sizes, class_counts=counts, split_digest=digest_of(*new.values()), note=note)
    return replace(task, card=card, code=_code(edit), **new)


def _split(task: Task, split: str, marks: Sequence[Mark]) -> Any:
    """The items of a split with their new classes, without those that are left out; the same object if untouched."""
    mine = {mark.item: mark for mark in marks if mark.split == split}
    items = getattr(task, split)
    if not mine:
        return items
    y = items.y.copy()
    kept = []
    for at, name in enumerate(items.ids):
        mark = mine.get(name)
        if mark is None or mark.what == "label":
            kept.append(at)
        if mark is not None and mark.what == "label":
            y[at] = task.vocab.index(mark.label)
    return replace(items, y=y).take(kept)


def _code(edit: Edit) -> str:
    """The call that makes the edited task again; many marks are data, which no line holds."""
    code, _, old = edit.source.code.partition("  # ")
    if code == "...":
        return f"...  # {old}, edited"
    marks = "marks" if len(edit.marks) > _WRITTEN else repr([list(mark) for mark in edit.marks])
    reason = f", test={edit.reason!r}" if edit.reason else ""
    note = f"  # marks: {len(edit.marks)} rows of your own" if marks == "marks" else ""
    return f"{code}.edited({marks}{reason}){f'  # {old}' if old else note}"


def _labels(task: Task) -> dict[tuple[str, str], str]:
    """The class name of each item by split and id."""
    return {
        (split, name): task.vocab[c]
        for split in SPLITS
        for name, c in zip(getattr(task, split).ids, getattr(task, split).y.tolist(), strict=True)
    }


def _words(split: str, found: dict[str, int], size: int) -> str:
    told = [f"{found['label']:,} relabelled"] if found["label"] else []
    told += [f"{found['exclude']:,} left out"] if found["exclude"] else []
    return f"{split}: {' and '.join(told)} of {size:,}"


def _idle(count: int) -> str:
    return f"{count} {'mark gives' if count == 1 else 'marks give'} the label that is there already"
