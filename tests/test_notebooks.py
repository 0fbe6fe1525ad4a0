"""scripts/notebooks.py and its normal form: what is stored can be compared, and the comparison can fail."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tqdm import tqdm

import notebooks
import small_notebook
from normal_form import denoise, dumps, keep_stable, normalise, problems

Notebook = dict[str, object]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small notebook, executed and stored once."""
    path = small_notebook.write(tmp_path_factory.mktemp("stored") / "01_small.ipynb")
    assert notebooks.main(["store", str(path), "--runs", str(path.parent / "runs")]) == 0
    return path


@pytest.fixture
def altered(stored: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy of the stored notebook in which one code cell was changed by a function."""

    def alter(cell: str, change: Callable[[dict], object]) -> Path:
        notebook = json.loads(stored.read_text())
        change(next(c for c in notebook["cells"] if c["id"] == cell))
        path = tmp_path / stored.name
        path.write_text(dumps(notebook))
        return path

    return alter


def under_nbval(path: Path, *options: str) -> int:
    return notebooks.main(["test", str(path), "--runs", str(path.parent / "runs"), *options])


# Storing


def test_what_is_stored_is_fit_to_store(stored: Path) -> None:
    assert problems(stored.read_text()) == []
    assert notebooks.main(["check", str(stored)]) == 0


def test_a_second_run_changes_nothing(stored: Path) -> None:
    before = stored.read_text()
    assert " s\\n" in before  # a duration that will not come again
    assert "0x" in before  # and an address
    assert notebooks.main(["store", str(stored), "--runs", str(stored.parent / "runs")]) == 0
    assert stored.read_text() == before


def test_a_cell_put_in_between_leaves_the_notebook_fit_to_store(altered: Callable[..., Path]) -> None:
    path = altered("cell-0", lambda cell: None)
    notebook = json.loads(path.read_text())
    new = {"id": "more", "source": "2 + 2", "execution_count": None, "outputs": []}
    notebook["cells"].insert(1, {**notebook["cells"][1], **new})
    path.write_text(json.dumps(notebook))
    assert notebooks.main(["store", str(path), "--runs", str(path.parent / "runs")]) == 0
    assert problems(path.read_text()) == []


def test_a_changed_result_is_stored(altered: Callable[..., Path]) -> None:
    path = altered("cell-2", lambda cell: cell["outputs"][0]["data"].update({"text/plain": "46"}))
    assert notebooks.main(["store", str(path), "--runs", str(path.parent / "runs")]) == 0
    assert '"46"' not in path.read_text()
    assert '"45"' in path.read_text()


def test_a_run_that_fails_stores_nothing(altered: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    path = altered("cell-3", lambda cell: cell.update(source="1 / 0"))
    before = path.read_text()
    assert notebooks.main(["store", str(path), "--runs", str(path.parent / "runs")]) == 1
    assert path.read_text() == before
    assert "stopped in cell 4 of 6" in capsys.readouterr().err


# Running


def test_run_shows_progress_the_result_and_where_to_read(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert notebooks.main(["run", str(stored), "--runs", str(stored.parent / "runs")]) == 0
    said = capsys.readouterr().out
    assert "cell 6 of 6" in said
    assert "scratch      0.50\ntuned        0.75" in said
    page = stored.parent / "runs" / "small" / "small.html"
    assert f"Read it: {page}" in said
    assert "data:image/png;base64," in page.read_text()


def test_a_run_that_fails_says_so_and_shows_how_far_it_came(
    altered: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = altered("cell-3", lambda cell: cell.update(source="1 / 0"))
    assert notebooks.main(["run", str(path), "--runs", str(path.parent / "runs")]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert "ZeroDivisionError" in (path.parent / "runs" / "small" / "small.html").read_text()


def test_a_notebook_that_is_absent_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert notebooks.main(["run", "notebooks/99_absent.ipynb"]) == 2
    assert "99_absent" in capsys.readouterr().err


# Comparing under nbval


def test_a_stored_notebook_passes(stored: Path) -> None:
    assert under_nbval(stored) == 0


def test_a_changed_stored_result_is_caught(altered: Callable[..., Path], capfd: pytest.CaptureFixture[str]) -> None:
    path = altered("cell-2", lambda cell: cell["outputs"][0]["data"].update({"text/plain": "46"}))
    assert under_nbval(path) == 1
    assert "mismatch 'text/plain'" in capfd.readouterr().out


def test_pictures_html_and_unmarked_cells_are_not_compared(altered: Callable[..., Path]) -> None:
    path = altered("cell-1", lambda cell: cell["outputs"][0]["data"].update({"image/png": "iVBORw0KGgo="}))
    notebook = json.loads(path.read_text())
    notebook["cells"][4]["outputs"][0]["text"] = "another text in a cell without the tag"
    notebook["cells"][6]["outputs"][0]["data"]["text/html"] = "<b>another page</b>"
    path.write_text(dumps(notebook))
    assert under_nbval(path) == 0


def test_a_cell_that_raises_or_takes_too_long_fails(
    altered: Callable[..., Path], capfd: pytest.CaptureFixture[str]
) -> None:
    assert under_nbval(altered("cell-3", lambda cell: cell.update(source="1 / 0"))) == 1
    assert "ZeroDivisionError" in capfd.readouterr().out
    assert under_nbval(altered("cell-3", lambda cell: cell.update(source="time.sleep(60)")), "--timeout", "1") == 1
    assert "Timeout of 1 seconds" in capfd.readouterr().out


# The normal form


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda cell: cell.update(execution_count=None), "was not executed"),
        (lambda cell: cell["metadata"].update(execution={"iopub.execute_input": "2026"}), "normal form"),
        (lambda cell: cell.update(outputs=[]), "has no output"),
        (lambda cell: cell["outputs"][0]["data"].update({"text/plain": "/home/ada/x"}), "/home/ada"),
        (
            lambda cell: cell["outputs"][0]["data"].update({"text/plain": "<Figure size 700x320>"}),
            "nt.chart",
        ),
        (
            lambda cell: cell["outputs"].append({"output_type": "error", "ename": "E", "evalue": "", "traceback": []}),
            "holds an error",
        ),
    ],
)
def test_what_is_not_fit_to_store_is_named(
    altered: Callable[..., Path], change: Callable[[dict], object], word: str
) -> None:
    assert word in " ".join(problems(altered("cell-2", change).read_text()))


def messy(stored: Path) -> Notebook:
    """The stored notebook as an editor and another machine might leave it."""
    notebook = json.loads(stored.read_text())
    notebook["metadata"]["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
    notebook["metadata"]["kernelspec"]["display_name"] = "mine"
    notebook["metadata"]["language_info"]["version"] = "3.14.1"
    cell = notebook["cells"][4]
    cell["metadata"] = {"collapsed": True, "execution": {"iopub.status.idle": "2026-01-01T00:00:00Z"}}
    text = "".join(cell["outputs"][0]["text"])
    cell["outputs"] = [
        {"name": "stdout", "output_type": "stream", "text": piece} for piece in ("10%\r50%\r" + text[:3], text[3:])
    ]
    cell["execution_count"] = 40
    return notebook


def test_noise_of_editors_and_machines_is_dropped(stored: Path) -> None:
    assert dumps(normalise(messy(stored))) == stored.read_text()


def test_bars_inside_bars_leave_nothing_behind() -> None:
    """What tqdm itself writes of a bar and one inside of it, which are gone at the end."""
    said = StringIO()
    how: dict[str, Any] = {"file": said, "leave": False, "mininterval": 0, "miniters": 1}
    with tqdm(total=3, desc="fit", **how) as outer:
        for _ in range(3):
            with tqdm(total=2, desc="keeping features", **how) as inner:
                inner.update(), inner.update()
            outer.update()
    said.write("done\n")
    assert "\x1b[A" in said.getvalue()
    out = {"output_type": "stream", "name": "stdout", "text": said.getvalue()}
    cell = {"cell_type": "code", "source": "fit()", "execution_count": 1, "outputs": [out], "id": "a"}
    (kept,) = normalise({"cells": [cell], "metadata": {}})["cells"][0]["outputs"]
    assert kept["text"].split() == ["done"]


def test_the_normal_form_of_the_normal_form_is_itself(stored: Path) -> None:
    once = normalise(messy(stored))
    assert normalise(once) == once


def test_missing_and_double_ids_become_distinct_and_stable() -> None:
    cells = [{"cell_type": "markdown", "metadata": {}, "source": "the same"} for _ in range(3)]
    first, second = (normalise({"cells": cells, "metadata": {}}) for _ in range(2))
    names = [cell["id"] for cell in first["cells"]]
    assert len(set(names)) == 3
    assert names == [cell["id"] for cell in second["cells"]]


def test_widget_views_go_and_their_static_text_stays() -> None:
    view = {
        "application/vnd.jupyter.widget-view+json": {"model_id": "a1"},
        "text/plain": "FreezePanel: head trains",
    }
    out = {"output_type": "display_data", "data": view, "metadata": {}}
    cell = {"cell_type": "code", "source": "panel", "execution_count": 3, "outputs": [out], "id": "a"}
    (kept,) = normalise({"cells": [cell], "metadata": {}})["cells"][0]["outputs"]
    assert kept["data"] == {"text/plain": "FreezePanel: head trains"}


@given(st.floats(1e-3, 9e4), st.sampled_from(["ms", "s", "min", "h"]), st.integers(0, 5))
def test_durations_are_noise_and_other_numbers_are_not(value: float, unit: str, blanks: int) -> None:
    said = f"layer4 trains;{' ' * blanks} {value:.3g} {unit} an epoch, 0.97 right"
    assert denoise(said) == "layer4 trains; <time> an epoch, 0.97 right"


def test_words_that_only_look_like_durations_stay() -> None:
    for text in ("10 shots a class", "34 samples", "12 months", "0.97 [0.95, 0.98]", "20 heads"):
        assert denoise(text) == text


def test_outputs_are_kept_when_only_their_noise_changed_and_never_mixed() -> None:
    def notebook(*texts: str) -> Notebook:
        outs = [{"output_type": "stream", "name": "stdout", "text": text} for text in texts]
        return {"cells": [{"id": f"{at}", "cell_type": "code", "outputs": [out]} for at, out in enumerate(outs)]}

    old = notebook("live 3.1 s", "as measured above, 3.1 s: accuracy 0.97")
    noisy = notebook("live  12.4 s", "as measured above, 12.4 s: accuracy 0.97")
    other = notebook("live  12.4 s", "as measured above, 12.4 s: accuracy 0.98")
    assert keep_stable(noisy, old) == old
    assert keep_stable(other, old) == other


# Twice in one kernel


def test_a_notebook_that_says_the_same_again_passes(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert notebooks.main(["twice", str(stored), "--runs", str(stored.parent / "runs")]) == 0
    said = capsys.readouterr().out
    assert "cell 12 of 12" in said
    assert "2 compared cells, 0 not the same" in said


def test_a_cell_that_says_something_else_the_second_time_is_caught(
    altered: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = altered("cell-2", lambda cell: cell.update(source="total = globals().get('total', 44) + 1\ntotal"))
    assert notebooks.main(["twice", str(path), "--runs", str(path.parent / "runs")]) == 1
    assert (
        "cell cell-2 (compared) differs:\n  stored: '45'\n  first run: '45'\n  second run: '46'"
        in capsys.readouterr().out
    )
