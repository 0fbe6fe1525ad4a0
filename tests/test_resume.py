"""A run that was stopped, broken off or killed goes on as if nothing had been, to the bit."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fastai.callback.core import Callback
from fastai.callback.mixup import MixUp
from fastai.callback.tracker import EarlyStoppingCallback
from fastai.callback.training import GradientAccumulation
from fastai.optimizer import Adam, OptimWrapper, RAdam, ranger
from torch import nn

import nbtune as nt
from learners import FAMILIES, X, Y, bits, cnn, digits, plain, state
from nbtune._fastai import DataLoaders, RandTransform, TensorImageBW, TfmdDL
from nbtune.checkpoints import RunFolder
from nbtune.checkpoints import folder as folders
from nbtune.errors import BundleError, InputError, InputTypeError, MissingFileError, NbtuneError

# 40 steps of 4 an epoch: still and cached, still and live, all in one-cycle with augmentation.
RECIPE = nt.Recipe(
    (
        nt.Phase(3, first="head", lr=1e-2, augment=False),
        nt.Phase(2, first=2, lr=1e-2, cache="off", norms="stats"),
        nt.Phase(5, lr=slice(1e-3, 1e-2), wd=0.1),
    )
)
STEPS = 40


class Pairs(list[Any]):
    """Training items."""

    split_idx = 0


class Jitter(RandTransform):
    """Shifted and noisy images, item by item: draws from python's, numpy's and torch's streams."""

    split_idx = 0

    def encodes(self, x: TensorImageBW) -> Any:
        return x.roll(random.randint(-1, 1), -1) * float(np.random.uniform(0.9, 1.1)) + 0.05 * torch.randn(x.shape)


class Dim(RandTransform):
    """Darker batches: draws where the batch is handed over, not in the workers."""

    split_idx = 0

    def encodes(self, x: TensorImageBW) -> Any:
        return x * (1 - 0.1 * torch.rand(1))


def learner(workers: int = 0, *, bs: int = 32, items: int = 128, first: int = 0, **options: Any) -> Any:
    learn = digits(**options)
    made = Pairs((TensorImageBW(X[i]), Y[i]) for i in range(first, first + items))
    train = TfmdDL(
        made, bs=bs, shuffle=True, drop_last=True, num_workers=workers, after_item=[Jitter()], after_batch=[Dim()]
    )
    learn.dls = DataLoaders(train, learn.dls.valid)
    return learn


def outcome(tuner: nt.Tuner) -> dict[str, Any]:
    """All that a run leaves, as comparable values."""
    learn = tuner.learn
    tuner.last()
    last, best = bits(learn.model), bits(tuner.best().learn.model)
    held = learn.opt.opt.state if isinstance(learn.opt, OptimWrapper) else learn.opt.state
    return {
        "last": last,
        "best": best,
        "optimizer": {n: plain(held.get(p)) for n, p in learn.model.named_parameters()},
        "python": random.getstate(),
        "numpy": plain(list(np.random.get_state())),
        "torch": plain(torch.get_rng_state()),
        "loaders": [loader.rng.getstate() for loader in learn.dls.loaders],
        "rows": [{name: v for name, v in row.items() if name != "seconds"} for row in tuner.history.rows],
        "phases": tuner.history.phases,
        "recorder": [float(v) for v in getattr(learn.recorder, "losses", ())],
        "rates": getattr(learn.recorder, "lrs", ()),
    }


def same(was: dict[str, Any], now: dict[str, Any]) -> list[str]:
    return [name for name in was if was[name] != now[name]]


class Break(Callback):
    """Ends the run after its `at`-th training batch, as `how` says."""

    order = 200

    def __init__(self, at: int, how: Callable[[], None], event: str = "after_batch") -> None:
        super().__init__()
        self.at, self.how, self.event, self.seen = at, how, event, 0

    def __call__(self, event_name: str) -> None:
        super().__call__(event_name)
        if event_name == self.event and self.training:
            self.seen += 1
            if self.seen == self.at:
                self.how()


def long(value: str) -> Any:
    """A parameter that is tried in `make faults` only."""
    return pytest.param(value, marks=pytest.mark.faults)


class Fault(Exception):  # noqa: N818 - no error of the code
    pass


def fail() -> None:
    raise Fault("on purpose")


