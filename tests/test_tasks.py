"""Tasks: fixed splits, shots that grow, a Learner that trains, and bad input refused before anything is made."""

from __future__ import annotations

import dataclasses
import random
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nbtune.errors import InputError, InputTypeError, NbtuneError
from nbtune.tasks import Items, Task, digits, letters
from nbtune.tasks._frames import enlarge
from nbtune.tasks.glyphs import ALPHABET, counts
from nbtune.tasks.split import pick, stratified
from nbtune.tasks.task import batch_size, make_task
from nbtune.tuner import Tuner


def _items(n: int = 6, name: str = "a", side: int = 8, classes: int = 2) -> Items:
    x = np.random.RandomState(0).randint(0, 256, (n, side, side)).astype(np.uint8)
    return Items(x, np.arange(n, dtype=np.int64) % classes, tuple(f"{name}{i}" for i in range(n)))


def _task(train: Items, valid: Items | None = None, test: Items | None = None) -> Task:
    return make_task(
        "toy", "tell a from b", ("a", "b"), train, _items(4, "v") if valid is None else valid,
        _items(4, "t") if test is None else test,
        source="random numbers", licence="none", nature="synthetic",
    )  # fmt: skip


def _four_parts(error: pytest.ExceptionInfo[NbtuneError]) -> None:
    assert all(part in str(error.value) for part in ("Rule:", "Likely:", "Next:"))


# Digits


def test_digits_are_those_of_scikit_learn() -> None:
    from sklearn.datasets import load_digits

    bunch, task = load_digits(), digits()
    for items in (task.train, task.valid, task.test):
        places = [int(name.split("/")[1]) for name in items.ids]
        assert np.array_equal(items.y, bunch.target[places])
        # a block's mean is near its count: enlarging moves ink to neighbours only
        blocks = items.x.reshape(-1, 8, 4, 8, 4).mean((2, 4)) * 16 / 255
        assert np.abs(blocks - bunch.images[places]).mean() < 1.5


def test_sizes_and_disjoint_splits() -> None:
    task = digits()
    assert [len(i) for i in (task.train, task.valid, task.test)] == [997, 200, 600]
    assert len({*task.train.ids, *task.valid.ids, *task.test.ids}) == 1797


@pytest.mark.parametrize(("shots", "seed"), [(1, 0), (10, 3), (50, 7), (None, 9)])
def test_valid_and_test_never_change(shots: int | None, seed: int) -> None:
    task, other = digits(shots, seed), digits()
    assert task.test.digest == other.test.digest
    assert task.valid.digest == other.valid.digest


def test_the_splits_are_the_published_ones() -> None:
    # recorded when the splits were made: a change here makes every stored result incomparable
    assert digits().test.digest[:16] == "7238da745d9aad9c"
    assert digits().valid.digest[:16] == "5306a235057ff252"


def test_test_split_is_stratified() -> None:
    counts_ = digits().test.counts(10)
    # 1,797 digits, 174 to 183 a class: 58.1 to 61.1 in 600
    assert min(counts_) >= 58
    assert max(counts_) <= 62


@pytest.mark.parametrize("shots", [1, 5, 50])
def test_shots_are_images_a_class(shots: int) -> None:
    assert digits(shots=shots, seed=1).train.counts(10) == (shots,) * 10


def test_seed_chooses_the_items_and_more_shots_hold_the_fewer() -> None:
    assert digits(5, seed=0).train.digest == digits(5, seed=0).train.digest
    assert digits(5, seed=0).train.digest != digits(5, seed=1).train.digest
    assert set(digits(5, seed=2).train.ids) < set(digits(10, seed=2).train.ids)


