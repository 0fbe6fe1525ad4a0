"""A phase checks itself when it is made, and shows itself as its source."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nbtune as nt
from nbtune.errors import InputError, InputTypeError

WRONG: list[tuple[str, Any, type[Exception]]] = [
    ("epochs", 0, InputError),
    ("epochs", -2, InputError),
    ("epochs", 1.0, InputError),
    ("epochs", math.nan, InputError),
    ("epochs", math.inf, InputError),
    ("epochs", "4", InputTypeError),
    ("epochs", True, InputTypeError),
    ("epochs", None, InputTypeError),
    ("views", 0, InputError),
    ("views", "2", InputTypeError),
    ("wd", -1e-9, InputError),
    ("wd", math.inf, InputError),
    ("wd", math.nan, InputError),
    ("wd", "0", InputTypeError),
    ("pct_start", 1.1, InputError),
    ("pct_start", -0.1, InputError),
    ("div", 0.5, InputError),
    ("div", [1], InputTypeError),
    ("schedule", "cos", InputError),
    ("norms", "off", InputError),
    ("cache", True, InputError),
    ("first", 1.5, InputTypeError),
    ("first", True, InputTypeError),
    ("first", None, InputTypeError),
]


@pytest.mark.parametrize(("name", "value", "kind"), WRONG)
def test_what_makes_no_sense_is_refused_in_four_parts(name: str, value: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind) as error:
        nt.Phase(**{"epochs": 1, name: value})
    assert f"{name}=" in str(error.value)
    assert all(part in str(error.value) for part in ("Rule: ", "Likely: ", "Next: "))


@given(
    epochs=st.integers(1, 10**6),
    first=st.integers(-9, 9) | st.sampled_from(["head", "layer4"]),
    lr=st.none() | st.floats(1e-8, 1),
    wd=st.none() | st.floats(0, 1),
    schedule=st.sampled_from(["one_cycle", "cosine", "linear", "flat"]),
    norms=st.sampled_from(["still", "stats", "train"]),
    augment=st.none() | st.booleans(),
    pct_start=st.floats(0, 1),
    div=st.floats(1, 100),
)
def test_its_repr_is_its_source(**given: Any) -> None:
    phase = nt.Phase(**given)
    assert eval(repr(phase), {"Phase": nt.Phase}) == phase


def test_it_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        nt.Phase(1).epochs = 2  # type: ignore[misc]
