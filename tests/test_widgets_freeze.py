"""FreezePanel without a browser: what it shows is read from the model, and every line it shows is true."""

from __future__ import annotations

from typing import Any

import pytest

import nbtune as nt
from learners import bits
from nbtune.errors import InputTypeError
from nbtune_widgets import FreezePanel
from panel_acts import Shown, ask, begun, run, same, wait


def shown(panel: FreezePanel) -> list[bool]:
    return [group["still"] for group in panel.view["groups"]]


def test_it_shows_the_plan_of_now() -> None:
    tuner = begun()
    panel = FreezePanel(tuner)
    assert panel.view["sentence"] == repr(tuner.plan)
    assert shown(panel) == [False] * 4
    tuner.freeze_to(2)  # in code
    assert panel.view["sentence"] == repr(tuner.plan)
    assert shown(panel) == [True, True, False, False]
    assert panel.view["spoken"].endswith("2 of 4 groups are still")
    assert panel.view["share"] == f"{100 * tuner.plan.trainable / tuner.plan.total:.0f} %"
    assert [row[1] for row in panel.view["rows"]] == ["❄ still"] * 2 + ["▲ trains"] * 2


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ([("freeze_to", 2)], "tuner.freeze_to({2!r})"),
        ([("freeze",)], "tuner.freeze()"),
        ([("freeze",), ("unfreeze",)], "tuner.unfreeze()"),
        ([("freeze_to", 2), ("freeze_to", 0)], "tuner.unfreeze()"),
        ([("freeze_to", 1), ("norms", "stats")], "tuner.freeze_to({1!r}, norms='stats')"),
        ([("freeze_to", 1), ("norms", "train"), ("freeze_to", 3)], "tuner.freeze_to({3!r}, norms='train')"),
        ([("norms", "stats")], "tuner.freeze_to({0!r}, norms='stats')"),
        ([("freeze",), ("verify",)], "tuner.verify()"),
        ([("freeze_to", 2), ("depth",)], "tuner.depth()"),
        ([("freeze_to", 2), ("measure",)], "tuner.prices(60.0)"),
        ([("freeze_to", 2), ("stop",)], "tuner.stop()"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_line_is_true(asked: list[tuple[Any, ...]], code: str) -> None:
    by_hand, in_code = begun(), begun()
    panel = FreezePanel(by_hand)
    for act, *values in asked:
        panel.code = ""
        ask(panel, act, *values)
        wait(panel)
        assert panel.error == {}
        run(panel.code, in_code)
    assert panel.code == code.format(*(group.name for group in by_hand.groups))
    same(by_hand, in_code)


def test_no_control_is_left_out_above() -> None:
    mark = next(m for m in test_every_line_is_true.pytestmark if m.name == "parametrize")
    tried = {act for asked, _ in mark.args[1] for act, *_ in asked}
    assert tried | {"by"} == set(FreezePanel(begun()).acts())  # it changes what is looked at only


def test_the_proof_is_said_and_goes_with_the_next_change() -> None:
    panel = FreezePanel(begun())
    ask(panel, "freeze")
    ask(panel, "verify")
    assert "Still, proven" in panel.view["sentence"]
    assert "Still, proven" in panel.said
    ask(panel, "freeze_to", 1)
    assert "proven" not in panel.view["sentence"]


def test_probing_depths_gives_what_the_line_gives() -> None:
    tuner, panel = begun(), None
    panel = FreezePanel(tuner)
    for _ in range(5):  # a storm of clicks
        ask(panel, "depth")
    wait(panel)
    assert panel.error == {}
    assert panel.code == "tuner.depth()"
    found = run(f"found = {panel.code}", begun())["found"]
    assert [place["value"] for place in panel.view["depth"]] == [place.accuracy.value for place in found.places]
    assert panel.view["head"][-1] == "linear probe before it"  # the line's data as a table, with its interval
    last = found.places[-1].accuracy
    assert panel.view["rows"][-1][-1] == f"{last.value:.3f} [{last.low:.3f}, {last.high:.3f}]"
    assert tuner.code().count("tuner.depth()") == 1


def test_prices_rates_and_what_stayed_still() -> None:
    tuner = begun()
    panel = FreezePanel(tuner)
    ask(panel, "freeze_to", 2)
    panel.ready()
    assert all(group["ms"] > 0 for group in panel.view["groups"])
    assert "an epoch" in panel.view["sentence"]
    assert panel.view["groups"][3]["lr"].endswith("next")
    assert [group["held"] for group in panel.view["groups"]] == [""] * 4
    tuner.fit(1, lr=slice(1e-3, 1e-2))
    assert [group["held"] for group in panel.view["groups"]] == ["✓ unchanged"] * 2 + [""] * 2
    assert panel.view["groups"][2]["lr"] == "1e-3 last"
    assert panel.view["groups"][3]["lr"] == "1e-2 last"


def test_the_gradient_of_the_last_step_is_shown_where_one_was_taken() -> None:
    tuner = begun()
    panel = FreezePanel(tuner)
    assert {group["slope"] for group in panel.view["groups"]} == {""}
    tuner.freeze_to(2)
    tuner.fit(1, 1e-3)
    still, trained = panel.view["groups"][:2], panel.view["groups"][2:]
    assert [group["slope"] for group in still] == ["", ""]
    assert [group["slope"] for group in trained] == [f"{tuner.trace.slopes[g['name']]:.2g}" for g in trained]
    assert all(float(group["slope"]) > 0 for group in trained)
    at = panel.view["head"].index("gradient, last step")
    assert [row[at] for row in panel.view["rows"]] == [group["slope"] for group in panel.view["groups"]]


def test_norms_that_follow_the_data_are_not_called_unchanged() -> None:
    tuner = begun()
    panel = FreezePanel(tuner, seconds=0)
    tuner.freeze_to(2, norms="stats")
    tuner.fit(1, 1e-3)
    held = {group["norms"]: group["held"] for group in panel.view["groups"] if group["still"]}
    assert held["stats"] == "✓ unchanged but for norms"


def test_the_saved_page_tells_of_probes_and_proofs_too() -> None:
    panel = FreezePanel(begun(), seconds=0)
    ask(panel, "freeze_to", 2)
    assert panel.static().count("<img") == 1
    assert f"<p>{panel.tuner.rates()!r}</p>" in panel.static()
    ask(panel, "depth")
    wait(panel)
    ask(panel, "verify")
    assert panel.static().count("<img") == 2
    assert "Linear probes on" in panel.static()
    assert "proven" in panel.static()


def test_a_learner_changed_behind_its_back_is_seen_on_focus() -> None:
    tuner = begun()
    panel = FreezePanel(tuner)
    tuner.learn.model[0].requires_grad_(False)
    assert panel.view["groups"][0]["odd"] == ""
    ask(panel, "refresh")
    assert panel.view["groups"][0]["odd"] == "takes no gradient now"
    assert panel.view["sentence"] == repr(tuner.plan)


def test_widths_follow_parameters_time_or_nothing() -> None:
    panel = FreezePanel(begun())
    assert panel.view["measures"] == ["parameters", "equal"]
    sizes = [group["width"] for group in panel.view["groups"]]
    panel.ready()
    assert panel.view["measures"] == ["parameters", "time", "equal"]
    ask(panel, "by", "time")
    assert [group["width"] for group in panel.view["groups"]] != sizes
    ask(panel, "by", "equal")
    assert {group["width"] for group in panel.view["groups"]} == {1.0}
    assert panel.code == ""  # a look, not an act


@pytest.mark.parametrize("given", [("freeze_to", 99), ("norms", "<b>"), ("by", "weight")])
def test_a_bad_wish_is_an_error_in_the_panel_and_nothing_is_changed(given: tuple[Any, ...]) -> None:
    tuner = begun()
    panel = FreezePanel(tuner)
    before, plan = bits(tuner.learn.model), repr(tuner.plan)
    ask(panel, *given)
    assert panel.error["given"]
    assert (bits(tuner.learn.model), repr(tuner.plan)) == (before, plan)
    ask(panel, "freeze")
    assert panel.error == {}


def test_a_verb_that_runs_makes_it_busy_and_says_which() -> None:
    tuner, seen = begun(), []
    panel = FreezePanel(tuner)
    panel.observe(lambda change: seen.append(change["new"]), "busy")
    tuner.freeze()  # too short to be called busy
    assert seen == []
    tuner.fit(1)
    assert seen == ["tuner.fit() is running.", ""]


def test_a_closed_panel_hears_nothing_more() -> None:
    tuner = begun()
    panel = FreezePanel(tuner)
    before = panel.view
    panel.close()
    tuner.freeze()
    assert panel.view == before


@pytest.mark.parametrize("given", [None, "model"])
def test_it_takes_a_tuner(given: Any) -> None:
    with pytest.raises(InputTypeError, match="a Tuner"):
        FreezePanel(given)
    with pytest.raises(InputTypeError, match="the Learner was given"):
        FreezePanel(begun().learn)


def test_a_picture_stands_beside_it_and_is_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    page, tuner = Shown(monkeypatch), begun()
    panel = FreezePanel(tuner, seconds=0)
    tuner.freeze()
    assert page.again == []  # not in a page yet
    panel._ipython_display_()
    (live, _), (still, how) = page.first
    assert live["text/plain"].startswith("What trains, what is still: Only ")
    assert how == {"display_id": panel.still_id}
    assert 'src="data:image/png;base64' in still.data
    tuner.freeze_to(1)
    html, name = page.again[-1]
    assert name == panel.still_id
    assert html.startswith(f'<div data-nbtune-static="{panel.still_id}">')
    assert "(3 groups)" in html or tuner.plan.sentence.split(" (")[0] in html


def test_names_with_html_are_text_in_the_picture() -> None:
    from torch import nn

    from learners import cnn, digits

    model = nn.Sequential()
    for name, part in zip(("<img src=x onerror=hit()>", "b", "c", "head"), cnn(), strict=True):
        model.add_module(name, part)
    panel = FreezePanel(nt.Tuner(digits(model), seed=0))
    assert any("<img" in group["name"] for group in panel.view["groups"])
    assert "<img src=x" not in panel.static()
    assert "&lt;img" in panel.static()