@pytest.mark.parametrize(
    ("shots", "kind", "likely", "better"),
    [
        (0, InputError, "came out as 0", 1), (-1, InputError, "a word for all", None),
        (-7, InputError, "below 0", 1), (98, InputError, "another data set", None),
        (200, InputError, "all 10 classes together, which is 20 of each", 20),
        (10**9, InputError, "another data set", None),
        (1.0, InputTypeError, "both make floats", 1), (2.5, InputTypeError, "did not come out even", 2),
        (0.5, InputTypeError, "a share", 48), (float("nan"), InputTypeError, "missing value", None),
        (float("inf"), InputTypeError, "no limit", None), (True, InputTypeError, "a switch", None),
        ("10", InputTypeError, "in quotes", 10), ("500", InputTypeError, "in quotes", None),
        ("-1", InputTypeError, "in quotes", None), ("all", InputTypeError, "a word", None),
        ("", InputTypeError, "empty", None), ([1], InputTypeError, "several values", None),
        (print, InputTypeError, "another argument's value", None),
    ],
)  # fmt: skip
def test_bad_shots_say_what_was_likely_meant(shots: Any, kind: type[NbtuneError], likely: str, better: Any) -> None:
    with pytest.raises(kind, match="shots is from 1 to 97") as error:
        digits(shots=shots)
    _four_parts(error)
    assert likely in error.value.likely
    assert error.value.next == f"shots={better}"
    digits(shots=better)


def test_shots_of_letters_are_limited_by_drawing() -> None:
    with pytest.raises(InputError, match=r"from 1 to 500 .* \(the most that are drawn\)") as error:
        letters(shots=501)
    assert error.value.next == "shots=500"


@pytest.mark.parametrize(
    ("seed", "kind", "likely", "better"),
    [
        (None, InputTypeError, "never set", 0), (1.5, InputTypeError, "did not come out even", 2),
        (True, InputTypeError, "a switch", 0), ("7", InputTypeError, "in quotes", 7),
        (-1, InputError, "any seed", 0), (2**32 + 5, InputError, "a hash", 5),
    ],
)  # fmt: skip
def test_bad_seeds_say_what_was_likely_meant(seed: Any, kind: type[NbtuneError], likely: str, better: int) -> None:
    with pytest.raises(kind, match="seed is a whole number") as error:
        digits(seed=seed)
    _four_parts(error)
    assert likely in error.value.likely
    assert error.value.next == f"seed={better}"


def test_card_says_what_a_person_must_know() -> None:
    card = digits(shots=10).card
    assert card.nature == "real"
    assert "UCI" in card.source
    assert card.licence == "CC BY 4.0"
    assert card.sizes == {"train": 100, "valid": 200, "test": 600}
    assert set(card.class_counts.values()) == {10}
    assert "100 labelled items, validation 200 more" in card.labelled
    assert digits(10).card.split_digest == card.split_digest != digits(10, seed=1).card.split_digest
    assert "CC BY" in card._repr_html_()


def test_a_task_shows_itself() -> None:
    task = digits(shots=5)
    assert repr(task).startswith("Task digits: read a handwritten digit. 50 training")
    assert "<table>" in task._repr_html_()
    assert "10 classes" in repr(task.plot(2))
    assert task.plot(2)._repr_png_().startswith(b"\x89PNG")


# Letters


def test_letters_are_the_same_for_a_seed_and_digits_are_not_among_them() -> None:
    task = letters(shots=2)
    assert task.train.digest == letters(shots=2).train.digest
    assert task.train.digest != letters(shots=2, seed=1).train.digest
    assert task.test.digest == letters(shots=1, seed=5).test.digest
    assert task.card.nature == "synthetic"
    assert not set(task.vocab) & set("0123456789OoIlSsZzBgqb")
    assert all(char.isalpha() for char in ALPHABET)
    assert len(set(ALPHABET)) == len(ALPHABET)


