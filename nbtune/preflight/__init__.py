"""A look at everything before training: what would fail later, or mean nothing, and what it will cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from nbtune._cut import Cut
from nbtune.phases import Phase
from nbtune.preflight import copies, data, machine, training, workers
from nbtune.preflight.subject import Subject
from nbtune.preflight.values import Finding, Preflight, first_line
from nbtune.transaction import untouched

__all__ = ["CHECKS", "Finding", "Preflight", "preflight"]

CHECKS: tuple[Callable[[Subject], Iterator[Finding]], ...] = (
    data.sizes,
    data.batch,
    data.inputs,
    data.targets,
    data.classes,
    training.loss,
    training.metrics,
    training.monitors,
    training.normalisation,
    copies.copies,
    data.order,
    workers.workers,
    machine.device,
    machine.memory,
    machine.time,
    machine.disk,
)
# What a check needs in order: findings of severity stop on these would fail it too. A step on labels out of range ends
# the kernel where it is made on a GPU.
_STEP = ("batch", "batch size", "labels", "loss")
_NEEDS: dict[Any, tuple[str, ...]] = {training.loss: _STEP[:3], machine.memory: _STEP, machine.time: (*_STEP, "step")}
_ORDER = ("stop", "warn", "note")


def preflight(
    learn: Any,
    cuts: Sequence[Cut],
    phases: Sequence[Phase],
    folder: Path | None = None,
    test: Callable[[], tuple[Any, Any]] | None = None,
) -> Preflight:
    """Every check once, each undone to the bit; one that fails by itself is a finding, and the others go on."""
    began, made, findings = perf_counter(), 0, list[Finding]()
    for check in CHECKS:
        stops = {one.about for one in findings if one.severity == "stop"}
        if stops.isdisjoint(_NEEDS.get(check, ())):
            with untouched(learn):
                findings += _found(check, Subject(learn, tuple(cuts), tuple(phases), folder, test), stops)
            made += 1
    findings.sort(key=lambda one: _ORDER.index(one.severity))
    return Preflight(tuple(dict.fromkeys(findings)), perf_counter() - began, made)


def _found(check: Callable[[Subject], Iterator[Finding]], subject: Subject, stops: set[str]) -> list[Finding]:
    try:
        return list(check(subject))
    except Exception as error:
        if not stops.isdisjoint(("batch", "batch size")):  # it needs a batch, and that there is none was said
            return []
        return [Finding(
            "warn", check.__name__, f"this could not be looked at: {type(error).__name__}: {first_line(error)}",
            "Items, model or loss fail there; training may fail in the same way.",
            "learn.model(*learn.dls.one_batch()[:learn.dls.n_inp]) shows where",
        )]  # fmt: skip
