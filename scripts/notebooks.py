"""Execute, store, check and test notebooks: `scripts/notebooks.py run|store|check|test|twice|hosted [NOTEBOOK ...]`.

`twice` runs a notebook from top to bottom and again in the same kernel: what is compared must be the same both times,
and as stored.
`hosted` puts the cell that Colab and Kaggle need into notebooks without running them; `store` does so too.
Every command but `check` and `hosted` works on a copy in an emptied folder under runs/, so that what a notebook
writes beside itself never meets what an earlier run left.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbconvert import HTMLExporter

import hosted
from normal_form import CHECK, NOISE, RESULT, ROOT, Node, denoise, dumps, keep_stable, normalise, problems, text_of

CELL_SECONDS = 120  # a notebook takes less than 90 s on two cores, so no cell may take more
# Pictures and HTML are there for the eye. nbval leaves pictures out; HTML is a text that opens with a tag.
_HTML = (r"\A\s*<\w[\s\S]*\Z", "<html>")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit code is 0 only if every notebook did well."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("run", "store", "check", "test", "twice", "hosted"))
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all in notebooks/")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs", help="where copies and results go")
    said = f"seconds a cell may take; default: {CELL_SECONDS}, but without end for `run`, on a machine of any speed"
    parser.add_argument("--timeout", type=int, help=said)
    given = parser.parse_args(arguments)
    notebooks = given.notebooks or sorted((ROOT / "notebooks").glob("*.ipynb"))
    absent = [str(path) for path in notebooks if not path.is_file()]
    if absent or not notebooks:
        print(f"No such notebook: {', '.join(absent) or 'notebooks/*.ipynb'}", file=sys.stderr)
        return 2
    if given.command == "check":
        return check(notebooks)
    if given.command == "hosted":
        return max(put_cell(path) for path in notebooks)
    limit = given.timeout or (-1 if given.command == "run" else CELL_SECONDS)
    if given.command == "test":
        return test(notebooks, given.runs, limit)
    work = {"run": run, "store": store, "twice": twice}[given.command]
    return max(work(path.resolve(), given.runs.resolve(), limit) for path in notebooks)


def run(path: Path, runs: Path, timeout: int) -> int:
    """Execute a copy with progress, write it as HTML beside, print the cell tagged `result-table`."""
    folder, began = fresh(path, runs / short_name(path)), time.perf_counter()
    with executed(folder / path.name, timeout) as (notebook, error):
        (folder / path.name).write_text(dumps(normalise(notebook)), encoding="utf-8")
        page = (folder / short_name(path)).with_suffix(".html")
        page.write_text(as_html(normalise(notebook), path.stem), encoding="utf-8")
    results = [text_of(cell) for cell in notebook["cells"] if RESULT in cell["metadata"].get("tags", ())]
    print(f"\n{path.name}: {time.perf_counter() - began:.0f} s\n")
    print(*results, sep="\n\n", end="\n\n" if results else "")
    print(f"Read it: {shown(page)}")
    if error:
        print(f"\n{error}", file=sys.stderr)
    return int(error is not None)


def store(path: Path, runs: Path, timeout: int) -> int:
    """Execute a copy and store its outputs in the notebook, in the normal form; a failed run stores none."""
    if hosted.belongs(path):
        put_cell(path)
    os.environ["OMP_NUM_THREADS"] = "1"  # as under `test`: with two, sums are made in another order
    stored = normalise(json.loads(path.read_text(encoding="utf-8")))
    folder = fresh(path, runs / "store" / short_name(path))
    with executed(folder / path.name, timeout) as (notebook, error):
        if error:
            print(f"{shown(path)} is left as it was.\n{error}", file=sys.stderr)
            return 1
    new = keep_stable(normalise(notebook, hide={str(folder): "."}), stored)
    path.write_text(dumps(new), encoding="utf-8")
    return 0


def check(notebooks: list[Path]) -> int:
    """Print what keeps a stored notebook from being fit to store."""
    found = []
    for path in notebooks:
        text = path.read_text(encoding="utf-8")
        found += [f"{shown(path)} {what}" for what in problems(text)]
        if hosted.belongs(path) and hosted.missing(json.loads(text)):
            found.append(f"{shown(path)} lacks the cell for Colab and Kaggle: scripts/notebooks.py hosted puts it in")
    print(*found, f"{len(notebooks)} notebooks, {len(found)} problems", sep="\n")
    if found:
        print("`make notebooks` executes all notebooks and stores them in the normal form.")
    return int(bool(found))


def put_cell(path: Path) -> int:
    """Put the cell for Colab and Kaggle first; everything else of the notebook stays."""
    path.write_text(dumps(normalise(hosted.with_cell(json.loads(path.read_text(encoding="utf-8"))))), encoding="utf-8")
    return 0


def test(notebooks: list[Path], runs: Path, timeout: int) -> int:
    """Run copies under nbval: each cell must run; one tagged `nbval-check-output` must say the same again."""
    folder = runs.resolve() / "nbval"
    shutil.rmtree(folder, ignore_errors=True)
    copies = [fresh(path.resolve(), folder / short_name(path)) / path.name for path in notebooks]
    rules = folder / "sanitise.cfg"
    rules.write_text("".join(f"regex: {old}\nreplace: {new}\n" for old, new in (_HTML, *NOISE)), encoding="utf-8")
    options = ["--nbval-lax", "--nbval-current-env", "--nbval-sanitize-with", str(rules)]
    options += ["--nbval-cell-timeout", str(timeout), "-p", "no:cacheprovider", "-o", "addopts=", "--durations=5"]
    environment = dict(os.environ)
    if len(copies) > 1:  # two kernels at a time, with a core each
        options += ["-n", "2", "--dist", "loadscope"]
        environment["OMP_NUM_THREADS"] = "1"
    command = [sys.executable, "-m", "pytest", *options, *map(str, copies)]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def twice(path: Path, runs: Path, timeout: int) -> int:
    """Run all cells of a copy, then all again in the same kernel; print which texts are not the same."""
    folder = fresh(path, runs / "twice" / short_name(path))
    stored = normalise(json.loads(path.read_text(encoding="utf-8")))
    (folder / path.name).write_text(dumps({**stored, "cells": stored["cells"] * 2}), encoding="utf-8")
    with executed(folder / path.name, timeout) as (notebook, error):
        ran = normalise(notebook, hide={str(folder): "."})["cells"]
    if error:
        print(error, file=sys.stderr)
        return 1
    runs_of = {"stored": stored["cells"], "first run": ran[: len(ran) // 2], "second run": ran[len(ran) // 2 :]}
    texts = {name: [plain(cell) for cell in cells] for name, cells in runs_of.items()}
    compared = [CHECK in cell["metadata"].get("tags", ()) for cell in stored["cells"]]
    wrong = 0
    for at, cell in enumerate(stored["cells"]):
        apart = {name: found[at] for name, found in texts.items()}
        pairs = apart.values() if compared[at] else (apart["first run"], apart["second run"])
        if len(set(pairs)) > 1:
            wrong += compared[at]
            print(f"cell {cell['id']} ({'compared' if compared[at] else 'not compared'}) differs:")
            print(*(f"  {name}: {text[:300]!r}" for name, text in apart.items()), sep="\n")
    print(f"{path.name} ran twice: {sum(compared)} compared cells, {wrong} not the same.")
    return int(wrong > 0)


def plain(cell: Node) -> str:
    """The text of a code cell without noise and HTML."""
    return denoise(text_of(cell)) if cell["cell_type"] == "code" else ""


def short_name(path: Path) -> str:
    """00_quickstart.ipynb -> quickstart."""
    return re.sub(r"^\d+_", "", path.stem)


def shown(path: Path) -> str:
    """A path as a person would type it in the project's folder."""
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


