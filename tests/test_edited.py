"""An edited task: the difference first, then a new task; wrong marks are refused before anything is made."""

from __future__ import annotations

from io import StringIO
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nbtune as nt
from nbtune.errors import InputError, NbtuneError
from nbtune.tasks.edited import Edit

TASK = nt.tasks.digits(shots=5)


def marks(*rows: tuple[Any, ...]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["split", "item", "what", "label"])


def first(split: str, at: int = 0) -> str:
    return str(getattr(TASK, split).ids[at])


def label_of(task: nt.Task, split: str, item: str) -> str:
    items = getattr(task, split)
    return task.vocab[items.y[items.ids.index(item)]]


TWO = marks(("train", first("train"), "label", "7"), ("valid", first("valid", 3), "exclude", ""))


def test_a_dry_run_says_the_difference_and_makes_nothing() -> None:
    before = [getattr(TASK, split).digest for split in ("train", "valid", "test")]
    found = TASK.edited(TWO, dry_run=True)
    assert isinstance(found, Edit)
    assert found.sentence == "train: 1 relabelled of 50; valid: 1 left out of 200."
    row = found.frame().iloc[0].to_dict()
    assert row == {"split": "train", "item": first("train"), "what": "label", "label": "7", "now": "8"}
    assert found.after["train"][7] == 6
    assert found.plot().sentence
    assert "left out" in found._repr_html_()
    assert [getattr(TASK, split).digest for split in ("train", "valid", "test")] == before


def test_the_new_task_has_the_labels_and_its_card_says_so() -> None:
    new = TASK.edited(TWO)
    assert label_of(new, "train", first("train")) == "7"
    assert label_of(TASK, "train", first("train")) == "8"
    assert first("valid", 3) not in new.valid.ids
    assert len(new.valid) == 199
    assert new.test is TASK.test
    assert new.card.split_digest != TASK.card.split_digest
    assert new.card.sizes["valid"] == 199
    assert new.card.class_counts["7"] == 6
    assert "Edited: train: 1 relabelled of 50" in new.card.note
    assert np.array_equal(new.train.x, TASK.train.x)


def test_the_code_makes_the_same_task_again() -> None:
    new = TASK.edited(TWO)
    again = eval(new.code, {"nt": nt})
    assert again.card == new.card
    many = TASK.edited(marks(*(("train", name, "exclude", "") for name in TASK.train.ids[:30])))
    assert many.code.endswith(".edited(marks)  # marks: 30 rows of your own")


def test_an_edited_task_trains_on_the_new_labels() -> None:
    learn = TASK.edited(TWO).learner("letters", seed=0)
    data = learn.dls.train.dataset
    assert data.y[data.ids.index(first("train"))] == 7


def test_what_changes_nothing_is_said_and_gives_the_task_itself() -> None:
    same = marks(("train", first("train"), "label", "8"))
    assert TASK.edited(same, dry_run=True).sentence == "Nothing changes: 1 mark gives the label that is there already."
    assert TASK.edited(same) is TASK
    assert TASK.edited(marks()) is TASK


def test_marks_may_have_been_in_a_file() -> None:
    text = TWO.to_csv(index=False)  # the class "7" comes back as 7.0, beside an empty cell
    read = pd.read_csv(StringIO(text))
    assert read["label"].dtype == float
    assert TASK.edited(read).card == TASK.edited(TWO).card


def test_the_test_split_needs_a_reason_which_the_card_keeps() -> None:
    mine = marks(("test", first("test"), "exclude", ""))
    for reason in (None, "", "  "):
        with pytest.raises(InputError, match=r"(?s)without a reason.*Rule: .*flatters"):
            TASK.edited(mine, test=reason)
    new = TASK.edited(mine, test="the picture is blank")
    assert len(new.test) == 599
    assert "Why the test split: the picture is blank." in new.card.note
    assert "cannot be compared" in repr(TASK.edited(mine, True, test="the picture is blank"))
    assert "test=" in new.code
    assert eval(new.code, {"nt": nt}).card == new.card


def test_a_class_that_loses_its_last_training_item_is_named() -> None:
    gone = [name for name in TASK.train.ids if label_of(TASK, "train", name) == "4"]
    found = TASK.edited(marks(*(("train", name, "exclude", "") for name in gone)), dry_run=True)
    assert found.emptied == ("4",)
    assert "No training item is left of 4." in found.sentence


class Held:
    marks = TWO


BAD: dict[str, tuple[Any, str]] = {
    "no frame": ("wrong", "InputTypeError"),
    "the browser": (Held(), "browser.marks"),
    "a dict": ({"split": ["train"]}, "columns"),
    "no column": (TWO.drop(columns="what"), "without the column 'what'"),
    "a split": (marks(("val", first("valid"), "exclude", "")), "valid"),
    "an item": (marks(("train", "digits/9999x", "exclude", "")), "has no such item"),
    "another split": (marks(("train", first("valid"), "exclude", "")), "stands in valid"),
    "what": (marks(("train", first("train"), "drop", "")), "exclude"),
    "the class as what": (marks(("train", first("train"), "7", "")), "new class in the column what"),
    "a class": (marks(("train", first("train"), "label", "seven")), "10 classes"),
    "no class": (marks(("train", first("train"), "label", None)), "without its new label"),
    "twice": (pd.concat([TWO, TWO]), "joined twice"),
    "two people": (marks(*(("train", first("train"), "label", c) for c in "78")), "two people"),
    "all out": (marks(*(("valid", name, "exclude", "") for name in TASK.valid.ids)), "200 of 200"),
    "a switch": (TWO, "a switch"),
}


@pytest.mark.parametrize("name", BAD)
def test_wrong_marks_are_refused_in_four_parts(name: str) -> None:
    given, says = BAD[name]
    with pytest.raises(NbtuneError) as error:
        TASK.edited(given, test=True if name == "a switch" else None)  # type: ignore[arg-type]
    text = f"{type(error.value).__name__} {error.value}"
    assert says in text
    assert all(part in text for part in ("Rule:", "Likely:", "Next:"))


PLACES = [("train", name) for name in TASK.train.ids] + [("valid", name) for name in TASK.valid.ids]


@settings(max_examples=40)
@given(st.dictionaries(st.sampled_from(PLACES), st.sampled_from(["exclude", *TASK.vocab]), max_size=30))
def test_sizes_labels_and_counts_are_those_of_the_marks(chosen: dict[tuple[str, str], str]) -> None:
    rows = [(s, i, *((to, "") if to == "exclude" else ("label", to))) for (s, i), to in chosen.items()]
    found = TASK.edited(marks(*rows), dry_run=True)
    for split in ("train", "valid"):
        items, new = getattr(TASK, split), getattr(found.task, split)
        wanted = {name: chosen.get((split, name), label_of(TASK, split, name)) for name in items.ids}
        kept = {name: to for name, to in wanted.items() if to != "exclude"}
        assert dict(zip(new.ids, (TASK.vocab[c] for c in new.y), strict=True)) == kept
        assert new.counts(10) == found.after[split]
