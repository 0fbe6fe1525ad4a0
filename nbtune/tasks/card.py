"""Where a task's data come from, as a value."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from nbtune._display import html_table, html_value
from nbtune.tasks._broken import by_reason

__all__ = ["Card"]


@dataclass(frozen=True)
class Card:
    """Source, licence, sizes and class counts of a task; `nature` is "real" or "synthetic".

    `split_digest` is a sha256 over the three splits: ids, targets and inputs. `split` says how they were drawn,
    `proposal` how target and metrics were chosen, `skipped` which items were left out (by id, with the reason).
    """

    name: str
    source: str
    licence: str
    nature: str
    sizes: dict[str, int]
    class_counts: dict[str, int]
    split_digest: str
    note: str = ""
    split: str = ""
    proposal: str = ""
    skipped: dict[str, str] = field(default_factory=dict)

    @property
    def labelled(self) -> str:
        """How many labelled items are used, in a sentence: validation uses labels too."""
        train, valid = self.sizes["train"], self.sizes["valid"]
        used = f"Training uses {train:,} labelled items, validation {valid:,} more"
        return f"{used}; the test set has {self.sizes['test']:,}."

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    def __repr__(self) -> str:
        about = f"{self.name}: {self.nature} data, {self.source} ({self.licence}). {self.labelled}"
        return " ".join(
            filter(None, (about, self.split, self.proposal, self.note if self.split else "", self.left_out))
        )

    @property
    def left_out(self) -> str:
        """How many items were left out and why, in a sentence; "" for none."""
        if not self.skipped:
            return ""
        return f"{len(self.skipped):,} left out: {by_reason(self.skipped)}."

    def _repr_html_(self) -> str:
        rows = [
            ("source", self.source),
            ("licence", self.licence),
            ("nature", self.nature),
            ("items", ", ".join(f"{name} {n:,}" for name, n in self.sizes.items())),
            *([("training items a class", _spread(self.class_counts))] if self.class_counts else []),
            *[(name, text) for name, text in (("split", self.split), ("left out", self.left_out)) if text],
            ("split digest", self.split_digest[:16] + "…"),
        ]
        return html_value(
            self.name, " ".join(filter(None, (self.labelled, self.proposal, self.note))), html_table(["", ""], rows)
        )


def _spread(counts: dict[str, int]) -> str:
    low, high = min(counts.values()), max(counts.values())
    return f"{low}" if low == high else f"{low} to {high}"
