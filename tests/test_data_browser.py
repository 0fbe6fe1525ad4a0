"""DataBrowser without a browser: every control and its line of Python, marks that outlive all, bounded messages."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import numpy as np
import pandas as pd
import pytest

import nbtune as nt
from nbtune.tasks import Items
from nbtune.tasks.edited import Mark
from nbtune.tasks.task import make_task
from nbtune_widgets.pages import PAGE

TASK = nt.tasks.digits(shots=10)
EVIL = "<img src=x onerror=window.hit=1>"


def asked(browser: Any, act: str, *values: Any) -> None:
    """As the page does."""
    browser._asked(None, {"act": act, "with": list(values)}, None)
    thread = browser._thread
    if thread is not None:
        thread.join(30)


@pytest.fixture
def browser() -> Any:
    return nt.widgets.DataBrowser(TASK)


@pytest.fixture(scope="module")
def tuner() -> nt.Tuner:
    return nt.Tuner(TASK.learner("letters", seed=0), test=TASK.test, seed=0)


def so(browser: Any) -> Any:
    """All that a panel shows, besides its line of code."""
    return browser.view, browser.pictures, browser.marks.to_dict("records")


SHOWN: dict[str, Any] = {"split": "train", "label": None, "only": "all", "by": "split", "page": 1, "as_input": False}
ITEM = TASK.train.ids[3]
OTHER = TASK.vocab[(TASK.train.y[2] + 1) % 10]  # not what train.ids[2] is
ACTS: dict[str, tuple[str, list[Any]]] = {
    "split": ("show", [{**SHOWN, "split": "valid"}]),
    "class": ("show", [{**SHOWN, "label": "3"}]),
    "page": ("show", [{**SHOWN, "page": 2}]),
    "all": ("show", [SHOWN]),
    "marked": ("show", [{**SHOWN, "only": "marked"}]),
    "copies": ("show", [{**SHOWN, "only": "copies"}]),
    "loss": ("show", [{**SHOWN, "by": "loss", "split": "all"}]),
    "input": ("show", [{**SHOWN, "split": "valid", "as_input": True}]),
    "mark": ("mark", [ITEM, "7"]),
    "exclude": ("exclude", [ITEM]),
    "clear": ("clear", [TASK.train.ids[1]]),
    "undo": ("undo", []),
    "redo": ("redo", []),
    "preview": ("preview", []),
    "stop": ("stop", []),
}


@pytest.mark.parametrize("name", ACTS)
def test_the_line_of_code_does_the_same_as_the_control(name: str, tuner: nt.Tuner) -> None:
    panels = [nt.widgets.DataBrowser(TASK, tuner) for _ in range(2)]
    for panel in panels:
        panel.exclude(TASK.train.ids[1])
        panel.mark(TASK.train.ids[2], OTHER)
        panel.undo() if name == "redo" else panel.show("valid")
    act, values = ACTS[name]
    asked(panels[0], act, *values)
    assert panels[0].error == {}
    said = panels[0].code
    assert said == "tuner.stop()" if name == "stop" else "browser." in said
    exec(said, {"browser": panels[1], "task": TASK, "tuner": tuner})
    if name == "stop":
        return
    if name == "preview":
        assert panels[0].view["edit"]["sentence"] == "train: 1 relabelled and 1 left out of 100."
        return
    first, second = so(panels[0]), so(panels[1])
    if name == "loss":
        first[0].pop("sentence"), second[0].pop("sentence")  # seconds differ
    assert first == second
    assert panels[1].code == said
    for panel in panels:
        panel.close()


def test_no_control_is_left_out_above(browser: Any) -> None:
    assert {act for act, _ in ACTS.values()} == set(browser.acts())


def test_marks_outlive_class_split_and_page_and_go_into_the_task(browser: Any) -> None:
    browser.mark(TASK.train.ids[0], "5")
    browser.show("valid", page=3)
    browser.exclude(TASK.valid.ids[150])
    browser.show("train", label="4")
    browser.show("test")
    assert browser.marks.values.tolist() == [
        ["train", TASK.train.ids[0], "label", "5"],
        ["valid", TASK.valid.ids[150], "exclude", ""],
    ]
    new = TASK.edited(browser.marks)
    assert new.train.y[0] == 5
    assert len(new.valid) == 199
    browser.show("all", only="marked")
    assert [tile["told"] for tile in browser.view["tiles"]] == ["is 5", "left out"]


def test_undo_and_redo_go_back_and_forth_over_everything(browser: Any) -> None:
    states = [browser.marks.values.tolist()]
    other = TASK.train.ids[2]
    mark, out = ("mark", other, OTHER), ("exclude", other)
    for act, *values in (mark, out, ("clear", other), mark, ("exclude", ITEM)):
        getattr(browser, act)(*values)
        states.append(browser.marks.values.tolist())
    for expected in reversed(states[:-1]):
        browser.undo()
        assert browser.marks.values.tolist() == expected
    browser.undo()  # nothing is left to undo
    for expected in states[1:]:
        browser.redo()
        assert browser.marks.values.tolist() == expected
    browser.undo()
    browser.exclude(other)
    assert browser.view["steps"] == (4 + 1, 0)


def test_the_label_that_it_has_takes_the_mark_away(browser: Any) -> None:
    own = TASK.vocab[TASK.train.y[3]]
    browser.exclude(ITEM)
    browser.mark(ITEM, own)
    assert len(browser.marks) == 0


REFUSED: dict[str, Any] = {
    "test item": lambda b: b.exclude(TASK.test.ids[0]),
    "no item": lambda b: b.mark("digits/none", "1"),
    "class": lambda b: b.mark(ITEM, "eleven"),
    "place of a class": lambda b: b.mark(ITEM, 3),
    "split": lambda b: b.show("training"),
    "page": lambda b: b.show(page=99),
    "page 0": lambda b: b.show(page=0),
    "loss without model": lambda b: b.show(by="loss"),
    "input without model": lambda b: b.show(as_input=True),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_and_changes_nothing(browser: Any, name: str) -> None:
    before = so(browser)
    with pytest.raises(nt.NbtuneError, match=r"(?s)Rule: .*Likely: .*Next: "):
        REFUSED[name](browser)
    assert so(browser) == before
    asked(browser, "mark", "digits/none", "1")
    assert set(browser.error) == {"given", "rule", "likely", "next"}


def test_the_test_split_is_never_ordered_by_loss(tuner: nt.Tuner) -> None:
    browser = nt.widgets.DataBrowser(TASK, tuner)
    with pytest.raises(nt.NbtuneError, match="never on test"):
        browser.show("test", by="loss")
    browser.show("all", by="loss")
    assert browser.view["total"] == len(TASK.train) + len(TASK.valid)
    losses = [float(tile["loss"]) for tile in browser.view["tiles"]]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] > 1 > losses[-1]
    browser.close()


@pytest.mark.parametrize("kind", ["tuner", "learner", "body", "none"])
def test_what_may_be_given_as_a_model(kind: str, tuner: nt.Tuner) -> None:
    model = {"tuner": tuner, "learner": tuner.learn, "body": "letters", "none": None}[kind]
    browser = nt.widgets.DataBrowser(TASK, model)
    assert browser.view["model"] is (kind != "none")
    if kind != "none":
        browser.show(as_input=True)
        assert "float32" in browser.view["input"]
    browser.close()


def test_anything_but_a_task_is_refused(tuner: nt.Tuner) -> None:
    for given in (tuner, TASK.train, "digits", None):
        with pytest.raises(nt.NbtuneError, match=r"(?s)DataBrowser shows a task.*Next: nt.widgets.DataBrowser\(task"):
            nt.widgets.DataBrowser(given)
    with pytest.raises(nt.NbtuneError):
        nt.widgets.DataBrowser(TASK, 3)


def test_a_model_on_the_task_before_it_was_edited_is_refused(tuner: nt.Tuner) -> None:
    marks = pd.DataFrame([["train", TASK.train.ids[2], "label", OTHER]], columns=["split", "item", "what", "label"])
    browser = nt.widgets.DataBrowser(TASK.edited(marks), tuner)
    with pytest.raises(nt.NbtuneError, match=r"(?s)1 items under other labels.*before the task was edited"):
        browser.show(by="loss")
    browser.close()


@pytest.mark.parametrize("kind", ["multi", "regression"])
def test_items_without_one_class_are_refused_in_words(kind: str) -> None:
    task = nt.tasks.digits(shots=1)
    object.__setattr__(task, "kind", kind)
    with pytest.raises(nt.NbtuneError, match="one class each"):
        nt.widgets.DataBrowser(task)
    with pytest.raises(nt.NbtuneError, match="an item one class"):
        task.edited(pd.DataFrame())


def test_losses_from_before_a_training_are_stale_and_asked_anew() -> None:
    tuner = nt.Tuner(TASK.learner("letters", seed=0), seed=0)
    browser = nt.widgets.DataBrowser(TASK, tuner)
    browser.show(by="loss")
    assert "Stale" not in browser.view["sentence"]
    tuner.fit(1)
    assert "Stale: trained since." in browser.view["sentence"]
    browser.show(by="loss")
    assert "Stale" not in browser.view["sentence"]
    browser.close()


def big(count: int = 6000, classes: int = 1000, side: int = 96) -> nt.Task:
    rng = np.random.RandomState(0)
    names = tuple(f"{EVIL}{c}" for c in range(classes))

    def items(split: str, n: int) -> Items:
        x = rng.randint(0, 256, (n, side, side, 3), dtype=np.uint8)
        return Items(x, np.arange(n) % classes, tuple(f"{split}/{EVIL}/{i}" for i in range(n)))

    return make_task(
        EVIL, "noise", names, items("train", count), items("valid", classes), items("test", 10),
        source="random numbers", licence="none", nature="synthetic",
    )  # fmt: skip


@pytest.fixture(scope="module")
def large() -> nt.Task:
    return big()


def test_six_thousand_items_of_a_thousand_classes_in_bounded_messages(large: nt.Task) -> None:
    browser = nt.widgets.DataBrowser(large)
    browser.show(page=125)
    assert [tile["id"] for tile in browser.view["tiles"]][-1] == large.train.ids[5999]
    browser.show(page=77)
    assert browser.view["total"] == 6000
    assert len(browser.pictures) == len(browser.view["tiles"]) == PAGE
    assert len(json.dumps(browser.pictures)) < 600_000
    for name in large.train.ids[1:]:  # no cap on marks
        browser._marks.put(name, Mark("train", name, "exclude"))
    browser.exclude(large.train.ids[0])
    assert len(browser.marks) == 6000
    sent = {name: len(json.dumps(getattr(browser, name))) for name in ("view", "said", "code")}
    assert sum(sent.values()) < 60_000  # of a mark: no pictures, no list of marks


def test_names_are_escaped_in_what_is_saved(large: nt.Task) -> None:
    browser = nt.widgets.DataBrowser(large)
    browser.mark(large.train.ids[0], large.vocab[1])
    saved = browser.static()
    assert EVIL not in saved
    assert "&lt;img src=x" in saved
    assert saved.count("data:image/") == 24
    assert len(saved) < 150_000  # 24 pictures of noise, the worst that JPEG can meet


def test_what_is_saved_has_each_label_and_what_it_is_read_as(tuner: nt.Tuner) -> None:
    browser = nt.widgets.DataBrowser(TASK, tuner)
    browser.show(by="loss")
    first = browser.view["tiles"][0]
    assert first["read"]
    saved = browser.static()
    assert f"<br>{first['label']}, read as {first['read']}</td>" in saved
    assert f"<br>{first['label']}</td>" in saved


class Odd:
    """Items like a table's rows, with one that cannot be drawn."""

    def __init__(self, split: str, n: int) -> None:
        rng = np.random.RandomState(n)
        self.x = pd.DataFrame({"alcohol": rng.rand(n), EVIL: ["a" * 500] * n, "hue": rng.rand(n)})
        self.y, self.ids = np.arange(n) % 2, tuple(f"{EVIL}{split}{i}" for i in range(n))

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, at: int) -> Any:
        if at == 1:
            raise OSError(f"{EVIL} is truncated")
        return self.x.iloc[at], self.y[at]


