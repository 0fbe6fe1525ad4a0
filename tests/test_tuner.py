"""The Tuner's verbs complete or leave all as it was, on real Learners, to the bit."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from fastai.callback.core import Callback
from fastai.callback.fp16 import MixedPrecision
from fastai.callback.mixup import MixUp
from fastai.callback.schedule import fit_one_cycle, lr_find  # noqa: F401 - patch Learner
from fastai.callback.tracker import EarlyStoppingCallback, SaveModelCallback
from fastai.callback.training import GradientClip
from fastai.metrics import F1Score, RocAuc, accuracy
from fastai.optimizer import SGD, Adam, Optimizer, OptimWrapper
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import DataLoader as TorchLoader

import nbtune as nt
from learners import DIGITS, FAMILIES, X, Y, bits, cnn, differing, digits, loaders, seed, state
from nbtune._fastai import DataLoaders
from nbtune._fastai.borrow import seed_all
from nbtune.errors import FreezeError, InputError, InputTypeError, NbtuneError, TrainingError

FRAME = ["phase", "epoch", "train_loss", "valid_loss", "accuracy", "seconds"]


def tuner(learn: Any = None, **options: Any) -> nt.Tuner:
    return nt.Tuner(digits() if learn is None else learn, **{"seed": 3, **options})


def raiser(event: str, error: BaseException, at: int = 1, order: int = 0) -> Callback:
    """Raises at the `at`-th `event`."""

    class Raise(Callback):
        count = 0

        def __call__(self, event_name: str) -> None:
            if event_name == event:
                type(self).count += 1
                if type(self).count == at:
                    raise error

    Raise.order = order
    return Raise()


# Freezing through the Tuner


@pytest.mark.parametrize("family", FAMILIES)
def test_frozen_stays_frozen_through_the_tuner_and_plain_fits(family: str) -> None:
    t = tuner(FAMILIES[family]())
    plan = t.freeze()
    held = t._held.cut.frozen(t.learn.model)
    before = {name: value for name, value in bits(t.learn.model).items() if name in held}
    assert before
    assert t.fit(1, cache="off").phases[0].proof
    t.learn.fit(1, 1e-2, wd=0.1)
    assert {name: value for name, value in bits(t.learn.model).items() if name in held} == before
    assert t.verify()
    assert set(plan.still) == {group.name for group in t.groups} - {plan.first}
    moved = t.unfreeze()
    assert moved.trainable == moved.total
    t.fit(1, 1e-2)
    after = bits(t.learn.model)
    assert not all(after[name] == before[name] for name in before)


def kinds() -> dict[str, Any]:
    return {"fastai": Adam, "torch": partial(OptimWrapper, opt=torch.optim.AdamW)}


@pytest.mark.parametrize("kind", ["fastai", "torch"])
def test_a_foreign_learner_keeps_its_own_and_the_optimizer_holds_the_plan(kind: str, tmp_path: Path) -> None:
    learn = digits(opt_func=kinds()[kind], lr=0.01, wd=0.02, path=tmp_path)
    own = (learn.opt_func, learn.splitter, learn.lr, learn.wd, learn.loss_func, [type(cb) for cb in learn.cbs])
    t = tuner(learn)
    t.fit(1, 1e-2)
    full = {id(p): learn.opt.opt.state[p] if kind == "torch" else learn.opt.state[p] for p in learn.model.parameters()}
    t.freeze_to("part2")
    t.fit(1, 1e-2)
    assert own[:5] == (learn.opt_func, learn.splitter, learn.lr, learn.wd, learn.loss_func)
    assert [type(cb) for cb in learn.cbs if not isinstance(cb, nt.Still)] == own[5]
    assert isinstance(learn.opt, Optimizer if kind == "fastai" else OptimWrapper)
    assert [[id(p) for p in group] for group in learn.opt.param_lists] == [
        [id(p) for p in part.parameters()] for part in list(learn.model)[2:]
    ]
    assert full
    learn.save("it")
    learn.load("it")
    learn.fit(1, slice(1e-3, 1e-2))
    learn.lr_find(num_it=5, show_plot=False)
    assert t.verify()


@pytest.mark.parametrize("kind", ["fastai", "torch"])
def test_the_optimizer_state_of_what_stays_training_survives(kind: str) -> None:
    learn = digits(opt_func=kinds()[kind])
    t = tuner(learn)
    t.fit(1, 1e-2)

    def moments() -> dict[str, bytes]:
        held = learn.opt.opt.state if kind == "torch" else learn.opt.state
        key = "exp_avg_sq" if kind == "torch" else "sqr_avg"
        return {n: held[p][key].numpy().tobytes() for n, p in learn.model.named_parameters() if key in held.get(p, {})}

    before = moments()
    t.freeze()
    assert moments() == {name: value for name, value in before.items() if name.startswith("3.")}
    t.unfreeze()
    assert moments() == {name: value for name, value in before.items() if name.startswith("3.")}
    every = bits(learn.model)
    learn.fit(1, 1e-2)  # plain fastai trains what the plan says
    assert not any(value == every[name] for name, value in bits(learn.model).items())


def test_plan_groups_and_rates_tell_the_truth() -> None:
    t = tuner()
    with pytest.raises(FreezeError, match="names no group"):
        t.freeze_to("layer9")
    t.freeze_to("part1")
    t.fit(1, lr={"part1": 1e-3, "part2": 2e-3, "head": 3e-3})
    assert [g.lr for g in t.groups] == [0.0, 1e-3, 2e-3, 3e-3]
    assert [g.trainable for g in t.groups] == [False, True, True, True]
    t.unfreeze()
    assert [g.lr for g in t.groups] == [None] * 4  # no rate is known for the new plan
    t.freeze()
    t.learn.unfreeze()  # fastai's
    for parameter in t.learn.model.parameters():
        parameter.requires_grad_(True)
    assert len(t.plan.loose) == 9
    assert t.fit(1).phases[0].proof
    assert not t.plan.loose
    t.learn.remove_cbs([cb for cb in t.learn.cbs if isinstance(cb, nt.Still)])
    assert t.fit(1, cache="off").phases[0].proof, "somebody took the callback away"
    assert t.verify()


def test_verify_sees_a_thaw_and_rolls_its_step_back() -> None:
    class Thaw(Callback):
        def after_step(self) -> None:
            with torch.no_grad():
                self.model[0][0].weight.add_(1)

        def before_batch(self) -> None:
            pass  # takes part in a step

    t = tuner(digits(cbs=Thaw()))
    t.freeze()
    before = state(t.learn)
    proof = t.verify()
    assert not proof
    assert proof.changed == ("0.0.weight",)
    assert set(proof.moved) == {"3.3.weight", "3.3.bias"}
    assert differing(before, state(t.learn)) == []


def test_one_group_cannot_be_frozen_silently() -> None:
    t = tuner(digits(splitter=lambda model: [list(model.parameters())]), groups="learner")
    with pytest.raises(FreezeError, match="1 group"):
        t.freeze()


def test_removing_all_gives_requires_grad_back() -> None:
    learn = digits()
    learn.model[1][0].weight.requires_grad_(False)
    before = [p.requires_grad for p in learn.model.parameters()]
    t = tuner(learn)
    t.freeze()
    t.freeze_to("part1", norms="stats")
    learn.remove_cbs([cb for cb in learn.cbs if isinstance(cb, nt.Still)])
    assert [p.requires_grad for p in learn.model.parameters()] == before


# Ordinary fastai inside


@pytest.mark.parametrize("kind", ["fastai", "torch"])
@pytest.mark.parametrize("workers", [0])
def test_an_unfrozen_fit_is_fastais_to_the_bit(kind: str, workers: int) -> None:
    plain, ours = (digits(opt_func=kinds()[kind], wd=0.05) for _ in range(2))
    t = tuner(ours)
    seed_all(plain, 3)
    plain.fit_one_cycle(2, 1e-2)
    t.fit(2, 1e-2)
    assert bits(plain.model) == bits(ours.model)
    assert [float(v) for v in plain.recorder.losses] == [float(v) for v in ours.recorder.losses]
    assert [row["valid_loss"] for row in t.history.rows] == [float(v[1]) for v in plain.recorder.values]


@given(epochs=st.integers(1, 2), lr=st.floats(1e-4, 1e-1), wd=st.sampled_from([None, 0.0, 0.3]))
@settings(max_examples=8)
def test_discriminative_rates_are_fastais_slice(epochs: int, lr: float, wd: float | None) -> None:
    plain, ours = digits(), digits()
    seed_all(plain, 3)
    plain.fit_one_cycle(epochs, slice(lr / 10, lr), wd=wd)
    tuner(ours).fit(epochs, slice(lr / 10, lr), wd=wd)
    a, b = plain.model.state_dict(), ours.model.state_dict()
    assert all(torch.allclose(a[name], b[name], rtol=1e-4, atol=1e-6) for name in a)


def test_the_same_seed_gives_the_same_result_whatever_is_asked_in_between() -> None:
    def run(between: bool) -> tuple[Any, ...]:
        seed(5 if between else 6)  # what the global streams hold does not matter
        learn = digits()
        t = tuner(learn, test=loaders()[1])
        t.freeze()
        for fit in (lambda: t.fit(1), t.unfreeze, lambda: t.fit(2, slice(1e-4, 1e-2))):
            if between:
                t.lr_find(steps=10)
                t.verify()
                t.evaluate()
                t.plan, t.groups  # noqa: B018 - reading must not matter either
            fit()
        return bits(learn.model), [{k: v for k, v in row.items() if k != "seconds"} for row in t.history.rows]

    assert run(False) == run(True)


# What is refused

BAD: list[tuple[str, Any]] = [
    ("epochs 0", lambda t: t.fit(0)),
    ("epochs -1", lambda t: t.fit(-1)),
    ("epochs 1.5", lambda t: t.fit(1.5)),
    ("epochs nan", lambda t: t.fit(float("nan"))),
    ("epochs text", lambda t: t.fit("4")),
    ("epochs True", lambda t: t.fit(True)),
    ("lr negative", lambda t: t.fit(1, -1e-3)),
    ("lr nan", lambda t: t.fit(1, float("nan"))),
    ("lr inf", lambda t: t.fit(1, float("inf"))),
    ("lr 0", lambda t: t.fit(1, 0)),
    ("lr text", lambda t: t.fit(1, "fast")),
    ("lr too few", lambda t: t.fit(1, [1e-3, 1e-3])),
    ("lr unknown group", lambda t: t.fit(1, {"layer9": 1e-3})),
    ("lr missing group", lambda t: t.fit(1, {"head": 1e-3})),
    ("lr downwards", lambda t: t.fit(1, slice(1e-2, 1e-4))),
    ("wd negative", lambda t: t.fit(1, wd=-0.1)),
    ("wd nan", lambda t: t.fit(1, wd=float("nan"))),
    ("wd text", lambda t: t.fit(1, wd="some")),
    ("schedule", lambda t: t.fit(1, schedule="one-cycle")),
    ("cache", lambda t: t.fit(1, cache="yes")),
    ("views", lambda t: t.fit(1, views=2)),
    ("cbs", lambda t: t.fit(1, cbs=[print])),
    ("group", lambda t: t.freeze_to("layer9")),
    ("group index", lambda t: t.freeze_to(9)),
    ("group float", lambda t: t.freeze_to(1.0)),
    ("norms", lambda t: t.freeze(norms="off")),
    ("recipe", lambda t: t.run(nt.Phase(1))),
    ("group in phase 2", lambda t: t.run(nt.Recipe((nt.Phase(1), nt.Phase(1, first="layer9"))))),
    ("rate in phase 2", lambda t: t.run(nt.Recipe((nt.Phase(1), nt.Phase(1, lr=-1.0)), fresh=True))),
    ("views in phase 2", lambda t: t.run(nt.Recipe((nt.Phase(1), nt.Phase(1, views=3)), fresh=True))),
    ("range upside down", lambda t: t.lr_find(start=1, end=1e-3)),
    ("range without steps", lambda t: t.lr_find(steps=0)),
    ("best too early", lambda t: t.best()),
    ("no test set", lambda t: t.evaluate()),
]


@pytest.mark.parametrize(("name", "act"), BAD, ids=[name for name, _ in BAD])
def test_bad_input_is_refused_in_four_parts_before_anything_is_touched(name: str, act: Any) -> None:
    learn = digits()
    learn.fit(1, 1e-2)
    t = tuner(learn)
    before, plan = state(learn), repr(t.plan)
    with pytest.raises(NbtuneError) as error:
        act(t)
    assert all(part in str(error.value) for part in ("Rule: ", "Likely: ", "Next: "))
    assert differing(before, state(learn)) == []
    assert (len(t.history), len(t.history.phases), repr(t.plan)) == (0, 0, plan)


@pytest.mark.parametrize("break_it", ["loss", "train set"])
def test_a_learner_that_became_unfit_is_refused(break_it: str) -> None:
    learn = digits()
    t = tuner(learn)
    if break_it == "loss":
        learn.loss_func = None
    else:
        learn.dls = loaders(items=20, bs=32)  # no batch: short ones are dropped
    before = state(learn)
    for verb in (lambda: t.fit(1), t.verify, lambda: t.run(nt.recipes.from_scratch(1))):
        if break_it == "loss" and verb == t.verify:
            continue
        with pytest.raises(NbtuneError, match="Rule: "):
            verb()
    assert differing(before, state(learn)) == []


def test_what_is_no_learner_or_holds_nothing_is_refused() -> None:
    with pytest.raises(InputTypeError, match="holds a fastai Learner"):
        nt.Tuner(cnn())  # type: ignore[arg-type]
    learn = digits()
    learn.loss_func = None
    with pytest.raises(InputError, match="loss"):
        nt.Tuner(learn)
    learn = digits()
    learn.dls = DataLoaders(learn.dls.train)
    with pytest.raises(InputError, match="validation split"):
        nt.Tuner(learn)
    model = cnn()
    with pytest.raises(InputError, match="already built"):
        nt.Tuner(digits(model, opt_func=OptimWrapper(opt=torch.optim.SGD(model.parameters(), lr=0.1))))
    for wrong in (-1, 2**32, 1.5, "0"):
        with pytest.raises(NbtuneError, match="seed"):
            nt.Tuner(digits(), seed=wrong)  # type: ignore[arg-type]


# Early ends


class RateOf(Callback):
    """A rate that fit would refuse, as a schedule of one's own may set it."""

    order = 70

    def __init__(self, lr: float) -> None:
        self.lr = lr

    def before_step(self) -> None:
        self.opt.set_hyper("lr", self.lr)


