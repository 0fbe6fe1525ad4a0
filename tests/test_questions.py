"""Questions on kept features: they answer what a fit would, say how sure that is, and leave everything as it was."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from fastai.losses import CrossEntropyLossFlat
from torch import nn

import nbtune as nt
from learners import collab, differing, digits, state, tabular
from nbtune._cut import Cut, grouping
from nbtune.cache import Store
from nbtune.errors import FreezeError, InputError, InputTypeError, NbtuneError, TrainingError
from nbtune.questions import depth, noise, probe, sweep
from nbtune.questions.race import rungs


def head_of(learn: Any, norms: str = "still") -> Cut:
    groups = grouping(learn.model, "stage", learn.splitter)
    return Cut(groups, len(groups) - 1, norms)


def letters(shots: int = 5, **options: Any) -> Any:
    return nt.tasks.digits(shots=shots).learner("letters", seed=0, **options)


QUESTIONS: dict[str, Callable[..., Any]] = {
    "probe": lambda learn, **more: probe(learn, head_of(learn).groups, **{"store": Store(), **more}),
    "depth": lambda learn, **more: depth(learn, head_of(learn).groups, **more),
    "sweep": lambda learn, **more: sweep(
        learn, head_of(learn), **{"lrs": [1e-3, 1e-2, 1e-1, 1.0], "epochs": 3, "seeds": 2, "store": Store(), **more}
    ),
    "noise": lambda learn, **more: noise(
        learn, head_of(learn), **{"lr": 1e-2, "epochs": 3, "seeds": 6, "store": Store(), **more}
    ),
}
EACH = pytest.mark.parametrize("name", QUESTIONS)


@EACH
@pytest.mark.parametrize("make", [letters, digits, tabular], ids=lambda make: make.__name__)
def test_a_question_leaves_everything_as_it_was(name: str, make: Callable[[], Any]) -> None:
    learn = make()
    before = state(learn)
    value = QUESTIONS[name](learn)
    assert differing(before, state(learn)) == []
    assert not value.partial
    assert "alidation" in value.sentence
    assert repr(value) == value.sentence
    assert value.sentence.split(":")[0] in value._repr_html_()
    assert len(value.frame())
    assert value.plot()._repr_png_()[:4] == b"\x89PNG"
    assert repr(value.plot()) == value.sentence


@EACH
def test_an_interrupt_leaves_everything_as_it_was(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    learn, calls = letters(), []

    def interrupt() -> bool:
        calls.append(1)
        if len(calls) > 6:
            raise KeyboardInterrupt
        return False

    before = state(learn)
    with pytest.raises(KeyboardInterrupt):
        QUESTIONS[name](learn, stopped=interrupt)
    assert differing(before, state(learn)) == []


def stops_after(count: int) -> Callable[[], bool]:
    asked: Iterator[int] = iter(range(10**6))
    return lambda: next(asked) >= count


@pytest.mark.parametrize("count", [0, 4, 9, 14])
@EACH
def test_a_stopped_question_says_that_it_is_partial(name: str, count: int) -> None:
    learn = letters()
    before = state(learn)
    if name == "probe" and count < 2:  # a probe without features has nothing to say
        with pytest.raises(TrainingError, match="stopped before it had features"):
            QUESTIONS[name](learn, stopped=stops_after(count))
    else:
        value = QUESTIONS[name](learn, stopped=stops_after(count))
        assert value.partial
        assert "topped" in value.sentence
        assert len(value.frame()) >= 0
        value.plot()._repr_png_()
    assert differing(before, state(learn)) == []


# What a trial is


@pytest.mark.parametrize("first", ["head", "layer4"])
def test_a_trial_equals_the_fit_with_the_same_seed_to_the_bit(first: str) -> None:
    learn = letters()
    tuner = nt.Tuner(learn, seed=3)
    tuner.freeze_to(first)
    found = sweep(learn, tuner._held.cut, lrs=[3e-3, 1e-2], wds=[0.0, 0.3], epochs=3, seeds=2, store=Store(), seed=3)
    noisy = noise(learn, tuner._held.cut, lr=3e-3, wd=0.3, epochs=3, seeds=2, store=Store(), seed=3)
    row = tuner.fit(3, **found.best)
    assert row.cached
    assert found.results[0].scores[0] == row.rows[-1]["accuracy"]
    other = nt.Tuner(letters(), seed=4)
    other.freeze_to(first)
    assert noisy.scores[1] == other.fit(3, 3e-3, wd=0.3).rows[-1]["accuracy"]


def test_the_valid_loss_of_a_trial_equals_that_of_the_fit_after_an_earlier_phase() -> None:
    learn = letters(metrics=[])
    tuner = nt.Tuner(learn, seed=0)
    tuner.freeze()
    tuner.fit(1, 1e-2)
    found = noise(learn, tuner._held.cut, lr=1e-3, epochs=2, seeds=2, store=tuner._held.store, seed=1)
    assert found.metric == "valid_loss"
    alone = noise(learn, tuner._held.cut, lr=1e-3, epochs=2, seeds=2, store=tuner._held.store, seed=2)
    assert found.scores[1] == alone.scores[0]  # nothing of a run is left to the next, the optimizer's state included
    assert found.scores[0] == tuner.fit(2, 1e-3).rows[-1]["valid_loss"]
    assert found.scores[0] != found.scores[1]


def test_batch_size_and_dropout_change_the_trial_alone() -> None:
    learn = letters()
    cut = head_of(learn)
    dropouts = [m for m in learn.model.modules() if isinstance(m, nn.Dropout)]
    if not dropouts:
        with pytest.raises(InputError, match="without a dropout module"):
            sweep(learn, cut, lrs=1e-2, dropouts=[0.5], store=Store())
    learn = digits(metrics=[])
    found = sweep(learn, head_of(learn), lrs=1e-2, dropouts=[0.0, 0.9], batch_sizes=[16, 32], epochs=2, store=Store())
    assert len({result.first for result in found.results}) == 4
    assert {(r.setting.dropout, r.setting.bs) for r in found.results} == {(0.0, 16), (0.0, 32), (0.9, 16), (0.9, 32)}
    assert learn.dls.train.bs == 32


def test_the_features_of_a_fit_serve_the_questions_and_the_other_way_round() -> None:
    learn = letters()
    tuner = nt.Tuner(learn, seed=0)
    tuner.freeze()
    tuner.fit(1)
    store = tuner._held.store
    kept = dict(store)
    assert probe(learn, tuner._held.cut.groups, store=store).cached
    noise(learn, tuner._held.cut, lr=1e-3, epochs=1, seeds=2, store=store)
    assert {key: id(value) for key, value in store.items()} == {key: id(value) for key, value in kept.items()}


def test_a_probe_does_not_drop_what_another_plan_has_kept() -> None:
    learn = letters()
    tuner = nt.Tuner(learn, seed=0)
    tuner.freeze_to("layer4")
    tuner.fit(1)
    before = dict(tuner._held.store)
    probe(learn, tuner._held.cut.groups, store=tuner._held.store)
    assert dict(tuner._held.store) == before


# Successive halving


def test_the_race_trains_all_for_few_epochs_and_few_for_all() -> None:
    assert rungs(20, 5) == [(20, 1), (9, 2), (3, 5)]
    assert rungs(2, 5) == [(2, 5)]
    assert rungs(20, 1) == [(20, 1), (3, 1)]


def test_a_sweep_finds_the_better_rate_and_tells_ties() -> None:
    learn = letters(shots=20, metrics=[])
    found = sweep(learn, head_of(learn), lrs=[1e-6, 1e-4, 1e-2, 1.0001e-2], epochs=4, store=Store())
    assert found.metric == "valid_loss"
    assert found.best["lr"] in (1e-2, 1.0001e-2)
    by_rate = {result.setting.lr: result for result in found.results}
    assert [by_rate[lr].tied for lr in (1e-6, 1e-4)] == [False, False]
    assert sum(result.tied for result in found.results) == 1
    top = found.results[0]
    assert top.estimate.low <= top.estimate.value <= top.estimate.high
    assert len(top.scores) == 3
    assert "by the seeds, 1 of the 2 others trained as long cannot be told from it" in found.sentence
    assert "not compared with it: 1 dropped after fewer epochs" in found.sentence


def test_the_last_ones_of_a_sweep_are_of_different_rates_and_the_best_is_among_them() -> None:
    # Five labels a class: after one epoch 0.03 leads with every decay, and after five 0.01 reads 6 points more.
    learn = nt.tasks.digits(shots=5, seed=1).learner("letters", seed=0)
    rates, store = [3e-4, 1e-3, 3e-3, 1e-2, 3e-2], Store()
    found = sweep(learn, head_of(learn), lrs=rates, wds=[0.0, 0.01, 0.1, 0.3], store=store)
    last = [result for result in found.results if result.epochs == 5]
    assert len({result.setting.lr for result in last}) == len(last) == 3
    alone = [sweep(learn, head_of(learn), lrs=[rate], wds=[0.0], store=store).results[0] for rate in rates]
    assert found.results[0].estimate.value >= max(one.estimate.value for one in alone) - 0.005  # an item of 200


def test_what_was_dropped_early_is_never_called_as_good() -> None:
    learn = letters(shots=20, metrics=[])
    found = sweep(learn, head_of(learn), lrs=[1e-2, 1.0001e-2, 1.0002e-2, 1.0003e-2], epochs=4, store=Store())
    assert [result.tied for result in found.results] == [False, True, True, False]
    assert [result.epochs for result in found.results] == [4, 4, 4, 2]
    assert found.results[1].estimate.high - found.results[1].estimate.low > 2 * 4.3 * found.sd / math.sqrt(3)


def test_a_rate_that_diverges_comes_last() -> None:
    learn = digits()
    learn.opt_func = partial(_sgd)
    found = sweep(learn, head_of(learn), lrs=[100.0, 1e-2], wds=[1.0], epochs=2, seeds=2, store=Store())
    assert found.best == {"lr": 1e-2, "wd": 1.0}
    only = sweep(learn, head_of(learn), lrs=[100.0], wds=[1.0], epochs=30, seeds=1, store=Store())
    if math.isnan(only.results[0].estimate.value):
        with pytest.raises(TrainingError, match="finite loss"):
            _ = only.best


def _sgd(params: Any, lr: float = 1e-3, **_: Any) -> Any:
    from fastai.optimizer import SGD

    return SGD(params, lr)


# The noise


def test_noise_is_the_spread_over_seeds() -> None:
    learn = digits(metrics=[])
    found = noise(learn, head_of(learn), lr=1e-2, epochs=2, seeds=6, store=Store(), seed=5)
    assert found.seeds == (5, 6, 7, 8, 9, 10)
    assert found.sd.value == pytest.approx(np.std(found.scores, ddof=1))
    assert found.sd.low < found.sd.value < found.sd.high
    t = 2.570582  # 97.5 % point of Student's t, 5 degrees of freedom
    assert found.difference == pytest.approx(t * math.sqrt(2) * found.sd.value, rel=1e-5)
    assert found.mean.high - found.mean.value == pytest.approx(t * found.sd.value / math.sqrt(6), rel=1e-5)
    assert "cannot be told apart" in found.sentence


def test_without_chance_the_seed_makes_no_difference() -> None:
    learn = digits(bs=96)
    for module in learn.model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    found = noise(learn, head_of(learn), lr=1e-3, epochs=1, seeds=3, store=Store())
    assert "no difference" in found.sentence


# What is refused, before anything runs

BAD: list[tuple[str, dict[str, Any], type[NbtuneError], str]] = [
    ("sweep", {"lrs": []}, InputError, "lrs is empty"),
    ("sweep", {"lrs": [1e-3, -1e-2]}, InputError, r"lrs\[1\]"),
    ("sweep", {"lrs": "fast"}, InputTypeError, "lrs='fast'"),
    ("sweep", {"lrs": [1e-3], "wds": []}, InputError, "wds is empty"),
    ("sweep", {"lrs": [1e-3], "wds": [-0.1]}, InputError, r"wds\[0\]"),
    ("sweep", {"lrs": [1e-3], "dropouts": [1.0]}, InputError, r"dropouts\[0\]"),
    ("sweep", {"lrs": [1e-3], "batch_sizes": [0]}, InputError, r"batch_sizes\[0\]"),
    ("sweep", {"lrs": [1e-3], "batch_sizes": [1000]}, TrainingError, "give no batch"),
    ("sweep", {"lrs": [1e-3], "epochs": 0}, InputError, "epochs=0"),
    ("sweep", {"lrs": [1e-3], "seeds": 0}, InputError, "seeds=0"),
    ("sweep", {"lrs": [{"stem": 1e-3}]}, InputError, "stem is still"),
    ("noise", {"lr": -1.0}, InputError, "lr is -1"),
    ("noise", {"wd": -1.0}, InputError, "wd=-1"),
    ("noise", {"seeds": 0}, InputError, "seeds=0"),
    ("noise", {"seeds": 1}, InputError, "seeds=1"),
    ("noise", {"epochs": 0}, InputError, "epochs=0"),
    ("noise", {"seed": -1}, InputError, "seed=-1"),
    ("probe", {"seed": "0"}, InputTypeError, "seed='0'"),
]


@pytest.mark.parametrize(("name", "given", "kind", "said"), BAD)
def test_what_makes_no_sense_is_refused(name: str, given: dict[str, Any], kind: type[NbtuneError], said: str) -> None:
    learn = digits()
    before = state(learn)
    fetched = learn.dls.train.dataset.fetched
    with pytest.raises(kind, match=said) as caught:
        QUESTIONS[name](learn, **given)
    assert all(str(getattr(caught.value, part)) for part in ("given", "rule", "likely", "next"))
    assert learn.dls.train.dataset.fetched == fetched
    assert differing(before, state(learn)) == []


@pytest.mark.parametrize("name", ["probe", "depth"])
def test_a_probe_refuses_what_it_cannot_read(name: str) -> None:
    learn = digits()
    learn.dls.train.dataset[:] = [(x, torch.tensor(3)) for x, _ in list(learn.dls.train.dataset)]
    with pytest.raises(InputError, match="one class"):
        QUESTIONS[name](learn)
    learn = digits()
    with torch.no_grad():
        learn.model[0][0].weight[0] = math.nan
    with pytest.raises(InputError, match="not finite for 96 of 96 training items"):
        QUESTIONS[name](learn)
    learn = collab()  # ratings, which are numbers
    learn.loss_func = CrossEntropyLossFlat()
    with pytest.raises(InputError, match="not classes"):
        QUESTIONS[name](learn)


def test_groups_that_are_one_have_no_depth() -> None:
    learn = digits()
    groups = grouping(learn.model, lambda model: [list(model.parameters())], None)
    for ask in (probe, depth):
        with pytest.raises(FreezeError, match="1 group"):
            ask(learn, groups, store=Store())


@pytest.mark.parametrize("name", ["sweep", "noise"])
def test_where_features_cannot_be_kept_the_reason_and_the_live_line_are_said(name: str) -> None:
    learn = digits()
    groups = head_of(learn).groups
    ask: dict[str, Callable[[Cut], Any]] = {
        "sweep": lambda cut: sweep(learn, cut, lrs=[1e-3], store=Store()),
        "noise": lambda cut: noise(learn, cut, lr=1e-3, store=Store()),
    }
    before = state(learn)
    with pytest.raises(FreezeError, match="Nothing is still") as caught:
        ask[name](Cut(groups, 0))
    assert "tuner.freeze()" in caught.value.next
    with pytest.raises(FreezeError, match="Norm layers") as caught:
        ask[name](Cut(groups, len(groups) - 1, "train"))
    assert "norms" in caught.value.next
    assert differing(before, state(learn)) == []


def test_items_that_change_are_named_and_augment_false_mends_it() -> None:
    learn = letters()
    del learn.nbtune_origin  # a Learner of one's own: its random transforms stay on in a fit
    with pytest.raises(FreezeError, match="change") as caught:
        noise(learn, head_of(learn), lr=1e-3, epochs=1, seeds=2, store=Store())
    assert "augment=False" in caught.value.next
    assert noise(learn, head_of(learn), lr=1e-3, epochs=1, seeds=2, augment=False, store=Store()).scores
    assert probe(learn, head_of(learn).groups, store=Store()).cached


def test_an_item_that_cannot_be_read_is_named_and_leaves_the_learner() -> None:
    class Row(torch.utils.data.Dataset[Any]):
        def __len__(self) -> int:
            return 40

        def __getitem__(self, at: int) -> Any:
            if at == 20:
                raise ValueError("row 20 is no number")
            return torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(at)), at % 2

    learn = digits()
    learn.dls.train.dataset = Row()
    before = state(learn)
    with pytest.raises(FreezeError, match="row 20 is no number") as caught:
        noise(learn, head_of(learn), lr=1e-3, epochs=1, seeds=2, store=Store())
    assert "cannot be read" in caught.value.likely
    assert "next(iter(" in caught.value.next
    assert differing(before, state(learn)) == []


@pytest.mark.parametrize(
    ("values", "metric", "span"),
    [([0.73, 0.755], "accuracy", (0.655, 0.755)), ([0.2, 0.9], "accuracy", (0.2, 0.9)), ([], "accuracy", (0.0, 1.0)),
     ([0.10, 0.12], "error_rate", (0.10, 0.20)), ([1.0, 1.01], "mae", (1.0, 1.01))],
)  # fmt: skip
def test_a_few_items_are_not_painted_as_all_the_difference(values: Any, metric: str, span: Any) -> None:
    from nbtune.questions.map import _span

    assert _span(values, metric) == pytest.approx(span)
