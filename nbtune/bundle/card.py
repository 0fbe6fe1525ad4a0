"""README.md of a bundle: what it is and how it is used, for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nbtune._display import short
from nbtune.bundle.network import in_words

__all__ = ["LIMITS", "limit_rows", "readme"]

_SHOWN = 40  # classes
# What no program can know, as `Tuner.limits` takes it, in the words of a card.
LIMITS = {"intended": "intended for", "not_for": "not to be used for", "untested": "never tried on"}


def limit_rows(limits: Any) -> list[tuple[str, str]]:
    """What it is for, what not, and on what it was never tried; "not stated" where nobody has said it."""
    said = limits if isinstance(limits, Mapping) else {}
    return [(words, _line(said.get(name) or "not stated")) for name, words in LIMITS.items()]


def readme(data: Mapping[str, Any], weight_bytes: int) -> str:
    """The card of a bundle as Markdown, from the checked fields of its bundle.json."""
    sections = [
        [f"# {_title(data)}", _about(data)],
        ["## Use", *_use(data)],
        ["## Network", _table(["", ""], _network(data, weight_bytes))],
        ["## How good it is", *_worth(data["metrics"])],
        ["## What it is for", _for(data["task"].get("limits"))],
        ["## Data", *_data(data)],
        ["## Versions", ", ".join(f"{_line(n)} {_line(v)}" for n, v in data["versions"].items()) + "."],
    ]
    return "\n\n".join(part for section in sections for part in section) + "\n"


def _title(data: Mapping[str, Any]) -> str:
    named, network = data["task"].get("name"), data["architecture"]
    name = f'"{_line(network["name"])}" network' if network else _line(data["network"]["class"].rpartition(".")[2])
    return f"{_line(named)}: a trained {name}" if named else f"A trained {name}"


def _about(data: Mapping[str, Any]) -> str:
    """The first paragraph: what it answers, and how well."""
    objective = _line(data["task"].get("objective") or "classify an image").rstrip(".")
    classes = data["classes"]
    shown = ", ".join(f"`{_code(name)}`" for name in classes[:_SHOWN])
    more = f" and {len(classes) - _SHOWN:,} more" if len(classes) > _SHOWN else ""
    what = {"multi": f"any of {len(classes):,} labels", "regression": "numbers"}.get(
        data["task"].get("kind", ""), f"one of {len(classes):,} classes"
    )
    text = f"{objective[:1].upper()}{objective[1:]}: {what} ({shown}{more})."
    accuracy = data["metrics"].get("accuracy")
    return f"{text} Accuracy on the test set: {_estimate(accuracy)}." if accuracy else text


def _use(data: Mapping[str, Any]) -> list[str]:
    own, table = not data["architecture"], "categories" in data["preprocessing"]
    code = [
        "```python",
        "import nbtune as nt",
        "",
        f'model = nt.load("this-folder"{", model=network" if own else ""})',
        f"model.predict({'df' if table else 'images'})",
        "```",
    ]
    form = (
        "`images`: uint8 (0 to 255) or float (0 to 1) arrays, PIL images, or paths of image files. The answer is a "
        "table with a row an image: its label, and the probability of each class."
    )
    if table:
        names = [*data["preprocessing"]["categories"], *data["preprocessing"]["numbers"]]
        listed = ", ".join(f"`{_code(name)}`" for name in names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")
        form = f"`df`: a pandas DataFrame with the columns {listed}. The answer is a table with a row an item."
    if not own:
        return ["\n".join(code), form]
    name = in_words(data["network"])
    return ["\n".join(code), f"`network` is {name}, made as it was for training: a bundle holds no code.", form]


def _network(data: Mapping[str, Any], weight_bytes: int) -> list[tuple[str, str]]:
    pixels, network, architecture = data["preprocessing"], data["network"], data["architecture"]
    if "categories" in pixels:
        what = f"rows of {len(pixels['categories'])} categories and {len(pixels['numbers'])} numbers"
    else:
        high, wide = pixels["size"]
        colour = "grey" if pixels["channels"] == 1 else "colour"
        what = f"{colour} images of {high} × {wide} pixels (height × width); others are resized"
    rows = [
        ("network", _line(architecture["name"]) if architecture else "its author's own"),
        ("parameters", f"{network['parameters']:,}"),
        ("input", what),
        ("weights", f"{short(weight_bytes)}B of safetensors; nothing in this folder is executed"),
    ]
    rounds = len(data["history"] or ())
    return [*rows, ("training", f"{rounds:,} epoch{'s' * (rounds > 1)}, listed in bundle.json")] if rounds else rows


def _worth(metrics: Mapping[str, Any]) -> list[str]:
    if not metrics:
        return ["Not measured on a test set when it was saved."]
    rows = [(_line(name).replace("_", " "), *map(_number, limits)) for name, limits in metrics.items()]
    return [_table(["on the test set", "value", "95 % from", "to"], rows)]


def _for(limits: Any) -> str:
    return _table(["", ""], limit_rows(limits))


def _data(data: Mapping[str, Any]) -> list[str]:
    task, sizes = data["task"], data["task"].get("sizes")
    rows = [(field, _line(task[field])) for field in ("source", "licence", "nature", "note") if task.get(field)]
    if isinstance(sizes, Mapping) and sizes:
        rows.append(
            (
                "rows" if "categories" in data["preprocessing"] else "images",
                ", ".join(f"{_line(split)} {_line(n)}" for split, n in sizes.items()),
            )
        )
    return [_table(["", ""], rows)] if rows else ["Its author has not said on which data it was trained."]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _line(value: Any) -> str:
    """Text on one line, which cannot start a heading, a fence, a cell or a tag of its own."""
    return _code(value).replace("|", "\\|").replace("<", "&lt;")


def _code(value: Any) -> str:
    """The same between backticks, where only a backtick or a new line means anything."""
    return " ".join(str(value).split()).replace("`", "'")


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"


def _estimate(limits: Sequence[float | None]) -> str:
    value, low, high = map(_number, limits)
    return f"{value} (95 %: {low} to {high})"
