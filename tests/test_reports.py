"""Reports of numbers and of several labels: the figures of scikit-learn, with intervals that hold what they promise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    f1_score,
    mean_absolute_error,
    precision_score,
    r2_score,
    recall_score,
    root_mean_squared_error,
)
from torch import nn
from torch.utils.data import TensorDataset

import nbtune as nt
from nbtune._fastai.targets import ScaledMSE, metric_of
from nbtune.bundle.answers import answer_problem
from nbtune.bundle.tables import columns_problem, made_tabular
from nbtune.errors import BundleError, InputError
from nbtune.evaluate.labels import labels_report
from nbtune.evaluate.numbers import numbers_report


@settings(max_examples=40, deadline=None)
@given(n=st.integers(5, 60), k=st.integers(1, 3), seed=st.integers(0, 999))
def test_numbers_are_measured_as_scikit_learn_does(n: int, k: int, seed: int) -> None:
    draw = np.random.RandomState(seed)
    true = draw.randn(n, k) * 30
    found = true + draw.randn(n, k) * 10
    metrics = numbers_report(found, true, [f"n{i}" for i in range(k)], n_boot=50).metrics
    assert metrics["mae"].value == pytest.approx(mean_absolute_error(true, found))
    assert metrics["r2"].value == pytest.approx(r2_score(true, found))
    assert metrics["rmse"].value == pytest.approx(root_mean_squared_error(true, found))
    if k > 1:
        assert metrics["mae n1"].value == pytest.approx(mean_absolute_error(true[:, 1], found[:, 1]))


@settings(max_examples=40, deadline=None)
@given(n=st.integers(3, 50), k=st.integers(2, 5), seed=st.integers(0, 999))
def test_labels_are_measured_as_scikit_learn_does(n: int, k: int, seed: int) -> None:
    draw = np.random.RandomState(seed)
    true = (draw.rand(n, k) < 0.5).astype(int)
    true[0] = 1  # every label occurs, or scikit-learn would count it as 0
    probs = np.clip(true * 0.5 + draw.rand(n, k) * 0.6, 0, 1)
    said = (probs > 0.5).astype(int)
    metrics = labels_report(probs, true, [f"l{i}" for i in range(k)], n_boot=50).metrics
    for name, function, average in (
        ("f1", f1_score, "macro"), ("f1_micro", f1_score, "micro"), ("precision", precision_score, "macro"),
        ("recall", recall_score, "macro"),
    ):  # fmt: skip
        assert metrics[name].value == pytest.approx(function(true, said, average=average, zero_division=0)), name
    assert metrics["exact"].value == pytest.approx((said == true).all(1).mean())


def test_intervals_hold_the_true_value_about_as_often_as_they_say() -> None:
    held = {"mae": 0, "f1": 0}
    for seed in range(200):
        draw = np.random.RandomState(seed)
        off = draw.randn(80)
        mae = numbers_report(off, np.zeros(80), ["x"], n_boot=200).metrics["mae"]
        held["mae"] += mae.low <= np.sqrt(2 / np.pi) <= mae.high  # the mean of |N(0, 1)|
        true = (draw.rand(150, 2) < 0.5).astype(int)
        said = np.where(draw.rand(150, 2) < 0.8, true, 1 - true)
        f1 = labels_report(said * 1.0, true, ["a", "b"], n_boot=200).metrics["f1"]
        held["f1"] += f1.low <= 0.8 <= f1.high  # precision and recall are both 0.8
    # 95 % of 200 is 190 with a standard deviation of 3.1; the percentile bootstrap falls short by a little
    assert all(176 <= count <= 199 for count in held.values()), held


def test_reports_show_the_worst_and_compare_on_the_same_items() -> None:
    true = np.arange(20.0)
    good, bad = true + 0.1, true + np.r_[np.zeros(19), 8]
    one, other = (numbers_report(found, true, ["price"]) for found in (good, bad))
    assert other.worst(1)[["index", "price", "price predicted"]].to_numpy().tolist() == [[19, 19.0, 27.0]]
    assert one.compare(other).value == pytest.approx(0.1 - 0.4)
    with pytest.raises(InputError, match="a report on other items"):
        one.compare(numbers_report(good, true + 1, ["price"]))
    labels = labels_report([[0.9, 0.1], [0.2, 0.95]], [[1, 0], [1, 0]], ["sky", "sea"])
    assert labels.worst(1)[["index", "label", "has it"]].to_numpy().tolist() == [[1, "sea", False]]
    assert labels.per_label().support.tolist() == [2, 0]
    assert labels.compare(labels).value == 0
    assert "Their mean would do as well or better" in numbers_report(-true, true, ["price"]).sentence
    assert "Never said: sea." in labels_report([[0.9, 0.1]] * 3, [[1, 1]] * 3, ["sky", "sea"]).sentence


@pytest.mark.parametrize(
    ("found", "true", "names"),
    [([1.0, 2.0], [1.0], ["a"]), ([1.0], [1.0], ["a", "b"]), ([np.nan], [1.0], ["a"]), ([], [], ["a"])],
)
def test_numbers_that_do_not_fit_are_refused(found: Any, true: Any, names: list[str]) -> None:
    with pytest.raises(InputError):
        numbers_report(np.array(found), np.array(true), names)


@pytest.mark.parametrize(
    ("probs", "true"),
    [([[0.5, 0.5]], [[1]]), ([[3.0, 0.1]], [[1, 0]]), ([[0.5, 0.5]], [[2, 0]]), ([[np.nan, 0]], [[1, 0]])],
)
def test_labels_that_do_not_fit_are_refused(probs: Any, true: Any) -> None:
    with pytest.raises(InputError):
        labels_report(np.array(probs), np.array(true), ["a", "b"])


# How numbers are learnt


def test_numbers_are_learnt_on_a_common_scale_and_measured_in_their_own() -> None:
    loss = ScaledMSE([1000.0, 1.0], [200.0, 0.5])
    targets = torch.tensor([[1200.0, 1.5], [800.0, 0.5]])
    assert loss(torch.tensor([[1.0, 1.0], [-1.0, -1.0]]), targets).item() == pytest.approx(0)
    assert loss.activation(torch.zeros(1, 2)).tolist() == [[1000.0, 1.0]]
    metric = metric_of("regression", "mae", loss)
    assert metric(torch.tensor([[1.0, 1.0], [-1.0, 0.0]]), targets) == pytest.approx((0 + 0 + 0 + 0.5) / 4)
    assert metric.name == "mae"


def test_the_history_and_the_report_agree_on_the_validation_items() -> None:
    draw = np.random.RandomState(0)
    x = draw.rand(200, 4)
    task = nt.tasks.from_arrays(x, (x @ [500.0, -300.0, 90.0, 0.0]) + 4000, metrics=["mae", "rmse", "r2"])
    tuner = nt.Tuner(task.learner("tabular", layers=[16], seed=0), seed=0)
    history = tuner.fit(12, lr=1e-2)
    metrics = tuner.evaluate(task.valid).metrics
    for name in ("mae", "rmse", "r2"):
        assert history.rows[-1][name] == pytest.approx(metrics[name].value, rel=1e-4), name
    assert metrics["r2"].value > 0.5


def test_a_learner_of_ones_own_is_reported_by_its_loss() -> None:
    x = torch.rand(60, 3)

    def learner(loss: nn.Module, y: torch.Tensor) -> Learner:
        data = TensorDataset(x, y)
        dls = DataLoaders.from_dsets(data, data, bs=20)
        dls.n_inp = 1
        return Learner(dls, nn.Linear(3, 2), loss_func=loss)

    numbers = nt.Tuner(learner(nn.MSELoss(), torch.rand(60, 2)), seed=0)
    assert set(numbers.evaluate(numbers.learn.dls.valid).metrics) >= {"mae", "rmse", "r2", "mae 0", "mae 1"}


# Bundles of tables


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    df = pd.DataFrame({"a": np.arange(60) % 7, "b": ["x", "y", None] * 20, "price": np.arange(60) * 1.5})
    df.loc[3, "a"] = np.nan
    task = nt.tasks.from_frame(df, y="price")
    tuner = nt.Tuner(task.learner("tabular", layers=[8], seed=0), seed=0)
    return df, tuner.save(tmp_path_factory.mktemp("bundle") / "b")


def test_a_bundle_of_a_table_is_whole_and_its_readme_names_the_columns(table: tuple[Any, Path]) -> None:
    df, place = table
    model = nt.load(place)
    assert model.predict(df).columns.tolist() == ["price"]
    assert len(model.predict(df.iloc[:0])) == 0
    text = (place / "README.md").read_text()
    assert "model.predict(df)" in text
    assert "`b`, `a`" in text


def test_a_changed_bundle_of_a_table_is_refused(table: tuple[Any, Path], tmp_path: Path) -> None:
    raw = (table[1] / "bundle.json").read_bytes()
    (tmp_path / "b").mkdir()
    for name in ("weights.safetensors", "README.md"):
        (tmp_path / "b" / name).write_bytes((table[1] / name).read_bytes())
    (tmp_path / "b" / "bundle.json").write_bytes(raw.replace(b'"layers": "8"', b'"layers": "9"'))
    with pytest.raises(BundleError, match="altered"):
        nt.load(tmp_path / "b")


SOUND: dict[str, Any] = {
    "categories": {"b": ["x"]}, "numbers": ["a"], "medians": [0.0], "means": [0.0], "stds": [1.0], "gaps": ["a"],
}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [{"stds": [0.0]}, {"stds": [1.0, 1.0]}, {"means": ["0"]}, {"medians": [float("inf")]}, {"gaps": ["c"]},
     {"numbers": ["b"], "gaps": []}, {"categories": {"b": ["x", "x"]}}, {"categories": ["b"]}, {"more": 1},
     {"categories": {"b": [str(i) for i in range(200_000)]}},
     {"categories": {}, "numbers": [], "medians": [], "means": [], "stds": [], "gaps": []}],
)  # fmt: skip
def test_preprocessing_that_does_not_hold_is_refused(change: dict[str, Any]) -> None:
    assert columns_problem(SOUND) == ""
    assert columns_problem({**SOUND, **change})


@pytest.mark.parametrize(
    ("card", "outputs"),
    [({"kind": "other"}, 3), ({"kind": "regression"}, 1), ({"kind": "regression", "scale": [[0.0], [0.0]]}, 1),
     ({"kind": "regression", "scale": [[0.0, 0.0], [1.0, 1.0]]}, 1), ({}, 1), ({"kind": "single"}, 1),
     ({"kind": "regression", "scale": [["0"], [1.0]]}, 1)],
)  # fmt: skip
def test_answers_that_do_not_hold_are_refused(card: dict[str, Any], outputs: int) -> None:
    assert answer_problem({"kind": "regression", "scale": [[0.0], [1.0]]}, 1) == ""
    assert answer_problem(card, outputs)


@pytest.mark.parametrize(
    ("sizes", "numbers", "layers"),
    [("5x3", 2, "100000,100000"), ("999999x600", 2, "8"), ("5x3;", 2, "8"), ("5x3", -1, "8"), ("5x3", 2, ""),
     ("0x3", 2, "8"), ("", 0, "8"), (5, 2, "8"), ("5x3", 2, "8,0")],
)  # fmt: skip
def test_networks_that_would_fill_the_memory_or_are_none_are_not_made(sizes: Any, numbers: int, layers: str) -> None:
    assert isinstance(made_tabular(2, "5x3", 2, "8,4"), nn.Module)
    with pytest.raises(TypeError):
        made_tabular(2, sizes, numbers, layers)
