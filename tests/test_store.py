"""Kept features in memory and on disk: whole or not at all, within budgets, never stale."""

from __future__ import annotations

import errno
import os
import random
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fastai.callback.core import Callback
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner
from fastai.losses import CrossEntropyLossFlat
from fastai.vision.augment import RandTransform
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import nbtune as nt
from learners import DIGITS, FAMILIES, X, Y, cnn, parts, seed
from nbtune._cut import Cut
from nbtune._fastai.feed import Stopped, Way, kept_of
from nbtune._nested import tensors
from nbtune.cache import Store, disk, state_of
from nbtune.cache.memory import free_memory
from nbtune.errors import FreezeError, InputError, InputTypeError
from nbtune.groups import split
from nbtune.transaction import Streams

MEMORY = 10**9


class Noise(RandTransform):  # type: ignore[misc]
    """An augmentation of training batches that draws from torch, numpy and Python."""

    split_idx, p = None, 1.0  # plain loaders do not say which split they are

    def encodes(self, x: torch.Tensor) -> torch.Tensor:
        if not x.is_floating_point():
            return x
        return x + torch.rand(len(x), 1, 1, 1) + float(np.random.rand()) + random.random()


def learner(items: Any = None, bs: int = 8, drop: bool = True, model: nn.Module | None = None, **options: Any) -> Any:
    """A small CNN on 24 training and 12 validation digits."""
    seed(0)
    items = items if items is not None else list(zip(X[:36], Y[:36], strict=True))
    train = DataLoader(items[:24], bs=bs, shuffle=True, drop_last=drop, num_workers=0, device="cpu", **options)
    dls = DataLoaders(train, DataLoader(items[24:], bs=bs, num_workers=0, device="cpu"))
    made = Learner(dls, model or cnn(), loss_func=CrossEntropyLossFlat(), splitter=parts)
    made.remove_cbs([cb for cb in made.cbs if type(cb).__name__ == "ProgressCallback"])
    made.logger = lambda *_: None
    return made


def of(learn: Any, store: Store, first: int = -1, digest: str = "d", **way: Any) -> Any:
    """What is kept of a Learner's items."""
    groups = split(learn.model)
    return kept_of(learn, Cut(groups, first % len(groups)), store, digest, Way(**way))[1]


def all_of(kept: Any) -> list[torch.Tensor]:
    return [t.clone() for one in kept for t in [*tensors(one.features), *tensors(one.targets)]]


