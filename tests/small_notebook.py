"""A notebook of few cells that needs no training: for the tests of what runs, stores and shows notebooks."""

from __future__ import annotations

from pathlib import Path

from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, writes

# Without nbtune, whose import would be most of what these tests take.
PICTURE = """\
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from io import BytesIO
class Picture:
    def __repr__(self):
        return "A line that rises from 0 to 4."
    def _repr_png_(self):
        figure, held = Figure((4, 3)), BytesIO()
        FigureCanvasAgg(figure)
        figure.subplots().plot([0, 1, 2], [0, 1, 4])
        figure.savefig(held, format="png")
        return held.getvalue()
Picture()"""

# (source, tags) of each code cell.
CELLS = (
    ("import time\nbegan = time.perf_counter()", ()),
    (PICTURE, ()),
    ("total = sum(range(10))\ntotal", ("nbval-check-output",)),
    ("time.sleep(0.01)\nprint(f'{time.perf_counter() - began:.6f} s', object(), sep='\\n')", ()),
    ("import warnings\nwarnings.warn('a warning names the file of its cell')", ()),
    (
        "import pandas as pd\npd.DataFrame({'accuracy': [0.5, 0.75]}, index=['scratch', 'tuned'])",
        ("nbval-check-output", "result-table"),
    ),
)


def write(path: Path, cells: tuple[tuple[str, tuple[str, ...]], ...] = CELLS) -> Path:
    """Write a notebook that was never executed, with readable cell ids."""
    code = [
        new_code_cell(source, id=f"cell-{number}", metadata={"tags": list(tags)} if tags else {})
        for number, (source, tags) in enumerate(cells)
    ]
    title = new_markdown_cell("# What does a small notebook show?", id="question")
    path.parent.mkdir(parents=True, exist_ok=True)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = new_notebook(cells=[title, *code], metadata={"kernelspec": kernel})
    path.write_text(writes(notebook) + "\n", encoding="utf-8")
    return path
