"""README.md of a bundle: what it is and how it is used, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbtune._display import short

__all__ = ["readme"]


def readme(data: Mapping[str, Any], weight_bytes: int) -> str:
    """The card of a bundle as Markdown, from the checked fields of its bundle.json."""
    task, architecture = data["task"], data["architecture"]
    pixels, versions = data["preprocessing"], data["versions"]
    lines = [
        f"# {_line(task.get('name') or 'A fine-tuned model')}",
        "",
        _line(task.get("objective") or "A classifier of images."),
        "",
        f"- Classes ({len(data['classes'])}): {', '.join(map(_line, data['classes'][:40]))}",
        f"- Network: {_line(architecture['name']) if architecture else 'its author’s own (see below)'}",
        f"- Input: {pixels.get('channels')} × {' × '.join(map(str, pixels.get('size') or ()))}, scaled by nbtune",
        f"- Weights: {short(weight_bytes)}B, safetensors; no file of this folder is executed",
        *(f"- {name}: {_estimate(e)}" for name, e in data["metrics"].items()),
        *(
            f"- {field.capitalize()}: {_line(task[field])}"
            for field in ("source", "licence", "nature")
            if task.get(field)
        ),
        f"- Made with: {', '.join(f'{_line(n)} {_line(v)}' for n, v in versions.items())}",
        "",
        "```python",
        "import nbtune",
        f"model = nbtune.load(folder{'' if architecture else ', model=network'})",
        "model.predict(images)",
        "```",
        "",
    ]
    return "\n".join(lines)


def _line(value: Any) -> str:
    """Text on one line, so that it cannot start a heading or a fence of its own."""
    return " ".join(str(value).split()).replace("`", "'")


def _estimate(limits: list[float | None]) -> str:
    value, low, high = ("unknown" if x is None else f"{x:.3f}" for x in limits)
    return f"{value} [{low}, {high}] (95 %)"
