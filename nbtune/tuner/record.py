"""What a Tuner says of what it did: the script and the card."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nbtune._version import __version__
from nbtune.evaluate import Report
from nbtune.finder import LRCurve
from nbtune.freeze import FreezePlan
from nbtune.history import History

__all__ = ["append", "call", "card", "code", "versions"]


def call(verb: str, *given: object, **options: tuple[object, object]) -> str:
    """`verb(given, name=value)` as source; `options` are (value, default) pairs, left out where equal."""
    parts = [_source(value) for value in given]
    parts += [
        f"{name}={_source(value)}"
        for name, (value, default) in options.items()
        if value is not default and value != default
    ]
    return f"{verb}({', '.join(parts)})"


def _source(value: object) -> str:
    if isinstance(value, LRCurve):
        return "curve"
    if isinstance(value, slice):
        ends = [value.stop] if value.start is None else [value.start, value.stop]
        return f"slice({', '.join(map(_source, ends))})"
    if isinstance(value, float):
        return f"{value:.6g}"
    return repr(value)


def append(file: Path, row: Mapping[str, Any]) -> None:
    """Add one JSON line."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as stream:
        stream.write(json.dumps(row) + "\n")


def code(learn: Any, seed: int, said: Sequence[str], has_test: bool) -> str:
    """The script that does the same again."""
    origin = getattr(learn, "nbtune_origin", None)
    head = ["import nbtune as nt", ""]
    if origin is not None:
        head += [f"task = {origin.task.code}", f"learn = {origin.code}"]
    else:
        head += ["learn = ...  # your own fastai Learner"]
    test = ", test=task.test" if origin is not None and has_test else ""
    return "\n".join([*head, f"tuner = nt.Tuner(learn{test}, seed={seed})", *said]) + "\n"


def versions() -> dict[str, str]:
    """Versions of what the result depends on."""
    names = ("torch", "torchvision", "fastai", "fastcore", "numpy", "scikit-learn", "safetensors")
    return {
        "nbtune": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in names},
    }


def card(learn: Any, plan: FreezePlan, history: History, last: Report | None, script: str) -> str:
    """The model card as Markdown (after Mitchell et al., 2019): data, training, results, how to repeat it."""
    origin = getattr(learn, "nbtune_origin", None)
    parts = ["# Model card"]
    if origin is not None:
        parts += ["## Task", f"{origin.task!r}", "", f"{origin.task.card!r}", "", f"Body: {origin.body!r}"]
    parts += ["## Training", repr(history), "", _table(history), "", f"At the end: {plan!r}"]
    if last is not None:
        rows = [f"| {name} | {estimate!r} |" for name, estimate in last.metrics.items()]
        parts += [
            "## Results on the test set",
            last.sentence,
            "",
            "| metric | value [95 % interval] |",
            "|---|---|",
        ]
        parts += rows
    parts += ["## Do it again", "```python", script.rstrip(), "```"]
    parts += ["Versions: " + ", ".join(f"{name} {number}" for name, number in versions().items()) + "."]
    return "\n".join(parts) + "\n"


def _table(history: History) -> str:
    names = ["phase", "epoch", "train_loss", "valid_loss", *history.metrics, "seconds"]
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    for row in history.rows:
        cells = [f"{row[n]:.3f}" if isinstance(row[n], float) else str(row[n]) for n in names]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
