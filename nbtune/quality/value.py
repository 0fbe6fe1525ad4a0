"""What a look at a task's data found, as a value: findings, lists to act on, pictures."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from nbtune._display import Chart, html_table, html_value, seconds
from nbtune.preflight.values import Finding
from nbtune.quality.columns import Column
from nbtune.quality.curve import Curve
from nbtune.quality.domain import Domain
from nbtune.quality.drawing import draw
from nbtune.quality.labels import MARKS
from nbtune.quality.shift import Shift
from nbtune.tasks._marks import COLUMNS

__all__ = ["Quality"]

_SIGNS = {"stop": "✗ stop", "warn": "! warn", "note": "· note"}


@dataclass(frozen=True, repr=False, eq=False)
class Quality:
    """Findings about a task's data, gravest first, and lists that one can act on.

    `wrong_labels` and `duplicates` are frames that `task.edited` takes as marks, with more columns: `now` is the
    label that an item has, `sure` how sure the probe is of another, `twin` the item that stays in the place of a
    duplicate. A mark is a question to a person, not a verdict: look before editing.
    """

    task: str
    findings: tuple[Finding, ...]
    wrong_labels: pd.DataFrame = field(repr=False)
    duplicates: pd.DataFrame = field(repr=False)
    far_numbers: pd.DataFrame = field(repr=False)  # split, item, number, far: of a regression
    columns: tuple[Column, ...]  # how much each column tells alone, most first
    domain: Domain | None
    valid_shift: Shift | None  # train against valid
    new_shift: Shift | None  # train against the data that it will meet
    unlike: pd.DataFrame = field(repr=False)  # new items by how surely they are told from training items
    curve: Curve | None
    broken: dict[str, str]  # by id, with the reason
    counts: dict[str, tuple[int, ...]] = field(repr=False)  # of each class by split
    vocab: tuple[str, ...] = field(repr=False)
    compared: str  # by what items were compared: a body's features, pixels, or columns
    judged: str  # how labels were judged
    not_asked: dict[str, str]  # what does not apply or could not be asked, and why
    seconds: float
    partial: bool = False  # stopped before everything was asked

    @property
    def marks(self) -> pd.DataFrame:
        """All marks for `task.edited`, one an item: duplicates that go, labels of what stays; none on test items."""
        out = self.duplicates[self.duplicates["what"] == "exclude"]
        rest = self.wrong_labels[~self.wrong_labels["item"].isin(set(out["item"]))]
        parts = [frame[list(COLUMNS)] for frame in (out, rest) if len(frame)]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(COLUMNS))

    def of(self, severity: str) -> tuple[Finding, ...]:
        """The findings of one severity: "stop", "warn" or "note"."""
        return tuple(finding for finding in self.findings if finding.severity == severity)

    @property
    def sentence(self) -> str:
        """How many findings of each kind, the gravest, and what was not asked."""
        counts = [
            (len(self.of(kind)), word) for kind, word in (("stop", "stop"), ("warn", "warning"), ("note", "note"))
        ]
        said = ", ".join(f"{n} {word}{'s' * (n > 1)}" for n, word in counts if n) or "nothing found"
        first = f" {self.findings[0].about.capitalize()}: {self.findings[0].seen}" if self.findings else ""
        stopped = " Stopped before everything was asked." if self.partial else ""
        skipped = f" Not asked: {', '.join(self.not_asked)}." if self.not_asked else ""
        return f"{said[0].upper()}{said[1:]} in {seconds(self.seconds)}.{first}{skipped}{stopped}"

    def frame(self) -> pd.DataFrame:
        """A row a finding: severity, about, seen, matters, do."""
        columns = ["severity", "about", "seen", "matters", "do"]
        return pd.DataFrame([[getattr(one, name) for name in columns] for one in self.findings], columns=columns)

    def plot(self) -> Chart:
        """Items of each class, what was found by kind, whether more data would help, and how the sets differ."""
        return draw(self)

    def __repr__(self) -> str:
        lines = [f"Quality of task {self.task}: {self.sentence}", *map(repr, self.findings)]
        lines += [f"  not asked, {what}: {why}" for what, why in self.not_asked.items()]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = [(_SIGNS[one.severity], one.about, one.seen, one.matters, one.do) for one in self.findings]
        rows += [("not asked", what, why, "", "") for what, why in self.not_asked.items()]
        head = ["", "about", "what was seen", "why it matters", "what to do"]
        by = f" Items were compared by {self.compared}." if self.compared else ""
        return html_value(f"Quality of task {self.task}", self.sentence + by, html_table(head, rows) if rows else "")


def no_marks() -> pd.DataFrame:
    """An empty list of labels."""
    return pd.DataFrame(columns=list(MARKS))
