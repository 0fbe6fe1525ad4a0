"""Numbers, durations and tables as a person reads them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbtune._display import html_table, seconds, short


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.0, "0 ms"),
        (0.0996, "0.1 s"),
        (0.0994, "99 ms"),
        (0.012, "12 ms"),
        (3.14, "3.1 s"),
        (59.7, "1 min 0 s"),
        (125, "2 min 5 s"),
        (3599.7, "1 h 0 min"),
        (7384, "2 h 3 min"),
        (1e7, "2,777 h 47 min"),
        (math.nan, "unknown time"),
        (math.inf, "unknown time"),
    ],
)
def test_a_duration_in_words(value: float, said: str) -> None:
    assert seconds(value) == said


@given(st.floats(0, 1e9))
def test_a_duration_is_said_to_its_digits_and_without_powers_of_ten(value: float) -> None:
    text = seconds(value).replace(",", "")
    units = {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}
    words = text.split()
    if value >= 1e-5:
        assert "e" not in text
    said = sum(float(number) * units[unit] for number, unit in zip(words[::2], words[1::2], strict=True))
    assert said == pytest.approx(value, rel=0.051, abs=1e-9)


@pytest.mark.parametrize(
    ("value", "said"),
    [(0, "0"), (999, "999"), (9500, "9.5 k"), (148_200, "148 k"), (999_499, "999 k"), (999_999, "1 M"),
     (2.1e6, "2.1 M"), (999_999_999, "1 G"), (25_557_032, "25.6 M"), (math.nan, "nan")],
)  # fmt: skip
def test_a_count_in_three_digits(value: float, said: str) -> None:
    assert short(value) == said


def test_the_first_cell_of_a_row_is_its_heading_and_empty_headings_are_left_out() -> None:
    table = html_table(["group", "lr"], [("<stem>", "0.1"), ("head", "")])
    assert table.count("<th scope='col'") == table.count("<th scope='row'") == 2
    assert "&lt;stem&gt;</th><td style='text-align:right'>0.1</td>" in table
    bare = html_table(["", ""], [("a", "b")])
    assert "thead" not in bare
    assert "scope='col'" not in bare
    assert html_table(["a", "b"], []).count("<th scope='col'") == 2


@pytest.mark.parametrize(
    ("column", "side"),
    [
        (["1,234", "-0.5", "+3", ""], "right"),
        (["12 ms", "2 min 5 s", "3 h 4 min", "unknown time"], "left"),
        (["12 ms", "2 min 5 s", "3 h 4 min"], "right"),
        (["9.5 k", "2 M"], "right"),
        (["3.25e+29", "nan", "inf"], "right"),
        (["0.9 [0.8, 0.95]", "[0.1, 0.2]", "5 %"], "right"),
        (["10th item", "2nd item"], "left"),
        (["3 cats", "4 dogs"], "left"),
        (["2024-01-05"], "left"),
        (["", ""], "left"),
    ],
)
def test_only_numbers_stand_at_the_right(column: list[str], side: str) -> None:
    table = html_table(["name", "value"], [("x", cell) for cell in column])
    assert f"<td style='text-align:{side}'>" in table
