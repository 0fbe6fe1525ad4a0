"""Sketchpad without a browser: a drawing, a file or code gives the prediction that its line gives."""

from __future__ import annotations

import base64
import re
import sys
import threading
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image, ImageDraw

import nbtune as nt
from learners import differing, digits, state
from nbtune.errors import InputError, InputTypeError, MissingFileError
from nbtune_widgets import Sketchpad
from panel_acts import Shown, ask
from test_own_data import table

TASK = nt.tasks.digits(shots=5)
HTML = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def tuner() -> nt.Tuner:
    made = nt.Tuner(TASK.learner("letters", seed=0), test=TASK.test, seed=0)
    made.freeze()
    made.fit(1, lr=1e-2)  # a fresh head says the same of everything
    return made


@pytest.fixture(scope="module")
def model(tuner: nt.Tuner, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return nt.load(tuner.save(tmp_path_factory.mktemp("bundle") / "digits"))


def src(image: Image.Image, kind: str = "PNG") -> str:
    held = BytesIO()
    image.save(held, kind)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(held.getvalue()).decode()}"


def one(side: int = 224, at: tuple[int, int] = (60, 40)) -> Image.Image:
    paper = Image.new("L", (side, side))
    ImageDraw.Draw(paper).line((*at, at[0] + 8, at[1] + 120), fill=255, width=20)
    return paper


def run(pad: Sketchpad, model: Any) -> pd.DataFrame:
    name = "tuner" if isinstance(model, nt.Tuner) else "model"
    return eval(pad.code, {name: model, "pad": pad})


