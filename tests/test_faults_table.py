"""tests/FAULTS.md is what the tests say."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import faults_table


def test_the_table_is_current() -> None:
    assert faults_table.TABLE.read_text() == faults_table.table(faults_table.rows()), "faults_table.py write"


def test_what_is_marked_stands_in_it_once_and_in_order(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").write_text(
        "import pytest\n"
        "@pytest.mark.faults\n@pytest.mark.survives('a flood', 'boats')\ndef test_flood(): ...\n"
        "def test_nothing(): ...\n"
        "@pytest.mark.survives('rain', 'hats')\n@pytest.mark.survives('hail', 'roofs')\ndef test_rain(): ...\n"
    )
    found = faults_table.rows(tmp_path)
    assert [(row.fault, row.long) for row in found] == [("a flood", True), ("hail", False), ("rain", False)]
    assert "| a flood | boats | long | `tests/test_a.py::test_flood` |\n" in faults_table.table(found)


def test_every_long_test_says_what_it_is_of(root: Path) -> None:
    """A test that `make faults` runs for minutes is in the table."""
    said = {(row.file, row.test) for row in faults_table.rows()}
    for path in sorted((root / "tests").glob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and "pytest.mark.faults" in map(ast.unparse, node.decorator_list):
                assert (f"tests/{path.name}", node.name) in said, f"{path.name}: {node.name}"


def test_the_command_says_when_it_is_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(faults_table, "TABLE", tmp_path / "FAULTS.md")
    assert faults_table.main(["check"]) == 1
    assert faults_table.main(["write"]) == 0
    assert faults_table.main(["check"]) == 0
    assert faults_table.main([]) == 2
