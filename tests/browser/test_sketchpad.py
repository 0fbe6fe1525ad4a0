"""Sketchpad in a real JupyterLab: drawn by mouse, by keyboard alone through a file, and dropped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import FilePayload, Locator, expect

from browser.lab import Lab, OpenNotebook, begins
from browser.panels import axe, box_of, good_to_read, opened_on, said_in_console, sentence, shot, without_kernel

pytestmark = pytest.mark.browser
PANEL = "[data-nbtune=sketchpad]"
SHOWN = """tuner.freeze(); tuner.fit(4, lr=2e-2); tuner.unfreeze(); tuner.fit(4, lr=3e-3)
model = nt.load(tuner.save("digits-bundle"))
pad = nt.widgets.Sketchpad(model)
pad"""
UNLINK = "for one in __import__('pathlib').Path().glob('drawing*.png'): one.unlink()"
# A 7 as shares of the paper.
SEVEN = ((0.3, 0.2), (0.68, 0.2), (0.45, 0.82))


@pytest.fixture(scope="module")
def book(open_once: Callable[[Path], OpenNotebook], tmp_path_factory: pytest.TempPathFactory) -> OpenNotebook:
    opened = opened_on(PANEL, SHOWN, tmp_path_factory.mktemp("pad") / "sketchpad.ipynb", open_once)
    opened.in_kernel(UNLINK)  # those of other tests
    return opened


@pytest.fixture
def panel(book: OpenNotebook) -> Locator:
    """The panel as it is first shown."""
    found = book.page.locator(PANEL).first
    for _ in range(20):  # the last stroke of the test before may still be on its way
        book.in_kernel("pad._clear(); pad.fit = pad._dark = True; pad.error = {}; pad.refresh()")
        book.page.wait_for_timeout(500)
        if not found.locator(".nbt-bars").count() and not found.get_by_role("alert").count():
            break
    expect(found.locator(".nbt-bars")).to_have_count(0)
    expect(found.get_by_role("alert")).to_have_count(0)
    return found


@pytest.fixture(scope="session")
def digit(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A real digit as a file, and what it is."""
    import nbtune as nt

    task = nt.tasks.digits(shots=1)
    path = tmp_path_factory.mktemp("digit") / "digit.png"
    Image.fromarray(task.valid.x[5]).save(path)
    return path, task.vocab[task.valid.y[5]]


def draw(panel: Locator, points: tuple[tuple[float, float], ...] = SEVEN) -> None:
    mouse, box = panel.page.mouse, box_of(panel.locator("canvas"))
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    mouse.move(*places[0])
    mouse.down()
    for place in places[1:]:
        mouse.move(*place, steps=6)
    mouse.up()


def says(panel: Locator, code: str) -> None:
    expect(panel.locator("[data-nbtune-code]")).to_have_text(code)


def settle(panel: Locator) -> None:
    """Wait until the last of a drawing is read."""
    seen, now = "", panel.locator(".nbt-bars").inner_text()
    while now != seen:
        panel.page.wait_for_timeout(500)
        seen, now = now, panel.locator(".nbt-bars").inner_text()


def agrees(book: OpenNotebook, panel: Locator, code: str) -> None:
    """Running the line gives what the panel shows first, once it has read the last of a drawing."""
    settle(panel)
    name, text = (panel.locator(f".nbt-bars tr:first-child {part}").inner_text() for part in ("th", "td:last-child"))
    book.in_kernel(
        f"import pandas as pd; found = {code}.iloc[0]\n"
        f"assert found.label == {name!r}, found.label\nassert f'{{100 * found[found.label]:.1f}} %' == {text!r}"
    )


def test_a_single_press_leaves_a_dot(book: OpenNotebook, panel: Locator) -> None:
    draw(panel, ((0.5, 0.5),))
    expect(panel.locator(".nbt-bars")).to_be_visible()
    assert book.console == []