@pytest.mark.parametrize("kind", ["tuner", "model"])
def test_the_line_gives_what_the_panel_shows(kind: str, request: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    shows = request.getfixturevalue(kind)
    pad = Sketchpad(shows)
    ask(pad, "draw", src(one()), "a view", "dark")
    for act, values in (("cut", [False]), ("cut", [True]), ("invert", []), ("save", []), ("save", [])):
        ask(pad, act, *values)
        assert pad.error == {}
        found = run(pad, shows).iloc[0]
        shown = {name: text for name, _, text in pad.view["rows"]}
        assert shown == {name: f"{100 * found[name]:.1f} %" for name in TASK.vocab}
        assert pad.view["rows"][0][0] == found.label
        assert f"'{found.label}'" in pad.view["sentence"]
    assert pad.code == f"{kind}.predict('drawing-2.png')"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["drawing-2.png", "drawing.png"]


def test_asking_leaves_the_learner_as_it_was(tuner: nt.Tuner) -> None:
    pad = Sketchpad(tuner)
    before, lines = state(tuner.learn), tuner.code()
    ask(pad, "draw", src(one()), "a view", "dark")
    ask(pad, "refresh")
    ask(pad, "clear")
    assert differing(before, state(tuner.learn)) == []
    assert tuner.code() == lines


def test_a_stroke_that_comes_after_the_paper_changed_is_of_the_new_paper(model: Any) -> None:
    pad = Sketchpad(model)
    ask(pad, "draw", src(one()), "a view", "dark")
    ask(pad, "invert")
    ask(pad, "draw", src(one(at=(30, 40))), "a view", "dark")  # sent before the page heard of it
    assert np.array_equal(np.asarray(pad._drawn), 255 - np.asarray(one(at=(30, 40))))
    assert (pad.view["paper"], pad.view["by"]) == ("light", "")  # no view holds it: each is shown it again


def test_the_page_may_draw_while_code_reads(model: Any, monkeypatch: Any) -> None:
    """The page's thread draws and clears while a cell asks and the static picture is made."""
    pad, failed = Sketchpad(model), list[BaseException]()
    monkeypatch.setattr(threading.Timer, "start", lambda timer: None)

    def draw() -> None:
        try:
            for _ in range(60):
                pad._draw(src(one(64, (20, 10))), "a view", "dark")
                pad._clear()
        except BaseException as error:
            failed.append(error)

    page, usual = threading.Thread(target=draw), sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        page.start()
        while page.is_alive():
            pad.look()
            pad.static()
            pad._fit(not pad.fit)
    finally:
        page.join()
        sys.setswitchinterval(usual)
    assert failed == []


def test_what_is_shown_is_read_of_the_last_picture(model: Any, monkeypatch: Any) -> None:
    """Another picture that comes while one is read takes its place, whichever is read first."""
    pad, predict, others = Sketchpad(model), model.predict, [TASK.valid.x[1]]

    def while_another_comes(of: Any, image: Any) -> Any:
        if others:
            pad.put(others.pop())
        return predict(image)

    monkeypatch.setattr(type(model), "predict", while_another_comes)
    pad.put(TASK.valid.x[0])
    monkeypatch.undo()
    assert np.array_equal(np.asarray(pad.image), TASK.valid.x[1])
    assert pad.look()["sentence"] == _alone(model, TASK.valid.x[1]) != _alone(model, TASK.valid.x[0])


def _alone(model: Any, picture: Any) -> Any:
    pad = Sketchpad(model)
    pad.put(picture)
    return pad.look()["sentence"]


def test_what_the_model_sees_is_its_own_preprocessing(model: Any) -> None:
    pad = Sketchpad(model)
    ask(pad, "draw", src(one()), "a view", "dark")
    seen = np.asarray(Image.open(BytesIO(base64.b64decode(pad.view["sees"].partition(",")[2]))))
    assert np.array_equal(seen, model.preprocessing.prepare(pad.image)[0, 0].numpy())


def test_a_drawing_is_cut_out_wherever_it_stands(model: Any) -> None:
    pads = [Sketchpad(model), Sketchpad(model)]
    for pad, at in zip(pads, ((20, 20), (150, 80)), strict=True):
        ask(pad, "draw", src(one(at=at)), "a view", "dark")
    assert pads[0].view["rows"] == pads[1].view["rows"]
    ask(pads[0], "cut", False)
    assert pads[0].view["rows"] != pads[1].view["rows"]


def test_files_and_code_are_given_as_they_are(model: Any, tmp_path: Path) -> None:
    picture = Image.fromarray(TASK.valid.x[4])
    picture.save(tmp_path / "four.png")
    pad, wanted = Sketchpad(model), model.predict(picture)
    ask(pad, "put", "four.png", src(picture))
    assert not pad.view["drawing"]
    for given in (TASK.valid.x[4], picture, tmp_path / "four.png", torch.tensor(TASK.valid.x[4])):
        pd.testing.assert_frame_equal(run(pad, model), wanted)
        pad.put(given)
    colour = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype=np.uint8))
    ask(pad, "put", "photo.jpg", src(colour, "JPEG"))
    assert pad.view["rows"]


BROKEN = {
    "empty": "data:,", "text": "data:text/plain;base64,aGVsbG8=", "no base64": "%%%", "cut": src(one())[:200],
    "svg": "data:image/svg+xml;base64," + base64.b64encode(b"<svg onload='alert(1)'/>").decode(),
}  # fmt: skip


@pytest.mark.parametrize("broken", list(BROKEN))
def test_a_file_that_cannot_be_decoded_is_said_and_changes_nothing(model: Any, broken: str) -> None:
    pad = Sketchpad(model)
    ask(pad, "draw", src(one()), "a view", "dark")
    before = pad.view
    ask(pad, "put", HTML, BROKEN[broken])
    assert all(pad.error.values()), pad.error
    assert "cannot be read" in pad.error["given"]
    assert pad.view == before
    ask(pad, "put", "good.png", src(one()))
    assert pad.error == {}


def test_a_file_too_large_for_a_message_is_refused_with_a_line_that_works(model: Any) -> None:
    pad = Sketchpad(model)
    ask(pad, "refuse", "scan.png", 30_000_000)
    assert "30.0 MB" in pad.error["given"]
    assert pad.error["next"].startswith("pad.put('scan.png')")
    with pytest.raises(MissingFileError):
        pad.put("scan.png")
    with pytest.raises(InputError):
        pad.put(np.zeros((0, 8, 8), np.uint8))
    assert pad.image is None


