"""DataBrowser in a real JupyterLab, by mouse and by keyboard; all tests share one notebook and leave no marks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from browser.lab import Lab, OpenNotebook, begins
from browser.panels import axe, good_to_read, opened_on, said_in_console, sentence, shot, without_kernel

pytestmark = pytest.mark.browser
PANEL = "[data-nbtune=data]"

# Wrong labels, a copy with another label, and a training item that stands in valid too.
SPOILED = """import numpy as np
from dataclasses import replace
x, y = task.train.x.copy(), task.train.y.copy()
y[[11, 40, 77]] = (y[[11, 40, 77]] + 1) % 10
x[5], x[8] = x[np.flatnonzero(y != y[5])[0]], task.valid.x[np.flatnonzero(task.valid.y == y[8])[0]]
task = replace(task, train=nt.tasks.Items(x, y, task.train.ids))
tuner = nt.Tuner(task.learner("letters", seed=0), test=task.test, seed=0)
browser = nt.widgets.DataBrowser(task, tuner)
browser"""


@pytest.fixture(scope="module")
def book(open_once: Callable[[Path], OpenNotebook], tmp_path_factory: pytest.TempPathFactory) -> OpenNotebook:
    return opened_on(PANEL, SPOILED, tmp_path_factory.mktemp("data") / "data.ipynb", open_once)


@pytest.fixture
def panel(book: OpenNotebook) -> Locator:
    """The panel at its beginning, without marks."""
    book.in_kernel("for item in browser.marks['item']: browser.clear(item)\nbrowser.show()")
    found = book.page.locator(PANEL).first
    found.get_by_role("button", name=begins("Preview 0 marks")).wait_for()
    return found


def chooser(panel: Locator, key: str) -> Locator:
    return panel.locator(f"select[data-key={key}]")


def code(panel: Locator, text: str) -> None:
    panel.locator("[data-nbtune-code]", has_text=text).wait_for()


def kernel_has(book: OpenNotebook, *what: str) -> None:
    """The kinds of the marks, as code reads them."""
    book.in_kernel(f"assert browser.marks['what'].tolist() == {list(what)!r}, browser.marks")


def test_the_mouse_marks_and_takes_back_and_the_marks_outlive_the_page(book: OpenNotebook, panel: Locator) -> None:
    errors = said_in_console(book.page)
    panel.locator(".nbt-tile").nth(4).click()
    panel.get_by_role("button", name=begins("Leave out")).click()
    code(panel, "browser.exclude(")
    expect(panel.locator(".nbt-exclude")).to_have_count(1)
    panel.locator(".nbt-tile").nth(5).click()
    now = chooser(panel, "class").input_value()
    chooser(panel, "class").select_option("7" if now != "7" else "8")
    code(panel, "browser.mark(")
    panel.get_by_role("button", name=begins("Next")).click()
    code(panel, "browser.show(page=2)")
    chooser(panel, "label").select_option("3")
    code(panel, "label='3'")
    chooser(panel, "split").select_option("valid")
    code(panel, "split='valid', label='3'")
    chooser(panel, "only").select_option("marked")  # three changes before the first answer
    chooser(panel, "split").select_option("all")
    chooser(panel, "label").select_option("-1")
    code(panel, "browser.show(split='all', only='marked')")
    expect(panel.locator(".nbt-tile")).to_have_count(2)
    panel.get_by_role("button", name=begins("Undo")).click()
    code(panel, "browser.undo()")
    panel.get_by_role("button", name=begins("Redo")).click()
    code(panel, "browser.redo()")
    panel.get_by_role("button", name=begins("Preview 2 marks")).click()
    panel.get_by_text("train: 1 relabelled and 1 left out of 100.").first.wait_for()
    kernel_has(book, "exclude", "label")
    assert errors == []


def test_the_keyboard_alone(book: OpenNotebook, panel: Locator) -> None:
    page = book.page
    panel.locator(".nbt-tile[tabindex='0']").focus()
    cells = page.locator(".jp-Cell").count()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Delete")
    code(panel, "browser.exclude(")
    assert page.evaluate("document.activeElement.getAttribute('role')") == "option"  # focus outlives the repaint
    page.keyboard.press("x")  # would cut the cell, were the notebook asked
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.tagName") == "SELECT"
    page.keyboard.press("ArrowUp" if chooser(panel, "class").input_value() == "9" else "ArrowDown")
    code(panel, "browser.mark(")
    page.keyboard.press("Escape")
    page.keyboard.press("Control+z")
    code(panel, "browser.undo()")
    page.keyboard.press("Control+y")
    code(panel, "browser.redo()")
    page.keyboard.press("PageDown")
    code(panel, "browser.show(page=2)")
    assert page.evaluate("document.activeElement.getAttribute('role')") == "option"
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Preview 1 mark":
            break
    page.keyboard.press("Enter")
    panel.get_by_text("relabelled of 100").first.wait_for()
    expect(page.locator(".jp-Cell")).to_have_count(cells)
    kernel_has(book, "label")


def test_by_loss_copies_and_the_models_input(book: OpenNotebook, panel: Locator, screenshots: Path) -> None:
    chooser(panel, "split").select_option("all")
    code(panel, "split='all'")
    chooser(panel, "by").select_option("loss")
    code(panel, "by='loss'")
    assert "are read as another class" in sentence(panel)
    assert panel.locator(".nbt-tile[data-item*='digits']", has_text="reads").count() >= 3
    panel.locator(".nbt-tile").nth(1).click()
    panel.get_by_role("button", name=begins("Is ")).click()
    panel.locator(".nbt-label").wait_for()
    panel.locator(".nbt-tile").nth(2).click()
    panel.get_by_role("button", name=begins("Leave out")).click()
    panel.locator(".nbt-exclude").wait_for()
    panel.get_by_role("button", name=begins("Preview")).click()
    panel.get_by_text("Would change").first.wait_for()
    panel.get_by_text("As table").click()
    good_to_read(book, PANEL, screenshots, "data-browser")
    panel.get_by_text("As table").click()
    chooser(panel, "by").select_option("split")
    chooser(panel, "only").select_option("conflicts")
    code(panel, "only='conflicts'")
    expect(panel.locator(".nbt-tile")).to_have_count(2)
    chooser(panel, "only").select_option("copies")
    code(panel, "only='copies'")
    expect(panel.locator(".nbt-tile")).to_have_count(4)
    chooser(panel, "only").select_option("all")
    panel.get_by_label("as the model gets it").check()
    panel.get_by_text("The model's input: 1×32×32, float32").first.wait_for()
    shot(panel, screenshots, "data-browser-input")


def test_code_shows_in_the_panel_and_the_saved_notebook_tells_it(book: OpenNotebook, panel: Locator, lab: Lab) -> None:
    book.add_and_run("browser.exclude(task.train.ids[0]); browser.show('train', label='2')")
    code(panel, "browser.show(label='2')")
    expect(panel.get_by_role("button", name=begins("Preview 1 mark"))).to_be_visible()
    panel.locator(".nbt-tile").nth(1).click()
    panel.get_by_role("button", name=begins("Leave out")).click()
    code(panel, "browser.exclude")
    expect(book.page.locator("[data-nbtune-static]").first).to_contain_text("2 marks:")
    saved = without_kernel(book, lab.notebooks)
    expect(saved.locator("[data-nbtune-static] img").first).to_be_visible()
    expect(saved.locator("[data-nbtune-static]").first).to_contain_text("2 marks:")
    saved.close()


# A thousand classes whose names are HTML, rows of a table, and an item that cannot be drawn.
ODD = """import pandas as pd
evil = "<img src=z onerror=window.hit=1>"
rng = np.random.RandomState(0)
def noise(split, n):
    return nt.tasks.Items(rng.randint(0, 256, (n, 64, 64, 3), dtype=np.uint8), np.arange(n) % 1000,
                          tuple(f"{split}/{evil}/{i}" for i in range(n)))
