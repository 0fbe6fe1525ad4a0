"""A phase checks itself when it is made, and shows itself as its source."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nbtune as nt
from nbtune.errors import InputError, InputTypeError, NbtuneError
from nbtune.rates import decay

RATE = st.floats(1e-8, 100)

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
    ("augment", "yes", InputTypeError),
    ("augment", 0, InputTypeError),
    ("augment", [np.fliplr], InputTypeError),
    ("lr", -1, InputError),
    ("lr", math.nan, InputError),
    ("lr", True, InputTypeError),
    ("lr", 1e30, InputError),
    ("lr", "fast", InputTypeError),
    ("lr", {}, InputError),
    ("lr", [], InputError),
    ("lr", [1e-3, -1], InputError),
    ("lr", slice(1e-2, 1e-3), InputError),
    ("lr", {"head": "x"}, InputTypeError),
    ("lr", {0: 1e-3}, InputTypeError),
    ("schedule", None, InputError),
    ("schedule", np.array(["flat"]), InputError),
    ("wd", 10**400, InputError),
]


@pytest.mark.parametrize(("name", "value", "kind"), WRONG)
def test_what_makes_no_sense_is_refused_in_four_parts(name: str, value: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind) as error:
        nt.Phase(**{"epochs": 1, name: value})
    assert any(name in str(error.value).partition("\n")[0] for name in (name, "slice", "head"))
    assert all(part in str(error.value) for part in ("Rule: ", "Likely: ", "Next: "))


@given(
    epochs=st.integers(1, 10**6),
    first=st.integers(-9, 9) | st.sampled_from(["head", "layer4"]),
    lr=st.none() | RATE | st.builds(slice, RATE) | st.builds(decay, RATE, st.floats(0.1, 1))
    | st.lists(RATE, min_size=1, max_size=4) | st.dictionaries(st.text(), RATE, min_size=1, max_size=3),
    wd=st.none() | st.floats(0, 1),
    schedule=st.sampled_from(["one_cycle", "cosine", "linear", "flat"]),
    norms=st.sampled_from(["still", "stats", "train"]),
    augment=st.none() | st.booleans(),
    pct_start=st.floats(0, 1),
    div=st.floats(1, 100),
)  # fmt: skip
def test_its_repr_is_its_source(**given: Any) -> None:
    phase = nt.Phase(**given)
    assert eval(repr(phase), {"Phase": nt.Phase, "nt": nt}) == phase


MEANT: list[tuple[dict[str, Any], str, str]] = [
    ({"epochs": -3}, "sign", "epochs=3"),
    ({"epochs": math.nan}, "nan", "epochs=4"),
    ({"epochs": 2.0}, "division, which gives a float", "epochs=2"),
    ({"epochs": 2.6}, "fraction", "epochs=3"),
    ({"epochs": math.inf}, "no limit", "epochs=4"),
    ({"epochs": 0}, "skipped", "epochs=4"),
    ({"epochs": True}, "switch", "epochs=4"),
    ({"epochs": None}, "never set", "epochs=4"),
    ({"epochs": "3"}, "as text", "epochs=3"),
    ({"wd": math.nan}, "not a number", "wd=0.01"),
    ({"wd": -0.1}, "sign", "wd=0.1"),
    ({"wd": "x"}, "name where a number", "wd=0.01"),
    ({"wd": "0.1"}, "as text", "wd=0.1"),
    ({"pct_start": 25}, "per cent", "pct_start=0.25"),
    ({"div": 0.04}, "inverse", "div=25"),
    ({"augment": "yes"}, "word in the place of a switch", "augment=True"),
    ({"augment": "no"}, "word in the place of a switch", "augment=False"),
    ({"augment": 0}, "number in the place of a switch", "augment=False"),
    ({"schedule": "cos"}, "misspelt", 'schedule="cosine"'),
    ({"cache": False}, "switch", 'cache="off"'),
    ({"first": 2.0}, "float", "first=2"),
    ({"first": None}, "nothing was to be still", "first=0"),
    ({"lr": -3}, "exponent without its base", "lr=0.001"),
    ({"lr": -0.01}, "sign", "lr=0.01"),
    ({"lr": 1e4}, "minus sign of the exponent", "lr=0.0001"),
    ({"lr": 128}, "batch size", "lr=0.001"),
    ({"lr": "2e-3"}, "as text", "lr=0.002"),
]


@pytest.mark.parametrize(("given", "likely", "meant"), MEANT, ids=lambda value: str(value))
def test_the_likely_cause_fits_the_value_and_the_next_step_works(given: Any, likely: str, meant: str) -> None:
    with pytest.raises(NbtuneError) as error:
        nt.Phase(**{"epochs": 1, **given})
    assert likely in error.value.likely
    assert error.value.next == meant.replace('"', "'") or error.value.next == meant
    assert eval(f"nt.Phase(**{{'epochs': 1, **dict({error.value.next})}})", {"nt": nt})


def test_numbers_of_numpy_are_kept_as_plain_ones() -> None:
    given = {"lr": np.array([1e-3, 2e-3]), "wd": np.float32(0.5), "augment": np.bool_(True), "first": np.int64(-2)}
    phase = nt.Phase(np.int64(3), **given)  # type: ignore[arg-type]
    assert repr(phase) == "Phase(3, first=-2, lr=(0.001, 0.002), wd=0.5, augment=True)"
    assert phase == nt.Phase(3, first=-2, lr=[1e-3, 2e-3], wd=0.5, augment=True)


def test_a_curve_becomes_the_rate_that_it_suggests() -> None:
    assert nt.Phase(1, lr=curve(0.02)) == nt.Phase(1, lr=0.02)
    with pytest.raises(InputError, match="without a suggestion: it rose"):
        nt.Phase(1, lr=curve(None))


def curve(suggestion: float | None) -> nt.LRCurve:
    return nt.LRCurve([1e-3, 1e-2], [[1.0, 2.0]], suggestion, "it rose.", {}, 2)


def test_it_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        nt.Phase(1).epochs = 2  # type: ignore[misc]