def test_letters_look_as_digits_were_made() -> None:
    from sklearn.datasets import load_digits

    real = load_digits().images
    drawn = counts(torch.arange(len(ALPHABET)).repeat(5), torch.Generator().manual_seed(0))
    assert drawn.shape[1:] == (8, 8)
    assert np.array_equal(drawn, drawn.round())
    assert 0 <= drawn.min() <= drawn.max() <= 16
    assert abs(drawn.mean() - real.mean()) < 0.4  # counts of 16
    assert np.abs(drawn.mean((0, 1)) - real.mean((0, 1))).max() < 1.5  # ink by column
    assert abs((drawn == 0).mean() - (real == 0).mean()) < 0.06


def test_enlarge_keeps_flat_images_flat_and_the_full_range() -> None:
    flat = enlarge(np.full((1, 8, 8), 16))
    assert flat.shape == (1, 32, 32)
    assert (flat == 255).all()
    assert (enlarge(np.zeros((2, 8, 8))) == 0).all()


# Splits


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(3, 40), min_size=2, max_size=6), st.integers(0, 99), st.floats(0.1, 0.6))
def test_stratified_keeps_shares(sizes: list[int], seed: int, share: float) -> None:
    y = np.repeat(np.arange(len(sizes)), sizes)
    size = max(1, int(len(y) * share))
    taken, left = stratified(y, size, seed)
    assert len(taken) == size
    assert np.array_equal(np.sort(np.concatenate([taken, left])), np.arange(len(y)))
    exact = np.array(sizes) * size / len(y)
    assert (np.abs(np.bincount(y[taken], minlength=len(sizes)) - exact) < 1).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(0, 99))
def test_pick_is_nested(shots: int, seed: int) -> None:
    y = np.repeat(np.arange(3), 6)
    assert set(pick(y, shots, seed)) < set(pick(y, shots + 1, seed))


# Items and Task refuse


@pytest.mark.parametrize(
    ("x", "y", "ids", "kind", "words"),
    [
        (np.zeros((2, 4, 4)), np.zeros(2, np.int64), ("a", "b"), InputTypeError, "uint8"),
        ([[1]], np.zeros(1, np.int64), ("a",), InputTypeError, r"np.stack\(images\)"),
        (np.zeros((2, 4, 4), np.uint8), np.zeros(2, np.int32), ("a", "b"), InputTypeError, "int64"),
        (np.zeros((2, 16), np.uint8), np.zeros(2, np.int64), ("a", "b"), InputError, "shape"),
        (np.zeros((2, 1, 4, 4), np.uint8), np.zeros(2, np.int64), ("a", "b"), InputError, "shape"),
        (np.zeros((2, 0, 4), np.uint8), np.zeros(2, np.int64), ("a", "b"), InputError, "shape"),
        (np.zeros((2, 4, 4), np.uint8), np.zeros(3, np.int64), ("a", "b"), InputError, "one class and one id"),
        (np.zeros((2, 4, 4), np.uint8), np.zeros(2, np.int64), ("a",), InputError, "one class and one id"),
        (np.zeros((2, 4, 4), np.uint8), np.array([0, -1]), ("a", "b"), InputError, "0 or more"),
        (np.zeros((2, 4, 4), np.uint8), np.zeros(2, np.int64), ("a", "a"), InputError, "names one item"),
    ],
)
def test_items_refuse(x: object, y: object, ids: tuple[str, ...], kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words) as error:
        Items(x, y, ids)  # type: ignore[arg-type]
    _four_parts(error)


def test_items_are_a_frozen_sequence() -> None:
    items = _items(5)
    image, label = items[3]
    assert (len(items), label) == (5, 1)
    assert np.array_equal(image, items.x[3])
    assert len(list(items)) == 5
    with pytest.raises(ValueError, match="read-only"):
        items.x[0, 0, 0] = 1


