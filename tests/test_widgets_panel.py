"""What all panels share: the static picture beside the live one, drawn anew when something changed, and tables."""

from __future__ import annotations

from typing import Any

import pytest

from nbtune_widgets import FreezePanel, LRFinder, Monitor
from nbtune_widgets.panel import Panel
from nbtune_widgets.words import short
from panel_acts import Shown, ask, begun


@pytest.fixture(params=(FreezePanel, LRFinder, Monitor), ids=lambda kind: kind.__name__)
def panel(request: Any) -> Panel:
    made: Panel = request.param(begun())
    return made


def test_a_cell_gets_the_live_panel_then_its_picture_with_an_id(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Shown(monkeypatch)
    panel.tuner.fit(1)  # or a Monitor has nothing to draw
    panel._ipython_display_()
    (live, _), (still, how) = page.first
    assert "application/vnd.jupyter.widget-view+json" in live
    title, sentence = live["text/plain"].split(": ", 1)  # for who has neither script nor picture
    assert title == panel.view["title"]
    assert sentence.split(" (")[0] in panel.view["sentence"]
    assert how == {"display_id": panel.still_id}
    assert f'data-nbtune-static="{panel.still_id}"' in still.data
    assert "data:image/png;base64," in still.data


@pytest.mark.parametrize("kind", [FreezePanel, LRFinder])
def test_a_verb_in_a_cell_draws_the_picture_anew(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    page, panel = Shown(monkeypatch), kind(begun())
    panel.tuner.freeze_to(2)
    assert page.again == []  # not in a page yet
    panel._ipython_display_()
    panel.tuner.freeze_to(1)
    ((_, where),) = page.again
    assert where == panel.still_id


def test_a_storm_of_acts_draws_the_picture_once_when_it_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    page, panel = Shown(monkeypatch), FreezePanel(begun(), seconds=0)
    panel._ipython_display_()
    for at in (1, 2, 3, 1, 2):
        ask(panel, "freeze_to", at)
    assert page.again == []
    assert panel._later is not None
    panel._later.join(10)
    assert len(page.again) == 1


def test_a_drag_in_one_panel_does_not_wait_for_the_pictures_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    page, tuner = Shown(monkeypatch), begun()
    other, panel = LRFinder(tuner), FreezePanel(tuner, seconds=0)
    other._ipython_display_()
    ask(panel, "freeze_to", 2)
    assert page.again == []
    assert dict(other.view["rates"]).keys() == {group.name for group in tuner.groups[2:]}  # drawn at once
    assert other._later is not None
    other._later.join(10)
    assert [where for _, where in page.again] == [other.still_id]


def test_an_unknown_act_is_no_error(panel: Panel) -> None:
    ask(panel, "__class__", "x")
    assert panel.error == {}
    assert panel.heard == panel.answered == 1


def test_a_question_counts_as_answered_when_all_that_came_of_it_is_there() -> None:
    """Until then the page goes on from where it is heading to: choices come faster than answers."""
    panel = FreezePanel(begun(), seconds=0)
    seen: list[tuple[int, int, str]] = []
    for name in ("heard", "answered"):
        panel.observe(lambda change: seen.append((panel.heard, panel.view["first"], change["name"])), name)
    ask(panel, "freeze_to", 2)
    assert seen == [(1, 0, "heard"), (1, 2, "answered")]


def test_closing_a_panel_ends_what_it_would_have_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    page, panel = Shown(monkeypatch), FreezePanel(begun(), seconds=0)
    panel._ipython_display_()
    ask(panel, "freeze_to", 2)
    panel.close()
    assert panel._later is not None
    panel._later.join(10)
    panel.redraw()
    panel.tuner.unfreeze()
    assert page.again == []


@pytest.mark.parametrize(("number", "text"), [(0, "0"), (999, "999"), (9500, "9.5 k"), (2.1e6, "2.1 M"), (3e9, "3 G")])
def test_counts_are_short(number: float, text: str) -> None:
    assert short(number) == text