@pytest.mark.parametrize(("lr", "poison"), [(1e-2, True), (1e15, False), (1e37, False)])
@pytest.mark.parametrize("kind", ["fastai", "torch"])
def test_what_is_not_finite_ends_it_with_finite_weights_buffers_and_state(kind: str, lr: float, poison: bool) -> None:
    class Poison(Callback):
        def before_batch(self) -> None:
            if poison and self.training and self.epoch == 1:
                self.learn.xb = (self.xb[0] * float("nan"),)

    learn = digits(opt_func=kinds()[kind])
    t = tuner(learn)
    phase = t.fit(3, 1e-2, schedule="flat", wd=0.1, cbs=[Poison(), RateOf(lr)]).phases[0]
    assert phase.ended.startswith("ended early: ")
    assert "last finite step" in phase.ended
    assert all(torch.isfinite(tensor).all() for tensor in [*learn.model.parameters(), *learn.model.buffers()])
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in learn.model.parameters())
    if poison:
        assert (phase.steps, len(t.history)) == (3, 1)
        assert "the loss was nan at step 4" in phase.ended
        t.fit(1, 1e-3)
        assert t.history.phases[-1].ended == "finished"


def test_a_step_out_of_float32_is_undone() -> None:
    # Plain SGD moves by rate x gradient; 3e38 times a gradient above 1.2 is no float32 (largest: 3.4e38).
    learn = digits(opt_func=partial(SGD), loss_func=lambda out, y: 1000 * nn.functional.cross_entropy(out, y))
    before = {name: p.detach().clone() for name, p in learn.model.named_parameters()}
    phase = tuner(learn).fit(1, cbs=RateOf(3e38)).phases[0]
    assert "a weight was not finite after step 1" in phase.ended
    assert all(torch.equal(p, before[name]) for name, p in learn.model.named_parameters())


