"""FreezePanel in a real JupyterLab, by mouse and by keyboard."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from nbconvert import HTMLExporter

from browser.lab import Lab, OpenNotebook
from browser.panels import axe, contrasts, notebook, said_in_console, saved, sentence

pytestmark = pytest.mark.browser
Open = Callable[[Path], OpenNotebook]
PANEL = "[data-nbtune=freeze]"


@pytest.fixture
def opened(open_notebook: Open, tmp_path: Path) -> OpenNotebook:
    path = notebook(tmp_path / "freeze.ipynb", "panel = nt.widgets.FreezePanel(tuner)\npanel")
    book = open_notebook(path)
    book.run_all(seconds=90)
    assert book.errors() == []
    book.page.locator(PANEL).wait_for()
    return book


def names(book: OpenNotebook) -> list[str]:
    """Of the groups that are still."""
    found = (
        book.page.locator(f"{PANEL} >> nth=0")
        .locator(".nbt-still")
        .evaluate_all("all => all.map(e => e.dataset.group)")
    )
    return [str(name) for name in found]


def test_the_mouse_clicks_and_drags_and_the_costs_come_at_once(opened: OpenNotebook) -> None:
    page, panel = opened.page, opened.page.locator(PANEL)
    errors = said_in_console(page)
    panel.locator("[data-group=layer2]").click()
    panel.locator("code", has_text="tuner.freeze_to('layer2')").wait_for()
    assert names(opened) == ["stem", "layer1"]
    ice, target = panel.get_by_role("slider").bounding_box(), panel.locator("[data-group=layer4]").bounding_box()
    assert ice and target
    page.mouse.move(ice["x"] + ice["width"] / 2, ice["y"] + 8)
    page.mouse.down()
    page.mouse.move(target["x"] - 20, ice["y"] + 8, steps=4)
    page.mouse.move(target["x"] + 4, ice["y"] + 8, steps=4)
    page.evaluate(
        "panel => { const line = panel.querySelector('.nbt-sentence'), before = line.textContent;"
        " panel.addEventListener('pointerup', () => { const began = performance.now(); const look = () => {"
        " if (line.textContent !== before) window.took = performance.now() - began; else setTimeout(look, 2); };"
        " look(); }, { once: true, capture: true }); }",
        panel.element_handle(),
    )
    page.mouse.up()
    panel.locator("code", has_text="tuner.freeze_to('layer4')").wait_for()
    assert sentence(panel).startswith("layer4 and head train")
    assert page.evaluate("window.took") < 100
    panel.get_by_role("button", name="Prove").click()
    panel.get_by_text("Still, proven").first.wait_for()
    panel.get_by_role("button", name="Unfreeze").click()
    panel.locator("code", has_text="tuner.unfreeze()").wait_for()
    assert names(opened) == []
    assert errors == []


def test_the_keyboard_alone(opened: OpenNotebook) -> None:
    page, panel = opened.page, opened.page.locator(PANEL)
    panel.get_by_role("slider").focus()
    page.keyboard.press("End")
    panel.locator("code", has_text="tuner.freeze_to('head')").wait_for()
    page.keyboard.press("ArrowLeft")
    panel.locator("code", has_text="tuner.freeze_to('layer4')").wait_for()
    assert page.evaluate("document.activeElement.getAttribute('role')") == "slider"  # focus outlives the repaint
    page.keyboard.press("Tab")  # to the norms
    page.keyboard.press("ArrowDown")
    panel.locator("code", has_text="norms='stats'").wait_for()
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Prove":
            break
    page.keyboard.press("Enter")
    panel.get_by_text("Still, proven").first.wait_for()


def test_it_shows_what_code_did_also_behind_its_back(opened: OpenNotebook) -> None:
    page, panel = opened.page, opened.page.locator(PANEL)
    opened.add_and_run("tuner.freeze_to('layer3')")
    panel.get_by_text("layer3, layer4 and head train").wait_for()
    opened.add_and_run("tuner.unfreeze(); learn.freeze()")
    panel.get_by_role("slider").focus()
    panel.get_by_text("takes no gradient now").first.wait_for()
    assert page.locator(PANEL).count() == 1


def test_two_views_a_reload_and_a_running_cell(opened: OpenNotebook) -> None:
    page = opened.page
    opened.add_and_run("panel")
    views = page.locator(PANEL)
    assert views.count() == 2
    views.nth(1).locator("[data-group=layer3]").click()
    views.nth(0).get_by_text("layer3, layer4 and head train").wait_for()
    opened.add_and_run("import time\nfor _ in range(300): time.sleep(.02)", wait=False)
    views.nth(0).locator("[data-group=head]").click()
    views.nth(0).get_by_text("Only the head trains").wait_for(timeout=4000)
    opened.wait_idle(30)
    opened.add_and_run("tuner.fit(60, cache='off')", wait=False)
    views.nth(0).get_by_text("tuner.fit() is running.").wait_for()
    assert views.nth(0).get_by_role("button", name="Prove").get_attribute("aria-disabled") == "true"
    opened.add_and_run("1 + 1", wait=False)
    opened.command("notebook:interrupt-kernel")
    opened.wait_idle(60)
    opened.command("docmanager:save")
    page.reload()
    page.wait_for_function("() => window.jupyterapp?.shell?.currentWidget?.sessionContext", timeout=60_000)
    page.locator(PANEL).first.wait_for(timeout=30_000)
    page.locator(PANEL).first.get_by_role("button", name="Unfreeze").click()
    page.locator(PANEL).first.get_by_text("All 6 groups train").wait_for()


def test_what_is_saved_tells_its_story_without_a_kernel(opened: OpenNotebook, lab: Lab) -> None:
    panel = opened.page.locator(PANEL)
    panel.locator("[data-group=layer4]").click()
    panel.locator("code", has_text="layer4").wait_for()
    time.sleep(1.5)
    path = saved(opened, lab.notebooks)
    page, _ = HTMLExporter().from_filename(str(path))  # type: ignore[no-untyped-call]
    assert "layer4 and head train" in page
    assert 'src="data:image/png;base64' in page
    other = opened.page.context.new_page()
    other.set_content(page)
    figure = other.locator("[data-nbtune-static] img")
    assert figure.is_visible()
    other.close()


def test_it_is_good_to_read_in_light_dark_and_on_white(opened: OpenNotebook, screenshots: Path) -> None:
    page, panel = opened.page, opened.page.locator(PANEL)
    screenshots.mkdir(parents=True, exist_ok=True)
    panel.locator("[data-group=layer3]").click()
    panel.locator("code", has_text="layer3").wait_for()
    panel.get_by_role("button", name="Probe depths").click()
    panel.locator(".nbt-depth svg").wait_for(timeout=30_000)
    panel.get_by_text("As table").click()
    for theme in ("Dark", "Light"):
        opened.theme(f"JupyterLab {theme}")
        page.wait_for_timeout(400)
        assert contrasts(panel) == {"texts": [], "edges": []}
        panel.screenshot(path=screenshots / f"freeze-panel-{theme.lower()}.png")
        assert axe(page, PANEL) == []
    opened.theme("JupyterLab Dark")
    page.add_style_tag(content=".jp-OutputArea-output, .nbt { background-color: white !important }")
    page.evaluate("document.body.dataset.again = 'yes'")
    page.wait_for_timeout(400)
    assert contrasts(panel) == {"texts": [], "edges": []}


def test_a_narrow_page_and_four_hundred_groups(opened: OpenNotebook, screenshots: Path) -> None:
    page = opened.page
    opened.add_and_run(
        "from torch import nn\nimport torch\n"
        "from fastai.data.core import DataLoaders\nfrom fastai.data.load import DataLoader\n"
        "from fastai.learner import Learner\n"
        "deep = nn.Sequential(*[nn.Linear(8, 8) for _ in range(400)])\n"
        "rows = [(torch.randn(8), torch.randn(8)) for _ in range(64)]\n"
        "many = nt.Tuner(Learner(DataLoaders(DataLoader(rows, bs=8), DataLoader(rows, bs=8)), deep,"
        " loss_func=nn.MSELoss()), groups=lambda m: [list(part.parameters()) for part in m])\n"
        "wide = nt.widgets.FreezePanel(many)\nwide"
    )
    panel = page.locator(PANEL).nth(1)
    assert panel.locator(".nbt-group").count() == 400
    panel.get_by_role("slider").focus()
    page.keyboard.press("PageUp")
    page.keyboard.press("PageUp")
    panel.get_by_text("10 of 400 groups").or_(panel.locator("code", has_text="group10")).first.wait_for()
    screenshots.mkdir(parents=True, exist_ok=True)
    panel.screenshot(path=screenshots / "freeze-panel-400.png")
    page.set_viewport_size({"width": 470, "height": 1200})
    page.wait_for_timeout(500)
    first = page.locator(PANEL).first
    first.screenshot(path=screenshots / "freeze-panel-narrow.png")
    assert first.evaluate("e => e.scrollWidth <= e.clientWidth + 1")


def test_an_error_comes_in_four_parts_and_names_are_text(opened: OpenNotebook) -> None:
    panel = opened.page.locator(PANEL)
    opened.add_and_run("panel._asked(None, {'act': 'freeze_to', 'with': [99]}, None)")
    panel.get_by_role("alert").wait_for()
    opened.add_and_run("panel._asked(None, {'act': 'norms', 'with': ['<img src=x onerror=window.hit=1>']}, None)")
    text = panel.get_by_role("alert").inner_text()
    assert all(part in text for part in ("Rule:", "Likely:", "Next:", "<img"))
    assert opened.page.evaluate("window.hit") is None
