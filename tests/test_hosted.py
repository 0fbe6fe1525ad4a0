"""The first cell for Colab and Kaggle: it stands in every notebook, installs there and does nothing elsewhere."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
from pathlib import Path

import pytest

import hosted
import notebooks
import small_notebook
from normal_form import ROOT, dumps, normalise


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that are run."""
    made: list[list[str]] = []
    monkeypatch.setattr(subprocess, "run", lambda command, **options: made.append(command))
    for name in ("COLAB_RELEASE_TAG", "KAGGLE_KERNEL_RUN_TYPE"):
        monkeypatch.delenv(name, raising=False)
    return made


def run_cell(text: str = "") -> None:
    exec(hosted.source({"cells": [{"cell_type": "markdown", "source": text}]}), {})


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_every_notebook_begins_with_the_cell(path: Path) -> None:
    assert not hosted.missing(json.loads(path.read_text()))


def test_nothing_is_run_on_a_machine_of_ones_own(calls: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    run_cell()
    assert calls == []


@pytest.mark.parametrize("name", ["COLAB_RELEASE_TAG", "KAGGLE_KERNEL_RUN_TYPE"])
def test_it_installs_where_a_service_is_seen_and_nbtune_is_not(
    name: str, calls: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "1")
    assert name in os.environ
    run_cell()
    assert calls == []  # nbtune is there already
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    run_cell()
    assert [command[1:4] for command in calls] == [["-m", "pip", "install"]]
    run_cell('It needs `pip install "nbtune[tours]"`.')
    assert [command[-1] for command in calls] == ["nbtune[notebook]", "nbtune[notebook,tours]"]


def test_the_cell_is_put_in_once_and_an_old_form_is_replaced(tmp_path: Path) -> None:
    path = small_notebook.write(tmp_path / "01_small.ipynb")
    before = json.loads(path.read_text())
    assert hosted.missing(before)
    assert notebooks.main(["hosted", str(path)]) == 0
    once = path.read_text()
    assert not hosted.missing(json.loads(once))
    old = json.loads(once)
    next(cell for cell in old["cells"] if cell["id"] == "hosted")["source"] = "an older form"
    assert hosted.missing(old)
    path.write_text(dumps(normalise(old)))
    assert notebooks.main(["hosted", str(path)]) == 0
    assert path.read_text() == once
    assert [cell["id"] for cell in json.loads(once)["cells"] if cell["id"] != "hosted"] == [
        cell["id"] for cell in before["cells"]
    ]


def test_check_names_a_notebook_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = small_notebook.write(tmp_path / "notebooks" / "01_small.ipynb")
    monkeypatch.setattr(hosted, "ROOT", tmp_path)
    assert notebooks.main(["check", str(path)]) == 1
    assert "lacks the cell for Colab and Kaggle" in capsys.readouterr().out
