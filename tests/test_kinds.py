"""Probes of numbers and of several labels: what scikit-learn gives, the right metric in every word, and no trace."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fastai.losses import BCEWithLogitsLossFlat
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import f1_score, mean_absolute_error, r2_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import StandardScaler
from torch import nn

import nbtune as nt
from learners import differing, digits, state
from nbtune import bodies
from nbtune.cache import Store
from nbtune.errors import InputError, TrainingError
from nbtune.questions import now, probe, right
from nbtune.questions.kinds.labels import LabelKind
from nbtune.questions.kinds.numbers import NumberKind
from nbtune.questions.kinds.ridge import ALPHAS, DEFAULT_ALPHA, ridge
from nbtune.questions.linear import DEFAULT_C, Split
from numbers_and_labels import TASKS, as_labels, as_numbers, begun, labels_of_fastai, table_of_fastai


@pytest.fixture(scope="module", params=TASKS)
def asked(request: pytest.FixtureRequest) -> tuple[str, nt.Tuner, Any]:
    tuner = begun(request.param)
    return request.param, tuner, tuner.probe()


def by_hand(tuner: nt.Tuner) -> list[Any]:
    """Standardised features before the head by `nt.features`, and targets, of both splits."""
    learn, last = tuner.learn, tuner.groups[-2].name
    found: list[Any] = []
    for items in (learn.dls.train.new(shuffle=False, drop_last=False), learn.dls.valid):
        items.after_batch = learn.dls.valid.after_batch
        x, y = nt.features(learn.model, last, items)
        found += [(x.mean((2, 3)) if x.ndim == 4 else x).double().numpy(), y.numpy().reshape(len(y), -1)]
    scale = StandardScaler().fit(found[0])
    return [scale.transform(found[0]), found[1], scale.transform(found[2]), found[3]]


# As scikit-learn


def test_the_probe_is_scikit_learns_on_features_by_hand(asked: tuple[str, nt.Tuner, Any]) -> None:
    name, tuner, probe = asked
    x, y, xv, yv = by_hand(tuner)
    if name == "labels":
        theirs = OneVsRestClassifier(LogisticRegression(C=probe.c, max_iter=5000)).fit(x, y).predict(xv)
        assert np.mean((probe.report.probs > 0.5) == theirs) > 0.99
        assert probe.score.value == pytest.approx(f1_score(yv, probe.report.predicted, average="macro"))
        assert np.isnan(probe.alpha)
        return
    mean, spread = y.astype(np.float64).mean(0), y.astype(np.float64).std(0)
    model = RidgeCV(ALPHAS).fit(x, (y - mean) / spread)
    theirs = model.predict(xv).reshape(yv.shape) * spread + mean
    assert probe.alpha == model.alpha_
    assert np.allclose(probe.report.predicted, theirs, rtol=1e-3, atol=1e-3 * spread.min())
    assert probe.score.value == pytest.approx(mean_absolute_error(yv, probe.report.predicted))
    assert probe.report.metrics["r2"].value == pytest.approx(r2_score(yv, probe.report.predicted))
    assert np.isnan(probe.c)


@pytest.mark.parametrize(("n", "d", "k"), [(60, 5, 1), (60, 5, 3), (30, 30, 2), (40, 12, 1)])
def test_ridge_is_scikit_learns_also_where_columns_are_alike(n: int, d: int, k: int) -> None:
    rng = np.random.default_rng(n + d + k)
    x, w = rng.normal(size=(n, d)), rng.normal(size=(d, k))
    if d == 12:
        x[:, 6:] = x[:, :6] + 1e-6 * rng.normal(size=(n, 6))
    y = x @ w + rng.normal(size=(n, k))
    x, y = x - x.mean(0), y - y.mean(0)
    weights, alpha, partial = ridge(x, y, lambda: False, lambda: None)
    theirs = RidgeCV(ALPHAS).fit(x, y)
    assert (alpha, partial) == (theirs.alpha_, False)
    assert np.allclose(x @ weights, theirs.predict(x).reshape(n, k), atol=1e-8)


def test_c_of_labels_has_the_least_loss_in_cross_validation() -> None:
    from sklearn.model_selection import KFold, cross_val_score

    x, y = load_digits().data[:150], np.stack([load_digits().target[:150] < 5, load_digits().target[:150] % 2], 1)
    found = LabelKind([], []).fit(Split(x, y, x, y), 3, lambda: False, lambda: None)
    scaled, folds = StandardScaler().fit_transform(x), KFold(5, shuffle=True, random_state=3)
    losses = {
        c: -np.mean([cross_val_score(LogisticRegression(C=c, max_iter=2000), scaled, column, cv=folds,
                                     scoring="neg_log_loss").mean() for column in y.astype(int).T])
        for c in (found.c / 10, found.c, found.c * 10)
    }  # fmt: skip
    assert min(losses, key=lambda c: losses[c]) == found.c


def test_it_beats_the_mean_and_has_an_interval(asked: tuple[str, nt.Tuner, Any]) -> None:
    name, tuner, probe = asked
    train, valid = (tuner.learn.nbtune_origin.task.train.y, tuner.learn.nbtune_origin.task.valid.y)
    assert probe.score.low < probe.score.value < probe.score.high
    assert probe.n == len(valid)
    if name == "labels":
        usual = np.broadcast_to(train.mean(0) > 0.5, valid.shape)
        assert probe.score.low > f1_score(valid, usual, average="macro", zero_division=0)
    else:
        guess = np.broadcast_to(train.reshape(len(train), -1).mean(0), (len(valid), probe.report.targets.shape[1]))
        mean = mean_absolute_error(probe.report.targets, guess)
        assert probe.score.high < mean
        assert probe.outcome.baseline == pytest.approx(mean)


def test_the_same_seed_gives_the_same_and_validation_targets_choose_nothing() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 5)), rng.normal(size=60)
    for kind, goal in ((NumberKind([], []), y), (LabelKind([], []), (y > 0).astype(int))):
        one, two, other = (
            kind.fit(Split(x, goal, x, valid), 0, lambda: False, lambda: None) for valid in (goal, goal, goal[::-1])
        )
        assert one.outcome.score == two.outcome.score
        assert (one.c, one.alpha) == pytest.approx((other.c, other.alpha), nan_ok=True)


def test_the_unit_of_one_number_makes_no_difference_to_the_other() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(80, 6))
    y = np.stack([x.sum(1), rng.normal(size=80)], 1)  # one wants a small alpha, the other a large one
    one, other = (
        NumberKind([], ["a", "b"]).fit(Split(x, y * unit, x, y * unit), 0, lambda: False, lambda: None)
        for unit in (np.array([1, 1]), np.array([1, 1e6]))
    )
    assert one.alpha == other.alpha
    assert one.outcome.report.metrics["mae a"].value == pytest.approx(other.outcome.report.metrics["mae a"].value)  # type: ignore[attr-defined]


# Depth, bodies, sweeps


@pytest.mark.parametrize("name", ["table", "number", "labels"])
def test_depth_ranks_by_the_metric_and_ends_with_the_probe(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("nbtune.questions.depth"), "prices", lambda *_: (None, None))
    tuner = begun(name)
    tuner.probe()  # fills the cache
    before = state(tuner.learn)
    found, metric = tuner.depth(), TASKS[name][2]
    assert differing(before, state(tuner.learn)) == []
    assert found.places[-1].score == tuner.probe().score
    frame = found.frame()
    values = frame[metric]
    assert found.best is not None
    assert found.earliest is not None
    assert found.best.score.value == (values.min() if metric == "mae" else values.max())
    inside = values <= found.best.score.high if metric == "mae" else values >= found.best.score.low
    assert found.earliest.first == frame["first"][inside].iloc[0]
    assert ("MAE" if metric == "mae" else "macro F1") in repr(found)
    assert "accuracy" not in repr(found) + found._repr_html_() + found.plot().axes[0].get_ylabel()


def test_bodies_of_numbers_and_labels_are_ranked_the_best_first() -> None:
    def fresh(n: int) -> nn.Module:
        return bodies.get("letters").build(n, False)

    for task, metric in ((as_numbers(), "mae"), (as_labels(), "f1")):
        found = bodies.compare(task, {"fresh": fresh, "letters": "letters"})
        assert [one.name for one in found.bodies] == ["letters", "fresh"]
        frame = found.frame()
        assert (frame[metric].is_monotonic_increasing, frame[metric].is_monotonic_decreasing)[metric == "f1"]
        assert frame["behind"].tolist() == pytest.approx([0, abs(frame[metric][1] - frame[metric][0])])
        assert ("alpha" if metric == "mae" else "c") in frame
        assert found.best.score == nt.Tuner(task.learner("letters", augment=False, seed=0), seed=0).probe().score
        assert "accuracy" not in repr(found) + found._repr_html_() + found.plot().axes[0].get_xlabel()


@pytest.mark.parametrize("name", ["table", "labels"])
def test_sweep_and_noise_speak_of_the_metric(name: str) -> None:
    tuner, metric = begun(name), TASKS[name][2]
    swept, noise = tuner.sweep([1e-4, 1e-2], [0.0], epochs=1, seeds=2), tuner.noise(1, 1e-2, seeds=2)
    assert (swept.metric, noise.metric) == (metric, metric)
    values = swept.frame()[metric]
    assert values.iloc[0] == (values.min() if metric == "mae" else values.max())
    assert tuner.fit(1, 1e-2).rows[-1][metric] == noise.scores[0]


# Any fastai Learner


LEARNERS: dict[str, Any] = {
    "fastai's table": table_of_fastai,
    "fastai's loss of labels": lambda: labels_of_fastai(BCEWithLogitsLossFlat()),
    "PyTorch's loss of labels": lambda: labels_of_fastai(nn.BCEWithLogitsLoss()),
}


@pytest.mark.parametrize("name", LEARNERS)
def test_any_learner_is_probed_by_what_its_loss_says_and_left_as_it_was(name: str) -> None:
    learn = LEARNERS[name]()
    tuner = nt.Tuner(learn, seed=0)
    tuner.freeze()
    tuner.probe()  # fills the cache, the one thing that a question leaves behind
    before = state(learn)
    probe = tuner.probe()
    found = now(learn)
    assert set(differing(before, state(learn))) <= {"cbs"}  # of items without ids features are kept anew
    assert probe.kind == ("regression" if "table" in name else "multi")
    gain = probe.gain(found)
    assert gain.better.low <= gain.better.value <= gain.better.high
    if probe.kind == "multi":
        assert found.min() >= 0
        assert found.max() <= 1
    else:
        assert probe.report.names == ("target",)
        assert probe.outcome.baseline > probe.score.high


def test_it_is_stopped_before_features_and_while_a_penalty_is_chosen() -> None:
    tuner = begun("number")
    groups = tuner._held.cut.groups
    for begin in (2, 0):  # at once, and after two batches
        calls = iter(range(begin, 1000))
        with pytest.raises(TrainingError, match="stopped before it had features"):
            probe(tuner.learn, groups, store=Store(), stopped=lambda calls=calls: next(calls) > 1)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 5)), rng.integers(0, 2, (60, 3))
    calls = iter(range(1000))
    found = LabelKind([], []).fit(Split(x, y, x, y), 0, lambda: next(calls) > 20, lambda: None)
    assert found.partial
    assert next(calls) < 30  # it was asked between labels, and ended at once
    first = LabelKind([], []).fit(Split(x, y, x, y), 0, lambda: True, lambda: None)
    assert (first.partial, first.c) == (True, DEFAULT_C)
    none = NumberKind([], []).fit(Split(x, x[:, 0], x, x[:, 0]), 0, lambda: True, lambda: None)
    assert (none.partial, none.alpha) == (True, DEFAULT_ALPHA)
    calls = iter(range(1000))
    some = NumberKind([], []).fit(Split(x, x[:, 0], x, x[:, 0]), 0, lambda: next(calls) >= 3, lambda: None)
    assert some.partial
    assert some.alpha in ALPHAS[:3]


# What cannot be probed


def test_targets_that_do_not_fit_are_refused() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 3)), rng.normal(size=20)
    gap = np.where(np.arange(20) == 3, np.nan, y)
    cases: list[tuple[Any, Split, str]] = [
        (NumberKind([], []), Split(x, gap, x, y), "not finite for 1 of 20 training"),
        (NumberKind([], []), Split(x, y * 0 + 3, x, y), "one target, 3"),
        (NumberKind([], []), Split(x * np.nan, y, x, y), "features .* not finite"),
        (LabelKind([], []), Split(x, y, x, y), "loss of several labels"),
        (LabelKind([], []), Split(x, y * 0, x, y * 0), "all have the same labels"),
    ]
    for kind, split, says in cases:
        with pytest.raises(InputError, match=f"(?s){says}.*Rule: .*Likely: .*Next: "):
            kind.check(split, "here")


def test_a_loss_of_ones_own_on_numbers_is_refused_with_what_to_do() -> None:
    learn = table_of_fastai()
    learn.loss_func = lambda out, goal: (out - goal).abs().mean()
    with pytest.raises(InputError, match=r"(?s)numbers, not classes.*under this loss.*Next: learn.loss_func"):
        nt.Tuner(learn, seed=0).probe()


def test_item_losses_are_a_classifiers() -> None:
    with pytest.raises(InputError, match=r"(?s)numbers, not classes.*Next: task\.quality\(\)\.wrong_labels"):
        begun("table").item_losses()


def test_labels_that_nobody_has_and_tiny_sets() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(12, 3)), np.zeros((12, 3), dtype=int)
    y[::2, 0], y[:, 1] = 1, 1
    probs = LabelKind([], []).fit(Split(x, y, x, y), 0, lambda: False, lambda: None).outcome.report.probs  # type: ignore[attr-defined]
    assert (probs[:, 1] == 1).all()
    assert (probs[:, 2] == 0).all()
    two = NumberKind([], []).fit(Split(x[:2], x[:2, 0], x, x[:, 0]), 0, lambda: False, lambda: None)
    assert (two.folds, two.alpha) == (0, DEFAULT_ALPHA)
    assert "too few" in two.how


def test_right_is_of_classes_and_the_panel_names_the_metric() -> None:
    from nbtune_widgets import FreezePanel

    tuner = begun("table")
    panel = FreezePanel(tuner, seconds=0)
    panel._depth = tuner.depth()
    view = panel.look()
    assert view["probed"] == "linear probe, MAE (lower is better)"
    assert view["head"][-1] == "linear probe before it, MAE (lower is better)"
    place = panel._depth.places[-1]
    assert view["depth"][-1]["text"] == f"{place.score.value:.1f}"
    assert f"{place.score.value:.1f} [" in view["rows"][-1][-1]
    assert right(digits()).dtype == bool
    assert pd.notna(view["depth"][-1]["low"])