def test_the_weights_after_a_poisoned_batch_are_those_before_it() -> None:
    class Poison(Callback):
        def before_batch(self) -> None:
            if self.training and self.train_iter == 2:
                self.learn.xb = (self.xb[0] * float("nan"),)
                self.learn.seen = bits(self.model)

    learn = digits()
    tuner(learn).fit(2, 1e-2, cbs=Poison())
    assert bits(learn.model) == learn.seen


def test_stop_from_another_thread_ends_after_the_batch() -> None:
    t = tuner()

    class Ask(Callback):
        def before_batch(self) -> None:
            if self.training and self.epoch == 1:
                thread = threading.Thread(target=t.stop)
                thread.start()
                thread.join()

    history = t.fit(3, cbs=Ask())
    assert history.phases[0].ended == "was stopped after step 4"
    assert (history.phases[0].steps, len(history)) == (4, 1)
    assert t.fit(1).phases[0].ended == "finished"


@pytest.mark.parametrize("after", [0.0, 0.01, 0.05])
def test_a_real_interrupt_ends_after_the_batch_and_is_raised(after: float) -> None:
    learn = digits()
    t = tuner(learn)
    before = [id(cb) for cb in learn.cbs], learn.logger

    class Ring(Callback):
        def before_train(self) -> None:
            if self.epoch == 1:
                threading.Timer(after, os.kill, (os.getpid(), signal.SIGINT)).start()

        def before_batch(self) -> None:
            if self.training and self.epoch >= 1:
                time.sleep(0.02)

    with pytest.raises(KeyboardInterrupt):
        t.fit(50, cbs=Ring())
    assert ([id(cb) for cb in learn.cbs], learn.logger) == before
    assert t.history.phases[0].ended.startswith("was stopped after step")
    assert 1 <= len(t.history) < 5
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert t.fit(1).phases[0].ended == "finished"


