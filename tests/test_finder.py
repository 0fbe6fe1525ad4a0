"""The range test measures a loss curve, leaves no trace, and says when its curve cannot be relied on."""

from __future__ import annotations

import math
import os
import pickle
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fastai.callback.core import Callback
from fastai.callback.fp16 import MixedPrecision
from fastai.callback.tracker import SaveModelCallback
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner
from fastai.losses import CrossEntropyLossFlat
from fastai.metrics import accuracy
from fastai.optimizer import OptimWrapper
from fastcore.foundation import L
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from torch import nn

import nbtune as nt
from nbtune._cut import Cut
from nbtune.errors import InputError, InputTypeError
from nbtune.finder import Fingerprint, LRCurve, range_test
from nbtune.finder import readings as _readings
from nbtune.finder.advice import advise
from nbtune.finder.readings import PACE, Running, averaged, fall, pace, read
from nbtune.groups import split

DIGITS = load_digits()
X = torch.tensor(DIGITS.images / 16, dtype=torch.float32)[:, None]
Y = torch.tensor(DIGITS.target)


def network() -> nn.Module:
    """A small CNN with what a trial can disturb: running statistics and dropout's random stream."""
    body = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(4))
    return nn.Sequential(body, nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(128, 10)))


def parts(model: nn.Module) -> list[list[nn.Parameter]]:
    return [list(part.parameters()) for part in model.children()]


def learner(items: int = 192, bs: int = 64, **options: Any) -> Any:
    torch.manual_seed(0)
    pairs = list(zip(X[:items], Y[:items], strict=True))
    held = list(zip(X[500:532], Y[500:532], strict=True))
    dls = DataLoaders(DataLoader(pairs, bs=bs, shuffle=True, drop_last=True), DataLoader(held, bs=32))
    kept = {"loss_func": CrossEntropyLossFlat(), "splitter": parts, "metrics": accuracy}
    return Learner(dls, network(), **{**kept, **options})


def plain(value: Any) -> Any:
    """Tensors and arrays as bytes, containers as lists, for comparison to the bit."""
    if isinstance(value, torch.Tensor | np.ndarray):
        return np.asarray(value).tobytes()
    if isinstance(value, dict):
        return [(key, plain(item)) for key, item in value.items()]
    return [plain(item) for item in value] if isinstance(value, list | tuple | L) else value


def state(learn: Any) -> dict[str, Any]:
    """All that a trial could have changed, as comparable values."""
    model = learn.model
    return {
        "weights": {name: tensor.numpy().tobytes() for name, tensor in model.state_dict().items()},
        "grads": [None if p.grad is None else p.grad.numpy().tobytes() for p in model.parameters()],
        "flags": [m.training for m in model.modules()] + [p.requires_grad for p in model.parameters()],
        "hooks": [len(m._forward_hooks) + len(m._backward_hooks) for m in model.modules()],
        "opt": None if learn.opt is None else plain((learn.opt.state_dict(), list(learn.opt.hypers))),
        "opt is": id(learn.opt),
        "python": random.getstate(),
        "numpy": plain(np.random.get_state()),
        "torch": torch.get_rng_state().numpy().tobytes(),
        "loader": (learn.dls.train.rng.getstate(), learn.dls.train.drop_last, learn.dls.train.bs),
        "cbs": [(id(cb), type(cb).__name__) for cb in learn.cbs],
        "attributes": sorted(vars(learn)),
        "options": (learn.lr, learn.wd, learn.create_mbar, id(learn.logger)),
        "recorder": plain({k: v for k, v in vars(learn.recorder).items() if k in ("values", "losses", "lrs")}),
        "autocast": torch.is_autocast_enabled("cpu"),
        "grad mode": torch.is_grad_enabled(),
    }


@pytest.fixture
def trained() -> Any:
    """A Learner in mid-life: an optimizer with state, a recorder with a row, batch statistics that moved."""
    learn = learner(cbs=[MixedPrecision()] if torch.cuda.is_available() else None)
    with learn.no_bar(), learn.no_logging():
        learn.fit(1, 1e-3)
    return learn


