"""The first code cell of every notebook: on Colab and Kaggle it installs nbtune, elsewhere it does nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from normal_form import ROOT

__all__ = ["NAME", "belongs", "missing", "source", "with_cell"]

NAME = "hosted"
# The environment variables are those that the two services set in every session.
_SOURCE = """\
# Colab and Kaggle come without nbtune: there this cell installs it. Elsewhere it does nothing.
import importlib.util, os, subprocess, sys

hosted = {"COLAB_RELEASE_TAG", "KAGGLE_KERNEL_RUN_TYPE"} & os.environ.keys()
if hosted and importlib.util.find_spec("nbtune") is None:
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "nbtune[EXTRAS]"], check=True)"""
_TOLD = re.compile(r'pip install "nbtune\[(\w+)\]"')


def source(notebook: dict[str, Any]) -> str:
    """The cell's code; it installs the extras that the notebook's text names beside `notebook`."""
    text = "".join("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "markdown")
    extras = dict.fromkeys(("notebook", *_TOLD.findall(text)))
    return _SOURCE.replace("EXTRAS", ",".join(extras))


def belongs(path: Path) -> bool:
    """Whether a notebook is one of the curriculum, which a hosted session may open."""
    return path.resolve().parent == ROOT / "notebooks"


def missing(notebook: dict[str, Any]) -> bool:
    """Whether the cell is not the first code cell, word for word."""
    first = next((cell for cell in notebook["cells"] if cell["cell_type"] == "code"), None)
    return first is None or first.get("id") != NAME or "".join(first["source"]) != source(notebook)


def with_cell(notebook: dict[str, Any]) -> dict[str, Any]:
    """A copy with the cell before the first code cell; an older form of it is replaced.

    Where the notebook was executed the cell counts as executed: it does nothing there.
    """
    copy: dict[str, Any] = json.loads(json.dumps(notebook))
    cells = [cell for cell in copy["cells"] if cell.get("id") != NAME]
    at = next((n for n, cell in enumerate(cells) if cell["cell_type"] == "code"), len(cells))
    ran = any(cell.get("execution_count") for cell in cells)
    made: dict[str, Any] = {
        "cell_type": "code", "id": NAME, "metadata": {"jupyter": {"source_hidden": True}}, "source": source(copy),
        "execution_count": 1 if ran else None, "outputs": [],
    }  # fmt: skip
    copy["cells"] = [*cells[:at], made, *cells[at:]]
    return copy
