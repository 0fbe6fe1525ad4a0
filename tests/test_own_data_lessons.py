"""The line that puts own data into a notebook does: its code runs on a small folder of pictures.

Every notebook has such a line; two of them are about own data, and there the lines themselves are run.
"""

from __future__ import annotations

import json
import re
import warnings
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import nbtune as nt

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
LINE = re.compile(r"```python\n(.*)\n")
LINES = re.compile(r"```python\n(.*?)```", re.DOTALL)
ALL = sorted(NOTEBOOKS.glob("*.ipynb"))
ABOUT = ("14_your_pictures", "15_your_table")  # own data are their subject
# A class of its own for each of three real digits, uneven as real folders are: nbtune then proposes macro F1.
NAMES = {"ant": 24, "bee": 15, "cat": 7}


def cells(notebook: Path) -> dict[str, dict]:
    return {cell["id"]: cell for cell in json.loads(notebook.read_text())["cells"]}


def text(cell: dict) -> str:
    return "".join(cell["source"])


def swapped(source: str, line: str) -> str:
    """The cell's source with `line` in the place of the one that names a data set."""
    named = [old for old in source.splitlines() if re.match(r"\s*(task =|return) nt\.tasks\.\w+\(", old)]
    assert len(named) == 1, f"one line names the data, not {named}"
    return source.replace(named[0], line)


WITH = [path for path in ALL if path.stem not in ABOUT]


@pytest.mark.parametrize("notebook", ALL, ids=lambda path: path.stem)
def test_every_notebook_says_which_line_puts_own_data_in(notebook: Path) -> None:
    every = cells(notebook)
    assert "own-data" in every, "a cell own-data holds the line for own data"
    found = LINE.search(text(every["own-data"]))
    assert found, "the cell own-data holds a line of Python"
    if notebook.stem not in ABOUT:
        assert swapped(text(every["data"]), found[1]) != text(every["data"])
        named = [name for name, cell in every.items() if re.search(r"nt\.tasks\.digits\(", text(cell))]
        assert next(name for name in named if every[name]["cell_type"] == "code") == "data"


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of class folders: PNG files of three digits, of several sizes; the current folder holds it."""
    bunch = load_digits()
    for label, (name, count) in enumerate(NAMES.items()):
        folder = tmp_path / "pictures" / name
        folder.mkdir(parents=True)
        for number, image in enumerate(bunch.images[bunch.target == label][:count]):
            side = (28, 30 + number % 3)
            Image.fromarray((image * 15.9).astype("uint8")).resize(side).save(folder / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "pictures"


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few epochs and one range test each: whether the code runs is asked, not what comes of it."""
    fit, run, find = nt.Tuner.fit, nt.Tuner.run, nt.Tuner.lr_find

    def few(recipe: nt.Recipe | None) -> nt.Recipe | None:
        phases = recipe and tuple(replace(phase, epochs=min(phase.epochs, 2)) for phase in recipe.phases)
        return recipe and replace(recipe, phases=phases)

    monkeypatch.setattr(nt.Tuner, "fit", lambda self, epochs, *a, **k: fit(self, min(epochs, 4), *a, **k))
    monkeypatch.setattr(nt.Tuner, "run", lambda self, recipe=None, **k: run(self, few(recipe), **k))
    monkeypatch.setattr(nt.Tuner, "lr_find", lambda self, *a, **k: find(self, *a, **{**k, "seeds": 1}))


@pytest.mark.notebooks
@pytest.mark.parametrize("notebook", WITH, ids=lambda path: path.stem)
@pytest.mark.usefixtures("short")
def test_the_line_for_own_data_works(notebook: Path, pictures: Path) -> None:
    matplotlib.use("agg")
    every = cells(notebook)
    found = LINE.search(text(every["own-data"]))
    assert found, "the cell own-data holds a line of Python"
    space: dict[str, object] = {"__name__": "notebook"}
    for name, cell in every.items():
        if cell["cell_type"] != "code":
            continue
        source = swapped(text(cell), found[1]) if name == "data" else text(cell)
        with warnings.catch_warnings(action="ignore"):
            exec(compile(source, f"{notebook.stem}: {name}", "exec"), space)
        if name == "data":
            assert space["task"].vocab == tuple(NAMES)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """my.csv beside the notebook: patients with several rows each, a ward, two numbers with gaps, an outcome."""
    draw, rows = np.random.RandomState(0), 160
    age, outcome = draw.normal(size=rows), draw.rand(rows) < 0.4
    frame = pd.DataFrame({"patient": np.arange(rows) // 4, "ward": draw.randint(1, 4, rows), "age": age})
    frame["marker"] = np.where(draw.rand(rows) < 0.2, np.nan, outcome + draw.normal(size=rows))
    frame["outcome"] = np.where(outcome, "ill", "well")
    frame.to_csv(tmp_path / "my.csv", index=False)
    return tmp_path / "my.csv"


@pytest.mark.notebooks
@pytest.mark.parametrize("name", ABOUT)
@pytest.mark.usefixtures("short", "pictures", "table")
def test_the_lines_for_own_data_work_by_themselves(name: str) -> None:
    found = LINES.search(text(cells(NOTEBOOKS / f"{name}.ipynb")["own-data"]))
    assert found
    space: dict[str, object] = {"nt": nt, "pd": pd}
    exec(found[1], space)
    report, task = space["report"], space["task"]
    assert isinstance(report, nt.Report)
    assert len(report.targets) == len(task.test) > 0


def test_a_cell_that_names_no_data_or_two_is_refused() -> None:
    assert swapped("task = nt.tasks.digits()\n", "task = 5") == "task = 5\n"
    for source in ("task = made()", "task = nt.tasks.digits()\ntask = nt.tasks.letters()"):
        with pytest.raises(AssertionError, match="one line"):
            swapped(source, "task = 5")
