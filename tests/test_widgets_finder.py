"""LRFinder without a browser: its curve and rates are the Tuner's, and every line it shows is true."""

from __future__ import annotations

from typing import Any

import pytest

import nbtune as nt
from learners import bits
from nbtune.errors import InputTypeError
from nbtune_widgets import LRFinder
from panel_acts import Shown, ask, begun, run, same, wait


def finding(**options: Any) -> tuple[nt.Tuner, LRFinder]:
    """A Tuner with a still body, and a panel that measured a curve of it."""
    tuner = begun(**options)
    tuner.freeze_to(2)
    panel = LRFinder(tuner)
    ask(panel, "find")
    wait(panel)
    assert panel.error == {}
    return tuner, panel


def test_before_a_test_it_shows_the_rates_of_the_next_fit() -> None:
    tuner = begun()
    panel = LRFinder(tuner)
    assert panel.view["curve"] is None
    assert panel.view["sentence"].startswith("No range test yet")
    assert dict(panel.view["rates"]) == tuner.rates().training
    assert panel.code == ""


def test_the_line_of_a_range_test_gives_the_same_curve() -> None:
    other = begun()
    other.freeze_to(2)
    tuner, panel = finding()
    before = bits(tuner.learn.model)
    assert panel.code == "curve = tuner.lr_find()"
    assert run(panel.code, other)["curve"] == tuner.curve
    ask(panel, "seeds", 3)
    ask(panel, "find")
    wait(panel)
    assert panel.code == "curve = tuner.lr_find(seeds=3)"
    assert run(panel.code, other)["curve"] == tuner.curve
    assert panel.view["sentence"].startswith(tuner.curve.verdict)  # type: ignore[union-attr]
    assert panel.view["curve"]["several"]
    same(tuner, other)
    assert bits(tuner.learn.model) == before
    assert panel.progress[0] == panel.progress[1] > 0


def test_the_line_of_a_chosen_rate_sets_it() -> None:
    (tuner, panel), (other, _) = finding(), finding()
    ask(panel, "choose", 1e-4, 3.14159e-3, "top")
    assert (panel.base, panel.top) == (1e-4, 3.1e-3)  # two digits: more are noise
    assert tuner.lr is None
    assert panel.code == "tuner.rates(slice(0.0001, 0.0031))"  # what would be, before it is used
    assert dict(panel.view["rates"]) == run(f"rates = {panel.code}", other)["rates"].training
    ask(panel, "use")
    assert panel.code == "tuner.lr = slice(0.0001, 0.0031)"
    assert panel.view["used"]
    run(panel.code, other)
    same(tuner, other)
    ask(panel, "choose", 2e-3, 2e-3, "top")
    assert not panel.view["used"]
    ask(panel, "use")
    assert panel.code == "tuner.lr = 0.002"
    run(panel.code, other)
    same(tuner, other)


def test_the_rate_that_is_moved_takes_the_other_along() -> None:
    _, panel = finding()
    ask(panel, "choose", 1e-3, 1e-4, "top")
    assert (panel.base, panel.top) == (1e-4, 1e-4)
    ask(panel, "choose", 1e-2, 1e-4, "base")
    assert (panel.base, panel.top) == (1e-2, 1e-2)
    ask(panel, "choose", "2e-3", 1e-2, "base")  # as typed
    assert (panel.base, panel.top) == (2e-3, 1e-2)


def test_a_rate_set_in_code_and_a_curve_measured_in_code_are_shown() -> None:
    tuner, panel = finding()
    tuner.lr = slice(1e-5, 1e-2)
    assert (panel.base, panel.top) == (1e-5, 1e-2)
    assert panel.view["used"]
    assert "The next fit takes 1e-05 for the first group that trains to 0.01 for the last." in panel.view["sentence"]
    curve = tuner.lr_find(start=1e-5, steps=50)
    assert panel.view["curve"]["lrs"][0] == curve.lrs[0]