from nbtune.tasks.task import make_task
wide = make_task(evil, "noise", tuple(f"{evil}{c}" for c in range(1000)), noise("train", 6000), noise("valid", 1000),
                 noise("test", 10), source="random", licence="none", nature="synthetic")
class Rows:
    def __init__(self, split, n):
        self.x = pd.DataFrame({"alcohol": rng.rand(n), evil: ["a"] * n, "hue": rng.rand(n)})
        self.y, self.ids = np.arange(n) % 2, tuple(f"{split}{i}" for i in range(n))
    def __len__(self): return len(self.y)
    def __getitem__(self, at):
        if at == 1: raise OSError(evil + " is truncated")
        return self.x.iloc[at], self.y[at]
class Table:
    name, vocab, train, valid, test = "wine", ("a", "b"), Rows("train", 60), Rows("valid", 10), Rows("test", 10)
    def copies(self):
        from nbtune.tasks.copies import copies
        return copies(self)
display(nt.widgets.DataBrowser(wide)); display(nt.widgets.DataBrowser(Table()))"""


def test_html_in_names_many_items_rows_and_a_narrow_page(book: OpenNotebook, panel: Locator, screenshots: Path) -> None:
    page = book.page
    errors = said_in_console(page)
    book.add_and_run(ODD)
    wide, rows = page.locator(PANEL).nth(1), page.locator(PANEL).nth(2)
    wide.locator(".nbt-tile").first.focus()
    for _ in range(4):  # faster than the answers come
        page.keyboard.press("PageDown")
    wide.get_by_text("page 5 of 125").first.wait_for()
    shot(wide, screenshots, "data-browser-many")
    rows.locator(".nbt-tile").nth(1).click()
    expect(rows.get_by_text("is truncated")).to_be_visible()
    expect(rows.get_by_text("cannot be drawn").first).to_be_visible()
    shot(rows, screenshots, "data-browser-rows")
    assert axe(page, PANEL) == []
    assert page.evaluate("window.hit") is None
    page.set_viewport_size({"width": 470, "height": 1200})
    page.wait_for_timeout(500)
    shot(panel, screenshots, "data-browser-narrow")
    assert panel.evaluate("e => e.scrollWidth <= e.clientWidth + 1")
    page.set_viewport_size({"width": 1280, "height": 1600})
    assert errors == []


def test_two_views_and_a_reload_of_the_page(book: OpenNotebook, panel: Locator) -> None:
    page = book.page
    book.add_and_run("browser")
    other = page.locator(PANEL).last
    other.locator(".nbt-tile").nth(3).click()
    other.get_by_role("button", name=begins("Leave out")).click()
    panel.locator(".nbt-exclude").wait_for()
    book.command("docmanager:save")
    page.reload()
    page.wait_for_function("() => window.jupyterapp?.shell?.currentWidget?.sessionContext", timeout=60_000)
    panel.locator(".nbt-exclude").wait_for(timeout=30_000)
    panel.get_by_role("button", name=begins("Undo")).click()
    panel.get_by_role("button", name=begins("Preview 0 marks")).wait_for()
    kernel_has(book)


def test_a_storm_of_clicks_and_keys_ends_where_the_last_one_went(book: OpenNotebook, panel: Locator) -> None:
    panel.evaluate(
        """panel => { const all = () => [...panel.querySelectorAll("button")];
        const press = word => all().find(b => b.textContent === word)?.click();
        for (let i = 0; i < 40; i += 1) { press("Next"); press("Previous"); press("Leave out"); press("Keep"); } }"""
    )
    chooser(panel, "label").select_option("3")
    code(panel, "browser.show(label='3')")
    expect(panel.locator("[role=alert]")).to_have_count(0)
    panel.get_by_text("As table").click()
    expect(panel.locator("table").nth(1).locator("tbody tr")).to_have_count(10)  # the class balance
    panel.get_by_text("As table").click()
    book.in_kernel("browser.show()")