def test_a_curve_of_a_real_learner(trained: Any) -> None:
    curve = range_test(trained, seeds=2)
    assert curve.lrs[0] == pytest.approx(1e-7)
    assert np.allclose(np.diff(np.log(curve.lrs)), math.log(1e8) / 99)
    assert curve.losses.shape == (2, len(curve.lrs))
    assert not np.array_equal(curve.losses[0], curve.losses[1])
    assert np.nanmin(curve.smoothed) < curve.smoothed[0, 0] / 1.3  # it learned on the way
    assert 1e-4 < curve.readings["minimum/10"] < 1
    assert set(curve.readings) == {"end of fall", "steepest", "minimum/10", "valley", "slide"}


def test_nothing_is_left_behind(trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    trained.path = tmp_path
    trained.add_cb(SaveModelCallback())  # would write a file, and reset what it knows, in an ordinary fit
    before = state(trained)
    range_test(trained, steps=20, seeds=2)
    assert state(trained) == before
    assert list(tmp_path.rglob("*")) == []


def test_a_folder_that_cannot_be_written_is_no_hindrance(trained: Any, tmp_path: Path) -> None:
    trained.path = tmp_path / "missing"
    os.chmod(tmp_path, 0o500)
    assert len(range_test(trained, steps=10).lrs) == 10
    os.chmod(tmp_path, 0o700)


EVENTS = ["before_fit", "before_epoch", "before_train", "before_batch", "after_pred", "after_loss",
          "before_backward", "before_step", "after_step", "after_batch", "after_train"]  # fmt: skip


class Interrupt(Callback):
    """Raises at the `at`-th time of one event."""

    def __init__(self, event: str, at: int, error: type[BaseException]) -> None:
        super().__init__()
        self.left, self.error = at, error
        setattr(self, event, self._count)
        self.takes_part = True

    def _count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise self.error("the user's interrupt, or a fault")


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(EVENTS),
    st.integers(0, 6),
    st.sampled_from([KeyboardInterrupt, RuntimeError, MemoryError]),
)
def test_an_interrupt_anywhere_leaves_nothing_behind(event: str, at: int, error: Any) -> None:
    learn = learner()
    with learn.no_bar(), learn.no_logging():
        learn.fit(1, 1e-3)
    learn.add_cb(Interrupt(event, at, error))
    before, left = state(learn), learn.interrupt.left
    try:
        range_test(learn, steps=12, start=1e-3, end=0.1)
    except error:
        pass
    else:
        assert event in (
            "before_fit",
            "before_epoch",
            "before_train",
            "after_train",
        )  # fewer of these than `at`
    assert state(learn) == before
    assert learn.interrupt.left == left


