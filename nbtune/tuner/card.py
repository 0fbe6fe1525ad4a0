"""The model card of a Tuner, as Markdown."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from nbtune._display import figure
from nbtune._version import __version__
from nbtune.bundle.card import limit_rows
from nbtune.evaluate import Report
from nbtune.freeze import FreezePlan
from nbtune.history import History

__all__ = ["card", "versions"]


def versions() -> dict[str, str]:
    """Versions of what the result depends on."""
    names = ("torch", "torchvision", "fastai", "fastcore", "numpy", "scikit-learn", "safetensors")
    return {
        "nbtune": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in names},
    }


def card(
    learn: Any, plan: FreezePlan, history: History, reports: Sequence[Report], script: str, limits: Mapping[str, str]
) -> str:
    """The model card as Markdown (after Mitchell et al., 2019): use, data, training, results, how to repeat it."""
    origin = getattr(learn, "nbtune_origin", None)
    title = "# Model card" if origin is None else f"# {origin.task.name}: a network on the body {origin.body.name}"
    parts = [title, "## What it is for", _markdown(["", ""], limit_rows(limits))]
    if origin is not None:
        parts += ["## Data", origin.task.objective, repr(origin.task.card), "## Pretrained body", repr(origin.body)]
    parts += ["## Training", repr(history), *([_table(history)] if len(history) else []), f"At the end: {plan!r}"]
    for report in reports:
        rows = [(name, repr(estimate)) for name, estimate in report.metrics.items()]
        parts += [
            f"## Results on {report.data}",
            report.sentence,
            _markdown(["metric", "value [95 % interval]"], rows),
        ]
    parts += ["## Do it again", f"```python\n{script.rstrip()}\n```"]
    parts += ["Versions: " + ", ".join(f"{name} {number}" for name, number in versions().items()) + "."]
    return "\n\n".join(parts) + "\n"


def _table(history: History) -> str:
    names = ["phase", "epoch", "train_loss", "valid_loss", *history.metrics, "seconds"]
    cells = [[figure(row[n]) for n in names] for row in history.rows]
    return _markdown(names, cells)


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(cells) + " |" for cells in [head, *rows]]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])
