"""Evaluation without a browser: no look in passing, cells with exactly their items, and lines that are true."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import nbtune as nt
from learners import digits
from nbtune.errors import InputError, InputTypeError
from nbtune.evaluate import Report, report
from nbtune.evaluate.labels import labels_report
from nbtune.evaluate.numbers import numbers_report
from nbtune_widgets import Evaluation
from panel_acts import Shown, ask, run, wait

HTML = "<img src=x onerror=alert(1)>"


def made(classes: int = 3, seed: int = 3, n: int = 60, images: bool = False) -> Report:
    rng = np.random.default_rng(seed)
    targets = np.random.default_rng(0).integers(0, classes, n)
    items = np.random.default_rng(0).integers(0, 255, (n, 8, 8), dtype=np.uint8) if images else None
    names = [HTML, *(f"class {c}" for c in range(1, classes))]
    return report(rng.dirichlet(np.ones(classes), n), targets, names, items=items, n_boot=20)


def tuner() -> nt.Tuner:
    learn = digits()
    return nt.Tuner(learn, test=learn.dls.valid, seed=0, groups="learner")


def test_a_tuners_test_set_is_looked_at_when_that_is_asked_for_and_not_before() -> None:
    one = tuner()
    panel = Evaluation(one)
    ask(panel, "refresh")
    panel.static()
    assert one.reports == ()
    assert panel.view["asks"]
    assert "look is counted" in panel.view["sentence"]
    ask(panel, "evaluate")
    wait(panel)
    assert panel.error == {}
    assert panel.code == "report = tuner.evaluate()"
    first = one.reports[0].looks
    Evaluation(one)  # shows the report that is there
    assert run(panel.code, one)["report"].looks == first + 1
    assert repr(panel.report) == repr(one.reports[0])  # what is done in code shows


@pytest.mark.parametrize("act", [("cell", 0, 1), ("worst",), ("page", 2), ("threshold", 0, 0.4)])
def test_what_is_asked_of_a_report_that_a_training_has_outdated_is_no_error(act: tuple[Any, ...]) -> None:
    one = tuner()
    one.evaluate()
    panel = Evaluation(one)
    one.fit(1, 1e-2)
    ask(panel, "refresh")  # as the click's focus does
    before = panel.code
    ask(panel, *act)
    assert panel.error == {}
    assert panel.code == before
    assert "No report of the model as it is now" in panel.view["sentence"]


def test_a_report_of_a_model_that_changed_is_not_shown() -> None:
    one = tuner()
    one.evaluate()
    panel = Evaluation(one)
    assert panel.report is not None
    one.fit(1, 1e-2)
    assert panel.report is None


def test_a_tuner_without_test_set_says_so_in_four_parts() -> None:
    panel = Evaluation(nt.Tuner(digits(), seed=0, groups="learner"))
    ask(panel, "evaluate")
    wait(panel)
    assert "without a test set" in panel.error["given"]
    assert all(panel.error.values())


@pytest.mark.parametrize("images", [True, False])
def test_every_cell_opens_exactly_its_items(images: bool) -> None:
    r = made(images=images)
    panel = Evaluation(r)
    for t in range(3):
        for p in range(3):
            ask(panel, "cell", t, p)
            shown = panel.listed
            wanted = np.flatnonzero((r.targets == t) & (r.predicted == p))
            assert sorted(int(row[0]) for row in shown["rows"]) == wanted.tolist()
            assert (shown["tiles"] is not None) == images
            assert eval(panel.code, {"report": r})["index"].tolist() == [int(row[0]) for row in shown["rows"]]


def test_worst_errors_and_thresholds_are_those_of_their_lines() -> None:
    r = made()
    panel = Evaluation(r)
    ask(panel, "threshold", 1, 0.3)
    assert panel.view["threshold"] == {"class": 1, "at": 0.3}
    assert eval(panel.code, {"report": r}).sentence == panel.curve["rows"][30][-1]
    ask(panel, "worst")
    found = eval(panel.code, {"report": r})
    assert found["index"].tolist() == [int(row[0]) for row in panel.listed["rows"]]


@pytest.mark.parametrize("cell", [None, (1, 2)])
def test_pages_hold_all_items_once_and_their_lines_are_true(cell: Any) -> None:
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(3), 900)
    r = report(probs, np.full(900, 1), ["a", "b", "c"], n_boot=20)
    panel = Evaluation(r)
    ask(panel, *(("worst",) if cell is None else ("cell", *cell)))
    wanted = r.worst(900).rows if cell is None else r.cell("b", "c")
    seen: list[int] = []
    for page in range(1, panel.listed["pages"] + 1):
        ask(panel, "page", page)
        shown = [int(row[0]) for row in panel.listed["rows"]]
        assert eval(panel.code, {"report": r})["index"].tolist() == shown
        assert 1 <= len(shown) <= 60
        seen += shown
    assert seen == wanted["index"].tolist()
    assert len(seen) > 240
    ask(panel, "page", 99)  # the last there is
    assert panel.listed["page"] == panel.listed["pages"]


def test_a_moving_threshold_sends_neither_items_nor_the_report_again() -> None:
    panel = Evaluation(made(images=True))
    kept = panel.facts, panel.listed, panel.curve
    ask(panel, "threshold", 2, 0.9)
    assert all(a is b for a, b in zip(kept, (panel.facts, panel.listed, panel.curve), strict=True))
    ask(panel, "threshold", 1, 0.9)
    assert panel.curve["name"] == "class 1"
    assert len(repr(panel.view)) < 2000


def test_reports_of_several_labels_and_of_numbers_show_their_metrics() -> None:
    rng = np.random.default_rng(0)
    labels = labels_report(rng.random((30, 3)), rng.integers(0, 2, (30, 3)), ["a", "b", "c"], n_boot=20)
    for one in (labels, numbers_report(rng.random((30, 1)), rng.random((30, 1)), ["y"], n_boot=20)):
        panel = Evaluation(one, one)
        assert [row[0] for row in panel.facts["metrics"]] == list(one.metrics)
        assert "vocab" not in panel.facts
        assert "<img " in panel.static()


def test_lines_of_a_tuner_run_as_they_stand() -> None:
    one = tuner()
    one.evaluate()
    panel = Evaluation(one)
    ask(panel, "threshold", 2, 0.25)
    assert eval(panel.code, {"tuner": one}).sentence == panel.curve["rows"][25][-1]


def test_two_reports_are_compared_and_other_items_are_refused() -> None:
    first, other = made(), made(seed=4)
    panel = Evaluation(first, other)
    compared: Any = panel.facts["compared"]
    assert compared["said"] == repr(eval(compared["code"], {"report": first, "other": other}))
    with pytest.raises(InputError):
        Evaluation(first, made(n=50))


class Broken:
    """Pictures of which one cannot be read."""

    def __len__(self) -> int:
        return 60

    def __getitem__(self, at: int) -> Any:
        if at == 7:
            raise OSError("the file is truncated")
        return np.zeros((8, 8), np.uint8)


def test_a_picture_that_cannot_be_drawn_is_said_and_the_others_are_drawn() -> None:
    one = replace(made(images=True), images=Broken())
    panel = Evaluation(one)
    ask(panel, "cell", int(one.targets[7]), int(one.predicted[7]))
    assert panel.error == {}
    tiles = dict(zip((row[0] for row in panel.listed["rows"]), panel.listed["tiles"], strict=True))
    assert tiles.pop("7") == {"cannot": "OSError: the file is truncated"}
    assert tiles
    assert all(tile["src"].startswith("data:image/png") for tile in tiles.values())


def test_a_thousand_classes_stay_a_small_message() -> None:
    panel = Evaluation(made(classes=1000, n=2000))
    assert panel.facts["matrix"] == []
    assert len(panel.facts["pairs"]) == 60
    t, p, count = panel.facts["pairs"][0]
    ask(panel, "cell", t, p)
    assert len(panel.listed["rows"]) == count
    assert len(repr(panel.facts)) < 500_000
    assert len(repr(panel.view)) < 2000


def test_the_static_picture_holds_no_html_of_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    Shown(monkeypatch)
    panel = Evaluation(made(), made(seed=4))
    assert re.findall(r"<img (?!src=\"data:)", panel.static()) == []


@pytest.mark.parametrize("given", [None, "report", 3])
def test_what_is_no_report_is_refused(given: Any) -> None:
    with pytest.raises(InputTypeError):
        Evaluation(given)
    if given is not None:
        with pytest.raises(InputTypeError):
            Evaluation(made(), given)
