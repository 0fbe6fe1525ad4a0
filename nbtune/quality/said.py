"""What the questions to the items found, as findings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from nbtune.preflight.values import Finding
from nbtune.quality.curve import Curve
from nbtune.quality.shift import Shift
from nbtune.quality.words import listed, percent

if TYPE_CHECKING:
    from nbtune.tasks.task import Task

__all__ = ["said_of_curve", "said_of_doubts", "said_of_far", "said_of_shift", "unreadable"]

_MANY = 0.02  # share of doubted labels from which it is a warning


def unreadable(broken: Mapping[str, str]) -> Iterator[Finding]:
    """Items that could not be read."""
    if broken:
        name, why = next(iter(broken.items()))
        yield Finding(
            "stop", "broken items", f"{len(broken):,} cannot be read: {listed(list(broken))}. Of {name}: {why}",
            "The first epoch ends there.", 'make the task again with broken="skip"',
        )  # fmt: skip


def said_of_far(far: Any, task: Task) -> Iterator[Finding]:
    """Targets far from the rest."""
    if len(far):
        row = far.iloc[0]
        yield Finding(
            "note", "targets", f"{len(far):,} of {len(task.train) + len(task.valid):,} lie more than 3.5 robust "
            f"standard deviations from the median, the farthest {row['number']:g} ({row['item']}).",
            "A slip of a unit or a decimal point weighs much in a squared loss; a long tail is no error.",
            "quality.far_numbers; a logarithm for a long tail",
        )  # fmt: skip


def said_of_doubts(wrong: Any, judged: int, alone: int, how: str, kind: str) -> Iterator[Finding]:
    """Labels that are likely wrong, and items that could not be judged."""
    if len(wrong):
        share = wrong["item"].nunique() / judged
        act = "task.edited(quality.wrong_labels), after a look" if kind == "single" else "quality.wrong_labels"
        yield Finding(
            "warn" if share >= _MANY else "note", "wrong labels",
            f"{wrong['item'].nunique():,} of {judged:,} training and validation items ({percent(share)}) are likely "
            f"labelled wrongly, by {how}.",
            "Some are hard or rare items and rightly labelled: a look at each tells.", act,
        )  # fmt: skip
    if alone:
        yield Finding(
            "note", "wrong labels", f"{alone:,} items alone in their class are not judged.",
            "Nothing else shows what their class looks like.",
        )  # fmt: skip


def said_of_shift(shift: Shift) -> Iterator[Finding]:
    """Sets that a classifier tells apart."""
    if not shift.differs:
        return
    new = shift.other == "new"
    plain = shift.accuracy.value >= 0.6
    yield Finding(
        "warn" if plain else "note", "representative", shift.sentence,
        "What holds on validation items need not hold there." if new
        else "They were not drawn alike: validation measures something else than training saw.",
        "quality.unlike lists them; label some of these" if new
        else "grouped or timed splits differ on purpose; else split again at random",
    )  # fmt: skip


def said_of_curve(curve: Curve) -> Iterator[Finding]:
    """Whether more data would help."""
    yield Finding(
        "note", "more data", curve.sentence.removesuffix("."), "On fixed features: fine-tuning may gain more."
    )