def test_an_error_of_the_caller_leaves_nothing_behind(trained: Any) -> None:
    def fail(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    before = state(trained)
    with pytest.raises(KeyboardInterrupt):
        range_test(trained, steps=10, on_step=fail)
    assert state(trained) == before


def test_the_same_seed_gives_the_same_curve_and_the_next_another(trained: Any) -> None:
    first = range_test(trained, steps=12, seed=3)
    torch.rand(7), random.random(), np.random.rand()
    again = range_test(trained, steps=12, seed=3)
    assert first == again
    assert hash(first) == hash(again)
    pair = range_test(trained, steps=12, seed=3, seeds=2)
    assert np.array_equal(pair.losses[0], first.losses[0])
    assert first != range_test(trained, steps=12, seed=4)


def adamw(learn: Any) -> Any:
    groups = [{"params": group, "lr": 1.0} for group in parts(learn.model)]
    return OptimWrapper(opt=torch.optim.AdamW(groups))


def test_ratios_scale_the_groups_together() -> None:
    seen: list[list[float]] = []

    class Look(Callback):
        def before_step(self) -> None:
            seen.append([float(hyper["lr"]) for hyper in self.learn.opt.hypers])

    learn = learner(cbs=Look())
    curve = range_test(learn, make_opt=adamw, ratios=(0.1, 1.0), steps=10, end=0.1)
    assert np.allclose([rates[1] for rates in seen], curve.lrs)
    assert np.allclose([rates[0] for rates in seen], curve.lrs / 10)
    assert curve.ratios == (0.1, 1.0)
    with pytest.raises(InputError, match="3 ratios for an optimizer with 2 groups"):
        range_test(learn, make_opt=adamw, ratios=(0.1, 0.5, 1.0), steps=10)


def test_weight_decay_of_an_optimizer_that_is_given_stays_as_it_made_it() -> None:
    seen: list[list[float]] = []

    class Look(Callback):
        def before_step(self) -> None:
            seen.append([hyper["wd"] for hyper in self.learn.opt.hypers])

    def make(learn: Any) -> Any:
        groups = parts(learn.model)
        decays = [{"params": groups[0], "weight_decay": 0.0}, {"params": groups[1], "weight_decay": 0.3}]
        return OptimWrapper(opt=torch.optim.AdamW(decays))

    range_test(learner(cbs=Look(), wd=0.1), make_opt=make, steps=10)
    assert seen[0] == [0.0, 0.3]


class NaNAfter(nn.Module):
    """Cross entropy that is not finite from the n-th call on."""

    def __init__(self, calls: int) -> None:
        super().__init__()
        self.calls = calls

    def forward(self, pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        self.calls -= 1
        return nn.functional.cross_entropy(pred, target) * (1 if self.calls >= 0 else math.nan)


def test_a_loss_that_is_not_finite_keeps_the_finite_part_and_says_so() -> None:
    curve = range_test(learner(loss_func=NaNAfter(15)), steps=30)
    assert curve.losses.shape == (1, 15)
    assert np.isfinite(curve.losses).all()
    assert "not finite" in curve.verdict
    nothing = range_test(learner(loss_func=NaNAfter(0)), steps=30)
    assert nothing.suggestion is None
    assert "not finite" in nothing.verdict
    assert "0 steps" in nothing.verdict
    assert nothing.plot()._repr_png_()
    assert len(nothing.frame()) == 0


@pytest.mark.parametrize(("items", "bs", "batches"), [(192, 64, 3), (64, 64, 1), (20, 20, 1)])
def test_few_batches_are_repeated(items: int, bs: int, batches: int) -> None:
    learn = learner(items, bs)
    assert len(learn.dls.train) == batches
    assert range_test(learn, steps=25, end=0.1).losses.shape == (1, 25)


def test_a_batch_larger_than_the_train_set_is_said() -> None:
    learn = learner(20, 64)
    assert len(learn.dls.train) == 0
    before = state(learn)
    curve = range_test(learn, steps=12, end=0.1)
    assert "batch size of 64 is above the 20 training items" in curve.verdict
    assert curve.losses.shape == (1, 12)
    assert state(learn) == before


def test_divergence_ends_the_test(trained: Any) -> None:
    curve = range_test(trained, start=1e-3, end=1e4, steps=60, make_opt=sgd)
    assert len(curve.lrs) < 60


def sgd(learn: Any) -> Any:
    return OptimWrapper(opt=torch.optim.SGD(learn.model.parameters(), lr=1.0, momentum=0.9))


def test_progress_and_stop(trained: Any) -> None:
    told: list[tuple[int, int]] = []
    before = state(trained)
    stopped = range_test(
        trained,
        steps=20,
        seeds=2,
        end=0.1,
        on_step=lambda *at: told.append(at),
        should_stop=lambda: len(told) == 27,
    )
    assert told == [(done, 40) for done in range(1, 28)]
    assert "Stopped after step 7 of 20 of test 2 of 2." in stopped.verdict
    assert stopped.losses.shape == (2, 20)
    assert np.isnan(stopped.losses[1, 7:]).all()
    at_once = range_test(trained, steps=20, should_stop=lambda: True)
    assert at_once.losses.shape == (1, 1)
    assert at_once.suggestion is None
    assert at_once.verdict.startswith("No suggestion: no test was complete.")
    assert state(trained) == before


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"start": 1, "end": 1e-7}, InputError, r"swapped.*\n.*start=1e-07, end=1\)"),
        ({"start": 1, "end": 1}, InputError, "one rate was meant"),
        ({"start": 0}, InputError, "linear range from 0"),
        ({"start": -7}, InputError, "exponent without its base: 1e-7"),
        ({"start": -0.001}, InputError, "a sign too many"),
        ({"start": -math.inf}, InputError, "a sign too many"),
        ({"start": math.nan}, InputError, "not a number"),
        ({"end": math.inf}, InputError, "no upper limit"),
        ({"end": math.nan}, InputError, "not a number"),
        ({"end": "10"}, InputTypeError, "as text"),
        ({"end": None}, InputTypeError, "leave the argument out"),
        ({"end": torch.tensor(1.0)}, InputTypeError, "item"),
        ({"end": slice(0.01, 1)}, InputTypeError, "proportions between groups"),
        ({"start": True}, InputTypeError, "learning rates"),
        ({"steps": 0}, InputError, "not filled in"),
        ({"steps": -100}, InputError, "a sign too many"),
        ({"steps": 9}, InputError, "quick trial"),
        ({"steps": 2.5}, InputTypeError, "a division"),
        ({"steps": 100.0}, InputTypeError, "a division"),
        ({"steps": math.nan}, InputTypeError, "not finite"),
        ({"steps": "100"}, InputTypeError, "as text"),
        ({"steps": None}, InputTypeError, "leave the argument out"),
        ({"steps": {}}, InputTypeError, "another argument"),
        ({"seeds": 0}, InputError, "how many tests"),
        ({"seeds": -1}, InputError, "a sign too many"),
        ({"seeds": [0, 1, 2]}, InputTypeError, "give how many"),
        ({"seeds": True}, InputTypeError, "a switch"),
        ({"seed": -1}, InputError, "seed=-1"),
        ({"ratios": (0.1, 0.2)}, InputError, "the largest is 1"),
        ({"ratios": (0.0, 1.0)}, InputError, "above 0"),
        ({"ratios": ()}, InputError, "one number"),
        ({"ratios": "ab"}, InputError, "one number"),
        ({"ratios": 1.0}, InputError, "one number"),
    ],
)
def test_bad_input_is_refused_before_anything_runs(options: Any, error: Any, text: str) -> None:
    learn = learner()
    before = state(learn)
    with pytest.raises(error, match=text) as caught:
        range_test(learn, on_step=lambda *_: pytest.fail("a step was made"), **options)
    assert all(part in str(caught.value) for part in ("Rule:", "Likely:", "Next:"))
    assert state(learn) == before