@pytest.mark.parametrize(
    ("splits", "words"),
    [
        ({"train": _items(0)}, "two items or more"),
        ({"train": _items(1)}, "two items or more"),
        ({"valid": _items(0, "v")}, "an item or more"),
        ({"test": _items(0, "t")}, "an item or more"),
        ({"test": _items(4, "t", classes=3)}, "classes are 0 to 1"),
        ({"valid": _items(4, "v", side=9)}, r"all have \[8, 8\]"),
        ({"valid": _items(4, "a")}, "stands in one split"),
    ],
)
def test_tasks_refuse(splits: dict[str, Items], words: str) -> None:
    with pytest.raises(InputError, match=words) as error:
        _task(**{"train": _items(), **splits})
    _four_parts(error)


# The Learner


@settings(max_examples=200, deadline=None)
@given(st.integers(2, 2000), st.one_of(st.none(), st.integers(2, 256)))
def test_an_epoch_has_batches_and_none_of_one_item(n: int, bs: int | None) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        size, drop_last = batch_size(n, bs)
    sizes = [min(size, n - start) for start in range(0, n, size)]
    kept = [b for b in sizes if b == size] if drop_last else sizes
    assert kept
    assert min(kept) >= 2
    assert sum(kept) > n / 2


def test_a_batch_size_above_the_train_set_is_lowered_and_said() -> None:
    with pytest.warns(UserWarning, match="Batch size 64 is above the 50 training items: lowered to 50"):
        learn = digits(shots=5).learner("letters", bs=64)
    assert learn.dls.train.bs == 50
    assert (learn.nbtune_origin.bs, learn.nbtune_origin.bs_asked) == (50, 64)
    assert sum(len(y) for _, y in learn.dls.train) == 50


@pytest.mark.parametrize(
    ("options", "kind", "likely", "better"),
    [
        ({"bs": 0}, InputError, "came out as 0", "bs=None"), ({"bs": -1}, InputError, "all items", "bs=10"),
        ({"bs": -3}, InputError, "below 0", "bs=None"), ({"bs": 2.5}, InputTypeError, "even", "bs=2"),
        ({"bs": 2.0}, InputTypeError, "both make floats", "bs=2"), ({"bs": "64"}, InputTypeError, "quotes", "bs=64"),
        ({"bs": True}, InputTypeError, "a switch", "bs=None"),
        ({"augment": "strong"}, InputTypeError, "a preset", "augment=None"),
        ({"augment": 3}, InputTypeError, "a strength", "augment=None"),
        ({"augment": True}, InputTypeError, "usual deformation", "augment=None"),
        ({"augment": [3]}, InputTypeError, "of type int", "augment=None"),
        ({"augment": abs}, InputTypeError, "without a list", "augment=[transform]"),
        ({"seed": -1}, InputError, "any seed", "seed=0"), ({"seed": 0.5}, InputTypeError, "a share", "seed=0"),
        ({"pretrained": "no"}, InputTypeError, "a word", "pretrained=False"),
        ({"pretrained": "imagenet"}, InputTypeError, "a set of weights", "pretrained=True"),
        ({"metrics": "acuracy"}, InputError, "misspelt", "did you mean accuracy?"),
        ({"batch": 3}, InputTypeError, "by the name that it has elsewhere", 'task.learner("letters", bs=3)'),
        ({"batch_size": 3}, InputTypeError, "elsewhere", 'task.learner("letters", bs=3)'),
        ({"sed": 3}, InputTypeError, "a misspelling of seed", 'task.learner("letters", seed=3)'),
        ({"epochs": 4}, InputTypeError, "a number of epochs", "nt.Tuner(learn).fit(4)"),
        ({"shots": 4}, InputTypeError, "training split", "nt.tasks.digits(shots=4)"),
        ({"model": 3}, InputTypeError, "first argument", 'task.learner("letters")'),
        ({"dls": 3}, InputTypeError, "the task's own", 'task.learner("letters")'),
        ({"zzz": 3}, InputTypeError, "another library", 'task.learner("letters"), without it'),
        ({"body": "leters"}, InputError, "misspelling", 'task.learner("letters")'),
        ({"body": 3}, InputTypeError, "another argument's value", 'task.learner("letters")'),
    ],
)  # fmt: skip
def test_a_learner_refuses(options: dict[str, Any], kind: type[NbtuneError], likely: str, better: str) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state(), random.getstate()
    with pytest.raises(kind) as error:
        digits(shots=1).learner(**{"body": "letters", **options})
    _four_parts(error)
    assert likely in error.value.likely
    assert better in error.value.next
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]


