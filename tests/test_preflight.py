"""Preflight: planted faults are found, healthy Learners are not accused, and looking leaves no trace."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.callback.tracker import SaveModelCallback
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.metrics import F1Score
from torch import nn
from torch.utils.data import DataLoader as TorchLoader

import nbtune as nt
import nbtune.preflight as preflight
from faulty import children
from learners import FAMILIES, X, Y, cnn, differing, digits, state
from nbtune.errors import TrainingError
from nbtune.preflight.subject import Subject
from nbtune.preflight.workers import workers
from planted import FAULTS, Greedy, class_by_class, learner, no_batch, whole


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
    # The ratings of `collab` repeat themselves (12 users, 9 items), in training as across splits: that is a note.
    assert [repr(one) for one in result.findings if one.severity != "note"] == []


def test_a_table_without_categories_is_not_accused() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=120), "b": rng.normal(size=120), "y": ["p", "q"] * 60})
    result = nt.Tuner(nt.tasks.from_frame(frame, y="y").learner("tabular", seed=0), seed=0).check()
    assert [repr(one) for one in result.findings if one.severity != "note"] == []


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
    assert time.endswith("by a few trial steps.")
    assert tuner.plan.still == ()


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


def test_a_second_look_sees_as_much_memory() -> None:
    """What the first step has freed is taken again by the next: growth of the process alone would say none."""
    tuner = nt.Tuner(nt.tasks.digits(shots=10).learner("letters", seed=0), seed=0)
    seen = [one.seen for _ in range(3) for one in tuner.check().findings if one.about == "memory"]
    took = [re.search(r"took ([\d.]+) MB", one) for one in seen]
    assert len(took) == 3
    assert all(one and float(one[1]) > 10 for one in took), seen


def test_a_step_without_memory_names_the_size_that_was_seen_to_fit() -> None:
    (memory,) = found(check(whole(Greedy())), "memory")
    assert "dl.bs = 8, with which a step was made" in memory.do


def test_what_needs_what_stops_is_left_out() -> None:
    result = check(learner(y=Y + 1))  # on a GPU a step on such labels ends the kernel
    assert {"memory", "time", "loss"}.isdisjoint(one.about for one in result.findings)
    assert result.checks == len(preflight.CHECKS) - 3
    assert [one.about for one in check(no_batch()).findings if one.severity != "note"] == ["batch"]


def test_the_metric_of_two_classes_is_mended_by_an_average() -> None:
    (metrics,) = found(check(learner(metrics=F1Score())), "metrics")
    assert metrics.do == 'average="macro"'


def test_mixed_items_of_few_shots_are_not_called_sorted() -> None:
    rng = np.random.RandomState(0)
    for shots in (1, 2, 5):
        places = np.concatenate([np.flatnonzero(Y.numpy() == digit)[:shots] for digit in range(10)])
        places = torch.as_tensor(rng.permutation(places))
        learn = learner()
        pairs = list(zip(X[places], Y[places], strict=True))
        learn.dls = DataLoaders(DataLoader(pairs, bs=4), learn.dls.valid)
        assert found(check(learn), "order") == []


def test_a_shuffling_loader_of_sorted_items_is_not_accused() -> None:
    learn = class_by_class(lambda pairs: DataLoader(pairs, bs=16, shuffle=True))
    assert found(check(learn), "order") == []
    assert found(check(class_by_class(lambda pairs: TorchLoader(pairs, 16, shuffle=True))), "order") == []


def test_copies_in_the_test_set_of_a_tuner() -> None:
    held = DataLoader(list(zip(torch.cat([X[:8], X[300:324]]), torch.cat([Y[:8], Y[300:324]]), strict=True)), bs=32)
    (copies,) = found(check(learner(), test=held), "copies")
    assert "8 of 32 test items are equal to a training item" in copies.seen
    task = nt.tasks.digits(shots=5)
    learn = task.learner("letters", seed=0)
    (copies,) = found(nt.Tuner(learn, test=task.train, seed=0).check(), "copies")
    assert "50 of 50 test items" in copies.seen
    assert found(nt.Tuner(learn, test=task.test, seed=0).check(), "copies") == []


def test_a_folder_that_may_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbtune.preflight.machine.os.access", lambda *_: False)  # root may write anywhere
    assert "cannot be written" in found(check(digits(), run_dir=tmp_path / "run"), "disk")[0].seen


def test_workers_that_start_longer_than_they_work_and_leave_none_behind() -> None:
    before, learn = children(), learner(loader={"num_workers": 2})
    (workers,) = found(check(learn), "workers")
    assert "2 workers give their first batch after" in workers.seen
    assert workers.do == "num_workers=0"
    assert learn.dls.train.fake_l.num_workers == 2
    assert set(children()) <= set(before)


@pytest.mark.parametrize(("count", "seconds", "seen"), [(0, 60.0, "without workers"), (99, 60.0, "99 workers share")])
def test_items_that_take_long(monkeypatch: pytest.MonkeyPatch, count: int, seconds: float, seen: str) -> None:
    monkeypatch.setattr("nbtune.preflight.workers._alone", lambda _: seconds)
    monkeypatch.setattr("nbtune.preflight.workers._cores", lambda: 2)
    learn = learner(loader={"num_workers": count})
    (one,) = workers(Subject(learn, (), (), None))
    assert seen in one.seen
    assert one.do == "num_workers=2"


def test_items_on_another_device_and_workers() -> None:
    learn = learner(loader={"num_workers": 2})
    learn.dls.train.dataset = [(X[0].to("meta"), 0)] * 4  # as on a GPU
    (one,) = workers(Subject(learn, (), (), None))
    assert one.severity == "stop"
    assert "2 workers, and the items are on meta" in one.seen
