"""A look at a task's data finds what was planted, changes nothing, and says what it did not ask."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import nbtune as nt
from nbtune.errors import InputError, InputTypeError
from nbtune.quality.curve import learning_curve
from nbtune.tasks import Items
from nbtune.transaction import Streams
from planted_tasks import about, bench, few, items_like, patients, split_of, with_train


@pytest.fixture(scope="module")
def looked() -> Any:
    """A look at few digits by the letters' features."""
    return few().quality("letters")


# The promise: recall of at least 0.9 for planted faults; benchmarks/quality.py measures it on all digits.


def test_swapped_labels_are_found_and_put_right() -> None:
    run = bench().labels(nt.tasks.digits(shots=30), "letters", 7)
    assert run["recall"] >= 0.9
    assert run["precision"] >= 0.7
    assert run["named"] >= 0.8


@pytest.mark.parametrize("kind", ["exact", "turned", "brightness", "noise", "jpeg", "all"])
def test_copies_are_found_in_train_and_across_splits(kind: str) -> None:
    task, truth = bench().copied(few(), kind, 12, seed=7)
    found = task.quality().duplicates
    pairs = {frozenset((row.item, row.twin)) for row in found.itertuples()}
    planted = {frozenset(pair) for pair in truth.items()}
    assert len(pairs & planted) / len(planted) >= 0.9
    assert len(pairs & planted) / len(pairs) >= 0.8
    assert set(found["kind"]) >= {"exact" if kind == "exact" else "near"}


def test_a_copy_of_a_test_item_is_marked_to_leave_train_and_nothing_of_test() -> None:
    task, _ = bench().copied(few(), "exact", 5, seed=3)
    quality = task.quality()
    leaking = quality.duplicates.query("twin_split == 'test' and kind == 'exact'")
    assert len(leaking) == 5
    assert set(leaking["split"]) == {"train"}
    assert any("test items" in seen and "an exact copy in train" in seen for seen in about(quality, "leakage"))
    clean = task.edited(quality.duplicates)
    assert len(clean.test) == len(task.test)
    assert not len(clean.quality().duplicates.query("kind == 'exact'"))


def test_marks_join_both_lists_one_an_item_and_are_taken_by_edited() -> None:
    task, truth = bench().copied(bench().swapped(few(20), 0.05, 4)[0], "exact", 5, seed=4)
    quality = task.quality("letters")
    assert len(quality.wrong_labels) > 3
    assert quality.marks["item"].is_unique
    assert set(truth) <= set(quality.marks.query("what == 'exclude'")["item"])
    edit = task.edited(quality.marks, dry_run=True)
    assert len(edit.marks) == len(quality.marks)
    assert "test" not in edit.counts


def test_items_of_test_that_repeat_each_other_are_listed_without_a_mark() -> None:
    task = few()
    x = task.test.x.copy()
    x[1] = x[0]
    quality = replace(task, test=replace(task.test, x=x)).quality()
    row = quality.duplicates.query("split == 'test'").iloc[0]
    assert (row["what"], row["twin_split"]) == ("", "test")
    assert "test" not in set(quality.marks["split"])


def test_labels_of_the_test_split_judge_nothing() -> None:
    task = few()
    other = replace(task, test=replace(task.test, y=np.roll(task.test.y, 7)))
    one, two = task.quality("letters"), other.quality("letters")
    pd.testing.assert_frame_equal(one.wrong_labels, two.wrong_labels)
    assert one.curve is not None
    assert two.curve is not None
    assert one.curve.points == two.curve.points
    assert one.valid_shift is not None
    assert two.valid_shift is not None
    assert one.valid_shift.accuracy == two.valid_shift.accuracy


# It changes nothing, and may be ended