EVENTS = ["before_fit", "before_epoch", "before_batch", "after_pred", "after_backward", "after_batch",
          "before_validate", "after_validate", "after_epoch", "after_fit"]  # fmt: skip


@pytest.mark.parametrize("error", [RuntimeError("on purpose"), KeyboardInterrupt()])
@pytest.mark.parametrize("event", EVENTS)
def test_an_exception_anywhere_leaves_the_learner_usable(event: str, error: BaseException) -> None:
    learn = digits()
    seen: list[str] = []

    class Cleans(Callback):
        def after_fit(self) -> None:
            seen.append("cleaned")

    t = tuner(learn)
    t.freeze()
    before = ([id(cb) for cb in learn.cbs], id(learn.logger), learn.create_mbar, id(learn.loss_func))
    with pytest.raises(type(error)):
        t.fit(2, cache="off", cbs=[Cleans(), MixUp(), raiser(event, error, 1 if event.endswith("fit") else 2, 40)])
    assert ([id(cb) for cb in learn.cbs], id(learn.logger), learn.create_mbar, id(learn.loss_func)) == before
    assert "cleaned" in seen, "fastai runs no after_fit when a fit raises"
    assert not torch.is_autocast_enabled("cpu")
    assert t.history.phases[0].ended == f"ended early: {type(error).__name__}"
    # The second event lies in the first epoch for batches, in the second else; an epoch is whole once it was validated.
    whole = {"before_fit": 0, "after_fit": 2, "after_epoch": 2, "after_validate": 1}
    assert len(t.history) == whole.get(event, 1 if event in ("before_epoch", "before_validate") else 0)
    assert t.fit(1).phases[0].ended == "finished"