def test_a_learner_that_cannot_be_tested_is_refused() -> None:
    with pytest.raises(InputTypeError, match="range test of Sequential"):
        range_test(network())
    learn = learner()
    learn.loss_func = None
    with pytest.raises(InputError, match="without a loss function"):
        range_test(learn)
    empty = learner()
    empty.dls = DataLoaders(DataLoader([], bs=4), DataLoader([], bs=4))
    with pytest.raises(InputError, match="gives no batch"):
        range_test(empty)
    stream = learner()
    stream.dls = DataLoaders(torch.utils.data.DataLoader(list(zip(X[:3], Y[:3], strict=True)), 8, drop_last=True))
    with pytest.raises(InputError, match="gives no batch"):
        range_test(stream)


# What a suggestion needs.


def letters(seed: int, still: bool, shots: int = 5) -> Any:
    """The shipped body on few images a class, its head alone or all of it in training."""
    tuner = nt.Tuner(nt.tasks.digits(shots=shots, seed=seed).learner("letters", seed=seed), seed=seed)
    if still:
        tuner.freeze()
    return tuner


@pytest.mark.parametrize("span", [(1e-9, 1e-8), (1e-9, 1e-6), (1e-5, 1e-4), (1e-3, 2e-3), (1e-6, 1e-3)])
def test_a_range_that_does_not_hold_the_fall_gives_no_suggestion(span: tuple[float, float]) -> None:
    for steps in (12, 40):
        curve = letters(0, still=True).lr_find(*span, steps=steps)
        assert curve.suggestion is None, curve
        assert "try" in curve.verdict.lower()
        assert any(word in curve.verdict for word in ("too low", "too narrow", "so the best lies above"))
        assert "end=10" in curve.verdict