def test_streams_network_and_task_stay_as_they_were() -> None:
    task = few()
    learn = task.learner("letters", seed=0)
    before, digest, streams = copy.deepcopy(learn.model.state_dict()), task.train.digest, Streams()
    first = task.quality(learn)
    assert streams.same()
    assert all(torch.equal(tensor, before[name]) for name, tensor in learn.model.state_dict().items())
    assert learn.model.training
    assert task.train.digest == digest
    torch.manual_seed(99)
    again = task.quality(learn)
    assert first.frame().equals(again.frame())


def test_streams_come_back_when_it_is_interrupted() -> None:
    def stopped() -> bool:
        raise KeyboardInterrupt

    streams = Streams()
    with pytest.raises(KeyboardInterrupt):
        few().quality("letters", stopped=stopped)
    assert streams.same()


@pytest.mark.parametrize("after", [0, 1, 3, 6, 12, 20])
def test_stopped_after_any_answer_gives_what_was_found_until_then(after: int, looked: Any) -> None:
    asked = []

    def stopped() -> bool:
        asked.append(1)
        return len(asked) > after

    quality = few().quality("letters", stopped=stopped)
    assert quality.partial
    assert "Stopped before everything was asked" in repr(quality)
    assert set(quality.findings) <= set(looked.findings)
    assert quality.curve is None


# Pictures and the body


def test_pictures_unlike_the_bodys_own_are_told_by_its_layers() -> None:
    task = few()
    inverted = with_train(task, x=255 - task.train.x)
    near, far = task.quality("letters").domain, inverted.quality("letters").domain
    assert near is not None
    assert far is not None
    assert near.shift < 0.2 < 0.3 < far.shift
    assert "printed letters" in near.sentence
    assert any("far off" in seen for seen in about(inverted.quality("letters"), "domain"))


def test_a_network_of_fresh_weights_knows_nothing() -> None:
    task = few()
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(), torch.nn.Linear(4, 10),
    )  # fmt: skip
    quality = task.quality(model)
    assert quality.domain is not None
    assert quality.domain.fresh
    assert not any("shift" in seen for seen in about(quality, "domain"))