def test_an_error_of_the_data_or_the_loss_is_raised_as_it_is() -> None:
    class Broken(list):  # type: ignore[type-arg]
        def __getitem__(self, index: Any) -> Any:
            raise OSError("file gone")

    learn = digits()
    t = tuner(learn)
    whole = learn.dls.train.dataset
    learn.dls.train.dataset = Broken(whole)
    with pytest.raises(OSError, match="file gone"):
        t.fit(1)
    learn.dls.train.dataset = whole
    assert t.fit(1).phases[0].ended == "finished"


# What users bring


def test_users_callbacks_and_metrics_work(tmp_path: Path) -> None:
    metrics = [accuracy, F1Score(average="macro"), RocAuc()]
    learn = digits(metrics=metrics, path=tmp_path)
    t = tuner(learn)
    clip = GradientClip(0.1)
    t.fit(2, 1e-2, cbs=[SaveModelCallback(), clip, MixUp()])
    assert (tmp_path / "models" / "model.pth").exists()
    assert list(t.history.frame().columns) == [*FRAME[:4], "accuracy", "f1_score", "roc_auc_score", "seconds"]
    assert t.history.frame().notna().all().all()


def test_a_tracker_that_ends_the_fit_keeps_its_last_epoch_and_the_next_phase_runs() -> None:
    t = tuner()
    stop = EarlyStoppingCallback(min_delta=1e9, patience=1)
    history = t.run(nt.Recipe((nt.Phase(5), nt.Phase(4)), keep="last"), cbs=stop)
    assert list(history.frame()["epoch"]) == [1, 2, 1, 2]
    assert [phase.ended for phase in history.phases] == ["was ended by a callback"] * 2


def test_bf16_on_the_cpu_trains_and_leaves_no_autocast() -> None:
    class Half(MixedPrecision):
        def before_fit(self) -> None:
            super().before_fit()
            self.autocast = torch.autocast("cpu", dtype=torch.bfloat16)

    learn = digits(cbs=Half(amp_mode="bf16"))
    t = tuner(learn)
    t.freeze()
    assert t.fit(1, cache="off").phases[0].proof
    t.unfreeze()
    with pytest.raises(RuntimeError):
        t.fit(1, cbs=raiser("after_pred", RuntimeError("inside autocast")))
    assert not torch.is_autocast_enabled("cpu")
    assert t.fit(1).phases[0].ended == "finished"
    assert next(learn.model.parameters()).dtype == torch.float32