class Table:
    name, vocab = "wine", ("a", "b")
    train, valid, test = Odd("train", 60), Odd("valid", 10), Odd("test", 10)


def test_rows_are_shown_as_rows_and_what_cannot_be_drawn_says_so() -> None:
    browser = nt.widgets.DataBrowser(Table())  # type: ignore[arg-type]
    row = browser.pictures[f"{EVIL}train0"]["row"]
    assert [name for name, _ in row] == ["alcohol", EVIL, "hue"]
    assert len(row[1][1]) == 80
    assert browser.pictures[f"{EVIL}train1"] == {"cannot": f"OSError: {EVIL} is truncated"}
    saved = browser.static()
    assert "cannot be drawn" in saved
    assert EVIL not in saved


def test_marks_can_be_made_while_a_verb_runs(tuner: nt.Tuner) -> None:
    browser = nt.widgets.DataBrowser(TASK, tuner)
    begun = threading.Event()
    thread = threading.Thread(target=lambda: (begun.set(), tuner.fit(6, cache="off")))
    thread.start()
    begun.wait()
    while not tuner.running:
        time.sleep(0.01)
    asked(browser, "exclude", ITEM)
    assert tuner.running == "fit"
    assert len(browser.marks) == 1
    before = browser.pictures
    asked(browser, "show", {**SHOWN, "as_input": True})
    assert "while fit() is running" in browser.error["given"]
    assert browser.pictures == before
    tuner.stop()
    thread.join(60)
    browser.close()


def test_the_saved_picture_follows_the_marks(browser: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    monkeypatch.setattr(browser, "redraw", lambda: drawn.append(browser.static()))
    asked(browser, "exclude", ITEM)
    browser._later.join(5)
    assert ITEM in drawn[-1]