def test_an_empty_paper_is_no_picture(model: Any) -> None:
    pad = Sketchpad(model)
    ask(pad, "draw", src(Image.new("L", (224, 224))), "a view", "dark")
    ask(pad, "save")
    assert (pad.image, pad.code, pad.view["rows"]) == (None, "", [])


def test_a_picture_unlike_the_data_is_said_to_be_so(model: Any) -> None:
    pad = Sketchpad(model)
    assert pad.view["paper"] == "dark"  # as the digits are
    ask(pad, "put", "ink.png", src(Image.fromarray(255 - TASK.valid.x[0])))
    assert "lighter" in pad.view["unlike"]
    assert pad.view["unlike"].endswith("Inverted it would be like them.")
    ask(pad, "invert")
    assert pad.view["unlike"] == ""
    assert "8×8 counts of ink" in pad.view["note"]


def test_a_tuner_at_work_is_waited_for(tuner: nt.Tuner) -> None:
    pad = Sketchpad(tuner)
    with tuner._verbs.doing("fit"):
        assert "tuner.fit() is running" in pad.busy
        ask(pad, "draw", src(one()), "a view", "dark")
        assert "Not read yet" in pad.view["sentence"]
        assert pad.error == {}
    assert pad.view["rows"]  # read when it has ended
    assert pad.busy == ""


def test_a_model_that_was_trained_since_is_asked_again() -> None:
    trained = nt.Tuner(TASK.learner("letters", seed=0), seed=0)
    pad = Sketchpad(trained)
    ask(pad, "draw", src(one()), "a view", "dark")
    before = pad.view["rows"]
    trained.freeze()
    trained.fit(1, lr=1e-2)
    assert pad.view["rows"] != before
    assert {name: text for name, _, text in pad.view["rows"]}[run(pad, trained).label[0]] == pad.view["rows"][0][2]


def test_many_classes_and_html_in_their_names(model: Any, monkeypatch: Any) -> None:
    Shown(monkeypatch)
    names = tuple(f"{HTML}{n}" for n in range(10))
    from dataclasses import replace

    pad = Sketchpad(replace(model, vocab=names, card={"objective": HTML, "note": HTML}))
    ask(pad, "draw", src(one()), "a view", "dark")
    assert pad.view["rows"][0][0] in names
    assert re.findall(r"<img (?!width)", pad.static()) == []


def test_numbers_and_several_labels() -> None:
    x = TASK.train.x
    frame = pd.DataFrame({"ink": x.mean((1, 2))})
    numbers = Sketchpad(
        nt.Tuner(nt.tasks.from_arrays(x, frame["ink"].values.astype("float32")).learner("letters", seed=0), seed=0)
    )
    numbers.put(x[0])
    assert numbers.view["rows"][0][1] is None


@pytest.mark.parametrize("given", [None, "model", 3, pytest.param("learner", id="learner")])
def test_what_is_no_model_is_refused(given: Any) -> None:
    with pytest.raises(InputTypeError):
        Sketchpad(digits() if given == "learner" else given)


def test_a_model_of_a_table_is_refused_with_its_line() -> None:
    rows = nt.Tuner(nt.tasks.from_frame(table("wine"), y="target").learner("tabular", seed=0), seed=0)
    with pytest.raises(InputTypeError, match=r"tuner.predict\(df\)"):
        Sketchpad(rows)


def test_the_note_says_what_its_pictures_are_like_and_not_which_labels_were_mended() -> None:
    marks = [["train", TASK.train.ids[0], "label", TASK.vocab[(TASK.train.y[0] + 1) % 10]]]
    tuner = nt.Tuner(TASK.edited(marks).learner("letters", seed=0), seed=0)
    note = Sketchpad(tuner).look()["note"]
    assert "counts of ink" in note
    assert "Edited" not in note
