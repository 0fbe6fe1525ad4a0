"""A look at everything before training: what would fail later, or mean nothing, and what it will cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from nbtune._cut import Cut
from nbtune.phases import Phase
from nbtune.preflight import data, machine, training
from nbtune.preflight.subject import Subject
from nbtune.preflight.values import Finding, Preflight
from nbtune.transaction import untouched

__all__ = ["CHECKS", "Finding", "Preflight", "preflight"]

CHECKS: tuple[Callable[[Subject], Iterator[Finding]], ...] = (
    data.sizes,
    data.inputs,
    data.targets,
    data.classes,
    training.loss,
    training.metrics,
    training.monitors,
    training.normalisation,
    data.copies,
    data.order,
    machine.device,
    machine.memory,
    machine.time,
    machine.disk,
)
_ORDER = ("stop", "warn", "note")


def preflight(learn: Any, cuts: Sequence[Cut], phases: Sequence[Phase], folder: Path | None = None) -> Preflight:
    """Every check once, each undone to the bit; one that fails by itself is a finding, and the others go on."""
    began, findings = perf_counter(), []
    for check in CHECKS:
        with untouched(learn):
            subject = Subject(learn, tuple(cuts), tuple(phases), folder)
            try:
                findings += list(check(subject))
            except Exception as error:
                findings.append(_failed(check.__name__, error))
    findings.sort(key=lambda one: _ORDER.index(one.severity))
    return Preflight(tuple(dict.fromkeys(findings)), perf_counter() - began, len(CHECKS))


def _failed(name: str, error: Exception) -> Finding:
    text = (str(error).strip().splitlines() or ["no message"])[0]
    return Finding(
        "warn", name, f"this could not be looked at: {type(error).__name__}: {text:.160}",
        "Items, model or loss fail there; training may fail in the same way.",
        "learn.model(*learn.dls.one_batch()[:learn.dls.n_inp]) shows where",
    )  # fmt: skip