def test_a_torch_loader_and_a_learner_without_a_recorder() -> None:
    pairs = list(zip(X[:64], Y[:64], strict=True))
    dls = DataLoaders(TorchLoader(pairs, 32, shuffle=True), TorchLoader(pairs, 32))
    from fastai.learner import Learner, Recorder

    learn = Learner(dls, cnn(), loss_func=nn.CrossEntropyLoss(), metrics=accuracy)
    learn.remove_cb(Recorder)
    t = tuner(learn, test=TorchLoader(pairs, 32))
    assert "an epoch" in repr(t.freeze())
    t.fit(1)
    assert t.history.rows[0]["accuracy"] >= 0
    assert t.evaluate().metrics["accuracy"].value >= 0


# Best and last


@pytest.mark.parametrize("on_disk", [False, True])
def test_best_and_last_switch_to_the_bit_across_phases(on_disk: bool, tmp_path: Path) -> None:
    run_dir = tmp_path / "run" if on_disk else None
    learn, states = digits(), []

    class Keep(Callback):
        order = 96  # after the history's own

        def after_epoch(self) -> None:
            states.append(bits(self.model))

    t = tuner(learn, run_dir=run_dir)
    t.freeze()
    t.fit(2, cbs=Keep())
    t.unfreeze()
    t.fit(3, 1e-2, cbs=Keep())
    t.fit(1, 3.0, cbs=Keep())  # a rate that spoils it
    assert t.history.best not in (None, 5)
    assert t.history.rows[t.history.best]["valid_loss"] == min(row["valid_loss"] for row in t.history.rows)
    t.best()
    assert bits(learn.model) == states[t.history.best]
    t.best()
    t.last()
    assert bits(learn.model) == states[-1]
    if run_dir is not None:
        rows = [json.loads(line) for line in (run_dir / "history.jsonl").read_text().splitlines()]
        assert rows == [dict(row) for row in t.history.rows]
        names = [file.name for file in run_dir.iterdir()]
        assert sum(name.startswith("checkpoint-") for name in names) == 2
        assert any(name.startswith(f"best-{t.history.rows[t.history.best]['phase']}-") for name in names)
        assert not any(name.endswith(".tmp") for name in names)
        with pytest.raises(InputError, match="earlier run"):
            tuner(run_dir=run_dir)


def test_an_interrupted_fit_after_best_leaves_its_own_state_as_the_last() -> None:
    learn = digits()
    t = tuner(learn)
    t.fit(2, 1e-2)
    t.best()
    with pytest.raises(RuntimeError):
        t.fit(2, 1e-2, cbs=raiser("before_batch", RuntimeError("on purpose"), 3))
    there = bits(learn.model)
    t.best()
    assert bits(learn.model) != there
    t.last()
    assert bits(learn.model) == there


# Recipes


RECIPES = {
    "probe_then_finetune": lambda: nt.recipes.probe_then_finetune(1, 1),
    "fine_tune": lambda: nt.recipes.fine_tune(1),
    "gradual_unfreezing": lambda: nt.recipes.gradual_unfreezing(4, 1, 1),
    "from_scratch": lambda: nt.recipes.from_scratch(1),
}


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("kind", ["task", "resnet18", "cnn"])
def test_every_recipe_runs(name: str, kind: str) -> None:
    made = {
        "task": lambda: nt.tasks.digits(shots=2).learner("letters"),
        "cnn": digits,
        "resnet18": FAMILIES["resnet18"],
    }
    recipe = RECIPES[name]()
    t = tuner(made[kind]())
    history = t.run(recipe)
    assert [phase.ended for phase in history.phases] == ["finished"] * len(recipe.phases)
    assert len(history) == recipe.epochs
    assert all(phase.proof for phase in history.phases if phase.proof is not None)
    before = state(t.learn)
    assert t.run() == history, "a finished run has nothing left"
    assert differing(before, state(t.learn)) == []
    if recipe.keep == "best":
        assert t._training.at == "best"