def test_a_drawing_is_read_while_it_is_drawn(book: OpenNotebook, panel: Locator) -> None:
    page, errors = book.page, said_in_console(book.page)
    box = box_of(panel.locator("canvas"))
    page.mouse.move(box["x"] + 70, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 150, box["y"] + 50, steps=5)
    panel.locator(".nbt-bars").wait_for(timeout=4_000)  # before the pen is lifted, and before a press holds no longer
    page.mouse.move(box["x"] + 100, box["y"] + 190, steps=5)
    page.mouse.up()
    expect(panel.locator(".nbt-sentence")).to_contain_text("Read as '7'")
    says(panel, "model.predict(pad.image)")
    agrees(book, panel, "model.predict(pad.image)")
    expect(panel.get_by_role("status")).to_contain_text("Read as '7'")
    panel.get_by_role("button", name=begins("Copy")).click()
    assert page.evaluate("navigator.clipboard.readText()") == "model.predict(pad.image)"
    panel.get_by_role("button", name=begins("Save picture")).click()
    says(panel, "model.predict('drawing.png')")
    agrees(book, panel, "model.predict('drawing.png')")
    panel.get_by_role("button", name=begins("Clear")).click()
    expect(panel.locator(".nbt-bars")).to_have_count(0)
    assert panel.locator("canvas").evaluate("e => e.getContext('2d').getImageData(0, 0, e.width, e.height).data"
                                            ".every((v, i) => v === (i % 4 === 3 ? 255 : 0))")  # fmt: skip
    assert errors == []


def test_the_keyboard_alone(book: OpenNotebook, panel: Locator, digit: tuple[Path, str]) -> None:
    page = book.page
    cells = page.locator(".jp-Cell").count()
    panel.get_by_role("checkbox").focus()
    page.keyboard.press("Tab")
    expect(panel.get_by_role("button", name=begins("Choose a file…"))).to_be_focused()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    with page.expect_file_chooser() as chooser:
        page.wait_for_timeout(500)  # until the browser hands the chooser over instead of opening it
        page.keyboard.press("Enter")
    chooser.value.set_files(digit[0])
    expect(panel.locator(".nbt-sentence")).to_contain_text(f"Read as '{digit[1]}'")
    expect(panel.get_by_role("button", name=begins("Choose a file…"))).to_be_focused()
    says(panel, "model.predict(pad.image)")
    agrees(book, panel, "model.predict(pad.image)")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # Invert
    panel.get_by_text("Unlike its data").wait_for()
    page.keyboard.press("Enter")
    expect(panel.get_by_text("Unlike its data")).to_have_count(0)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(panel.locator("[data-nbtune-code]")).to_contain_text("model.predict('drawing")
    expect(page.locator(".jp-Cell")).to_have_count(cells)


def test_files_are_dropped_and_those_that_are_no_pictures_are_said(
    book: OpenNotebook, panel: Locator, digit: tuple[Path, str], screenshots: Path
) -> None:
    errors = said_in_console(book.page)

    def drop(name: str, data: bytes) -> None:
        panel.evaluate(
            """(panel, [name, data]) => { const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(data)], name, { type: "image/png" }));
            for (const kind of ["dragover", "drop"])
              panel.querySelector("canvas").dispatchEvent(
                new DragEvent(kind, { bubbles: true, dataTransfer: transfer })); }""",
            [name, list(data)],
        )

    drop("digit.png", digit[0].read_bytes())
    expect(panel.locator(".nbt-sentence")).to_contain_text(f"Read as '{digit[1]}'")
    before = sentence(panel)
    drop("<img src=z onerror=window.hit=1>", b"no picture at all")
    alert = panel.get_by_role("alert")
    expect(alert).to_contain_text("cannot be read as a picture")
    for part in ("Rule:", "Likely:", "Next:"):
        expect(alert).to_contain_text(part)
    assert sentence(panel) == before
    shot(panel, screenshots, "sketchpad-error")
    with book.page.expect_file_chooser() as chooser:
        panel.get_by_role("button", name=begins("Choose a file…")).click()
    chooser.value.set_files(FilePayload(name="scan.png", mimeType="image/png", buffer=bytes(7 << 20)))
    expect(alert).to_contain_text("7.3 MB")
    draw(panel)  # a drawing takes the place of a picture, and the error goes
    expect(panel.locator(".nbt-sentence")).to_contain_text("Read as '7'")
    expect(alert).to_have_count(0)
    assert book.page.evaluate("window.hit") is None
    assert errors == []


