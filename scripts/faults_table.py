"""tests/FAULTS.md: what is survived, read from the tests that prove it. `write` makes it anew, `check` compares."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "tests" / "FAULTS.md"
HEAD = """# What is survived

Made from the tests by `python scripts/faults_table.py write`. Short tests run in `make test`, long ones in
`make faults`, which makes this table anew.

| fault | what holds | form | test |
|---|---|---|---|
"""


@dataclass(frozen=True, order=True)
class Row:
    """A fault, and the test of it."""

    file: str
    line: int
    fault: str
    holds: str
    long: bool
    test: str


def rows(root: Path = ROOT) -> list[Row]:
    """Of every test that is marked with `survives(fault, what holds)`, file by file in their order."""
    return sorted(row for path in sorted((root / "tests").rglob("test_*.py")) for row in _of(path, root))


def _of(path: Path, root: Path) -> Iterator[Row]:
    tree = ast.parse(path.read_text())
    assigned = [ast.unparse(node) for node in tree.body if isinstance(node, ast.Assign) and len(ast.dump(node)) < 500]
    whole = "pytestmark = pytest.mark.faults" in assigned
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef):
            continue
        marks = [mark for mark in node.decorator_list if ast.unparse(mark).startswith("pytest.mark.survives(")]
        long = whole or "pytest.mark.faults" in map(ast.unparse, node.decorator_list)
        for mark in marks:
            fault, holds = (ast.literal_eval(value) for value in mark.args)  # type: ignore[attr-defined]
            yield Row(str(path.relative_to(root)), node.lineno, fault, holds, long, node.name)


def table(found: list[Row]) -> str:
    """The whole file."""
    lines = [
        f"| {row.fault} | {row.holds} | {'long' if row.long else 'short'} | `{row.file}::{row.test}` |" for row in found
    ]
    return HEAD + "\n".join(lines) + "\n"


def main(words: list[str]) -> int:
    text = table(rows())
    if words == ["write"]:
        TABLE.write_text(text)
        return 0
    if words == ["check"]:
        current = TABLE.exists() and TABLE.read_text() == text
        if not current:
            print("tests/FAULTS.md is not what the tests say: python scripts/faults_table.py write", file=sys.stderr)
        return 0 if current else 1
    print("usage: python scripts/faults_table.py write|check", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