def test_a_range_that_starts_within_the_fall_gives_no_suggestion() -> None:
    curve = letters(0, still=True).lr_find(0.03, 30, steps=40)
    assert curve.suggestion is None
    assert "starts too high: try lr_find(start=1e-07" in curve.verdict
    assert "starts too high" in letters(0, still=True).lr_find(0.03, 30).verdict
    falling = advise(LRS[60:], [u_curve(0.1, 1.8, 0.01, 0)[60:]])
    assert falling.suggestion is None or falling.suggestion > 3 * LRS[60]
    at_once = advise(np.geomspace(0.05, 50, 60), [2.3 * 0.5 ** np.arange(60)])
    assert at_once.suggestion is None
    assert "start" in at_once.reason


@pytest.mark.parametrize("span", [(5e-4, 5), (5e-4, 0.05), (1e-3, 10), (1e-3, 0.1), (0.01, 10), (0.01, 1), (0.03, 3)])
def test_a_range_that_begins_within_the_fall_is_told_to_begin_lower(span: tuple[float, float]) -> None:
    curve = letters(0, still=True, shots=10).lr_find(*span, seeds=3)  # from 1e-7 on: 0.0055
    assert curve.suggestion is None
    assert f"{span[0]:.2g} is too high a start: try start=1e-07" in curve.verdict


def test_a_loss_that_has_come_to_zero_does_not_still_fall() -> None:
    curve = letters(0, still=True).lr_find()
    assert curve.losses[0, -30:].max() < 0.01
    assert curve.suggestion is not None
    assert "still" not in curve.verdict
    assert "above 10" not in curve.verdict


def test_one_seed_gives_no_band_and_does_not_pretend_one() -> None:
    tuner = letters(0, still=True)
    alone = tuner.lr_find(steps=40)
    assert "One seed gives no band" in alone.verdict
    assert "×" not in alone.verdict
    three = tuner.lr_find(steps=40, seeds=3)
    assert "over 3 seeds" in three.verdict
    assert "One seed" not in three.verdict


def test_the_number_of_steps_changes_a_suggestion_by_less_than_twofold() -> None:
    made = {f"head {seed}": letters(seed, still=True).lr_find for seed in (0, 1)}
    made["all"] = letters(0, still=False, shots=1).lr_find
    made |= {f"cnn {seed}": lambda s=seed, **k: range_test(learner(1280), seed=s, **k) for seed in (0, 1)}
    spread = {}
    for name, find in made.items():
        rates = [find(steps=steps).suggestion for steps in ((40, 100) if name == "all" else (40, 100, 200))]
        assert None not in rates, name
        spread[name] = max(rates) / min(rates)
    assert max(spread.values()) < 2, spread


def test_the_range_changes_a_suggestion_by_less_than_twofold() -> None:
    find = letters(0, still=True).lr_find
    rates = [find(*span).suggestion for span in ((1e-7, 10), (1e-5, 1), (1e-6, 0.1), (1e-8, 100))]
    assert max(rates) / min(rates) < 2, rates


# Curves with a known answer, made here (synthetic).

LRS = np.geomspace(1e-7, 10, 100)


def u_curve(low_at: float, depth: float, noise: float, seed: int, width: float = 2.0, lrs: Any = LRS) -> Any:
    """Flat at 2.3, falling by `depth` over `width` decades down to `low_at`, then rising steeply."""
    x = np.log10(lrs)
    down = np.clip((x - (math.log10(low_at) - width)) / width, 0, 1)
    rise = np.clip(x - math.log10(low_at) - 0.5, 0, None)
    chance = np.random.default_rng(seed).normal(size=len(lrs))
    return 2.3 - depth * (3 * down**2 - 2 * down**3) + 5 * rise + noise * chance


