"""Labels and columns that cannot be learnt are refused, with what is wrong and a line that helps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import nbtune as nt
from nbtune.errors import InputError, InputTypeError, NbtuneError

FRAME = pd.DataFrame({"x": np.arange(40.0), "y": ["a", "b"] * 20})


def _labels(values: Any) -> pd.DataFrame:
    return FRAME.assign(y=pd.Series(list(values), dtype=object))


LABELS: dict[str, tuple[pd.DataFrame, dict[str, Any], str, str]] = {
    "one class": (_labels(["a"] * 40), {}, "40 items of one class, 'a'", "df['y'].value_counts"),
    "a class of one": (_labels(["a", "b"] * 19 + ["a", "c"]), {}, "'c' has 1", "leave_out=('c',)"),
    "classes of two": (_labels([f"n{i // 2}" for i in range(40)]), {}, "20 of 20 classes", "collect 3 or more of each"),
    "white space": (_labels(["a", "b ", "b", "a"] * 10), {}, "'b '. 'b' is a class too", "str.strip()"),
    "mixed types": (_labels([1, "1"] * 20), {}, "of type int (such as 1), 20 of type str", "astype(str)"),
    "more classes than items": (_labels([f"n{i}" for i in range(40)]), {}, "40 classes for 40 items", "regression"),
    "no labels": (_labels(["a", None] * 20), {}, "20 × no label: row 1", 'broken="skip"'),
    "nan": (FRAME.assign(y=[0.5, float("nan"), 1.5, float("inf")] * 10), {}, "20 × no label", 'broken="skip"'),
    "constant": (FRAME.assign(y=2.5), {}, "all 2.5", "y="),
    "names as numbers": (FRAME, {"target": "regression"}, "a target of 'a' for regression", 'target="single"'),
    "rmse of classes": (FRAME, {"metrics": "rmse"}, "'rmse' for a target of classes", 'target="regression"'),
    "accuracy of numbers": (
        FRAME.assign(y=FRAME.x / 3), {"metrics": "accuracy"}, "target of numbers", 'target="single"'),
    "rmse of several labels": (
        _labels([["a"], ["a", "b"]] * 20), {"metrics": "rmse"}, "'rmse' for a target of several labels",
        'target="regression"'),
    "a metric's value": (FRAME, {"metrics": 0.9}, "metrics=0.9", "metrics='accuracy'"),
    "misspelt metric": (FRAME, {"metrics": "acuracy"}, "metrics='acuracy'", "did you mean accuracy"),
    "misspelt option": (FRAME, {"sead": 1}, "sead=1", "seed=1"),
    "misspelt target": (FRAME, {"target": "classification"}, "target='classification'", "target='single'"),
    "unknown class": (FRAME, {"leave_out": ["z"]}, "leave_out=['z']", "the classes are a, b"),
    "broken": (FRAME, {"broken": True}, "broken=True", 'broken="skip"'),
    "share": (FRAME, {"test": 20}, "test=20", "test=0.2"),
}  # fmt: skip


@pytest.mark.parametrize("kind", LABELS)
def test_labels_that_cannot_be_learnt_are_refused_with_a_line_that_helps(kind: str) -> None:
    frame, options, given, better = LABELS[kind]
    with pytest.raises(NbtuneError) as error:
        nt.tasks.from_frame(frame, y="y", **options)
    assert given in error.value.given, error.value.given
    assert better in error.value.next, error.value.next
    assert error.value.rule
    assert error.value.likely


def test_skipping_keeps_what_can_be_used_and_leaving_out_is_said() -> None:
    frame = _labels(["a", "b", None, "b", "a"] * 8)
    task = nt.tasks.from_frame(frame, y="y", broken="skip")
    assert len(task.card.skipped) == 8
    assert set(task.card.skipped.values()) == {"no label"}
    rare = nt.tasks.from_frame(LABELS["a class of one"][0], y="y", leave_out=["c"])
    assert rare.vocab == ("a", "b")
    assert rare.card.skipped == {"row 39": "class 'c' was left out, as asked"}


# Tables

COLUMNS: dict[str, tuple[Any, str]] = {
    "mixed types": ([1, "one"] * 20, "mixed types"),
    "words among numbers": (["1", "2", "n/a", "4"] * 10, "others are 'n/a'"),
    "numbers as text": (["1", "2"] * 20, "numbers that are kept as text"),
    "names": ([f"person {i}" for i in range(40)], "whose value is another in every row"),
    "never filled": ([None] * 40, "without any value"),
    "infinite": ([1.0, float("inf")] * 20, "with infinite values"),
    "times": (pd.date_range("2020", periods=40), "holds times"),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_columns_that_cannot_be_learnt_from_are_refused(kind: str) -> None:
    values, given = COLUMNS[kind]
    with pytest.raises(NbtuneError) as error:
        nt.tasks.from_frame(FRAME.assign(odd=values), y="y")
    assert given in error.value.given
    assert "odd" in error.value.given


DATES: dict[str, tuple[list[Any], str]] = {
    "day first": ([f"{day:%d.%m.%Y}" for day in pd.date_range("2020", periods=40)],
                  "df['odd'] = pd.to_datetime(df['odd'], dayfirst=True), then time='odd' or df['odd'].dt.month"),
    "year first": ([f"{day:%Y-%m-%d}" for day in pd.date_range("2020", periods=40)],
                   "time='odd'; or df['odd'] = pd.to_datetime(df['odd']), then df['odd'].dt.month"),
    "some twice": ([f"{day:%d/%m/%Y}" for day in pd.date_range("2020-01-10", periods=25)] + ["13/01/2020"] * 15,
                   "pd.to_datetime(df['odd'], dayfirst=True), then"),
    "with gaps": ([None] * 9 + [f"{day:%d %b %Y}" for day in pd.date_range("2020", periods=31)],
                  "df['odd'] = pd.to_datetime(df['odd']), then"),
    "with words": ([f"{day:%d.%m.%Y}" for day in pd.date_range("2020", periods=37)] + ["?"] * 3,
                   "pd.to_datetime(df['odd'], dayfirst=True, errors='coerce'), then"),
}  # fmt: skip


@pytest.mark.parametrize("kind", DATES)
def test_a_column_of_dates_as_text_is_refused_as_times_are(kind: str) -> None:
    values, better = DATES[kind]
    with pytest.raises(InputTypeError, match="column 'odd' holds times as text") as error:
        nt.tasks.from_frame(FRAME.assign(odd=values), y="y")
    assert better in error.value.next
    assert error.value.likely.startswith("the moment of a row")
    frame = FRAME.assign(odd=values)
    exec(error.value.next.removeprefix("time='odd'; or ").split(", then")[0], {"df": frame, "pd": pd})
    assert pd.api.types.is_datetime64_any_dtype(frame["odd"])


def test_few_dates_dates_that_are_called_categories_and_texts_that_look_like_them_are_categories() -> None:
    days = [f"{day:%d.%m.%Y}" for day in pd.date_range("2020", periods=30)]
    few, many, codes = days[:10] * 4, days + days[:10], [f"{at % 30}.1.{at % 30}" for at in range(40)]
    for values, options in ((few, {}), (many, {"categories": ["odd"]}), (codes, {})):
        task = nt.tasks.from_frame(FRAME.assign(odd=values), y="y", **options)  # type: ignore[arg-type]
        assert task.train.x.cats == ("odd",)
    with pytest.raises(InputError) as error:
        nt.tasks.from_frame(FRAME.assign(odd=[f"note {at}" for at in range(40)]), y="y")
    assert error.value.likely == "a name, a number of a person, or a free text."


def test_a_label_among_its_inputs_and_missing_columns_are_refused() -> None:
    with pytest.raises(InputError, match="x holds 'y', which is y"):
        nt.tasks.from_frame(FRAME, x=["x", "y"], y="y")
    with pytest.raises(InputError, match="did you mean"):
        nt.tasks.from_frame(FRAME.rename(columns={"x": "size"}), x=["siz"], y="y")
    with pytest.raises(InputTypeError, match="pandas DataFrame"):
        nt.tasks.from_frame("table.csv", y="y")  # type: ignore[arg-type]


def test_the_card_names_the_columns_with_most_gaps_and_counts_the_rest() -> None:
    rng = np.random.default_rng(0)
    gaps = {f"c{n}": np.where(np.arange(40) < n, np.nan, rng.normal(size=40)) for n in range(1, 9)}
    note = nt.tasks.from_frame(pd.DataFrame(gaps).assign(y=["a", "b"] * 20), y="y").card.note
    assert "in 8 of 8 columns (c8 8, c7 7, c6 6, c5 5, c4 4, c3 3 and 2 more)" in note