def test_it_is_good_to_read_in_light_dark_and_on_white(book: OpenNotebook, panel: Locator, screenshots: Path) -> None:
    shot(panel, screenshots, "sketchpad-empty")
    draw(panel)
    panel.locator(".nbt-bars").wait_for()
    good_to_read(book, PANEL, screenshots, "sketchpad")
    panel.get_by_role("button", name=begins("Invert")).click()
    good_to_read(book, PANEL, screenshots, "sketchpad-inverted")


AT_ONCE = """(canvas, word) => { // no answer can come in between: a line, a click, a line
  const { left, top, width, height } = canvas.getBoundingClientRect();
  const event = (name, x, y) => canvas.dispatchEvent(new PointerEvent(name,
    { pointerId: 1, bubbles: true, clientX: left + x * width, clientY: top + y * height }));
  const line = (from, to) => { event("pointerdown", ...from); event("pointermove", ...to); event("pointerup", ...to); };
  canvas.setPointerCapture = () => {}; // it knows only pointers that are there
  const usual = window.setTimeout; // the picture of the inverted paper comes before the page asks again
  if (word === "Invert") window.setTimeout = (act, ms) => usual(act, ms === 40 ? 1200 : ms);
  line([0.3, 0.9], [0.7, 0.9]);
  [...canvas.closest("[data-nbtune]").querySelectorAll("button")].find((one) => one.textContent === word).click();
  line([0.1, 0.3], [0.1, 0.7]);
  window.setTimeout = usual;
}"""


@pytest.mark.parametrize("word", ["Invert", "Save picture"])
def test_no_stroke_and_no_click_is_lost(word: str, book: OpenNotebook, panel: Locator) -> None:
    canvas = panel.locator("canvas")
    draw(panel)
    expect(panel.locator(".nbt-sentence")).to_contain_text("Read as '7'")
    book.in_kernel(f"{UNLINK}\npad._fit(False); pad.refresh()")
    canvas.evaluate(AT_ONCE, word)
    settle(panel)
    book.in_kernel(
        "import numpy as np; from PIL import Image\n"
        "def inked(image):\n"
        "    ink = np.asarray(image) > 127; ink = ~ink if ink[0, 0] else ink; high, wide = ink.shape\n"
        "    return [bool(ink[int(y * high), int(x * wide)]) for x, y in ((.5, .2), (.5, .9), (.1, .5))]\n"
        "assert inked(pad._drawn) == [True, True, True], inked(pad._drawn)"
    )
    if word == "Invert":
        book.in_kernel("assert not pad._dark and np.asarray(pad._drawn)[0, 0] == 255")
        assert canvas.evaluate("e => [...e.getContext('2d').getImageData(0, 0, 1, 1).data]") == [255] * 4
    else:
        book.in_kernel("saved = inked(Image.open('drawing.png')); assert saved == [True, True, False], saved")


def test_a_narrow_page_and_reduced_motion(book: OpenNotebook, panel: Locator, screenshots: Path) -> None:
    page = book.page
    draw(panel)
    panel.locator(".nbt-bars").wait_for()
    page.emulate_media(reduced_motion="reduce")
    panel.get_by_role("button", name=begins("Invert")).click()
    panel.get_by_text("Unlike its data").wait_for()
    assert panel.evaluate("e => e.getAnimations({ subtree: true }).length") == 0
    panel.get_by_role("button", name=begins("Invert")).click()
    page.emulate_media(reduced_motion="no-preference")
    panel.evaluate("e => { e.style.width = '300px' }")
    page.wait_for_timeout(300)
    assert panel.evaluate("e => e.scrollWidth <= e.clientWidth + 1")
    shot(panel, screenshots, "sketchpad-narrow")
    panel.get_by_role("button", name=begins("Clear")).click()
    expect(panel.locator(".nbt-bars")).to_have_count(0)
    draw(panel, tuple((x + 0.1, y) for x, y in SEVEN))  # elsewhere, on paper of another width
    expect(panel.locator(".nbt-sentence")).to_contain_text("Read as '7'")
    panel.evaluate("e => { e.style.width = '' }")


