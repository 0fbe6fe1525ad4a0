"""What a look at a Learner before its training found, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nbtune._display import html_table, html_value, seconds
from nbtune.errors import TrainingError

__all__ = ["Finding", "Preflight", "first_line"]

_SIGNS = {"stop": "✗ stop", "warn": "! warn", "note": "· note"}


@dataclass(frozen=True)
class Finding:
    """One thing that was seen. `severity`: "stop" (training would fail or mean nothing), "warn", or "note"."""

    severity: str
    about: str  # in a word or two: "labels", "memory"
    seen: str  # with figures
    matters: str = ""  # why
    do: str = ""  # a line that mends it

    def __repr__(self) -> str:
        return " ".join(filter(None, (f"{_SIGNS[self.severity]} {self.about}: {self.seen}", self.matters, self.do)))


@dataclass(frozen=True, repr=False)
class Preflight:
    """Findings, gravest first; true where nothing stands in the way of training."""

    findings: tuple[Finding, ...]
    seconds: float  # that the look took
    checks: int  # that were made

    def __bool__(self) -> bool:
        return not self.of("stop")

    def of(self, severity: str) -> tuple[Finding, ...]:
        """The findings of one severity."""
        return tuple(finding for finding in self.findings if finding.severity == severity)

    @property
    def sentence(self) -> str:
        """How many findings of each kind, and the gravest."""
        stops, warns, notes = (self.of(kind) for kind in ("stop", "warn", "note"))
        counts = [(len(stops), "stop"), (len(warns), "warning"), (len(notes), "note")]
        said = ", ".join(f"{count} {word}{'s' * (count > 1)}" for count, word in counts if count) or "no findings"
        first = f" {(stops or warns)[0].about.capitalize()}: {(stops or warns)[0].seen}" if stops or warns else ""
        verdict = "Do not train yet" if stops else "Nothing stands in the way"
        return f"{verdict}: {said} from {self.checks} checks in {seconds(self.seconds)}.{first}"

    def __repr__(self) -> str:
        return "\n".join([self.sentence, *map(repr, self.findings)])

    def frame(self) -> Any:
        """A pandas frame, a row a finding: severity, about, seen, matters, do."""
        import pandas as pd

        columns = ["severity", "about", "seen", "matters", "do"]
        return pd.DataFrame([[getattr(one, name) for name in columns] for one in self.findings], columns=columns)

    def _repr_html_(self) -> str:
        rows = [(_SIGNS[one.severity], one.about, one.seen, one.matters, one.do) for one in self.findings]
        head = ["", "about", "what was seen", "why it matters", "what to do"]
        return html_value("Preflight", self.sentence, html_table(head, rows) if rows else "")

    def insist(self) -> None:
        """Raise TrainingError if anything stands in the way."""
        if stops := self.of("stop"):
            raise TrainingError(
                f"a Learner that cannot be trained as it is: {'; '.join(f'{one.about}: {one.seen}' for one in stops)}",
                rule="nothing of severity stop is found before training.",
                likely=stops[0].matters or "the data, the loss or a callback do not fit each other.",
                next=stops[0].do or "tuner.check() shows all findings.",
            )


def first_line(error: Exception) -> str:
    """What an error says, in a line."""
    return f"{(str(error).strip().splitlines() or ['no message'])[0]:.160}"