def test_run_goes_on_with_what_a_stop_left_on_the_same_schedule() -> None:
    learn, rates = digits(), []
    t = tuner(learn)

    class StopAt(Callback):
        order = 70  # after the schedule

        def before_batch(self) -> None:
            if self.training:
                rates.append(self.opt.hypers[-1]["lr"])
                if len(rates) == 8:
                    t.stop()

    recipe = nt.Recipe((nt.Phase(4, lr=1e-2), nt.Phase(1, first="head", lr=1e-3)), keep="last")
    first = t.run(recipe, cbs=StopAt())
    assert [row["epoch"] for row in first.rows] == [1, 2]
    assert first.phases[-1].ended == "was stopped after step 8"
    second = t.run(cbs=StopAt())
    assert second == t.history
    assert [(row["phase"], row["epoch"]) for row in second.rows] == [(1, 1), (1, 2), (1, 3), (1, 4), (2, 1)]
    assert [(phase.steps, phase.ended) for phase in second.phases] == [(12, "finished"), (3, "finished")]
    whole, parts = digits(), list(rates)
    rates.clear()
    tuner(whole).run(recipe, cbs=StopAt())
    assert parts == rates
    assert bits(whole.model) == bits(learn.model)


def test_a_stop_between_two_phases_is_heard() -> None:
    t = tuner()

    class Late(Callback):
        order = 300

        def after_fit(self) -> None:
            t.stop()

    t.run(nt.Recipe((nt.Phase(1), nt.Phase(1))), cbs=Late())
    assert len(t.history.phases) == 1
    assert len(t.run().phases) == 2


def test_from_scratch_draws_every_weight_anew_and_never_gives_the_old_best_back() -> None:
    learn = digits()
    t = tuner(learn)
    t.fit(6, 3e-2)
    good = bits(learn.model)
    history = t.run(nt.recipes.from_scratch(1, lr=1e-6))
    assert t.history.rows[t.history.best]["phase"] == 2
    assert history.phases[0].fresh
    now = bits(learn.model)
    assert not any(now[name] == good[name] for name in good if not name.endswith("num_batches_tracked"))
    again = tuner(digits())
    again.run(nt.recipes.from_scratch(1, lr=1e-6))
    fresh = bits(again.learn.model)
    assert fresh["0.0.weight"] != bits(digits().model)["0.0.weight"]


def test_the_best_of_a_model_that_is_gone_is_forgotten() -> None:
    t = tuner()
    t.fit(1, 1e-2)
    with pytest.raises(RuntimeError):
        t.run(nt.recipes.from_scratch(1), cbs=raiser("before_batch", RuntimeError("on purpose")))
    with pytest.raises(TrainingError, match="before any whole epoch"):
        t.best()


def test_a_bad_end_without_any_finite_valid_loss_keeps_the_last_state() -> None:
    class Spoil(Callback):
        def after_pred(self) -> None:
            if not self.training:
                self.learn.pred = self.pred * float("nan")

    t = tuner()
    history = t.run(nt.recipes.from_scratch(1), cbs=Spoil())
    assert history.best is None
    assert history.phases[0].ended == "finished"


# Evaluation


def test_evaluate_leaves_all_untouched_and_counts_looks_over_tuners() -> None:
    held = TorchLoader(list(zip(X[900:964], Y[900:964], strict=True)), 20)
    looks = []
    for _ in range(2):
        learn = digits()
        t = tuner(learn, test=held)
        t.fit(1)
        before = state(learn)
        report = t.evaluate()
        assert differing(before, state(learn)) == []
        looks.append(report.looks)
        with torch.no_grad():
            right = (learn.model.eval()(X[900:964]).argmax(1) == Y[900:964]).float().mean()
        assert report.metrics["accuracy"].value == pytest.approx(float(right))
    assert looks[1] == looks[0] + 1


def test_a_tasks_learner_from_freeze_to_evaluate(tmp_path: Path) -> None:
    task = nt.tasks.digits(shots=5)
    t = tuner(task.learner("letters", seed=0), test=task.test, run_dir=tmp_path / "run")
    plan = t.freeze()
    assert "an epoch" in repr(plan)
    t.fit(1)
    t.unfreeze()
    t.fit(1)
    before = state(t.learn)
    report = t.evaluate()
    assert report.metrics["accuracy"].value > 0.5  # 0.9 after whole recipes; chance is 0.1
    assert differing(before, state(t.learn)) == []
    assert list(t.history.frame().columns) == FRAME
    assert "accuracy" in t.card()
    assert t.card().count("not stated") == 3
    t.limits = {"not_for": "Reading cheques."}
    assert "| not to be used for | Reading cheques. |" in t.card()
    assert t.card().count("not stated") == 2
    saved = nt.load(t.save(tmp_path / "model"))
    assert saved.card["limits"] == t.limits
    assert "Reading cheques." in (saved.folder / "README.md").read_text()
    assert "tuner.limits = {'not_for': 'Reading cheques.'}" in t.code()
    assert "tuner.fit(1)" in t.code()
    assert len(DIGITS.target) == 1797