@given(st.floats(1e-3, 0.5), st.floats(1.0, 2.0), st.floats(0, 0.1), st.integers(0, 99))
def test_readings_of_a_valley_lie_in_it(low_at: float, depth: float, noise: float, seed: int) -> None:
    readings = read(LRS, u_curve(low_at, depth, noise, seed), 100)
    assert low_at / 30 < readings["minimum/10"] * 10 < low_at * 10
    assert low_at / 300 < readings["steepest"] < low_at
    # Nine tenths of this fall are done at 0.8 of its width, in decades: at low_at / 10**0.39.
    assert low_at / 10 < readings["end of fall"] < low_at * 2


@given(st.floats(0.01, 1), st.integers(0, 999), st.integers(1, 3), st.sampled_from([10, 20, 40, 100, 300]))
@settings(derandomize=True)  # one curve of noise in a thousand may pass
def test_pure_noise_gives_no_suggestion(noise: float, seed: int, seeds: int, steps: int) -> None:
    rows = [2.3 + noise * np.random.default_rng(seed + 1000 * k).normal(size=steps) for k in range(seeds)]
    advice = advise(np.geomspace(1e-7, 10, steps), rows, most=math.inf)
    assert advice.suggestion is None
    assert "noise" in advice.reason
    assert "seeds=5" in advice.reason


def test_of_pure_noise_few_curves_fall_further_than_their_noise() -> None:
    draw = np.random.default_rng(0)
    for steps in (12, 40, 100):
        falls = [fall(np.geomspace(1e-7, 10, steps), draw.normal(size=steps)) for _ in range(500)]
        assert sum(one.depth > one.noise for one in falls) <= 5


def test_a_constant_loss_gives_no_suggestion() -> None:
    advice = advise(LRS, [np.full(100, 2.3)])
    assert advice.suggestion is None
    assert "valley" not in advice.readings


def learnt(lrs: Any, needed: float, noise: float, seed: int) -> Any:
    """A loss that falls as the rates so far add up: to 1/e of its way at `needed`."""
    so_far = np.cumsum(lrs) - lrs
    return 0.1 + 2.2 * np.exp(-so_far / needed) + noise * np.random.default_rng(seed).normal(size=len(lrs))


@given(st.floats(-3, -0.5), st.floats(-6, 0.5), st.floats(2, 6), st.integers(100, 200), st.floats(0, 0.02))
@settings(max_examples=300)
def test_wherever_a_range_begins_it_suggests_the_same_within_twofold_or_nothing(
    needed: float, above: float, decades: float, steps: int, noise: float
) -> None:
    truth = advise(LRS, [learnt(LRS, 10**needed, 0, 0)]).suggestion
    lrs = np.geomspace(truth * 10**above, truth * 10 ** (above + decades), steps)
    advice = advise(lrs, [learnt(lrs, 10**needed, noise, steps)])
    assert advice.suggestion is None or 0.5 < advice.suggestion / truth < 2
    if advice.suggestion is None:
        assert "try" in advice.reason.lower()


@given(st.floats(0.02, 1.5), st.integers(0, 99), st.integers(1, 5))
@settings(max_examples=300)
def test_a_suggestion_has_its_reading(noise: float, seed: int, seeds: int) -> None:
    lrs = np.geomspace(1e-6, 1, 100)
    advice = advise(lrs, [u_curve(0.03, 1.8, noise, seed + 100 * k, lrs=lrs) for k in range(seeds)], most=math.inf)
    if advice.suggestion is not None:
        assert advice.suggestion == pytest.approx(advice.readings["end of fall"] * pace(lrs) / PACE)
        assert next(iter(advice.readings)) == "end of fall"


def test_a_loss_that_only_rises_is_told_from_a_range_that_is_too_low() -> None:
    rising = 0.3 + 5 * np.clip(np.log10(LRS) + 3, 0, None) + 0.05 * np.random.default_rng(0).normal(size=100)
    advice = advise(LRS, [rising])
    assert advice.suggestion is None
    assert "before it rises" in advice.reason
    assert "too low" not in advice.reason


