"""What is asked of the data and how it is measured: as the user says, or proposed with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nbtune.errors import InputError, InputTypeError, nearest
from nbtune.tasks.targets import Target

__all__ = ["FITTING", "Proposal", "propose"]

FITTING = {
    "single": ("accuracy", "error_rate", "f1", "precision", "recall"),
    "multi": ("f1", "f1_micro", "precision", "recall", "accuracy"),
    "regression": ("mae", "rmse", "r2"),
}
UNEVEN = 3.0  # largest class over smallest, from which accuracy hides the small ones
_KINDS = {"single": "classes", "multi": "several labels", "regression": "numbers"}


@dataclass(frozen=True)
class Proposal:
    """The objective, the metrics, and the reason in a sentence."""

    objective: str
    metrics: tuple[Any, ...]
    why: str


def propose(target: Target, objective: str | None, metrics: Any) -> Proposal:
    """Objective and metrics of a target. Raises InputError for a metric that makes no sense for it."""
    kind = f"Target: {target.kind}, as {target.why}." if "chosen" not in target.why else f"Target: {target.kind}."
    chosen, why = _usual(target) if metrics is None else (_checked(metrics, target.kind), "Metrics: the user's.")
    return Proposal(objective or _sentence(target), chosen, f"{kind} {why}")


def _sentence(target: Target) -> str:
    names = target.vocab
    listed = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
    if target.kind == "regression":
        return f"predict {listed}"
    if target.kind == "multi":
        return f"say which of {len(names)} labels an item has ({listed})"
    return f"tell {len(names)} classes apart ({listed})"


def _usual(target: Target) -> tuple[tuple[str, ...], str]:
    if target.kind == "regression":
        return ("mae", "r2"), "Proposed: the mean absolute error, which is in the target's own units, and R²."
    if target.kind == "multi":
        return (
            "f1",
            "f1_micro",
        ), "Proposed: macro F1, as accuracy would count the many labels that are rightly absent."
    counts = np.bincount(target.y, minlength=len(target.vocab))
    low, high = int(counts[counts > 0].min()), int(counts.max())
    if high >= UNEVEN * low:
        small = target.vocab[int(np.where(counts > 0, counts, high + 1).argmin())]
        said = f"the largest class has {high:,} items and {small!r} {low:,}: accuracy would hide it"
        return ("f1",), f"Proposed: macro F1, not accuracy, as {said}."
    return ("accuracy",), f"Proposed: accuracy, as the classes are of like size ({low:,} to {high:,} items)."


def _checked(metrics: Any, kind: str) -> tuple[Any, ...]:
    several = isinstance(metrics, Sequence) and not isinstance(metrics, str)
    given = tuple(metrics) if several else (metrics,)
    for metric in given:
        if not isinstance(metric, str):
            if not callable(metric) and not hasattr(metric, "accumulate"):
                raise InputTypeError(
                    f"metrics={metric!r:.60}.", rule=f"a metric is a name ({', '.join(FITTING[kind])}) or a function.",
                    likely="the value of a metric instead of the metric.", next=f"metrics={FITTING[kind][0]!r}",
                )  # fmt: skip
        elif metric not in FITTING[kind]:
            others = [other for other, names in FITTING.items() if metric in names]
            raise InputError(
                f"metrics={metric!r} for a target of {_KINDS[kind]}.",
                rule=f"for {_KINDS[kind]} a metric is one of {', '.join(FITTING[kind])}, or a function.",
                likely=f"a metric for {_KINDS[others[0]]}; the target was read as {_KINDS[kind]}." if others
                else "a misspelt name, or the name of another library.",
                next=f'target="{others[0]}" if that is what they are; else metrics={FITTING[kind][0]!r}' if others
                else nearest(metric, FITTING[kind]),
            )  # fmt: skip
    return given