def test_another_plan_or_training_makes_the_curve_stale() -> None:
    tuner, panel = finding()
    assert panel.view["stale"] == ""
    tuner.freeze()
    assert panel.view["sentence"].startswith("Stale: it was measured with")
    tuner.freeze_to(2)
    assert panel.view["stale"] == ""
    tuner.fit(1)
    assert panel.view["stale"] == "trained since"
    assert "Stale" in panel.static()


def test_with_one_group_that_trains_there_is_one_rate() -> None:
    tuner = begun()
    tuner.freeze()
    panel = LRFinder(tuner)
    ask(panel, "choose", 1e-5, 1e-2, "top")
    assert panel.lr == 1e-2
    assert len(panel.view["rates"]) == 1


@pytest.mark.parametrize("top", ["abc", "<img src=x>", "-1", "nan", "1e400", "", None, [1]])
def test_what_is_no_rate_is_refused_in_four_parts(top: Any) -> None:
    tuner, panel = finding()
    before = panel.base, panel.top, tuner.lr
    ask(panel, "choose", panel.base, top, "top")
    assert all(panel.error[part] for part in ("given", "rule", "likely", "next"))
    assert (panel.base, panel.top, tuner.lr) == before


def test_stop_ends_the_range_test_and_a_storm_begins_one() -> None:
    tuner = begun()
    panel, begun_verbs = LRFinder(tuner), []
    tuner.watch(lambda: begun_verbs.append(tuner.running))
    ask(panel, "seeds", 5)
    panel.observe(lambda change: ask(panel, "stop") if change["new"][0] else None, "progress")
    before = bits(tuner.learn.model)
    for _ in range(10):
        ask(panel, "find")
    wait(panel)
    assert begun_verbs.count("lr_find") == 1
    assert panel.error == {}
    assert tuner.curve is not None
    assert len(panel.view["curve"]["lrs"]) < tuner.curve.steps or len(tuner.curve.losses) < 5
    assert bits(tuner.learn.model) == before


def test_it_is_busy_until_another_click_would_be_heard() -> None:
    """Or the page shows a button that does nothing: the verb ends before all that follows it has been said."""
    panel, seen = LRFinder(begun()), []
    panel.observe(lambda change: seen.append((change["new"], panel._thread is None, panel.code)), "busy")
    ask(panel, "find")
    wait(panel)
    assert [busy for busy, *_ in seen] == ["tuner.lr_find() is running.", ""]
    assert seen[-1][1:] == (True, "curve = tuner.lr_find()")


def test_a_learner_frozen_behind_its_back_is_seen_on_focus() -> None:
    tuner, panel = finding()
    assert panel.view["stale"] == ""
    tuner.learn.model[3][3].weight.data.add_(1.0)
    ask(panel, "refresh")
    assert panel.view["stale"] == "trained since"


def test_a_test_that_cannot_run_is_an_error_in_the_panel(monkeypatch: pytest.MonkeyPatch) -> None:
    _, panel = finding()
    monkeypatch.setattr(panel.tuner, "lr_find", lambda **_: 1 / 0)
    ask(panel, "find")
    wait(panel)
    assert panel.error["given"] == "ZeroDivisionError: division by zero"
    assert panel.busy == ""


def test_the_picture_beside_it_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    page, tuner = Shown(monkeypatch), begun()
    panel = LRFinder(tuner)
    panel._ipython_display_()
    assert "No range test yet" in page.first[1][0].data
    assert 'src="data:image/png;base64' in page.first[1][0].data
    tuner.freeze()
    tuner.lr_find()
    html, name = page.again[-1]
    assert name == panel.still_id
    assert tuner.curve is not None
    assert tuner.curve.verdict.split(":")[0] in html
    assert page.first[0][0]["text/plain"].startswith("Learning rate range test: ")
    assert "opacity" not in html
    tuner.unfreeze()
    assert "Stale: " in page.again[-1][0]
    assert "opacity:.5" in page.again[-1][0]


def test_it_takes_a_tuner() -> None:
    with pytest.raises(InputTypeError, match="the Learner was given"):
        LRFinder(begun().learn)
