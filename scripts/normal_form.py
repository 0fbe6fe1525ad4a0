"""The normal form of a stored notebook: what is the same in two runs of one machine is the same text.

Kept are cells, tags and outputs. Dropped are timestamps, widget state and views, editor settings and versions
of the interpreter; paths of the machine are replaced, streams that arrived in pieces are joined.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any

import nbformat

__all__ = ["CHECK", "NOISE", "RESULT", "denoise", "dumps", "keep_stable", "normalise", "problems", "text_of"]

Node = dict[str, Any]
ROOT = Path(__file__).resolve().parent.parent
CHECK = "nbval-check-output"  # a cell whose output is compared when the notebooks are tested
RESULT = "result-table"  # the cell whose text `make run` prints

# What may differ between two runs that say the same: (regular expression, replacement). Durations take the
# blanks around them along, because they move the columns of a table.
_TIME = r"(?:\d+ (?:h|min) )*\d+(?:\.\d+)?(?:e[+-]?\d+)?\s?(?:ns|µs|us|ms|s|sec|seconds?|min|minutes?|h|hours?)\b"
NOISE = (
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z?", "<when>"),
    (rf"[ \t]*{_TIME}", " <time>"),
    (r"\d+(?:\.\d+)?\s?(?:it|images|items|batches)/s", "<rate>"),
    (r"0x[0-9a-fA-F]{6,}", "<address>"),
    (r"[ \t]+", " "),
    (r"-{3,}|─{3,}", "--"),
)
_WIDGET = ("application/vnd.jupyter.widget-view+json", "application/vnd.jupyter.widget-state+json")
_MACHINE_PATH = re.compile(r"(?<![\w.])/(?:home|Users|root|tmp|opt|private|var)/[\w.-]+")
_CELL_FILE = re.compile(r"\S*ipykernel_\d+/\d+\.py")
_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def denoise(text: str) -> str:
    """`text` without what differs from run to run: durations, dates, addresses, widths of columns."""
    for pattern, replacement in NOISE:
        text = re.sub(pattern, replacement, text)
    return text


def text_of(cell: Node) -> str:
    """What a cell printed or returned, as plain text."""
    texts = (out.get("text") or out.get("data", {}).get("text/plain", "") for out in cell.get("outputs", ()))
    return "\n".join(_joined(text).rstrip("\n") for text in texts)


def dumps(notebook: Node) -> str:
    """A notebook as the text of its file, laid out as Jupyter does it."""
    # nbformat's writer splits text in place, so it gets a copy.
    text: str = nbformat.v4.writes(nbformat.from_dict(json.loads(json.dumps(notebook))))
    return text + "\n"


def normalise(notebook: Node, hide: dict[str, str] | None = None) -> Node:
    """A copy of a notebook (nbformat 4) in the normal form; `hide` maps folders of this machine to a word."""
    paths = {str(ROOT): "<nbtune>", sys.prefix: "<env>", str(Path.home()): "~", **(hide or {})}
    cells, used, count = [], set[str](), 0
    for raw in notebook["cells"]:
        cell = _cell(raw, used)
        if cell["cell_type"] == "code":
            ran = raw.get("execution_count") is not None
            count += ran
            cell["execution_count"] = count if ran else None
            cell["outputs"] = _outputs(raw.get("outputs", []), cell["execution_count"], paths)
        cells.append(cell)
    return {"cells": cells, "metadata": json.loads(json.dumps(_METADATA)), "nbformat": 4, "nbformat_minor": 5}


def _cell(raw: Node, used: set[str]) -> Node:
    source = _joined(raw["source"]).rstrip()
    name = raw.get("id") or hashlib.sha256(source.encode()).hexdigest()[:8]
    while name in used:
        name = hashlib.sha256(name.encode()).hexdigest()[:8]
    used.add(name)
    metadata = {key: value for key, value in raw.get("metadata", {}).items() if key in ("jupyter", "tags")}
    if "tags" in metadata:
        metadata["tags"] = sorted(metadata["tags"])
    return {"cell_type": raw["cell_type"], "id": name, "metadata": metadata, "source": source}


def _outputs(raw: list[Node], count: int | None, paths: dict[str, str]) -> list[Node]:
    kept: list[Node] = []
    for out in raw:
        kind = out["output_type"]
        if kind == "stream":
            _stream(kept, out["name"], _joined(out["text"]))
        elif kind == "error":
            kept.append({key: out[key] for key in ("output_type", "ename", "evalue", "traceback")})
        elif data := {mime: _whole(mime, item) for mime, item in out["data"].items() if mime not in _WIDGET}:
            counted = {"execution_count": count} if kind == "execute_result" else {}
            kept.append({"output_type": kind, "data": data, "metadata": out.get("metadata", {}), **counted})
    # What a bar that has gone leaves behind is blanks.
    seen = [out for out in kept if out["output_type"] != "stream" or out["text"].strip()]
    return [_hidden(out, paths) for out in seen]


def _stream(kept: list[Node], name: str, text: str) -> None:
    # A stream arrives in pieces cut by timing: one output per run of the same stream.
    if kept and kept[-1]["output_type"] == "stream" and kept[-1]["name"] == name:
        text = _joined(kept.pop()["text"]) + text
    # A bar below another one: the cursor went down a line, wrote, and came up again; it has gone when its loop ends.
    while (less := re.sub(r"\n[^\n]*\x1b\[A", "", text)) != text:  # bars inside bars: from the inmost out
        text = less
    # What a carriage return overwrote, a bar that moved, nobody saw last.
    text = re.sub(r"[^\n]*\r(?=[^\n])", "", text.replace("\r\n", "\n"))
    kept.append({"output_type": "stream", "name": name, "text": text})


def _whole(mime: str, value: Any) -> Any:
    return _joined(value) if mime.startswith(("text/", "image/")) else value


def _hidden(value: Any, paths: dict[str, str]) -> Any:
    """An output with the paths of this machine replaced; text in one piece."""
    if isinstance(value, dict):
        return {key: item if key.startswith("image/") else _hidden(item, paths) for key, item in value.items()}
    if isinstance(value, list):
        return [_hidden(item, paths) for item in value]
    if isinstance(value, str):
        for path in sorted(paths, key=len, reverse=True):
            if len(path) > 1:  # a home of "/" hides nothing
                value = re.sub(rf"{re.escape(path)}(?!\w)", paths[path], value)
        # A picture inside HTML is one word of many thousand letters, in which the search is quadratic.
        return _CELL_FILE.sub("<cell>", value) if "ipykernel_" in value else value
    return value


def _joined(text: str | list[str]) -> str:
    return text if isinstance(text, str) else "".join(text)


def keep_stable(new: Node, stored: Node) -> Node:
    """`stored`, where `new` differs from it only in what `denoise` removes, else `new`.

    All of a notebook or nothing: its durations are compared with each other, so they come from one run.
    """
    return stored if _told(new["cells"]) == _told(stored["cells"]) else new


def _told(value: Any) -> Any:
    """An output without noise, and without the count of its cell."""
    if isinstance(value, dict):
        return {
            key: item if key.startswith("image/") else _told(item)
            for key, item in value.items()
            if key != "execution_count"
        }
    if isinstance(value, list):
        return [_told(item) for item in value]
    return denoise(value) if isinstance(value, str) else value


def problems(text: str) -> list[str]:
    """What keeps the text of a notebook file from being fit to store, in words; empty if nothing."""
    notebook = json.loads(text)
    found = [] if dumps(normalise(notebook)) == text else ["is not in the normal form"]
    for number, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] == "code" and _joined(cell["source"]).strip():
            found += [f"cell {number} (id {cell.get('id')}) {what}" for what in _cell_problems(cell)]
    return found


def _cell_problems(cell: Node) -> list[str]:
    tags, outputs, found = cell["metadata"].get("tags", []), cell["outputs"], []
    if cell["execution_count"] is None:
        found.append("was not executed")
    if CHECK in tags and not outputs:
        found.append("is to be compared and has no output")
    if RESULT in tags and not text_of(cell):
        found.append("holds the result and has no text")
    if "raises-exception" not in tags and any(out["output_type"] == "error" for out in outputs):
        found.append("holds an error")
    if any(_untold(out) for out in outputs):
        found.append("shows a picture whose only text is that it is one: nt.chart gives it a sentence")
    if path := _MACHINE_PATH.search(json.dumps([_hidden_images(out) for out in outputs])):
        found.append(f"shows a path of the machine it ran on: {path.group()}")
    return found


def _untold(out: Node) -> bool:
    """Whether an output's only text is the name of a figure's class."""
    data = out.get("data", {})
    return "text/html" not in data and _joined(data.get("text/plain", "")).startswith("<Figure size")


def _hidden_images(out: Node) -> Node:
    return {**out, "data": {k: v for k, v in out.get("data", {}).items() if not k.startswith("image/")}}