def test_batches_of_one_warn_and_train_where_batch_norm_can() -> None:
    task = digits(shots=1)
    with pytest.warns(UserWarning, match="bs=1: while the batch norm of letters trains"):
        learn = task.learner("letters", bs=1, seed=0)
    assert [len(y) for _, y in learn.dls.train] == [1] * 10
    assert np.isfinite(Tuner(learn, seed=0).fit(1, 1e-4).rows[-1]["train_loss"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        task.learner(lambda n: nn.Sequential(nn.Flatten(), nn.Linear(1024, n)), bs=1)


def test_batches_of_one_are_refused_where_batch_norm_fails() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(1024, 10), nn.BatchNorm1d(10))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(InputError, match="batch norm fails on one image: Expected more than 1 value") as error:
        digits(shots=1).learner(net, bs=1)
    _four_parts(error)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    net[2].eval()  # batch norm that is held still can
    digits(shots=1).learner(net, bs=1)


def test_a_seed_fixes_the_weights_of_ones_own_function() -> None:
    task, stream = digits(shots=1), torch.get_rng_state()
    make = lambda n: nn.Sequential(nn.Flatten(), nn.Linear(1024, n))  # noqa: E731
    weights = [task.learner(make, seed=seed).model[1].weight for seed in (0, 0, 1)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert torch.equal(torch.get_rng_state(), stream)


def test_a_learner_is_ordinary_and_learns() -> None:
    task = digits(shots=5)
    learn = task.learner("letters", seed=0)
    x, y = learn.dls.one_batch()
    assert x.shape == (25, 1, 32, 32)
    assert learn.dls.n_inp == 1
    assert learn.dls.vocab == list("0123456789")
    assert len(learn.opt_func(learn.splitter(learn.model)).param_lists) == 6
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(12, slice(5e-4, 5e-3))
        loss, accuracy = learn.validate()
    assert accuracy > 0.8  # measured 0.93 (chance: 0.1)
    assert learn.nbtune_origin.task is task
    assert learn.nbtune_origin.body.name == "letters"
    assert y.dtype == torch.int64
    assert np.isfinite(loss)


def test_a_seed_gives_the_same_learner_and_leaves_the_streams() -> None:
    task = digits(shots=5)
    torch.manual_seed(3)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    first, second, other = (task.learner("letters", seed=s, augment=False, pretrained=False) for s in (7, 7, 8))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.array_equal(np.random.get_state()[1], before[2])
    weights = [learn.model.stem[0].weight for learn in (first, second, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    orders = [[y.tolist() for _, y in learn.dls.train] for learn in (first, second, other)]
    assert orders[0] == orders[1] != orders[2]


def test_two_fits_from_one_seed_agree_to_the_bit() -> None:
    ends = []
    for _ in range(2):
        learn = digits(shots=1).learner("letters", seed=1)
        torch.manual_seed(4)
        with learn.no_bar(), learn.no_logging():
            learn.fit(2, 1e-3)
        ends.append(torch.cat([p.detach().flatten() for p in learn.model.parameters()]))
    assert torch.equal(*ends)


def test_augmentation_is_for_training_and_can_be_switched_off() -> None:
    task = digits(shots=1)
    learn = task.learner("letters", seed=0)
    loader = learn.dls.valid
    views = [torch.cat([x for x, _ in loader]) for _ in range(2)]
    assert torch.equal(*views)
    train = learn.dls.train

    def view() -> torch.Tensor:
        pairs = [(x, y) for x, y in train]
        order = torch.cat([y for _, y in pairs]).argsort()
        return torch.cat([x for x, _ in pairs])[order].as_subclass(torch.Tensor)

    assert not torch.equal(view(), view())
    train.dataset.split_idx = 1
    assert torch.equal(view(), view())
    plain = task.learner("letters", augment="none").dls.train
    assert len(plain.after_batch.fs) == 2


def test_batches_are_what_the_body_says() -> None:
    task = digits(shots=1)
    learn = task.learner("letters", seed=0)
    body = learn.nbtune_origin.body
    x = torch.cat([x for x, _ in learn.dls.valid]).as_subclass(torch.Tensor).cpu()
    assert torch.allclose(x, body.normalise(body.prepare(task.valid.x)), atol=1e-6)
    y = torch.cat([y for _, y in learn.dls.valid]).as_subclass(torch.Tensor).cpu()
    assert torch.equal(y, torch.tensor(task.valid.y))


def test_items_keep_their_ids_and_can_be_fetched_one_by_one() -> None:
    task = digits(shots=1)
    dataset = task.learner("letters").dls.train_ds
    x, y = dataset[4]
    assert dataset.ids == task.train.ids
    assert torch.equal(x.as_subclass(torch.Tensor)[0], torch.tensor(task.train.x[4]))
    assert int(y) == task.train.y[4]


def test_a_fresh_network_is_not_the_pretrained_one() -> None:
    task = digits(shots=1)
    known, fresh = (task.learner("letters", seed=0, pretrained=p).model for p in (True, False))
    assert not torch.equal(known.stem[0].weight, fresh.stem[0].weight)
    assert sum(p.numel() for p in known.parameters()) == sum(p.numel() for p in fresh.parameters())


def test_a_network_of_ones_own_is_taken_as_it_is() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(32 * 32, 10))
    learn = digits(shots=1).learner(net)
    assert learn.model is net
    body = learn.nbtune_origin.body
    assert body.channels == 1
    assert abs(body.mean[0] - digits(shots=1).train.x.mean() / 255) < 1e-6
    with learn.no_bar(), learn.no_logging():
        learn.fit(1, 1e-3)


def test_fastai_transforms_are_taken() -> None:
    from fastai.vision.augment import Rotate

    learn = digits(shots=1).learner("letters", augment=[Rotate(max_deg=10, p=1.0)])
    x, _ = learn.dls.one_batch()
    assert x.shape == (10, 1, 32, 32)


def test_a_learner_takes_fastais_own_options() -> None:
    from fastai.metrics import error_rate

    learn = digits(shots=1).learner("letters", metrics=[error_rate], wd=0.1)
    assert learn.wd == 0.1
    assert [m.name for m in learn.metrics] == ["error_rate"]


def test_metrics_by_name_work_for_ten_classes_and_unknown_ones_are_refused() -> None:
    task = digits(shots=2)
    learn = task.learner("letters", seed=0, metrics=["accuracy", "f1", "precision", "recall", "error_rate"])
    row = Tuner(learn, seed=0).fit(1, 1e-3).rows[-1]
    assert 0 <= row["f1_score"] <= 1
    assert row["error_rate"] == pytest.approx(1 - row["accuracy"])
    for metric, kind in (("acuracy", InputError), (0.5, InputTypeError)):
        with pytest.raises(kind) as raised:
            task.learner("letters", metrics=metric)
        assert all(part in str(raised.value) for part in ("Rule:", "Likely:", "Next:"))


def test_a_learner_logs_the_tasks_metrics() -> None:
    task = digits(shots=1)
    assert [m.name for m in task.learner("letters").metrics] == ["accuracy"] == list(task.metrics)
    both = dataclasses.replace(task, metrics=("accuracy", "f1"))
    row = Tuner(both.learner("letters", seed=0), seed=0).fit(1, 1e-3).rows[-1]
    assert {"accuracy", "f1_score"} < set(row)