def test_a_cache_that_is_insisted_on_needs_something_still() -> None:
    tuner = nt.Tuner(digits(), seed=0)
    with pytest.raises(InputError, match="Nothing is still") as raised:
        tuner.fit(1, 1e-3, cache="on")
    assert all(part in str(raised.value) for part in ("Rule:", "Likely:", "Next:"))
    tuner.freeze()
    assert tuner.fit(1, 1e-3, cache="on").cached
    assert not tuner.fit(1, 1e-3, cache="off").cached


def test_the_very_first_fit_of_a_learner_is_augmented_where_that_was_asked() -> None:
    # fastai's transforms learn which split they work on when an epoch begins: before it none of them is random.
    t = tuner(nt.tasks.digits(shots=2).learner("letters", seed=0))
    t.freeze()
    assert not t.fit(1, augment=True).cached
    plain = nt.tasks.digits(shots=2).learner("letters", seed=0)
    still = nt.Still("head")
    plain.fit(1, 1e-3, cbs=still)
    assert not still.cached
    assert "training items change" in still.why


def test_views_are_views_of_the_augmented_items() -> None:
    losses = {}
    for views in (1, 2):
        t = tuner(nt.tasks.digits(shots=2).learner("letters", seed=0))
        t.freeze()
        history = t.fit(2, views=views)
        assert history.cached
        assert ("2 augmented views" in history.why) == (views == 2)
        losses[views] = history.rows[1]["train_loss"]
    assert losses[1] != losses[2]


@pytest.mark.parametrize("asked", [{"views": 2}, {"cache": "half"}, {"cache": "on"}])
def test_what_needs_kept_features_is_refused_where_nothing_is_still(asked: dict[str, Any]) -> None:
    t = tuner()
    before = state(t.learn)
    with pytest.raises(InputError, match=r"(?s)Nothing is still.*Rule: .*Likely: .*Next: "):
        t.fit(1, **asked)
    assert differing(before, state(t.learn)) == []


def test_a_curve_of_discriminative_rates_is_fitted_in_its_proportions_and_a_stale_one_is_named() -> None:
    t = tuner(nt.tasks.digits(shots=5).learner("letters", seed=0))
    curve = t.lr_find(lr=slice(1 / 100, 1))
    assert curve.suggestion is not None
    phase = t.fit(1, lr=curve).phases[0]
    rates = list(phase.rates.values())
    assert rates[-1] == pytest.approx(curve.suggestion)
    assert rates[0] == pytest.approx(curve.suggestion / 100)
    t.freeze()
    with pytest.warns(UserWarning, match="another plan: it was measured with"):
        t.fit(1, lr=curve)
    assert t.history.phases[-1].rates["head"] == pytest.approx(curve.suggestion)


@pytest.mark.parametrize(
    ("limits", "words"),
    [("for nothing", "one text for all"), ({"use": "x"}, "another name"), ({"intended": " "}, "left open"),
     ({"intended": ...}, "left open")],
)  # fmt: skip
def test_limits_that_no_card_can_hold_are_refused_and_the_old_stay(limits: Any, words: str) -> None:
    t = tuner(nt.tasks.digits(shots=1).learner("letters", seed=0))
    t.limits = {"intended": "Lessons."}
    with pytest.raises(nt.NbtuneError, match=words):
        t.limits = limits
    assert t.limits == {"intended": "Lessons."}


@pytest.mark.parametrize("given", ["layer3", 3])
def test_freeze_with_a_group_names_the_verb_that_takes_one(given: Any) -> None:
    t = tuner(nt.tasks.digits(shots=1).learner("letters", seed=0))
    with pytest.raises(nt.NbtuneError, match=rf"(?s)Next: tuner.freeze_to\({given!r}\)"):
        t.freeze(given)
    assert t.plan.still == ()


def test_views_where_nothing_is_still_ask_for_a_freeze() -> None:
    t = tuner(nt.tasks.digits(shots=1).learner("letters", seed=0))
    with pytest.raises(nt.NbtuneError, match=r"(?s)Next: tuner.freeze\(\) first; or the fit without views=4"):
        t.fit(1, 1e-2, augment=True, views=4)
    assert not len(t.history)