@given(st.floats(1e-3, 0.5), st.integers(0, 99), st.integers(1, 3))
def test_a_suggestion_is_the_median_of_seeds_that_agree(low_at: float, seed: int, seeds: int) -> None:
    rows = [u_curve(low_at, 1.8, 0.03, seed + 100 * k) for k in range(seeds)]
    votes = [fall(LRS, row).end for row in rows]
    wide = advise(LRS, rows, most=max(votes) / min(votes) * 1.001)
    assert wide.suggestion == pytest.approx(math.exp(np.median(np.log(votes))))
    if max(votes) / min(votes) > 1.01:
        narrow = advise(LRS, rows, most=max(votes) / min(votes) * 0.999)
        assert narrow.suggestion is None
        assert f"between {min(votes):.2g} and {max(votes):.2g}" in narrow.reason


def test_seeds_that_disagree_are_a_reason_to_refuse() -> None:
    rows = [u_curve(low_at, 1.8, 0.01, 0) for low_at in (0.001, 0.3)]
    assert all(advise(LRS, [row]).suggestion is not None for row in rows)
    assert advise(LRS, rows).suggestion is None


def test_a_fall_with_a_late_second_dip_has_no_clear_end() -> None:
    dip = np.where(LRS < 1e-3, 2.3, np.where(LRS < 0.3, 1.5, 1.0)) + 0.01 * np.random.default_rng(0).normal(size=100)
    advice = advise(LRS, [dip])
    assert advice.suggestion is None
    assert "half of the fall" in advice.reason


def test_a_fall_within_less_than_two_decades_is_no_evidence() -> None:
    lrs = np.geomspace(1e-3, 0.05, 21)  # at the usual pace, and flat on both sides of its fall
    row = np.interp(np.arange(21), [0, 9, 13, 20], [2.3, 2.3, 0.1, 0.1])
    assert "too narrow" in advise(lrs, [row]).reason
    assert advise(np.geomspace(1e-4, 0.05, 34), [np.r_[np.full(13, 2.3), row]]).suggestion is not None


def test_smoothing_for_the_readings_of_fastai_is_that_of_fastai() -> None:
    from fastai.learner import AvgSmoothLoss

    meter, ours = AvgSmoothLoss(), _readings._as_fastai([3.0, 1.0, 2.0, 0.5], 100)
    for value, mine in zip([3.0, 1.0, 2.0, 0.5], ours, strict=True):
        meter.accumulate(type("L", (), {"loss": torch.tensor(value), "yb": ()})())
        assert float(meter.value) == pytest.approx(mine)


def test_a_rate_that_would_lie_above_the_tested_range_is_not_suggested() -> None:
    lrs = np.geomspace(1e-4, 0.03, 200)  # 80 steps a decade: what falls here falls later at the usual pace
    advice = advise(lrs, [u_curve(0.008, 1.8, 0, 0, 1, lrs)])
    assert advice.suggestion is None
    assert "untried" in advice.reason
    assert "try end=10" in advice.reason


def test_a_suggestion_is_scaled_to_the_usual_pace_and_says_so() -> None:
    lrs = np.geomspace(1e-7, 10, 397)  # four times the usual 99 / 8 steps a decade
    assert pace(LRS) == pytest.approx(PACE)
    usual, slow = (advise(x, [u_curve(0.01, 1.8, 0, 0, lrs=x)]) for x in (LRS, lrs))
    assert usual.readings["end of fall"] == pytest.approx(slow.readings["end of fall"], rel=0.1)
    assert slow.suggestion == pytest.approx(4 * slow.readings["end of fall"])
    assert usual.suggestion == pytest.approx(usual.readings["end of fall"])
    assert "Scaled" in slow.reason
    assert "Scaled" not in usual.reason


def test_the_picture_does_not_depend_on_the_number_of_steps() -> None:
    def at(steps: int) -> dict[str, float]:
        lrs = np.geomspace(1e-7, 10, steps)
        return read(lrs, u_curve(0.05, 1.8, 0, 0, lrs=lrs), steps)

    coarse, fine = at(100), at(400)
    for name in ("end of fall", "valley", "steepest", "minimum/10"):
        assert coarse[name] == pytest.approx(fine[name], rel=0.5)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=50))