def test_code_shows_and_the_saved_notebook_tells_it(book: OpenNotebook, panel: Locator, lab: Lab) -> None:
    book.add_and_run("pad.put(task.valid.x[5])")
    expect(panel.locator(".nbt-sentence")).to_contain_text("Read as")
    assert np.any(
        panel.locator("canvas").evaluate("e => [...e.getContext('2d').getImageData(0, 0, e.width, e.height).data]")
    )
    static = book.page.locator("[data-nbtune-static]").first
    expect(static).to_contain_text(sentence(panel), timeout=20_000)
    expect(static).to_be_hidden()
    saved = without_kernel(book, lab.notebooks)
    expect(saved.locator("[data-nbtune-static] img").first).to_be_visible()
    expect(saved.locator("[data-nbtune-static]").first).to_contain_text("Read as")
    saved.close()


MANY = """from dataclasses import replace
import torch
evil = "<img src=z onerror=window.hit=1>"
class Wide(torch.nn.Module):
    def forward(self, x): return torch.nn.functional.pad(x.flatten(1), (0, 0))[:, :1000]
names = tuple(f"{evil}{n}" for n in range(1000))
many = nt.widgets.Sketchpad(replace(model, module=Wide(), vocab=names, card={"note": evil}))
ours = nt.widgets.Sketchpad(tuner)
display(many); display(ours)"""


def test_a_thousand_classes_and_a_tuner_that_trains(book: OpenNotebook, panel: Locator, screenshots: Path) -> None:
    page, errors = book.page, said_in_console(book.page)
    book.add_and_run(MANY)
    many, ours = page.locator(PANEL).nth(1), page.locator(PANEL).nth(2)
    many.scroll_into_view_if_needed()
    draw(many)
    many.get_by_text("and 990 more").wait_for()
    shot(many, screenshots, "sketchpad-many")
    ours.scroll_into_view_if_needed()
    draw(ours)
    says(ours, "tuner.predict(pad.image)")
    settle(ours)  # a verb of a cell is refused while a stroke is read
    book.add_and_run("tuner.unfreeze(); tuner.fit(12, lr=1e-4)", wait=False)
    ours.get_by_text("tuner.fit() is running").first.wait_for()
    draw(ours, ((0.5, 0.2), (0.5, 0.8)))
    expect(ours.locator(".nbt-sentence")).to_contain_text("Not read yet")
    expect(ours.locator(".nbt-sentence")).to_contain_text("Read as", timeout=60_000)  # when it has ended
    book.wait_idle(60)
    assert axe(page, PANEL) == []
    assert page.evaluate("window.hit") is None
    assert errors == []


def test_two_views_and_a_reload(book: OpenNotebook, panel: Locator) -> None:
    page = book.page
    book.add_and_run("pad")
    other = page.locator(PANEL).last
    other.scroll_into_view_if_needed()
    draw(other)
    expect(panel.locator(".nbt-sentence")).to_contain_text("Read as '7'")
    ink = "e => e.getContext('2d').getImageData(0, 0, e.width, e.height).data.filter((v, i) => i % 4 === 0 && v).length"
    page.wait_for_timeout(300)
    drawn = other.locator("canvas").evaluate(ink)
    assert drawn > 500
    assert panel.locator("canvas").evaluate(ink) == drawn
    book.reload()
    panel.locator(".nbt-bars").wait_for(timeout=30_000)
    assert panel.locator("canvas").evaluate(ink) == drawn
    assert book.errors() == []
