"""Preflight: planted faults are found, healthy Learners are not accused, and looking leaves no trace."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fastai.callback.tracker import EarlyStoppingCallback, SaveModelCallback
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner
from fastai.losses import BCEWithLogitsLossFlat, CrossEntropyLossFlat
from fastai.metrics import F1Score, accuracy
from torch import nn

import nbtune as nt
from learners import FAMILIES, X, Y, cnn, differing, digits, loaders, parts, quiet, seed, state
from nbtune.errors import TrainingError


def learner(x: Any = X, y: Any = Y, model: Any = None, **options: Any) -> Any:
    """96 training and 32 validation digits, or what stands in for them."""
    seed(0)
    bs, items = options.pop("bs", 32), options.pop("items", 96)
    dls = options.pop("dls", None) or loaders(x, items, bs, y, **options.pop("loader", {}))
    kept = {"loss_func": CrossEntropyLossFlat(), "splitter": parts, "metrics": accuracy}
    return quiet(Learner(dls, cnn() if model is None else model, **{**kept, **options}))


def check(learn: Any, **options: Any) -> Any:
    return nt.Tuner(learn, groups="learner", seed=0, **options).check()


def found(result: Any, about: str) -> list[Any]:
    return [one for one in result.findings if one.about == about and one.severity != "note"]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_healthy_learner_is_not_accused_and_nothing_is_left_behind(family: str) -> None:
    learn = FAMILIES[family]()
    before = state(learn)
    result = nt.Tuner(learn, seed=0).check()
    assert differing(before, state(learn)) == []
    assert result
    # The ratings of `collab` do repeat themselves: 12 users and 9 items.
    assert [one.about for one in result.findings if one.severity != "note"] == (
        ["copies"] if family == "collab" else []
    )


def test_a_tasks_learner_and_a_whole_recipe() -> None:
    learn = nt.tasks.digits(shots=2, seed=0).learner("letters", seed=0)
    tuner = nt.Tuner(learn, seed=0)
    before = state(learn)
    result = tuner.check(nt.recipes.probe_then_finetune(3, 5))
    assert differing(before, state(learn)) == []
    assert all(one.severity == "note" for one in result.findings), result
    time = next(one.seen for one in result.findings if one.about == "time")
    assert "phase 1 (3 epochs from head)" in time
    assert "phase 2 (5 epochs from stem)" in time
    assert tuner.plan.still == ()


def nan_inputs() -> Any:
    x = X.clone()
    x[5, 0, 2, 2] = float("nan")
    return learner(x)


def empty_pictures() -> Any:
    x = X.clone()
    x[10:20] = 0.5
    return learner(x)


def missing_class() -> Any:
    order = torch.cat([(Y != 3).nonzero().flatten(), (Y == 3).nonzero().flatten()])
    return learner(X[order], Y[order])


def nan_targets() -> Any:
    y = Y.float()
    y[4] = float("nan")
    return learner(y=y[:, None], model=_numbers(), loss_func=nn.MSELoss(), metrics=[])


def _numbers() -> nn.Sequential:
    model = cnn()
    model[3][3] = nn.Linear(10, 1)
    return model


def copied() -> Any:
    x, y = X.clone(), Y.clone()
    x[-32:-16], y[-32:-16] = x[:16], y[:16]
    return learner(x, y)


def raw_pixels() -> Any:
    model = cnn()
    with torch.no_grad():
        for _ in range(30):
            model.train()(X[:256])  # statistics of inputs of 0 to 1
    return learner(X * 255, model=model)


class Own:
    """A transform with a generator of its own."""

    def __init__(self) -> None:
        self.stream = np.random.default_rng(0)

    def __call__(self, item: Any) -> Any:
        return item[0] + float(self.stream.normal()), item[1]


FAULTS: dict[str, tuple[Callable[[], Any], str, str, str]] = {
    "NaN in an input": (nan_inputs, "stop", "inputs", "hold NaN"),
    "equal inputs": (lambda: learner(torch.ones_like(X)), "stop", "inputs", "are equal"),
    "empty pictures": (empty_pictures, "warn", "inputs", "one value everywhere"),
    "labels from 1": (lambda: learner(y=Y + 1), "stop", "labels", "are 10"),
    "negative labels": (lambda: learner(y=Y - 1), "stop", "labels", "are -1"),
    "NaN targets": (nan_targets, "stop", "targets", "NaN or infinite"),
    "a class without training items": (missing_class, "warn", "classes", "class 3"),
    "a batch above the training split": (lambda: learner(items=20, bs=64), "stop", "batch size", "none is left"),
    "a loss for other targets": (
        lambda: learner(loss_func=BCEWithLogitsLossFlat(), metrics=[]), "stop", "loss", "raises"),
    "numbers spread over each other": (
        lambda: learner(y=Y.float(), model=_numbers(), loss_func=nn.MSELoss(), metrics=[]), "stop", "loss", "[64, 1]"),
    "a metric of two classes": (lambda: learner(metrics=[accuracy, F1Score()]), "stop", "metrics", "raises"),
    "a metric of many numbers": (
        lambda: learner(metrics=[lambda out, y: out.softmax(1)[0]]), "warn", "metrics", "not one number"),
    "a monitor that nobody records": (
        lambda: learner(cbs=EarlyStoppingCallback(monitor="acuracy")), "stop", "monitor", "'acuracy'"),
    "copies across splits": (copied, "warn", "copies", "16 of 32"),
    "pixels that are not normalised": (raw_pixels, "warn", "normalisation", "times as wide"),
    "a stream of its own": (lambda: learner(loader={"after_item": Own()}), "warn", "order", "two different"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found_and_the_look_leaves_no_trace(fault: str) -> None:
    make, severity, about, words = FAULTS[fault]
    learn = make()
    before = state(learn)
    result = check(learn)
    assert differing(before, state(learn)) == []
    hits = [one for one in found(result, about) if words in one.seen and one.severity == severity]
    assert hits, repr(result)
    assert all(one.matters and one.do for one in hits)
    assert bool(result) == (severity != "stop")


def test_strict_raises_in_four_parts_and_names_all_that_stops() -> None:
    tuner = nt.Tuner(learner(y=Y + 1, cbs=SaveModelCallback(monitor="f1")), groups="learner", seed=0)
    with pytest.raises(TrainingError) as raised:
        tuner.check(strict=True)
    assert "labels" in raised.value.given
    assert "'f1'" in raised.value.given
    assert all((raised.value.rule, raised.value.likely, raised.value.next))
    assert nt.Tuner(digits(), groups="learner", seed=0).check(strict=True)


def test_the_same_file_in_two_splits(tmp_path: Path) -> None:
    from PIL import Image

    for number in range(6):
        Image.fromarray((X[number, 0].numpy() * 255).astype("uint8")).save(tmp_path / f"{number}.png")
    paths = [tmp_path / f"{number}.png" for number in range(6)]

    class Files:
        def __init__(self, items: list[Path]) -> None:
            self.items = items

        def __len__(self) -> int:
            return len(self.items)

        def __getitem__(self, at: int) -> Any:
            image = np.asarray(Image.open(self.items[at]), np.float32) / 255
            return torch.from_numpy(image)[None], int(Y[int(self.items[at].stem)])

    dls = DataLoaders(DataLoader(Files(paths[:4]), bs=2), DataLoader(Files(paths[2:]), bs=2))
    (copies,) = found(check(learner(dls=dls)), "copies")
    assert "2 of 4 validation items are the same file" in copies.seen


def test_a_disk_without_room_and_memory_without_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from collections import namedtuple

    from nbtune.preflight import machine

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: usage(10, 10, 100))
    monkeypatch.setattr(machine, "free_memory", lambda: 0)
    monkeypatch.setattr(machine, "_resident", partial(next, iter(range(0, 10**9, 10**6))))
    result = check(digits(), run_dir=tmp_path / "run")
    assert "100 B are free" in found(result, "disk")[0].seen
    assert found(result, "memory")[0].severity == "warn"
    assert not result


def test_a_check_that_fails_is_a_finding_and_the_others_go_on() -> None:
    class Broken(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise KeyError("on purpose")

    result = check(learner(model=nn.Sequential(Broken(), *cnn()), splitter=lambda m: [list(m.parameters())]))
    assert any("on purpose" in one.seen for one in result.findings)
    assert any(one.about == "device" for one in result.findings)


def test_it_reads_as_a_table_and_a_sentence() -> None:
    result = check(learner(y=Y + 1))
    assert result.sentence.startswith("Do not train yet: ")
    assert list(result.frame().columns) == ["severity", "about", "seen", "matters", "do"]
    assert result.findings[0].severity == "stop"
    assert "✗ stop" in result._repr_html_()