def test_smoothing_is_a_weighted_mean_of_what_was_measured(losses: list[float]) -> None:
    assert (averaged(losses, PACE) >= min(losses) - 1e-9).all()
    assert (averaged(losses, PACE) <= max(losses) + 1e-9).all()
    running = Running(PACE)
    for step, value in enumerate(losses):
        average = running.add(value)
        assert average == pytest.approx(value) or step
        assert min(losses[: step + 1]) - 1e-9 <= average <= max(losses[: step + 1]) + 1e-9


def test_smoothing_does_not_lag_and_a_blow_up_does_not_reach_back() -> None:
    line = np.linspace(2, 1, 100)
    assert averaged(line, PACE)[30:70] == pytest.approx(line[30:70], rel=1e-4)
    blown = u_curve(0.01, 1.8, 0, 0)
    lowest = int(np.argmin(averaged(blown, PACE)))
    blown[75:] = 1e6
    assert abs(int(np.argmin(averaged(blown, PACE))) - lowest) < 10


@pytest.mark.parametrize(("smoothed", "best", "first", "expected"), [
    (4.1, 1.0, 2.3, True), (3.9, 1.0, 2.3, False), (0.01, 1e-3, 2.3, False), (-1.0, -5.0, 2.3, False),
    (2.5, 1e-3, 2.3, True),
])  # fmt: skip
def test_divergence_is_measured_against_the_best(smoothed: float, best: float, first: float, expected: bool) -> None:
    assert _readings.diverged(smoothed, best, first) is expected


def test_a_curve_is_a_value_that_shows_itself() -> None:
    rows = np.array([u_curve(0.05, 1.8, 0.03, k) for k in range(3)])
    rows[1, 90:] = math.nan
    made = LRCurve(LRS, rows, 0.01, "Learning rate 0.01: a test.", {"valley": 0.004, "slide": 0.02}, 100)
    assert repr(made) == made.verdict
    assert "valley" in made._repr_html_()
    frame = made.frame()
    assert list(frame.columns) == ["seed", "lr", "loss", "smoothed"]
    assert len(frame) == 290
    low, high = made.band
    assert (low <= high).all()
    assert np.allclose(low, np.nanmin(made.smoothed, axis=0))
    assert pickle.loads(pickle.dumps(made)) == made
    with pytest.raises(ValueError, match="read-only"):
        made.losses[0, 0] = 1
    picture = made.plot()
    ax = picture.axes[0]
    assert ax.get_xscale() == "log"
    assert ax.get_xlabel() == "learning rate (log)"
    assert any(line.get_label() == "suggestion 0.01" for line in ax.lines)
    assert picture._repr_png_().startswith(b"\x89PNG")


def test_a_curve_knows_the_plan_it_was_measured_for(trained: Any) -> None:
    model = trained.model
    cut = Cut(split(model, "stage"), 1)
    then = Fingerprint.of(model, cut)
    curve = range_test(trained, steps=10, measured_for=then)
    assert curve.measured_for == then
    assert curve.stale(Fingerprint.of(model, cut)) == ""
    assert not curve.trained_since(Fingerprint.of(model, cut))
    whole = Fingerprint.of(model, Cut(cut.groups, 0))
    last, first = cut.groups[1].name, cut.groups[0].name
    assert curve.stale(whole) == f"it was measured with {last!r} training first, now {first!r} does"
    followed = Fingerprint.of(model, Cut(cut.groups, 1, "train"))
    assert curve.stale(followed) == "it was measured with norms='still', now it is norms='train'"
    assert Fingerprint.of(model, Cut(cut.groups, 0, "train")) == whole  # nothing is still: no norm is held
    with torch.no_grad():
        model[1][2].bias += 1
    after = Fingerprint.of(model, cut)
    assert curve.stale(after) == ""
    assert curve.trained_since(after)
    assert pickle.loads(pickle.dumps(curve)) == curve
    unknown = range_test(trained, steps=10)
    assert unknown.stale(after) == ""
    assert not unknown.trained_since(after)
