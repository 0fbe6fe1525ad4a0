"""How soon do the panels answer? A real JupyterLab in Chromium, by the page's own clock; each act several times.

Run it on a quiet machine: kernel, server and browser share the cores. A time ends when the page holds what is new; the
browser paints that with its next frame. It needs what the browser tests need: the extra `test`, and Debian's chromium.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Locator, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from browser.conftest import ARGUMENTS, Open, opening, program  # noqa: E402
from browser.lab import Lab, OpenNotebook  # noqa: E402
from browser.panels import box_of, clock, notebook, took  # noqa: E402

GOALS = {  # ms
    "end of a drag of the ice line, to new costs and rates": 100,
    "Run again of the range test on kept features, to the curve": 1500,
    "the cell of the page's first panel, to the panel": 1000,
    "the cell of a further panel, to the panel": 1000,
    "Stop in the Monitor, to Stopping": 500,
}
DRAG, FIND, FIRST, FURTHER, STOP = GOALS
IMPORTS = "nt.widgets, tuner.prices(60.0)"  # what comes before: modules, and the prices of all boundaries
CELLS = {  # a cell for each kind of panel
    "freeze": "nt.widgets.FreezePanel(tuner)",
    "finder": "nt.widgets.LRFinder(tuner)",
    "monitor": "nt.widgets.Monitor(tuner)",
    "data": "nt.widgets.DataBrowser(task, tuner)",
    "evaluate": "nt.widgets.Evaluation(tuner)",
    "sketchpad": "nt.widgets.Sketchpad(tuner)",
}
# Runs a new cell, and gives the ms until a panel that was not there has its title and a height.
APPEARS = """([source, selector]) => { const book = window.jupyterapp.shell.currentWidget;
  const commands = window.jupyterapp.commands, before = document.querySelectorAll(selector).length;
  book.content.activeCellIndex = book.content.widgets.length - 1;
  return commands.execute("notebook:insert-cell-below").then(() => new Promise(done => {
    book.content.activeCell.model.sharedModel.setSource(source);
    const began = performance.now();
    commands.execute("notebook:run-cell");
    const look = () => { const node = document.querySelectorAll(selector)[before];
      if (node?.querySelector(".nbt-title")?.textContent && node.getBoundingClientRect().height > 0)
        done(performance.now() - began);
      else setTimeout(look, 2); };
    look(); })); }"""


def shown(book: OpenNotebook, kind: str) -> tuple[Locator, float]:
    """A new panel, and the ms that it took to come."""
    ms = float(book.page.evaluate(APPEARS, [CELLS[kind], f"[data-nbtune={kind}]"]))
    book.wait_idle(60)
    panel = book.page.locator(f"[data-nbtune={kind}]").last
    panel.scroll_into_view_if_needed()
    return panel, ms


def opened(open_copy: Open, folder: Path, number: int) -> OpenNotebook:
    """A notebook in a page and a kernel of its own, its imports done."""
    book = open_copy(notebook(folder / f"panels-{number}.ipynb", IMPORTS))
    book.run_all(seconds=120)
    assert book.errors() == []
    return book


def appearances(open_copy: Open, folder: Path, repeats: int) -> Iterator[tuple[str, float]]:
    """The first panel of a page, then one of each kind, in as many new pages."""
    for number in range(repeats):
        book = opened(open_copy, folder, number)
        yield FIRST, shown(book, "freeze")[1]
        for kind in CELLS:
            yield FURTHER, shown(book, kind)[1]
        book.shut_down()


def drags(book: OpenNotebook, repeats: int) -> Iterator[tuple[str, float]]:
    """The ice line from layer3 to layer4 and back; each other drag is measured in either direction."""
    mouse, (panel, _) = book.page.mouse, shown(book, "freeze")
    panel.locator("[data-group=layer3]").click()
    panel.locator("code", has_text="layer3").wait_for()
    for number in range(repeats + 1):
        book.page.wait_for_timeout(1500)  # the picture of the last act is drawn a second after it
        name = ("layer4", "layer3")[number % 2]
        ice, target = box_of(panel.get_by_role("slider")), box_of(panel.locator(f"[data-group={name}]"))
        mouse.move(ice["x"] + ice["width"] / 2, ice["y"] + 8)
        mouse.down()
        mouse.move(target["x"] + 4, ice["y"] + 8, steps=8)
        clock(panel, "pointerup", ".nbt-sentence", "[data-group=layer3]")
        mouse.up()
        ms = took(book.page)
        if number:  # the first one measures what the next ones know
            yield DRAG, ms


def tests(book: OpenNotebook, repeats: int) -> Iterator[tuple[str, float]]:
    """Range tests with other seeds, or the same curve would come again."""
    book.add_and_run("_ = tuner.freeze()")
    panel, _ = shown(book, "finder")
    for number in range(repeats + 1):
        book.in_kernel(f"tuner.seed = {number + 1}")
        clock(panel, "click", ".nbt-curve")
        panel.locator("[data-key=button-find]").click()
        ms = took(book.page, seconds=60)
        panel.get_by_role("button", name="Run again").wait_for()
        book.page.wait_for_timeout(1500)
        if number:  # the first one keeps the features
            yield FIND, ms


def stops(book: OpenNotebook, repeats: int) -> Iterator[tuple[str, float]]:
    """A cell that trains all weights, stopped after half a second or more."""
    panel, _ = shown(book, "monitor")
    for _ in range(repeats):
        book.add_and_run("_ = tuner.unfreeze()\ntuner.fit(400, 1e-4, cache='off')", wait=False)
        panel.get_by_role("button", name="Stop", exact=True).wait_for()
        book.page.wait_for_timeout(1000)
        clock(panel, "click", "[data-key=button-train]")
        panel.get_by_role("button", name="Stop", exact=True).click()
        yield STOP, took(book.page)
        book.wait_idle(60)


def measured(open_copy: Open, folder: Path, repeats: int) -> dict[str, list[float]]:
    """All times in ms, by what they are of."""
    found: dict[str, list[float]] = {name: [] for name in GOALS}
    acts: tuple[Callable[[OpenNotebook, int], Iterator[tuple[str, float]]], ...] = (drags, tests, stops)
    for name, ms in appearances(open_copy, folder, repeats):
        found[name].append(ms)
    for number, act in enumerate(acts, start=repeats):
        book = opened(open_copy, folder, number)
        for name, ms in act(book, repeats):
            found[name].append(ms)
        book.shut_down()
    return found


@contextmanager
def driven(folder: Path) -> Iterator[Open]:
    """A JupyterLab and a Chromium; a function that opens notebooks in them."""
    with sync_playwright() as playwright, Lab(folder) as lab:
        browser = playwright.chromium.launch(executable_path=program(), args=ARGUMENTS)
        with opening(browser, lab) as open_copy:
            yield open_copy
        browser.close()


def main() -> None:
    """Print a row for each act: the goal, the median, the range, and how many of them were within the goal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder, driven(Path(folder)) as open_copy:
        found = measured(open_copy, Path(folder) / "made", repeats)
    print(f"{os.cpu_count()} cores; load {before:.2f} before and {os.getloadavg()[0]:.2f} after\n")
    print("| from, to | goal | median | range | within the goal |\n|---|---|---|---|---|")
    for name, times in found.items():
        within = sum(ms <= GOALS[name] for ms in times)
        print(f"| {name} | {GOALS[name]} ms | {statistics.median(times):.0f} ms "
              f"| {min(times):.0f} to {max(times):.0f} | {within} of {len(times)} |")  # fmt: skip


if __name__ == "__main__":
    main()
