"""What holds for all six panels, on one page: hostile names, storms of clicks, rest, 300 px, changes behind them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from browser.lab import OpenNotebook, begins
from browser.panels import box_of, notebook, shot

pytestmark = pytest.mark.browser
KINDS = ("freeze", "finder", "monitor", "data", "evaluate", "sketchpad")
EVIL = "<img src=x onerror=self['hit']=1>"  # a module's name has no dot
# Classes, groups, a metric, the task and its items carry a name that is HTML.
MADE = f"""\
import torch
from dataclasses import replace
from torch import nn
evil = {EVIL!r}
named = lambda items: replace(items, ids=tuple(f"{{evil}}{{name}}" for name in items.ids))
task = replace(task, name=evil, vocab=tuple(f"{{evil}}{{name}}" for name in task.vocab), train=named(task.train),
               valid=named(task.valid))
body = nn.Sequential()
body.add_module(evil, nn.Conv2d(1, 8, 3))
body.add_module("flat", nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten()))
body.add_module(f"{{evil}}2", nn.Linear(128, 32))
body.add_module("head", nn.Linear(32, 10))
def share(scores, labels): return (scores.argmax(1) == labels).float().mean()
share.__name__ = evil
from fastai.learner import Learner
learn = Learner(task.learner("letters", seed=0).dls, body, loss_func=nn.CrossEntropyLoss(), metrics=share)
odd = nt.Tuner(learn, seed=0, groups="stage")
odd.freeze_to(-2); odd.fit(1); odd.lr_find(); odd.fit(1)
tuner = nt.Tuner(task.learner("letters", seed=0), test=task.test, seed=0)
tuner.freeze(); tuner.fit(2, lr=1e-2); tuner.lr_find(); tuner.evaluate()
"""
SHOWN = """\
shown = [nt.widgets.FreezePanel(odd, seconds=0), nt.widgets.LRFinder(odd), nt.widgets.Monitor(odd),
         nt.widgets.DataBrowser(task, tuner), nt.widgets.Evaluation(tuner), nt.widgets.Sketchpad(tuner)]
