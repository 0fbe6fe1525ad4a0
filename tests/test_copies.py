"""Exact copies: across splits, with labels that differ, and not what merely looks alike."""

from __future__ import annotations

from typing import Any

import numpy as np

import nbtune as nt
from nbtune.tasks import Items
from nbtune.tasks.copies import _digest, copies
from nbtune.tasks.task import make_task


def planted() -> nt.Task:
    """Train 0 = train 1 (another label), train 2 = test 0 (the same); valid 0 differs from train 3 by one step."""
    x = np.random.RandomState(0).randint(0, 255, (14, 6, 6)).astype(np.uint8)
    x[1], x[10] = x[0], x[2]
    x[6] = x[3]
    x[6, 0, 0] += 1
    y = np.array([0, 1, 0, 1, 0, 1, 1, 0, 1, 0, 0, 1, 0, 1])
    parts = [
        Items(x[a:b], y[a:b].astype(np.int64), tuple(f"{split}{i}" for i in range(b - a)))
        for split, a, b in (("train", 0, 6), ("valid", 6, 10), ("test", 10, 14))
    ]
    return make_task("toy", "tell a from b", ("a", "b"), *parts, source="random", licence="none", nature="synthetic")


def test_copies_are_found_with_their_splits_and_labels() -> None:
    found = planted().copies()
    assert [[p.item for p in group] for group in found.groups] == [["train0", "train1"], ["train2", "test0"]]
    assert [[p.item for p in group] for group in found.across] == [["train2", "test0"]]
    assert [[p.label for p in group] for group in found.conflicts] == [["a", "b"]]
    assert found.sentence == (
        "4 of 14 items have an exact copy, in 2 groups: 1 across splits, 1 with labels that differ."
    )
    assert found.frame().columns.tolist() == ["group", "split", "item", "label", "across", "conflict"]
    assert found.frame()["conflict"].tolist() == [True, True, False, False]
    assert found.plot().sentence == found.sentence
    assert "train2 (a), test test0 (a)" in found._repr_html_()


def test_the_digits_have_none() -> None:
    assert nt.tasks.digits().copies().sentence == "No two of 1,797 items are equal to the last bit."


def test_copies_among_arrays_rows_several_labels_and_numbers() -> None:
    draw = np.random.RandomState(0)
    images, rows = draw.rand(40, 8, 8), draw.rand(40, 3)
    images[7], rows[7] = images[3], rows[3]
    numbers = np.arange(40) + 0.5
    labels = [["a"], ["b"], ["a", "b"], []] * 10
    for x in (images, rows):
        found = nt.tasks.from_arrays(x, numbers).copies()
        assert [sorted(place.label for place in group) for group in found.groups] == [["3.5", "7.5"]]
        assert len(found.conflicts) == 1
        found = nt.tasks.from_arrays(x, labels, target="multi").copies()
        assert [[place.label for place in group] for group in found.groups] == [["none", "none"]]
        assert found.conflicts == ()


class Broken:
    """Items one of which cannot be read."""

    def __init__(self, items: Items, bad: int) -> None:
        self.items, self.bad = items, bad
        self.ids, self.y = items.ids, items.y

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, at: int) -> Any:
        if at == self.bad:
            raise OSError("truncated file")
        return self.items[at]


def test_an_item_that_cannot_be_read_is_named_and_the_rest_compared() -> None:
    task = planted()
    object.__setattr__(task, "train", Broken(task.train, 5))
    found = copies(task)
    assert found.unread == ("train5",)
    assert len(found.groups) == 2
    assert found.sentence.endswith("1 could not be read.")


def test_equal_bytes_of_another_shape_are_another_item() -> None:
    flat = np.zeros(6, np.uint8)
    assert _digest(flat.reshape(2, 3)) != _digest(flat.reshape(3, 2))
    assert _digest(flat.reshape(2, 3)) == _digest(np.zeros((2, 3), np.uint8))