def test_colour_is_lost_on_a_body_that_sees_grey() -> None:
    task = few()
    splits = {}
    for split in ("train", "valid", "test"):
        items = getattr(task, split)
        splits[split] = replace(items, x=np.stack([items.x, items.x // 2, items.x], -1))
    quality = replace(task, **splits).quality("letters")
    assert any("in colour" in seen and "sees grey only" in seen for seen in about(quality, "domain"))


def test_new_data_that_differ_are_told_apart_and_those_that_do_not_are_not() -> None:
    task = few()
    pool = nt.tasks.digits(shots=30).train.x[-150:]
    same, other = task.quality(new=pool), task.quality(new=[255 - picture for picture in pool])
    assert same.new_shift is not None
    assert other.new_shift is not None
    assert not same.new_shift.differs
    assert other.new_shift.accuracy.low > 0.9
    assert any("new" in seen for seen in about(other, "representative"))
    assert not any("new" in seen for seen in about(same, "representative"))
    assert set(other.unlike.columns) == {"place", "odd"}
    assert other.unlike["odd"].is_monotonic_decreasing


def folder(root: Path, suffix: str = "png") -> Path:
    """60 digits of three classes as files."""
    items = nt.tasks.digits().train
    for c in range(3):
        (root / str(c)).mkdir()
        for at in np.flatnonzero(items.y == c)[:20]:
            Image.fromarray(items.x[at]).save(root / str(c) / f"{at}.{suffix}")
    return root


def test_a_file_that_broke_is_named_and_the_rest_is_asked(tmp_path: Path) -> None:
    task = nt.tasks.from_folder(folder(tmp_path))
    name = task.train.ids[3]
    (tmp_path / name).write_bytes(b"no picture")
    quality = task.quality("letters")
    assert list(quality.broken) == [name]
    assert quality.of("stop")[0].about == "broken items"
    assert name in quality.of("stop")[0].seen
    assert quality.judged
    assert name not in set(quality.wrong_labels["item"])


def test_a_size_that_gives_the_class_away_is_a_leak(tmp_path: Path) -> None:
    root = folder(tmp_path)
    for path in sorted((root / "1").iterdir()):
        Image.open(path).resize((40, 30)).save(path)
    for path in sorted((root / "2").iterdir()):
        Image.open(path).resize((50, 30)).save(path)
    quality = nt.tasks.from_folder(root).quality()
    assert quality.columns[0].name == "width"
    assert any(seen.startswith("width of a picture") for seen in about(quality, "label leak"))


# Tables


def test_a_label_in_disguise_is_named_and_honest_columns_are_not() -> None:
    draw = np.random.RandomState(0)

    def code(frame: pd.DataFrame) -> Any:
        return (frame["kind"] == "benign") * 3.0 + draw.normal(0, 0.2, len(frame))

    def note(frame: pd.DataFrame) -> Any:
        return np.where(frame["kind"] == "benign", "a", np.where(draw.rand(len(frame)) < 0.5, "b", "c"))

    def gap(frame: pd.DataFrame) -> Any:
        return np.where(frame["kind"] == "benign", np.nan, draw.rand(len(frame)))

    quality = patients(code=code, note=note, gap=gap).quality()
    seen = about(quality, "label leak")
    assert len(seen) == 3
    assert {one.name for one in quality.columns[:3]} == {"code", "note", "gap"}
    assert any(one.startswith("whether gap is missing") for one in seen)
    assert not about(patients().quality(), "label leak")


def test_gaps_constants_and_unknown_categories_are_named() -> None:
    draw = np.random.RandomState(1)
    quality = patients(
        site="here", some=lambda frame: np.where(draw.rand(len(frame)) < 0.6, np.nan, draw.rand(len(frame)))
    ).quality()
    assert any(seen.startswith("site never varies") for seen in about(quality, "constant columns"))
    assert any("some train 5" in seen or "some train 6" in seen for seen in about(quality, "missing values"))
    task = patients(place=lambda frame: ["a", "b"] * (len(frame) // 2) + ["a"])
    frame = task.test.x.frame.assign(place="elsewhere")
    other = replace(task, test=replace(task.test, x=replace(task.test.x, frame=frame))).quality()
    assert any("elsewhere in" in seen and "test rows" in seen for seen in about(other, "unknown categories"))


def test_rows_that_repeat_exactly_and_nearly_are_found_across_splits() -> None:
    task = patients()
    frame = task.train.x.frame.copy()
    frame.iloc[:10] = task.test.x.frame.iloc[:10].to_numpy()
    frame.iloc[10:20] = task.test.x.frame.iloc[10:20].to_numpy() * (1 + 1e-4)
    found = with_train(task, x=replace(task.train.x, frame=frame)).quality().duplicates.query("twin_split == 'test'")
    counts = found["kind"].value_counts()
    assert (counts["exact"], counts["near"]) == (10, 10)
    assert not len(task.quality().duplicates)


def test_swapped_labels_of_rows_are_found() -> None:
    task, truth = bench().swapped(patients(), 0.05, 5)
    found = task.quality().wrong_labels
    assert len(set(found["item"]) & set(truth)) / len(truth) >= 0.7


# Regression and several labels


def test_numbers_far_off_are_found_of_a_regression() -> None:
    x = np.random.RandomState(0).rand(300, 4)
    y = x @ [3.0, 2.0, -1.0, 0.5] + np.random.RandomState(1).normal(0, 0.05, 300)
    frame = pd.DataFrame(x, columns=list("abcd")).assign(price=y)
    task = nt.tasks.from_frame(frame, y="price", target="regression")
    numbers = task.train.y.copy()
    numbers[5], numbers[9] = numbers[5] + 40, numbers[9] - 3
    quality = with_train(task, y=numbers).quality()
    names = {task.train.ids[5], task.train.ids[9]}
    assert names <= set(quality.wrong_labels["item"])
    assert task.train.ids[5] in set(quality.far_numbers["item"])
    assert quality.curve is not None
    assert quality.curve.metric == "R²"
    assert len(task.quality().wrong_labels) <= 3


def test_targets_that_are_nan_stop_and_the_rest_is_asked() -> None:
    frame = pd.DataFrame(np.random.RandomState(0).rand(200, 4), columns=list("abcd"))
    task = nt.tasks.from_frame(frame.assign(price=frame.sum(axis=1)), y="price", target="regression")
    numbers = task.train.y.copy()
    numbers[3] = np.nan
    quality = with_train(task, y=numbers).quality()
    assert quality.of("stop")[0].about == "targets"
    assert quality.curve is not None


def several(n: int = 200) -> nt.Task:
    """Digits from 0 to 3 with labels: is it round, is it a one, is it below two."""
    train = nt.tasks.digits().train
    items = train.take(np.flatnonzero(train.y < 4)[:n])
    labels = [[name for name, has in (("round", c == 0), ("one", c == 1), ("small", c < 2)) if has] for c in items.y]
    return nt.tasks.from_arrays(items.x, labels)


def test_several_labels_are_judged_one_by_one_and_what_does_not_apply_is_said() -> None:
    task = several()
    y = task.train.y.copy()
    y[:8, 0] = 1 - y[:8, 0]
    quality = with_train(task, y=y).quality("letters")
    wrong = quality.wrong_labels.query("label == 'one'")
    assert len(set(wrong["item"]) & set(task.train.ids[:8])) >= 6
    assert set(wrong["now"]) <= {"has", "has not"}
    assert "columns that tell the label" in quality.not_asked


def test_the_curve_of_several_labels_counts_items_with_every_label_right() -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    task = several()
    curve = task.quality("letters").curve
    assert curve is not None
    assert curve.metric == "exact match"
    assert "exact match" in curve.sentence
    model = OneVsRestClassifier(LogisticRegression(C=0.1, max_iter=300))
    x, y = np.random.default_rng(0).normal(size=(60, 4)), np.random.default_rng(1).integers(0, 2, (60, 3))
    x[:, :3] += y
    found = learning_curve((x[:40], y[:40]), (x[40:], y[40:]), "multi", 0.1, 0, lambda: False, lambda: None)
    scaled = (x - x[:40].mean(0)) / x[:40].std(0)
    theirs = (model.fit(scaled[:40], y[:40]).predict(scaled[40:]) == y[40:]).all(1)
    assert found is not None
    assert found.points[-1].value == pytest.approx(theirs.mean())


# Classes, groups, times


def test_a_single_class_stops_and_nothing_fails() -> None:
    task = few()
    quality = split_of(task, np.flatnonzero(task.train.y == 3)).quality("letters")
    assert quality.of("stop")[0].seen.startswith("every training item is of one class, 3")
    assert "learning curve" in quality.not_asked


def test_a_class_with_one_item_is_named_and_not_judged() -> None:
    task = few()
    keep = np.concatenate([np.flatnonzero(task.train.y != 4), np.flatnonzero(task.train.y == 4)[:1]])
    valid = task.valid.take(np.flatnonzero(task.valid.y != 4))
    quality = replace(split_of(task, keep), valid=valid).quality("letters")
    assert any("4 1" in seen for seen in about(quality, "classes"))
    assert any("4 has no valid item" in seen for seen in about(quality, "classes"))
    assert any(seen.startswith("1 items alone") for seen in about(quality, "wrong labels"))


def test_a_class_missing_from_training_and_uneven_classes_are_told() -> None:
    task = few(20)
    places = np.concatenate([np.flatnonzero(task.train.y < 8), np.flatnonzero(task.train.y == 8)[:1]])
    quality = split_of(task, places).quality()
    assert any(seen.startswith("9 of 10 classes has no training item") for seen in about(quality, "classes"))
    assert any("times the items of the smallest" in seen for seen in about(quality, "balance"))


@pytest.mark.parametrize("body", [None, "letters"])
@pytest.mark.parametrize("n", [2, 3, 10])
def test_a_tiny_train_set_is_looked_at_and_says_what_cannot_be_asked(n: int, body: str | None) -> None:
    task = few()
    tiny = replace(split_of(task, np.arange(n)), valid=task.valid.take(np.arange(2)), test=task.test.take([0]))
    quality = tiny.quality(body)
    assert "wrong labels" in quality.not_asked
    assert "learning curve" in quality.not_asked
    assert str(quality)
    assert quality.plot().sentence


def test_more_classes_than_items_are_told() -> None:
    task = nt.tasks.digits(shots=1)
    quality = split_of(task, np.arange(4)).quality("letters")
    assert any("have no training item" in seen for seen in about(quality, "classes"))


def test_groups_and_times_that_stand_in_two_splits() -> None:
    task = few()
    parts = {}
    for number, split in enumerate(("train", "valid", "test")):
        items = getattr(task, split)
        groups = np.array([f"{split} {i // 4}" for i in range(len(items))], dtype=object)
        groups[:2] = "patient 1"
        parts[split] = replace(items, group=groups, time=np.arange(len(items)) + (2 - number) * 5)
    quality = replace(task, **parts).quality()
    seen = about(quality, "leakage")
    assert any("1 groups stand in train and in test, with 2 test items: patient 1" in one for one in seen)
    assert any("not older than the oldest test item" in one for one in seen)
    assert not about(task.quality(), "leakage")


# More data


def test_more_data_helps_where_it_is_few_and_the_interval_holds_what_more_data_gave() -> None:
    small, large = few(10, valid=200), few(20, valid=200)
    curve, truth = small.quality("letters").curve, large.quality("letters").curve
    assert curve is not None
    assert truth is not None
    assert curve.helps
    assert curve.sizes[-1] == 100
    assert curve.twice.low - 0.05 <= truth.points[-1].value <= curve.twice.high + 0.05
    frame = curve.frame()
    assert frame["items"].tolist()[-2:] == [100, 200]
    assert frame["measured"].tolist() == [True] * (len(frame) - 1) + [False]


# What is refused


def test_what_does_not_fit_is_refused_with_the_next_step() -> None:
    task = few()
    with pytest.raises(InputError, match=r"quality\(body='letters'\) of a table"):
        patients().quality("letters")
    with pytest.raises(InputTypeError, match="a folder instead of its files"):
        task.quality(new="pictures")
    with pytest.raises(InputTypeError, match="new=a task"):
        task.quality(new=task)
    with pytest.raises(InputError, match="new rows without 'mean radius'"):
        patients().quality(new=pd.DataFrame({"a": [1]}))
    with pytest.raises(InputTypeError, match="seed"):
        task.quality(seed="0")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="resnet"):
        task.quality("resnet_misspelt")


def test_the_value_shows_itself(looked: Any) -> None:
    text, page = repr(looked), looked._repr_html_()
    assert text.startswith("Quality of task digits: ")
    assert "not asked, data that it will meet" in text
    assert "<table>" in page
    assert looked.plot().sentence == looked.sentence
    assert looked.frame().columns.tolist() == ["severity", "about", "seen", "matters", "do"]
    assert [one.severity for one in looked.findings] == sorted(
        (one.severity for one in looked.findings), key=["stop", "warn", "note"].index
    )
    for part in (looked.curve, looked.domain, looked.valid_shift):
        assert part.sentence in part._repr_html_() or "&" in part._repr_html_()
        assert part.plot().sentence == part.sentence
        assert len(part.frame())


def test_items_like_those_of_training_come_from_anywhere() -> None:
    task = few(test=60)
    quality = task.quality(new=items_like(task.test, task.test.x[:50], "new"))
    assert quality.new_shift is not None
    assert quality.new_shift.n == 50
    assert isinstance(task.test, Items)