def same(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return len(one) == len(other) and all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


class Losses(Callback):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[float] = []

    def after_loss(self) -> None:
        self.seen.append(self.learn.loss.item())


def trained(learn: Any, cache: str = "on", epochs: int = 2, first: int = -1, **how: Any) -> tuple[list[float], Any]:
    """Losses of a fit from one seed, and the Still that held it."""
    seed(3)
    learn.dls.train.rng = random.Random(5)
    still, watch = nt.Still(first, cache=cache, **how), Losses()
    learn.fit(epochs, 1e-2, cbs=[still, watch])
    return watch.seen, still


# On disk


def test_what_does_not_fit_in_memory_lies_on_disk_and_trains_the_same(tmp_path: Path) -> None:
    live, _ = trained(learner(), "off")
    store = Store(tmp_path / "features", budget=100)
    found, still = trained(learner(), store=store)
    assert found == live
    assert store.sizes[0] == 0
    assert store.sizes[1] == store.bytes > 1000
    assert f"{store!r}" in still.why
    assert "24 training and 12 validation items" in still.why
    assert "on disk" in still.why
    assert [path.name.startswith(".") for path in (tmp_path / "features").iterdir()] == [False, False]


def test_another_process_finds_it_and_one_flipped_byte_is_seen(tmp_path: Path) -> None:
    first = all_of(of(learner(), Store(tmp_path, budget=0)))

    def again() -> tuple[list[torch.Tensor], int]:
        learn, calls = learner(), []
        usual = learn.model[0][0].forward
        learn.model[0][0].forward = lambda x: (calls.append(len(x)), usual(x))[1]
        return all_of(of(learn, Store(tmp_path, budget=0))), len(calls)

    whole, few = again()
    assert same(whole, first)
    files = sorted(tmp_path.glob("*/0.bin"), key=lambda path: path.stat().st_size)
    for at in (0, files[-1].stat().st_size - 1):
        data = bytearray(files[-1].read_bytes())
        data[at] ^= 1
        files[-1].write_bytes(bytes(data))
        whole, many = again()
        assert same(whole, first)
        assert many == few + 3, "24 items in batches of 8 ran again"


@pytest.mark.parametrize("damage", ["{", "[]", '{"schema": 9}', '{"digest": "d", "files": [{}]}', "\x00"])
def test_a_damaged_note_is_rebuilt(tmp_path: Path, damage: str) -> None:
    first = all_of(of(learner(), Store(tmp_path, budget=0)))
    for note in tmp_path.glob("*/features.json"):
        note.write_text(damage)
    assert same(all_of(of(learner(), Store(tmp_path, budget=0))), first)


@pytest.mark.parametrize("call", [1, 2, 5, 8])
@pytest.mark.parametrize("where", ["_raw", "_sync"])
def test_a_full_disk_leaves_nothing_and_trains_live(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, call: int
) -> None:
    live, _ = trained(learner(), "off")
    usual, calls = getattr(disk, where), []

    def full(*given: Any) -> Any:
        calls.append(1)
        if len(calls) == call:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return usual(*given)

    monkeypatch.setattr(disk, where, full)
    store = Store(tmp_path, budget=0)
    found, still = trained(learner(), "auto", store=store)
    assert found == live
    assert not still.cached
    assert "No space left" in still.why
    assert str(tmp_path) in still.why
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    monkeypatch.undo()
    again, still = trained(learner(), store=store)
    assert again == live


def test_a_folder_that_may_not_be_written_trains_live(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    _, still = trained(learner(), "auto", store=Store(tmp_path / "file" / "features", budget=0))
    assert not still.cached
    assert "cannot hold" in still.why


def test_two_fill_one_folder_and_the_second_uses_what_the_first_made(tmp_path: Path) -> None:
    one, other = Store(tmp_path, budget=0), Store(tmp_path, budget=0)
    first: list[Any] = []

    def between() -> bool:  # asked in the middle of the second one's filling
        if not first:
            first.append(all_of(of(learner(), one)))
        return False

    second = all_of(of(learner(), other, stopped=between))
    assert same(second, first[0])
    assert len(list(tmp_path.iterdir())) == 2
    other.clear()
    assert same(all_of(list(one.values())), first[0]), "a mapped file outlives its name"
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_the_dead_are_swept_and_those_of_the_living_are_not(tmp_path: Path) -> None:
    dead = 2**22 + 1  # above the largest process number of Linux
    names = {
        f".k.{disk._HOST}-{dead}-a.part": 61,
        f".k.{disk._HOST}-{dead}-b.part": 5,
        f".k.{disk._HOST}-{os.getpid()}-d.part": 10**6,
        ".k.else-1-c.part": 7200,
        ".k.else-1-e.part": 10**5,
        ".other.part": 10**6,
    }
    for name, age in names.items():
        (tmp_path / name).mkdir()
        when = (tmp_path / name).stat().st_mtime - age
        os.utime(tmp_path / name, (when, when))
    disk.sweep(tmp_path)
    left = {path.name.rsplit("-", 1)[-1] for path in tmp_path.iterdir()}
    assert left == {"b.part", "c.part", "d.part", ".other.part"}


def test_entries_of_another_still_part_go_and_clear_takes_all(tmp_path: Path) -> None:
    store = Store(tmp_path, budget=0)
    of(learner(), store, digest="one")
    of(learner(), store, digest="two")
    assert len(store) == len(list(tmp_path.iterdir())) == 2
    store.clear()
    assert (len(store), store.bytes, list(tmp_path.iterdir())) == (0, 0, [])
    assert repr(store) == "No features are kept."


def test_budgets_are_kept_and_named(tmp_path: Path) -> None:
    need = sum(kept.bytes for kept in of(learner(), Store(budget=MEMORY)))
    assert of(learner(), Store(budget=need))[0].on_disk is False
    with pytest.raises(FreezeError, match="run_dir"):
        of(learner(), Store(budget=need - 1), first=1)
    assert of(learner(), Store(tmp_path, budget=need - 1, disk=need))[0].on_disk
    with pytest.raises(FreezeError, match="of disk"):
        of(learner(), Store(tmp_path / "b", budget=need - 1, disk=need - 1), first=1)
    assert 0 < free_memory() < 1 << 50


def test_what_another_way_of_keeping_left_makes_room_and_an_earlier_end_stays_kept(tmp_path: Path) -> None:
    need = sum(kept.bytes for kept in of(learner(), Store(budget=MEMORY)))
    for store in (Store(budget=need), Store(tmp_path, budget=0, disk=need)):
        first = of(learner(), store)
        assert len(of(learner(), store, half=True)) == len(store) == 2
        assert of(learner(), store)[0] is not first[0], "it was dropped"
    wide, store = names_of(Widening).index("head"), Store(budget=20_000)
    first = of(learner(model=seeded(Widening)), store, first=wide)
    assert of(learner(model=seeded(Widening)), store, first=wide)[0] is first[0]


def names_of(make: Callable[[], nn.Module]) -> list[str]:
    return [group.name for group in split(make())]


# Stopped and continued


@settings(max_examples=12)
@given(stops=st.lists(st.integers(1, 8), max_size=3), on_disk=st.booleans(), views=st.sampled_from([1, 3]))
def test_a_filling_that_is_stopped_anywhere_goes_on_to_the_same_bits(
    stops: list[int], on_disk: bool, views: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    def fresh() -> Store:
        return Store(tmp_path_factory.mktemp("f"), budget=0) if on_disk else Store(budget=MEMORY)

    learn = learner(after_batch=Noise() if views > 1 else None)
    expected, store = all_of(of(learn, fresh(), views=views)), fresh()
    for stop in stops:
        asked: list[int] = []

        def stopped(asked: list[int] = asked, stop: int = stop) -> bool:
            asked.append(1)
            return len(asked) > stop

        with suppress(Stopped):
            of(learn, store, views=views, stopped=stopped)

    assert same(all_of(of(learn, store, views=views)), expected)


@pytest.mark.parametrize("at", [1, 2, 4])
@pytest.mark.parametrize("on_disk", [False, True])
def test_an_interrupt_keeps_what_is_filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int, on_disk: bool
) -> None:
    expected = all_of(of(learner(), Store(budget=MEMORY)))
    store = Store(tmp_path, budget=0) if on_disk else Store(budget=MEMORY)
    kind = disk.Part if on_disk else nt.cache.kept.Filling
    usual, calls = kind.write, []

    def write(self: Any, values: list[torch.Tensor]) -> None:
        calls.append(1)
        if len(calls) == at:
            usual(self, values[:1] if on_disk else values)  # cut short in the middle of a batch
            raise KeyboardInterrupt
        usual(self, values)

    monkeypatch.setattr(kind, "write", write)
    with pytest.raises(KeyboardInterrupt):
        of(learner(), store)
    assert f"{(at - 1) * 8 if at < 4 else 0} of" in repr(store)
    assert same(all_of(of(learner(), store)), expected)
    assert len(calls) == 5 + 1, "no batch twice but the one that was cut short"


def test_a_stop_ends_the_fit_before_its_first_step_with_nothing_changed() -> None:
    learn = learner()
    learn.create_opt()
    before, streams = {k: v.clone() for k, v in learn.model.state_dict().items()}, Streams()
    still, watch = nt.Still(-1, store=Store(budget=MEMORY)), Losses()
    asked: list[int] = []
    still.stopped = lambda: len(asked) == 2 or asked.append(1) is not None
    learn.fit(2, cbs=[still, watch])
    assert watch.seen == []
    assert "Stopped while the still part ran, at batch 2 of 3" in still.why
    assert not still.cached
    assert streams.same()
    assert all(torch.equal(v, before[k]) for k, v in learn.model.state_dict().items())
    assert not any("forward" in vars(module) for module in learn.model.modules())


def test_its_bar_leaves_nothing_on_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    def slow(batch: Any) -> Any:
        time.sleep(0.2)
        return batch

    tuner = nt.Tuner(learner(after_batch=slow))
    tuner.freeze()
    capsys.readouterr()
    tuner.fit(1, 1e-3, cache="on")
    said = capsys.readouterr().out
    assert "keeping features" in said
    assert "\x1b" not in said  # a page does not go back to an earlier line
    assert all(not line.split("\r")[-1].strip() for line in said.split("\n") if "keeping features" in line), said


# Half precision, views, earlier boundaries


def test_half_precision_is_chosen_said_and_measured(tmp_path: Path) -> None:
    exact = of(learner(), Store(budget=MEMORY))
    for store in (Store(budget=MEMORY), Store(tmp_path, budget=0)):
        kept = of(learner(), store, half=True)
        assert tensors(kept[0].features)[0].dtype == torch.float16
        true, found = (one[0].take(torch.arange(24)) for one in (exact, kept))
        assert found.dtype == true.dtype == torch.float32
        size = true.flatten(1).abs().amax(1, keepdim=True)
        worst = float(((true - found).flatten(1).abs() / size).max())
        assert kept[0].error == pytest.approx(worst, rel=1e-4)
        assert 0 < worst < 2**-11
    _, still = trained(learner(), "half", store=Store(budget=MEMORY))
    assert still.cached
    assert "float16, another training" in still.why


def test_what_overflows_half_precision_is_kept_in_bfloat16(tmp_path: Path) -> None:
    model = cnn()
    with torch.no_grad():
        model[2][1].weight[0] = 1e7
    for store in (Store(budget=MEMORY), Store(tmp_path, budget=0), Store(tmp_path, budget=0)):
        kept = of(learner(model=model), store, half=True)
        assert tensors(kept[0].features)[0].dtype == torch.bfloat16
        assert bool(tensors(kept[0].features)[0].isfinite().all())
        assert len(store) == 2
    assert 2**-11 < kept[0].error <= 2**-8


def test_views_are_drawn_from_the_seed_and_taken_in_turn() -> None:
    learn, streams = learner(after_batch=Noise()), Streams()
    kept = of(learn, Store(budget=MEMORY), views=3, seed=4)
    assert streams.same()
    rows = tensors(kept[0].features)[0]
    assert len(rows) == 72
    assert len(tensors(kept[1].features)[0]) == 12, "validation is not augmented"
    assert not torch.equal(rows[:24], rows[24:48])
    assert same(all_of(of(learn, Store(budget=MEMORY), views=3, seed=4)), all_of(kept))
    assert not same(all_of(of(learn, Store(budget=MEMORY), views=3, seed=5)), all_of(kept))
    seed(3)
    still = nt.Still(-1, cache="on", views=3, store=Store(budget=MEMORY))
    places: list[torch.Tensor] = []
    take = nt.cache.kept.Kept.take

    def watched(self: Any, at: torch.Tensor) -> Any:
        places.extend([at] if self.views == 3 else [])
        return take(self, at)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nt.cache.kept.Kept, "take", watched)
        learn.fit(4, 1e-3, cbs=still)
    assert [int(at.min()) // 24 for at in places] == [int(at.max()) // 24 for at in places]
    assert [int(at[0]) // 24 for at in places[::3]] == [0, 1, 2, 0]
    assert "3 augmented views in turn: another training than live augmentation" in still.why
    assert same([torch.cat(places[:3]).sort().values], [torch.arange(24)])


def test_views_without_augmentation_are_one_and_validation_must_not_change() -> None:
    assert of(learner(), Store(budget=MEMORY), views=3)[0].views == 1
    learn = learner(after_batch=Noise())
    assert not trained(learn, "auto", store=Store(budget=MEMORY))[1].cached
    learn.dls.valid.after_batch = Noise()
    with pytest.raises(FreezeError, match="validation"):
        of(learn, Store(budget=MEMORY), views=3)


class Widening(nn.Module):
    """Its second group multiplies what an item takes, so that the first one's end is the place to keep."""

    def __init__(self) -> None:
        super().__init__()
        self.small = nn.Sequential(*[nn.Sequential(nn.Conv2d(1, 1, 3, 1, 1), nn.ReLU()) for _ in range(40)])
        self.wide = nn.Conv2d(1, 64, 3, 1, 1)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))

    def forward(self, x: torch.Tensor) -> Any:
        return self.head(self.wide(self.small(x)))


def test_where_the_end_takes_too_much_room_an_earlier_group_ends_what_is_kept() -> None:
    names = names_of(Widening)
    live, _ = trained(learner(model=seeded(Widening)), "off", first=names.index("head"))
    found, still = trained(learner(model=seeded(Widening)), first=names.index("head"), store=Store(budget=20_000))
    assert found == live
    assert f"kept after {names[names.index('wide') - 1]}" in still.why
    assert "what is between runs live" in still.why
    assert still.proof


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    seed(1)
    return make()


# Short batches, other kinds of models


@settings(max_examples=10)
@given(
    family=st.sampled_from(["cnn", "tabular", "bert"]),
    first=st.sampled_from([-1, -2]),
    drop=st.booleans(),
    bs=st.sampled_from([9, 8, 16]),
)
def test_plans_models_and_short_batches_train_as_live_does(family: str, first: int, drop: bool, bs: int) -> None:
    ways = []
    for cache in ("off", "auto"):
        learn = FAMILIES[family]()
        for loader in learn.dls.loaders:
            loader.bs, loader.drop_last = bs, drop
        ways.append((*trained(learn, cache, first=first, store=Store(budget=MEMORY)), learn.model.state_dict()))
    (live, _, weights), (found, still, others) = ways
    # the two embeddings of a table go on side by side: they hand over at no single place
    assert still.cached or (family == "tabular" and ("depends on more" in still.why or "cannot be kept" in still.why))
    assert found == pytest.approx(live, rel=1e-5)
    if drop:
        assert found == live
    assert all(
        torch.allclose(weights[k], others[k], 1e-5, 1e-5 if weights[k].is_floating_point() else 0) for k in weights
    )
    if drop:
        assert all(torch.equal(weights[k], others[k]) for k in weights)


# Bad input


class Changing(list[Any]):
    """Another item at every fetch, from a generator of its own."""

    noise = torch.Generator().manual_seed(0)

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return Changing(super().__getitem__(at))
        x, y = super().__getitem__(at)
        return x + torch.rand(1, generator=self.noise), y


class Wet(nn.Module):
    """Dropout that is forced on in evaluation mode."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.dropout(x, 0.5, training=True)


def pairs() -> list[Any]:
    return list(zip(X[:36], Y[:36], strict=True))


def with_nan() -> list[Any]:
    items = pairs()
    items[17] = (items[17][0] * torch.nan, items[17][1])
    return items


def wet(at: int) -> nn.Module:
    model = seeded(cnn)
    model[at].append(Wet()) if at == 1 else model[at].insert(0, Wet())
    return model


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: learner(Changing(pairs())), "training items change"),
        (lambda: learner(with_nan()), "NaN for training item 17"),
        (lambda: learner(model=wet(1)), "draws random numbers"),
        (lambda: learner(model=wet(3)), "draws random numbers"),
    ],
    ids=["changing", "nan", "wet prefix", "wet suffix"],
)
def test_what_must_not_be_kept_is_named_and_trained_live(make: Any, reason: str) -> None:
    live, _ = trained(make(), "off")
    found, still = trained(make(), "auto", store=Store(budget=MEMORY))
    assert not still.cached
    assert reason in still.why
    if "items change" not in reason:
        assert np.array_equal(found, live, equal_nan=True)
    with pytest.raises(InputError, match="cannot be fed"):
        trained(make(), "on", store=Store(budget=MEMORY))


def test_an_empty_training_set_is_named() -> None:
    learn = learner()
    learn.dls.train.dataset.clear()
    with pytest.raises(FreezeError, match="no items"):
        of(learn, Store(budget=MEMORY))


def test_batch_norm_with_one_item_raises_as_live_training_does() -> None:
    for cache in ("off", "on"):
        model = nn.Sequential(
            *cnn()[:3], nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.BatchNorm1d(10), nn.Linear(10, 10))
        )
        with pytest.raises(ValueError, match="more than 1 value per channel"):
            trained(learner(bs=1, model=model), cache, store=Store(budget=MEMORY))
        assert not any("forward" in vars(module) for module in model.modules())


def test_a_weight_changed_during_a_fit_makes_the_proof_false_and_is_said() -> None:
    class Changes(Callback):  # type: ignore[misc]
        def after_epoch(self) -> None:
            with torch.no_grad():
                self.learn.model[0][0].weight.add_(1)

    learn, still = learner(), nt.Still(-1, cache="on", store=Store(budget=MEMORY))
    with pytest.warns(UserWarning, match="NOT still"):
        learn.fit(2, 1e-3, cbs=[still, Changes()])
    assert not still.proof
    assert "changed during the fit" in still.why


@pytest.mark.parametrize("change", ["item", "label", "eps", "function"])
def test_a_change_is_a_miss(change: str) -> None:
    items = pairs() * 3
    learn, store = learner(), Store(budget=MEMORY)
    learn.dls.train.dataset[:], learn.dls.train.n = items[:100], 100  # the third is not among the 32 that are compared
    before = all_of(of(learn, store, first=-1))
    if change == "item":
        items[2] = (items[2][0] + 1, items[2][1])
        learn.dls.train.dataset[2] = items[2]
    elif change == "label":
        learn.dls.train.dataset[2] = (items[2][0], items[2][1] + 1)
    elif change == "eps":
        learn.model[0][1].eps = 1e-2
    else:
        learn.model[1][2].forward = nn.functional.gelu
    assert not same(all_of(of(learn, store, first=-1)), before)


class Opaque:
    """A dataset whose state cannot be told: it holds an open file."""

    def __init__(self, path: Path) -> None:
        self.file, self.add = open(path), 0.0  # noqa: SIM115

    def __len__(self) -> int:
        return 100

    def __getitem__(self, at: int) -> Any:
        return X[at] + self.add * (at == 1), Y[at]


def test_items_without_stable_ids_are_computed_anew_for_each_fit(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    data = Opaque(tmp_path / "data")
    assert state_of(data) is None
    learn = learner()
    learn.dls.train.dataset, learn.dls.train.n = data, 100
    for store in (Store(budget=MEMORY), Store(tmp_path / "features", budget=0)):
        data.add = 0.0
        before = all_of(of(learn, store))
        data.add = 1.0
        assert not same(all_of(of(learn, store)), before)
        assert len(store) == 2
    data.file.close()


def test_the_state_of_data_is_its_content() -> None:
    frame = DIGITS.data.copy()
    one = state_of(frame)
    frame[100, 3] += 1
    assert state_of(frame) != one
    label = {"a": 1}
    closing = lambda x: label[x]  # noqa: E731
    one = state_of([closing])
    assert one is not None
    assert state_of([closing]) == one
    label["a"] = 2
    assert state_of([closing]) != one


def test_a_path_counts_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_text("x")
    one = state_of([path])
    assert state_of([path]) == one
    path.write_text("xy")
    assert state_of([path]) != one


def test_batches_of_other_shapes_train_live() -> None:
    items = [(X[i][:, : 6 + 2 * (i % 24 >= 8)], Y[i]) for i in range(36)]
    learn = learner(items)
    learn.dls.train.shuffle = False  # each batch has one shape, a sample of all items has two
    found, still = trained(learn, "auto", epochs=1, store=Store(budget=MEMORY))
    assert not still.cached
    assert "training items make no batch" in still.why
    assert len(found) == 3 + 2


def test_features_of_other_shapes_a_batch_train_live() -> None:
    def padded(batch: list[Any]) -> list[Any]:
        long = max(len(x) for x, _ in batch)
        return [(nn.functional.pad(x, (0, long - len(x))), y) for x, y in batch]

    def words() -> nn.Module:
        return nn.Sequential(nn.Embedding(20, 4), nn.Linear(4, 4), Mean(), nn.Linear(4, 10))

    items = [(X[i].flatten()[: 5 + i % 24 // 8].long() + 1, Y[i]) for i in range(36)]
    learn = learner(items, model=seeded(words), before_batch=padded)
    learn.dls.valid.before_batch = padded
    live, _ = trained(learn, "off", epochs=1)
    learn = learner(items, model=seeded(words), before_batch=padded)
    learn.dls.valid.before_batch = padded
    found, still = trained(learn, "auto", epochs=1, store=Store(budget=MEMORY))
    assert not still.cached
    assert "differ in shape" in still.why
    assert found == live


class Mean(nn.Module):
    """The mean word of a sentence."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(1)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: nt.Still(cache="hlf"), InputError),
        (lambda: nt.Still(cache=True), InputError),  # type: ignore[arg-type]
        (lambda: nt.Still(views=0), InputError),
        (lambda: nt.Still(views=1.5), InputTypeError),  # type: ignore[arg-type]
        (lambda: nt.Still(views=True), InputTypeError),
    ],
)
def test_bad_words_are_refused_in_four_parts(call: Any, error: Any) -> None:
    with pytest.raises(error) as raised:
        call()
    for part in ("Rule:", "Likely:", "Next:"):
        assert part in str(raised.value)