shown[-1].put(task.valid.x[3])
for one in shown: display(one)"""


@pytest.fixture(scope="module")
def book(open_once: Callable[[Path], OpenNotebook], tmp_path_factory: pytest.TempPathFactory) -> OpenNotebook:
    opened = open_once(notebook(tmp_path_factory.mktemp("every") / "every.ipynb", MADE, SHOWN))
    opened.run_all(seconds=120)
    assert opened.errors() == []
    opened.page.locator("[data-nbtune=sketchpad]").wait_for()
    return opened


def panel(book: OpenNotebook, kind: str) -> Locator:
    found = book.page.locator(f"[data-nbtune={kind}]").first  # a test shows a second finder
    found.scroll_into_view_if_needed()
    return found


def rest(book: OpenNotebook, found: Locator) -> None:
    """Wait until a panel and the kernel have nothing to do, and nothing is on its way."""
    found.page.wait_for_timeout(700)
    expect(found).to_have_attribute("aria-busy", "false", timeout=60_000)
    book.wait_idle(60)
    found.page.wait_for_timeout(700)
    expect(found).to_have_attribute("aria-busy", "false", timeout=60_000)


@pytest.mark.parametrize("kind", KINDS)
def test_html_in_a_name_is_text(book: OpenNotebook, kind: str) -> None:
    found = panel(book, kind)
    for fold in found.locator("summary").all():
        fold.click()
    text = found.evaluate("e => e.textContent + [...e.querySelectorAll('[title]')].map(one => one.title)")
    assert EVIL in text  # it is there, as it is written
    assert found.locator("img[src=x]").count() == 0
    for fold in found.locator("summary").all():
        fold.click()
    assert book.page.evaluate("window.hit") is None


STORM = """panel => { const quiet = ["Choose a file…", "Copy"]; // these open a window, or need a person
  for (let round = 0; round < 12; round += 1)
    for (const node of panel.querySelectorAll("button"))
      if (!quiet.includes(node.textContent)) node.click(); }"""
VALUES = "all => all.map(node => node.getAttribute('aria-valuetext'))"
# A control that must still be heard afterwards, and its line.
AFTER = {
    "freeze": ("Unfreeze", r"tuner\.unfreeze\(\)"),
    "finder": ("Run again", r"curve = tuner\.lr_find\(\)"),
    "monitor": ("Use ", r"tuner\.(best|last)\(\)"),
    "data": ("Leave out", r"browser\.exclude\("),
    "evaluate": ("Worst errors", r"tuner\.reports\[0\]\.worst\(60\)\.rows"),
    "sketchpad": ("Invert", r"tuner\.predict\(pad\.image\)"),
}


def after(book: OpenNotebook, kind: str) -> tuple[Locator, re.Pattern[str]]:
    """The control of `AFTER`, ready to be pressed, and the line that it makes."""
    found = panel(book, kind)
    word, made = AFTER[kind]
    if kind == "sketchpad":  # a storm clears its paper
        book.in_kernel("shown[-1].put(task.valid.x[3])")
    if kind == "data" and found.get_by_role("button", name="Keep", exact=True).count():
        found.get_by_role("button", name="Keep", exact=True).click()
    return found.get_by_role("button", name=word).first, re.compile(made)


@pytest.mark.parametrize("kind", KINDS)
def test_a_storm_of_clicks_on_every_button_leaves_a_panel_that_answers(book: OpenNotebook, kind: str) -> None:
    found = panel(book, kind)
    found.evaluate(STORM)
    rest(book, found)
    for alert in found.get_by_role("alert").all():  # what was asked for too early is refused, in four parts
        assert all(part in alert.inner_text() for part in ("Rule:", "Likely:", "Next:"))
    control, made = after(book, kind)
    control.click()
    expect(found.locator("[data-nbtune-code]")).to_have_text(made, timeout=60_000)
    expect(found.get_by_role("alert")).to_have_count(0)
    rest(book, found)
    assert book.console == []


@pytest.mark.parametrize("by", ["mouse", "key"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_press_is_heard_though_the_panel_is_drawn_anew_meanwhile(book: OpenNotebook, kind: str, by: str) -> None:
    found = panel(book, kind)
    control, made = after(book, kind)
    rest(book, found)
    at = KINDS.index(kind)
    book.in_kernel(f"shown[{at}].code = ''")  # of an earlier act
    control.hover()
    if by == "key":
        control.focus()
    found.page.wait_for_timeout(300)
    found.page.mouse.down() if by == "mouse" else found.page.keyboard.down("Space")
    book.in_kernel(f"shown[{at}].view = {{**shown[{at}].view, 'title': 'Drawn anew'}}")
    found.page.wait_for_timeout(150)  # as long as a person holds it
    found.page.mouse.up() if by == "mouse" else found.page.keyboard.up("Space")
    expect(found.locator("[data-nbtune-code]")).to_have_text(made, timeout=60_000)
    rest(book, found)
    assert book.console == []


def test_a_double_click_and_a_held_key_act_once(book: OpenNotebook) -> None:
    book.in_kernel("odd.fit(1); odd.best(); begun = []; odd.watch(lambda: begun.append(odd.running))")
    found = panel(book, "monitor")
    rest(book, found)
    for press in ("double click", "held key"):
        found.get_by_role("button", name=begins("Use last")).wait_for()
        found.page.wait_for_timeout(700)  # a click of its own
        control = found.locator("[data-key=button-state]")
        if press == "double click":
            control.click(delay=90)
            found.page.wait_for_timeout(130)
            control.click(delay=90)
        else:
            control.focus()
            for _ in range(12):  # a key that is held says so again and again
                found.page.keyboard.down("Enter")
                found.page.wait_for_timeout(40)
            found.page.keyboard.up("Enter")
        rest(book, found)
        expect(found.locator("[data-nbtune-code]")).to_have_text("tuner.last()")
        found.get_by_role("button", name=begins("Use best")).click(delay=90)
    found.get_by_role("button", name=begins("Use last")).wait_for()
    assert book.console == []


def test_what_is_typed_outlives_a_panel_that_is_drawn_anew(book: OpenNotebook) -> None:
    found = panel(book, "finder")
    rest(book, found)
    field = found.get_by_label("Top rate", exact=True).locator("visible=true").last
    was = book.page.evaluate("e => e.value", field.element_handle())
    field.click(click_count=3)
    for at, key in enumerate("5e-3", start=1):
        found.page.keyboard.press(key, delay=60)
        book.in_kernel(f"shown[1].view = {{**shown[1].view, 'title': 'Drawn {at}'}}")
        expect(found.locator(".nbt-title")).to_have_text(f"Drawn {at}")
        expect(field).to_have_value("5e-3"[:at])
    expect(found.get_by_role("alert")).to_have_count(0)  # half a number was not asked for
    found.page.keyboard.press("ArrowLeft")
    book.in_kernel("shown[1].view = {**shown[1].view, 'title': 'Drawn'}")
    expect(found.locator(".nbt-title")).to_have_text("Drawn")
    found.page.keyboard.press("Backspace")  # of the minus: the caret stayed
    expect(field).to_have_value("5e3")
    found.page.keyboard.type("-")
    found.page.keyboard.press("Enter")
    expect(found.locator(".nbt-top")).to_have_attribute("aria-valuetext", "5e-3")
    expect(found.get_by_role("alert")).to_have_count(0)
    field.fill(str(was))
    found.page.keyboard.press("Tab")
    expect(found.locator(".nbt-top")).to_have_attribute("aria-valuetext", str(was))


def test_a_slider_that_is_touched_and_not_moved_stays(book: OpenNotebook) -> None:
    for kind, selector in (("finder", ".nbt-top rect"), ("freeze", ".nbt-ice span")):
        found = panel(book, kind)
        rest(book, found)
        lines, box = found.locator("[role=slider]").evaluate_all(VALUES), box_of(found.locator(selector))
        for button in ("left", "right"):
            for beside in (3, box["width"] - 3):
                found.page.mouse.move(box["x"] + beside, box["y"] + 10)
                found.page.mouse.down(button=button)
                found.page.wait_for_timeout(100)
                found.page.mouse.up(button=button)
                found.page.keyboard.press("Escape")  # the menu of the right button
                found.page.wait_for_timeout(400)
                assert found.locator("[role=slider]").evaluate_all(VALUES) == lines, (kind, button, beside)


def test_focus_that_had_a_control_which_is_gone_stays_in_the_panel(book: OpenNotebook) -> None:
    found = panel(book, "monitor")
    rest(book, found)
    found.get_by_role("button", name=begins("Use ")).focus()
    found.page.wait_for_timeout(500)
    book.in_kernel("asked = shown[2].heard; shown[2].view = {**shown[2].view, 'state': 'running'}")
    stop = found.get_by_role("button", name="Stop", exact=True)
    expect(stop).to_be_focused()
    found.page.wait_for_timeout(500)
    book.in_kernel("assert shown[2].heard == asked")  # a panel that puts the focus back asks for nothing
    book.in_kernel("shown[2].refresh()")


def test_a_list_that_is_open_stays_open_and_is_drawn_anew_afterwards(book: OpenNotebook) -> None:
    found = panel(book, "finder")
    rest(book, found)
    seeds = found.get_by_role("combobox")
    before = seeds.input_value()
    seeds.click(delay=90)
    assert seeds.evaluate("node => node.matches(':open')")
    book.in_kernel("shown[1].view = {**shown[1].view, 'title': 'Drawn late'}")
    found.page.wait_for_timeout(700)
    assert seeds.evaluate("node => node.matches(':open')")
    assert found.locator(".nbt-title").inner_text() != "Drawn late"
    found.page.keyboard.press("ArrowDown", delay=60)
    found.page.keyboard.press("Enter", delay=60)
    expect(found.locator(".nbt-title")).not_to_have_text("Drawn late")  # the answer to the choice has its own
    assert seeds.input_value() != before
    seeds.select_option(before)


def test_words_that_are_selected_stay_so_while_they_change(book: OpenNotebook) -> None:
    found = panel(book, "monitor")
    rest(book, found)
    found.locator(".nbt-sentence").click(click_count=3)
    chosen = book.page.evaluate("getSelection().toString()")
    assert chosen
    book.in_kernel("shown[2].live = {**shown[2].live, 'sentence': 'another'}")
    found.page.wait_for_timeout(400)
    assert book.page.evaluate("getSelection().toString()") == chosen
    book.page.evaluate("getSelection().removeAllRanges()")
    book.in_kernel("shown[2].live = {**shown[2].live, 'sentence': 'a third'}")
    expect(found.locator(".nbt-sentence")).to_have_text("a third")
    book.in_kernel("shown[2]._draw(anew=True)")


def test_nothing_moves_where_less_motion_is_asked_for(book: OpenNotebook) -> None:
    moving = """e => [e, ...e.querySelectorAll("*")].map(one => getComputedStyle(one)).filter(style =>
      style.transitionDuration.split(", ").some(time => time !== "0s") || style.animationName !== "none").length"""
    cards = panel(book, "freeze")
    assert cards.evaluate(moving) > 0  # where it is not asked for
    book.page.emulate_media(reduced_motion="reduce")
    assert {kind: panel(book, kind).evaluate(moving) for kind in KINDS} == dict.fromkeys(KINDS, 0)
    book.page.emulate_media(reduced_motion="no-preference")


def test_each_fits_into_300_px(book: OpenNotebook, screenshots: Path) -> None:
    for kind in KINDS:
        found = panel(book, kind)
        found.evaluate("e => { e.style.width = '300px'; }")
        found.page.wait_for_timeout(300)
        shot(found, screenshots, f"narrow-{kind}")
        wide = found.evaluate("e => e.scrollWidth - e.clientWidth")
        found.evaluate("e => { e.style.width = ''; }")
        assert wide <= 1, kind


def test_each_says_what_it_does_to_a_screen_reader(book: OpenNotebook) -> None:
    for kind in KINDS:
        found = panel(book, kind)
        assert found.locator(".nbt-said").get_attribute("aria-live") == "polite"
        names = found.get_attribute("aria-label"), found.locator("button, select, input, [role=slider], canvas")
        assert names[0]
        for control in names[1].all():
            named = "e => e.textContent || e.ariaLabel || e.labels?.length || e.hidden"
            assert control.evaluate(named), (kind, control.evaluate("e => e.outerHTML"))


def test_what_moves_fast_is_read_out_once_it_rests(book: OpenNotebook) -> None:
    found = panel(book, "finder")
    rest(book, found)
    found.evaluate(
        """e => { window.words = 0;
        const seen = new MutationObserver(() => { window.words += 1; });
        seen.observe(e.querySelector(".nbt-said"), { childList: true }); }"""
    )
    book.in_kernel("import time\nfor n in range(40): shown[1].said = f'word {n}'; time.sleep(.02)")
    expect(found.get_by_role("status")).to_have_text("word 39")
    assert 1 <= found.evaluate("() => window.words") <= 10


def test_colour_is_never_the_only_sign(book: OpenNotebook) -> None:
    cards = panel(book, "freeze")
    book.in_kernel("odd.freeze_to(-1)")
    expect(cards.locator(".nbt-still")).to_have_count(2)
    assert cards.locator(".nbt-still .nbt-mark").all_inner_texts() == ["❄", "❄"]
    assert cards.locator(".nbt-live .nbt-mark").all_inner_texts() == ["▲"]
    hatched = "e => getComputedStyle(e).backgroundImage"
    assert cards.locator(".nbt-still").first.evaluate(hatched) != cards.locator(".nbt-live").first.evaluate(hatched)
    lines = panel(book, "monitor")
    dashes = "e => getComputedStyle(e).strokeDasharray"
    assert lines.locator(".nbt-line-train").first.evaluate(dashes) == "none"
    assert lines.locator(".nbt-line-valid").first.evaluate(dashes) != "none"


def test_weights_changed_behind_them_are_seen_on_focus(book: OpenNotebook) -> None:
    book.add_and_run(
        "tuner.freeze(); tuner.lr_find(); _ = tuner.evaluate()\nfinder = nt.widgets.LRFinder(tuner)\nfinder"
    )
    book.in_kernel("shown[-1].put(task.valid.x[3])")
    evaluation, pad = panel(book, "evaluate"), panel(book, "sketchpad")
    finder = book.page.locator("[data-nbtune=finder]").last
    expect(evaluation.locator(".nbt-cell").first).to_be_visible()
    before = pad.locator(".nbt-bars").inner_text()
    book.add_and_run("with torch.no_grad():\n    for one in tuner.learn.model.parameters(): one.mul_(-1)")
    finder.scroll_into_view_if_needed()
    finder.get_by_role("slider").first.focus()
    expect(finder.locator(".nbt-sentence")).to_contain_text("Stale")
    panel(book, "evaluate").get_by_role("button", name=begins("Evaluate")).focus()
    expect(evaluation.locator(".nbt-sentence")).to_contain_text("No report of the model as it is now")
    panel(book, "sketchpad").get_by_role("button", name=begins("Invert")).focus()
    expect(pad.locator(".nbt-bars")).not_to_have_text(before, use_inner_text=True)


def test_where_no_click_comes_through_each_names_the_interrupt(book: OpenNotebook) -> None:
    book.in_kernel("for one in shown: one.on_msg(one._asked, remove=True)")  # as if they were held back
    try:
        for kind in KINDS:
            found = panel(book, kind)
            found.locator(
                ".nbt-foot button:not([aria-disabled]):not(.nbt-copy):not([data-key=button-file])"
            ).first.click()
            expect(found.get_by_role("status")).to_contain_text("Interrupt it with the notebook's ■ button")
            expect(found.get_by_role("status")).to_be_visible()
    finally:
        book.in_kernel("for one in shown: one.on_msg(one._asked)")


def test_panels_that_are_closed_take_nothing_with_them(book: OpenNotebook) -> None:
    page = book.page
    book.add_and_run("for one in [*shown, finder]: one.close()")
    for kind in KINDS:
        for node in page.locator(f"[data-nbtune={kind}] button").all()[:3]:
            node.evaluate("e => e.click()")
    book.add_and_run("tuner.unfreeze(); tuner.fit(1); odd.unfreeze(); print('the notebook goes on')")
    assert book.errors() == []
    assert "the notebook goes on" in str(book.cells()[-1]["outputs"])
    assert book.console == []