def fresh(path: Path, folder: Path) -> Path:
    """An emptied folder with a copy of the notebook and of the files beside it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for source in (path, *(p for p in path.parent.iterdir() if p.is_file() and p.suffix != ".ipynb")):
        shutil.copy(source, folder)
    return folder


@contextmanager
def executed(path: Path, timeout: int) -> Iterator[tuple[Node, str | None]]:
    """The notebook after its execution beside its file, as far as it came, and what went wrong in words."""
    notebook = nbformat.from_dict(normalise(json.loads(path.read_text(encoding="utf-8"))))
    progress = Progress(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        store_widget_state=False,  # a stored state hides the static picture of a widget
        record_timing=False,
        extra_arguments=["--IPKernelApp.log_level=40"],  # its warning that local sockets are not encrypted
        on_cell_start=progress.start,
        on_cell_executed=progress.end,
    )
    error = None
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as failure:
        error = f"{path.name} stopped in cell {progress.number} of {progress.total}: {failure}"
    yield notebook, error


class Progress:
    """A line for each cell that does something: its number, seconds and first line."""

    def __init__(self, notebook: nbformat.NotebookNode) -> None:
        self.total = sum(cell.cell_type == "code" for cell in notebook.cells)
        self.number, self.began = 0, 0.0

    def start(self, cell: nbformat.NotebookNode, **_: object) -> None:
        """nbclient's `on_cell_start`: called for Markdown cells too."""
        if cell.cell_type == "code":
            self.number, self.began = self.number + 1, time.perf_counter()
            if sys.stdout.isatty():
                print(self._line("…", cell), end="\r", flush=True)

    def end(self, cell: nbformat.NotebookNode, **_: object) -> None:
        """nbclient's `on_cell_executed`."""
        print(self._line(f"{time.perf_counter() - self.began:.1f} s", cell), flush=True)

    def _line(self, took: str, cell: nbformat.NotebookNode) -> str:
        first = next((line for line in cell.source.splitlines() if line.strip()), "")
        width = len(str(self.total))
        return f"cell {self.number:{width}} of {self.total} {took:>8}  {first[:70]:70}".rstrip()


def as_html(notebook: Node, title: str) -> str:
    """A page that stands alone: pictures inside, widgets in their static form."""
    exporter = HTMLExporter(template_name="lab", embed_images=True, require_js_url="", jquery_url="")
    if not any("$" in cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "markdown"):
        exporter.mathjax_url = ""
    page, _ = exporter.from_notebook_node(nbformat.from_dict(notebook), resources={"metadata": {"name": title}})
    return str(page)


if __name__ == "__main__":
    raise SystemExit(main())