@pytest.fixture(scope="module")
def whole() -> dict[int, dict[str, Any]]:
    """The run that nothing disturbs, by number of workers."""
    found = {}
    for workers in (0, 2):
        tuner = nt.Tuner(learner(workers), seed=3)
        tuner.run(RECIPE)
        assert [phase.cached for phase in tuner.history.phases] == [True, False, False]
        assert sum(phase.steps for phase in tuner.history.phases) == STEPS
        found[workers] = outcome(tuner)
    return found


def broken_off(path: Path, at: int, how: str, workers: int = 0, event: str = "after_batch") -> nt.Tuner:
    tuner = nt.Tuner(learner(workers), run_dir=path, seed=3)
    act = tuner.stop if how == "stop" else fail
    with contextlib.suppress(Fault):
        tuner.run(RECIPE, cbs=Break(at, act, event))
    return tuner


def place(step: int) -> tuple[int, int, int]:
    """(phase, epoch, batch) after `step` steps."""
    epochs = [(number, epoch) for number, phase in enumerate(RECIPE.phases, 1) for epoch in range(phase.epochs)]
    phase, epoch = epochs[min(step // 4, 9)]
    return phase, epoch, step % 4


@pytest.mark.survives(
    "a run ended after a step, by stop() or an error",
    "what follows equals the whole run, to the bit",
)
@pytest.mark.parametrize(("workers", "how", "at"), [
    (0, "stop", 12), (0, "stop", 15), (0, "raise", 31), (2, "raise", 27),  # after every step: in test_faults.py
])  # fmt: skip
def test_a_run_that_was_ended_after_a_step_equals_the_whole_one(
    workers: int, how: str, at: int, whole: Any, tmp_path: Path
) -> None:
    check_resumed(workers, how, at, whole, tmp_path)


def check_resumed(workers: int, how: str, at: int, whole: Any, tmp_path: Path) -> None:
    broken_off(tmp_path / "run", at, how, workers)
    learn = learner(workers)
    torch.manual_seed(99)  # what the new process's streams hold does not matter
    tuner = nt.resume(tmp_path / "run", learn)
    assert tuner.resumed_at is not None
    if at % 4:
        assert tuner.resumed_at == place(at)
    tuner.run()
    assert same(whole[workers], outcome(tuner)) == []


@pytest.mark.survives("an error within a training step", "goes on from before or after that step, to the bit")
@pytest.mark.parametrize(
    "event", ["after_loss", "after_step", *map(long, ["before_batch", "after_pred", "after_backward"])]
)
def test_an_error_within_a_step_goes_on_from_before_or_after_it(event: str, whole: Any, tmp_path: Path) -> None:
    tuner = broken_off(tmp_path / "run", 30, "raise", event=event)
    resumed = nt.resume(tmp_path / "run", learner())
    assert resumed.resumed_at == (3, 2, 2 if event == "after_step" else 1)
    resumed.run()
    # fastai's recorder hears of a batch after the step that the error was in.
    skipped = ["recorder", "rates"] if event == "after_step" else []
    assert [name for name in same(whole[0], outcome(resumed)) if name not in skipped] == []
    tuner.run(cbs=[Break(0, fail)])  # and the Tuner itself goes on
    assert [name for name in same(whole[0], outcome(tuner)) if name not in skipped] == []


def test_a_stop_while_validating_or_between_two_epochs_goes_on_from_there(whole: Any, tmp_path: Path) -> None:
    class Late(Callback):
        order = 300

        def after_batch(self) -> None:
            if not self.training and self.epoch == 1 and tuner.learn.n_epoch == 5 and not tuner.resumed_at:
                tuner.stop()

        def after_epoch(self) -> None:
            if self.epoch == 3 and tuner.learn.n_epoch == 5:
                tuner.stop()

    tuner = nt.Tuner(learner(), run_dir=tmp_path / "run", seed=3)
    tuner.run(RECIPE, cbs=Late())
    for at in ((3, 1, 4), (3, 4, 0)):
        tuner = nt.resume(tmp_path / "run", learner())
        assert tuner.resumed_at == at
        tuner.run(cbs=Late() if at[2] else ())
    assert same(whole[0], outcome(tuner)) == []


KINDS: dict[str, Any] = {
    "fastai": Adam,
    "torch": partial(OptimWrapper, opt=torch.optim.AdamW),
    "rectified": RAdam,
    "lookahead": ranger,
}


@pytest.mark.parametrize("kind", ["fastai", "lookahead", long("torch"), long("rectified")])
def test_every_optimizer_goes_on(kind: str, tmp_path: Path) -> None:
    gathered = 32 if kind == "lookahead" else 64  # which meets its slow weights at every sixth step
    recipe = nt.Recipe((nt.Phase(2, lr=1e-2, schedule="cosine"),), keep="last")
    expected = nt.Tuner(learner(opt_func=KINDS[kind]), seed=1)
    expected.run(recipe, cbs=[GradientAccumulation(gathered), MixUp()])
    for how in ("stop", "raise"):
        path = tmp_path / how
        tuner = nt.Tuner(learner(opt_func=KINDS[kind]), run_dir=path, seed=1)
        with pytest.raises(Fault) if how == "raise" else warnings.catch_warnings():
            tuner.run(
                recipe, cbs=[GradientAccumulation(gathered), MixUp(), Break(3, fail if how == "raise" else tuner.stop)]
            )
        resumed = nt.resume(path, learner(opt_func=KINDS[kind]))
        if how == "stop":
            with pytest.raises(InputError, match="without GradientAccumulation, MixUp"):
                resumed.run()
        else:  # within a batch, gradients that are gathered over several cannot be told apart
            assert resumed.resumed_at == (1, 0, 0)
        resumed.run(cbs=[GradientAccumulation(gathered), MixUp()])
        assert same(outcome(expected), outcome(resumed)) == []


@pytest.mark.parametrize("family", ["awd_lstm", "tabular", *map(long, sorted(set(FAMILIES) - {"awd_lstm", "tabular"}))])
def test_every_family_goes_on(family: str, tmp_path: Path) -> None:
    recipe = nt.Recipe((nt.Phase(1, first=-1, lr=1e-2), nt.Phase(2, lr=1e-2)))
    expected = nt.Tuner(FAMILIES[family](), seed=1)
    expected.run(recipe)
    tuner = nt.Tuner(FAMILIES[family](), run_dir=tmp_path / "run", seed=1)
    tuner.run(recipe, cbs=Break(5, tuner.stop))
    assert tuner.history.phases[-1].ended.startswith("was stopped")
    resumed = nt.resume(tmp_path / "run", FAMILIES[family]())
    resumed.run()
    assert same(outcome(expected), outcome(resumed)) == []


def test_a_tracker_counts_on(tmp_path: Path) -> None:
    def stopper() -> EarlyStoppingCallback:
        return EarlyStoppingCallback(min_delta=1e9, patience=3)

    tuner = nt.Tuner(learner(), run_dir=tmp_path / "run", seed=1)
    tuner.fit(9, cbs=[stopper(), Break(10, tuner.stop)])
    resumed = nt.resume(tmp_path / "run", learner())
    resumed.run(cbs=stopper())
    assert len(resumed.history) == 4
    assert resumed.history.phases[0].ended == "was ended by a callback"


def test_a_fit_counts_as_a_recipe_of_one_phase_and_comes_before_what_is_left(tmp_path: Path) -> None:
    tuner = nt.Tuner(learner(), run_dir=tmp_path / "run", seed=1)
    tuner.freeze()
    recipe = nt.Recipe((nt.Phase(1, lr=1e-2), nt.Phase(2, lr=1e-2)))
    tuner.run(recipe, cbs=Break(6, tuner.stop))
    tuner.freeze()
    tuner.fit(1, 1e-3, cbs=Break(3, tuner.stop))
    resumed = nt.resume(tmp_path / "run", learner())
    assert resumed.resumed_at == (3, 0, 3)
    assert resumed.plan.still
    resumed.run()
    assert [(p.number, p.ended, p.steps) for p in resumed.history.phases] == [
        (1, "finished", 4), (2, "finished", 8), (3, "finished", 4)
    ]  # fmt: skip
    assert [row["phase"] for row in resumed.history.rows] == [1, 3, 2, 2]
    before = bits(resumed.learn.model)
    resumed.run()
    assert bits(resumed.learn.model) == before, "a finished run has nothing left"
    finished = nt.resume(tmp_path / "run", learner())
    assert finished.resumed_at == (3, 1, 0)
    assert finished.history == resumed.history
    finished.run()
    assert bits(finished.learn.model) == before
    assert finished._training.at == "best"
    lines = finished.code().splitlines()
    assert lines[-3:-1] == [lines[-1], "tuner.run()"]
    assert "nt.resume(" in lines[-1]
    assert any("was stopped after step 3" in line for line in lines)


def test_from_scratch_goes_on_with_its_own_best(tmp_path: Path) -> None:
    tuner = nt.Tuner(learner(), run_dir=tmp_path / "run", seed=1)
    tuner.fit(3, 1e-2)
    tuner.run(nt.recipes.from_scratch(2, lr=1e-5), cbs=Break(2, tuner.stop))
    resumed = nt.resume(tmp_path / "run", learner())
    history = resumed.run()
    assert [phase.fresh for phase in history.phases] == [True]
    assert resumed.history.rows[resumed.history.best or 0]["phase"] == 2


# What differs is named, before anything is touched


def other_items() -> Any:
    return learner(first=64)


OTHERS: dict[str, tuple[Callable[[], Any], str]] = {
    "model": (lambda: learner(model=nn.Sequential(*cnn(), nn.Identity())), r"model \("),
    "dropout": (lambda: learner(model=cnn(0.5)), r"model \(.*Dropout\(p=0.2"),
    "width": (lambda: learner(model=wide()), r"model \(3.3.weight: float32 \[10, 10\], now float32 \[12, 10\]"),
    "data": (other_items, r"data \(training: 128 items, digest"),
    "fewer items": (lambda: learner(items=96), "96 items"),
    "batch size": (lambda: learner(bs=16), r"batch size \(training: 32, now 16\)"),
    "optimizer": (lambda: learner(opt_func=KINDS["torch"]), r"optimizer \(its function: Adam"),
    "weight decay": (lambda: learner(wd=0.3), r"optimizer \(wd: None, now 0.3\)"),
    "loss": (lambda: learner(loss_func=nn.CrossEntropyLoss()), r"loss \("),
    "metrics": (lambda: learner(metrics=[]), r"metrics \("),
    "callback": (lambda: learner(cbs=MixUp()), r"callbacks \(.*now .*MixUp"),
    "workers": (lambda: learner(2), r"workers \(training: 0, now 2\)"),
}


def wide() -> Any:
    model = cnn()
    model[3][3] = nn.Linear(10, 12)
    return model


@pytest.fixture(scope="module")
def begun(tmp_path_factory: Any) -> Path:
    path: Path = tmp_path_factory.mktemp("runs") / "run"
    broken_off(path, 14, "stop")
    return path


@pytest.mark.survives(
    "a resume with another model, data, batch size, optimizer, loss, metric, callback or workers",
    "each is named before anything is touched",
)
@pytest.mark.parametrize("name", OTHERS)
def test_what_differs_is_named_before_anything_is_touched(name: str, begun: Path) -> None:
    make, words = OTHERS[name]
    learn = make()
    before, files = state(learn), sorted(begun.iterdir())
    with pytest.raises(InputError, match=words) as error:
        nt.resume(begun, learn)
    assert all(part in str(error.value) for part in ("Rule: ", "Likely: ", "Next: "))
    after = state(learn)
    assert [key for key in before if before[key] != after[key] and key != "python"] == []
    assert sorted(begun.iterdir()) == files


def test_other_versions_go_on_where_that_is_said(begun: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from nbtune.tuner import likeness
    from nbtune.tuner.card import versions

    monkeypatch.setattr(likeness, "versions", lambda: {**versions(), "torch": "9.9"})
    with pytest.raises(InputError, match=r"(?s)version \(torch: .*, now 9.9.*exact=False"):
        nt.resume(begun, learner())
    with pytest.warns(UserWarning, match="not with the same bits: version"):
        assert nt.resume(begun, learner(), exact=False).resumed_at == place(14)


def test_another_recipe_is_refused_and_the_same_goes_on(begun: Path, tmp_path: Path) -> None:
    import shutil

    path = tmp_path / "copy"
    shutil.copytree(begun, path)
    tuner = nt.resume(path, learner())
    with pytest.raises(InputError, match="another recipe"):
        tuner.run(nt.recipes.linear_probe(1))
    assert len(tuner.run(RECIPE)) == 10


def test_what_is_no_run_is_refused(tmp_path: Path, begun: Path) -> None:
    with pytest.raises(MissingFileError, match="is no folder"):
        nt.resume(tmp_path / "nothing", digits())
    with pytest.raises(MissingFileError, match="holds no run"):
        nt.resume(tmp_path, digits())
    with pytest.raises(InputTypeError, match="exchanged"):
        nt.resume(digits(), tmp_path)
    with pytest.raises(InputError, match="earlier run") as error:
        nt.Tuner(digits(), run_dir=begun)
    assert "nt.resume(" in error.value.next
    with pytest.raises(NbtuneError, match="every"):
        nt.Tuner(digits(), every=-1)


# The folder


def test_a_run_folder_appears_whole_and_holds_no_pickle(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "one"
    tuner = nt.Tuner(learner(), run_dir=path, seed=1)
    assert not path.parent.exists(), "nothing is written before the first training"
    seen: list[list[str]] = []

    class Look(Callback):
        def before_fit(self) -> None:
            seen.append(sorted(file.name for file in path.iterdir()))

    tuner.fit(1, cbs=Look())
    assert {"checkpoint-000001.json", "state-000001.safetensors"} <= set(seen[0])
    content = json.loads((path / "checkpoint-000001.json").read_text())["checkpoint"]
    assert content["schema"] == 1
    assert content["value"]["seed"] == 1
    assert content["value"]["queue"]["recipe"]["phases"][0]["epochs"] == 1
    kinds = {file.suffix for file in path.iterdir()}
    assert kinds == {".json", ".safetensors", ".jsonl"}
    for _ in range(4):
        tuner.fit(1)
    assert sum(file.name.startswith(("checkpoint", "state", "best")) for file in path.iterdir()) <= 6


@pytest.mark.survives(
    "a disk that is full, a folder that is deleted or may only be read",
    "training goes on in memory, says so once, and saves when it can",
)
@pytest.mark.parametrize("trouble", ["full", "gone", "read-only"])
def test_where_the_folder_cannot_be_written_training_goes_on(
    trouble: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    path = tmp_path / "run"
    tuner = nt.Tuner(learner(), run_dir=path, seed=1, every=0.0)
    tuner.fit(1)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    if trouble == "full":
        monkeypatch.setattr(folders, "write_file", full)
    elif trouble == "gone":
        shutil.rmtree(path)
        path.parent.joinpath("run").write_text("a file in its place")
    else:
        monkeypatch.setattr(folders.os, "fsync", lambda handle: (_ for _ in ()).throw(OSError(30, "Read-only")))
    with pytest.warns(UserWarning, match="cannot be saved") as heard:
        tuner.fit(2)
    assert sum("cannot be saved" in str(warning.message) for warning in heard) == 1
    assert len(tuner.history) == 3
    monkeypatch.undo()
    if trouble == "gone":
        path.unlink()
    tuner.fit(1)
    resumed = nt.resume(path, learner())
    assert resumed.history == tuner.history
    rows = [json.loads(line) for line in (path / "history.jsonl").read_text().splitlines()]
    assert rows == [dict(row) for row in tuner.history.rows]


@pytest.mark.survives(
    "a failure at every write, fsync and rename of a checkpoint",
    "one complete checkpoint, old or new",
)
@pytest.mark.parametrize("call", ["write_file", "replace", "fsync"])
def test_a_failure_at_any_write_leaves_a_complete_checkpoint(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run"
    folder = RunFolder(path)
    folder.save({"n": 0}, {"w": torch.zeros(3)}, (1, 1))
    owner = folders if call == "write_file" else folders.os
    real = getattr(owner, call)
    for at in range(1, 12):
        count = [0]

        def act(*given: Any, at: int = at, count: list[int] = count) -> Any:
            count[0] += 1
            if count[0] == at:
                raise OSError(28, "No space left on device")
            return real(*given)

        before = RunFolder(path).load()[0]["n"]
        with monkeypatch.context() as patch:
            patch.setattr(owner, call, act)
            try:
                folder.save({"n": at}, {"w": torch.full((3,), float(at))}, (1, at))
                failed = False
            except OSError:
                failed = True
        value, best = RunFolder(path).load()
        assert value["n"] in ((before, at) if failed else (at,))
        assert best is not None
        assert float(best["w"][0]) == value["n"]
    assert not failed, "more failures than writes"


@pytest.mark.survives("checkpoints that are cut or flipped anywhere", "the one before is used, and that is said")
def test_a_checkpoint_that_was_damaged_gives_way_to_the_one_before(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    for n in range(3):
        folder.save({"n": n, "x": torch.arange(5.0)}, None, (0, 0))
    newest = [tmp_path / "run" / name for name in ("checkpoint-000003.json", "state-000003.safetensors")]
    for path in newest:
        whole = path.read_bytes()
        for cut in range(0, len(whole), max(1, len(whole) // 50)):
            path.write_bytes(whole[:cut])
            with pytest.warns(UserWarning, match="one before it"):
                assert RunFolder(tmp_path / "run").load()[0]["n"] == 1
            path.write_bytes(whole[:cut] + bytes([whole[cut] ^ 1]) + whole[cut + 1 :])
            with pytest.warns(UserWarning, match="one before it"):
                assert RunFolder(tmp_path / "run").load()[0]["n"] == 1
        path.write_bytes(whole)
    assert RunFolder(tmp_path / "run").load()[0]["n"] == 2
    for path in (tmp_path / "run").glob("state-*"):
        path.write_bytes(b"")
    with pytest.raises(BundleError, match="no checkpoint is whole"):
        RunFolder(tmp_path / "run").load()


@pytest.mark.parametrize("change", ["pop", "None", "list", "empty"])
@pytest.mark.survives("a checkpoint that somebody made and sealed", "refused before anything is touched")
def test_a_sealed_checkpoint_of_somebody_else_is_refused(change: str, begun: Path, tmp_path: Path) -> None:
    whole = RunFolder(begun).load()[0]
    value: Any = {name: part for name, part in whole.items() if name != "likeness"}
    value = {"pop": value, "None": {**whole, "model": None}, "list": [1], "empty": {}}[change]
    RunFolder(tmp_path / "run").save(value, None, (0, 0))
    learn = learner()
    before = state(learn)
    with pytest.raises(BundleError, match="is missing or of another kind") as error:
        nt.resume(tmp_path / "run", learn)
    assert all(part in str(error.value) for part in ("Rule: ", "Likely: ", "Next: "))
    assert [name for name, held in state(learn).items() if held != before[name]] == []


@pytest.mark.parametrize("content", [b"[]", b'{"sha256": 1, "checkpoint": []}', b"{" * 9000, b"\xff", b"", b"null"])
def test_a_checkpoint_of_nonsense_is_not_whole(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "checkpoint-000001.json").write_bytes(content)
    with pytest.raises(BundleError, match="no checkpoint is whole"):
        RunFolder(tmp_path).load()


@pytest.mark.skipif(os.name != "posix", reason="links of POSIX")
def test_a_checkpoint_that_links_out_of_its_folder_is_not_whole(begun: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(begun, tmp_path / "run")
    for number, path in enumerate((tmp_path / "run").glob("state-*")):
        path.rename(tmp_path / f"outside-{number}")
        path.symlink_to(tmp_path / f"outside-{number}")
    with pytest.raises(BundleError, match="no checkpoint is whole"):
        RunFolder(tmp_path / "run").load()


# A process that is killed


CHILD = """
import sys, warnings
warnings.simplefilter("ignore")
sys.path[:0] = [{tests!r}]
import torch; torch.set_num_threads(1)
import nbtune as nt
from test_resume import RECIPE, learner
from pathlib import Path
path = Path({path!r})
again, learn, options = path.exists(), learner({workers}), dict(every={every})
tuner = nt.resume(path, learn, **options) if again else nt.Tuner(learn, run_dir=path, seed=3, **options)
print("ready", flush=True)
tuner.run() if again else tuner.run(RECIPE)
print("done", flush=True)
"""


def saved(path: Path) -> int:
    """The number of the newest checkpoint."""
    return max((int(file.stem[-6:]) for file in path.glob("checkpoint-*.json")), default=0)


def killed(path: Path, after: float, workers: int = 0, every: float = 0.0, saves: int = 0) -> bool:
    """Train in a child that is killed after so many seconds and saves; was it finished before that?"""
    code = CHILD.format(tests=str(Path(__file__).parent), path=str(path), workers=workers, every=every)
    with subprocess.Popen([sys.executable, "-W", "ignore", "-c", code], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        time.sleep(after)
        while saves and child.poll() is None and saved(path) < saves:
            time.sleep(0.01)
        os.kill(child.pid, signal.SIGKILL)
        return "done" in child.stdout.read()


@pytest.mark.survives(
    "a process that is killed while it trains",
    "the resumed run ends with the weights of the whole one",
)
def test_a_killed_process_goes_on_to_the_same_end(whole: Any, tmp_path: Path) -> None:
    killed(tmp_path / "run", 0.0, saves=12)
    tuner = nt.resume(tmp_path / "run", learner())
    assert tuner.resumed_at is not None
    assert tuner.resumed_at > (1, 0, 0)
    tuner.run()
    assert same(whole[0], outcome(tuner)) == []
