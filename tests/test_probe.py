"""The linear probe, at the end of the body and at every depth."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import pytest
import torch

import nbtune as nt
from learners import bert, differing, digits, state
from nbtune._cut import Cut, grouping
from nbtune.cache import Store
from nbtune.errors import InputError
from nbtune.questions import depth, probe, right
from nbtune.questions.linear import DEFAULT_C, Split, linear
from nbtune.questions.pooling import pooled


def head_of(learn: Any) -> Cut:
    groups = grouping(learn.model, "stage", learn.splitter)
    return Cut(groups, len(groups) - 1)


def letters(shots: int = 5, **options: Any) -> Any:
    return nt.tasks.digits(shots=shots).learner("letters", seed=0, **options)


# The probe


def test_the_probe_is_the_one_that_scikit_learn_gives() -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    learn = letters(shots=20)
    found = probe(learn, head_of(learn).groups, store=Store())
    halves = []
    features: list[Any] = []
    body = learn.model.get_submodule(head_of(learn).groups[-2].modules[-1])
    handle = body.register_forward_hook(lambda m, i, out: features.append(out.mean((2, 3))))
    learn.model.eval()
    for loader in (
        learn.dls.train.new(shuffle=False, drop_last=False, after_batch=learn.dls.valid.after_batch),
        learn.dls.valid,
    ):
        features.clear()
        with torch.no_grad():
            ys = [(learn.model(x), y)[1] for x, y in loader]
        halves.append((torch.cat(features).numpy(), torch.cat([y.as_subclass(torch.Tensor) for y in ys]).numpy()))
    handle.remove()
    (x, y), (xv, yv) = halves
    theirs = make_pipeline(StandardScaler(), LogisticRegression(C=found.c, max_iter=1000)).fit(x, y).predict(xv) == yv
    assert np.mean(theirs == found.correct) > 0.99
    assert found.accuracy.low < found.accuracy.value == found.correct.mean() < found.accuracy.high


def test_the_probe_reads_validation_items_once_and_never_to_choose() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 5)), np.arange(60) % 3
    one = linear(Split(x, y, x, y), 0, _no, _nothing)
    other = linear(Split(x, y, x, (y + 1) % 3), 0, _no, _nothing)
    assert one.c == other.c


def test_the_unit_of_a_feature_makes_no_difference_to_the_probe() -> None:
    rng = np.random.default_rng(1)
    x, y, units = rng.normal(size=(80, 6)), np.arange(80) % 2, 10.0 ** np.arange(-3, 3)
    x[:, 0] += y
    one, other = (
        linear(Split(x, y, x, y), 0, _no, _nothing),
        linear(Split(x * units, y, x * units, y), 0, _no, _nothing),
    )
    assert (one.c, list(one.correct)) == (other.c, list(other.correct))


def test_one_item_a_class_leaves_nothing_to_hold_out() -> None:
    found = probe(letters(shots=1), head_of(letters(shots=1)).groups, store=Store())
    assert (found.folds, found.c) == (0, DEFAULT_C)
    assert "one item a class" in found.sentence


@pytest.mark.parametrize(("counts", "folds"), [((9, 9), 5), ((9, 3), 3), ((9, 9, 1), 5), ((2, 2), 2), ((1, 1), 0)])
def test_fewer_folds_where_a_class_has_few_items(counts: tuple[int, ...], folds: int) -> None:
    y = np.repeat(np.arange(len(counts)), counts)
    x = np.random.default_rng(0).normal(size=(len(y), 40)) + y[:, None]  # more features than items
    found = linear(Split(x, y, x, y), 0, _no, _nothing)
    assert found.folds == folds
    assert found.accuracy.value == 1


def test_the_gain_is_paired_and_in_points() -> None:
    learn = letters()
    found = probe(learn, head_of(learn).groups, store=Store())
    assert repr(found.gain(found.correct))[:11] == "+0.0 points"
    now = found.correct.copy()
    now[np.flatnonzero(~now)[:4]] = True
    gain = found.gain(now)
    assert gain.points.value == pytest.approx(400 / found.n)
    assert 0 < gain.points.low < gain.points.value < gain.points.high
    assert found.gain(right(learn)).points.value == pytest.approx(100 * (right(learn).mean() - found.accuracy.value))
    with pytest.raises(InputError, match="item by item"):
        found.gain(now[:-1])


def test_right_is_what_fastai_measures() -> None:
    learn = digits()
    before = state(learn)
    mine = right(learn).mean()
    assert differing(before, state(learn)) == []
    assert mine == pytest.approx(float(learn.validate()[1]))
    held = list(learn.dls.valid.dataset)
    learn.model.eval()
    with torch.no_grad():
        read = learn.model(torch.stack([x for x, _ in held])).argmax(1) == torch.stack([y for _, y in held])
    assert right(learn).tolist() == read.tolist()


@pytest.mark.parametrize(
    ("shape", "said"),
    [((2, 5), ""), ((2, 7, 5), "mean over 7 tokens"), ((2, 5, 3, 4), "mean over 3 × 4 places"),
     ((2, 3, 3, 5), "mean over 3 × 3 places"), ((2, 5, 1, 1), "")],
)  # fmt: skip
def test_features_are_one_vector_an_item(shape: tuple[int, ...], said: str) -> None:
    vectors, text = pooled((torch.zeros(2, dtype=torch.long), torch.rand(shape)))
    assert vectors.shape == (2, 5)
    assert text == said


# Depth


def test_depth_at_the_last_boundary_is_the_probe() -> None:
    learn = letters()
    found = depth(learn, head_of(learn).groups)
    last = probe(learn, head_of(learn).groups, store=Store())
    assert [place.first for place in found.places] == ["layer1", "layer2", "layer3", "layer4", "head"]
    assert found.places[-1].accuracy == last.accuracy
    assert found.places[-1].c == last.c
    assert found.places[0].size == 32 * 16 * 16
    sizes = [place.params for place in found.places]
    assert sizes == sorted(sizes)
    assert found.total == sum(p.numel() for p in learn.model.parameters())
    assert found.places[-1].still.seconds > found.places[0].still.seconds > 0
    assert found.places[-1].epoch.seconds < found.places[0].epoch.seconds
    early = found.earliest
    assert early is not None
    assert early.accuracy.value >= max(found.places, key=lambda place: place.accuracy.value).accuracy.low
    assert "stand in for full maps" in found.sentence


def test_depth_goes_over_the_items_once(monkeypatch: pytest.MonkeyPatch) -> None:
    learn = digits()
    monkeypatch.setattr(import_module("nbtune.questions.depth"), "prices", lambda *_: (None, None))
    learn.dls.train.dataset.fetched = 0
    depth(learn, head_of(learn).groups)
    assert learn.dls.train.dataset.fetched <= 96 + 32  # and one batch that finds the boundaries


def test_questions_of_a_transformer() -> None:
    learn = bert()
    found = depth(learn, head_of(learn).groups)
    assert "mean over 16 tokens" in {place.pooled for place in found.places}
    assert 0 < probe(learn, head_of(learn).groups, store=Store()).accuracy.high <= 1


def test_a_probe_of_a_model_whose_features_cannot_be_kept_is_live() -> None:
    learn = digits()
    plain = probe(learn, head_of(learn).groups, store=Store())
    learn.model[0].register_forward_hook(lambda *_: None)
    live = probe(learn, head_of(learn).groups, store=Store())
    assert not live.cached
    assert "hook" in live.why
    assert live.accuracy == plain.accuracy
    assert live.correct.tolist() == plain.correct.tolist()


def _no() -> bool:
    return False


def _nothing() -> None:
    pass
