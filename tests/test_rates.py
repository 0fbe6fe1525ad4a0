"""What a person may write for a learning rate, and what it must mean."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fastai.optimizer import SGD, Optimizer
from fastcore.foundation import L
from hypothesis import given
from hypothesis import strategies as st

import nbtune as nt
from nbtune._numbers import kind
from nbtune.errors import InputError, InputTypeError, NbtuneError
from nbtune.rates import Decay, Rates, check, decay, resolve, source

NAMES = ("stem", "layer1", "layer2", "head")
RATE = st.floats(1e-8, 10)
NONE_STILL = (False,) * 4


def fastai_rates(lr: Any, n: int) -> list[float]:
    """What fastai itself makes of `lr` for an optimizer of n groups."""
    opt: Optimizer = SGD([[torch.nn.Parameter(torch.zeros(1))] for _ in range(n)], lr=0.1)
    opt.set_hyper("lr", lr)
    return [float(hyper["lr"]) for hyper in opt.hypers]


@given(RATE, RATE, st.integers(1, 8))
def test_a_slice_means_what_fastai_means(a: float, b: float, n: int) -> None:
    low, high = sorted((a, b))
    names = [f"g{i}" for i in range(n)]
    for lr in (slice(low, high), slice(high)):
        ours = resolve(lr, names, [False] * n).values
        assert ours == pytest.approx(fastai_rates(lr, n), rel=1e-6)


@given(st.lists(st.booleans(), min_size=1, max_size=7).filter(lambda s: not all(s)), RATE, RATE)
def test_every_form_gives_still_groups_zero_and_live_groups_more(still: list[bool], a: float, b: float) -> None:
    low, high = sorted((a, b))
    names = [f"g{i}" for i in range(len(still))]
    live = [n for n, s in zip(names, still, strict=True) if not s]
    per_group = [0.0 if s else high for s in still]
    for lr in (high, slice(low, high), slice(high), decay(high, 0.8), dict.fromkeys(live, high), per_group):
        rates = resolve(lr, names, still)
        assert [value == 0 for value in rates.values] == still
        assert rates.top == pytest.approx(high)
        assert list(rates.training) == live
        assert resolve(rates, names, still) == rates


@given(RATE, st.floats(0.1, 1), st.integers(1, 6))
def test_decay_multiplies_once_per_group_below_the_head(top: float, factor: float, n: int) -> None:
    values = resolve(decay(top, factor), [f"g{i}" for i in range(n)], [False] * n).values
    assert values[-1] == top
    assert [a / b for a, b in pairwise(values)] == pytest.approx([factor] * (n - 1))


def test_rates_by_position_for_all_or_for_those_that_train() -> None:
    still = (True, False, False, False)
    expected = (0.0, 1e-4, 2e-4, 3e-4)
    for lr in ([1e-4, 2e-4, 3e-4], list(expected), np.array([1e-4, 2e-4, 3e-4]), L(1e-4, 2e-4, 3e-4)):
        assert resolve(lr, NAMES, still).values == expected


@pytest.mark.parametrize("lr", [1, np.float32(1), np.float64(1), torch.tensor(1.0), np.array(1.0)])
def test_one_number_of_any_kind(lr: Any) -> None:
    assert resolve(lr, NAMES, NONE_STILL).values == (1.0,) * 4


@pytest.mark.parametrize("lr", [True, "1e-3", b"1", None, 1j, object(), np.ones((2, 2)), [1e-3, "x", 1, 1],
                                {"stem": "1"}, slice("a", "b")])  # fmt: skip
def test_a_wrong_type_is_refused(lr: Any) -> None:
    with pytest.raises((InputTypeError, InputError), match="Next:"):
        resolve(lr, NAMES, NONE_STILL)


@pytest.mark.parametrize("lr", [True, "1e-3", None, np.bool_(True)])
def test_not_a_number_is_a_type_error(lr: Any) -> None:
    with pytest.raises(InputTypeError, match="Rule: a learning rate is a number"):
        resolve(lr, NAMES, NONE_STILL)


@given(st.sampled_from([0.0, -1e-3, math.nan, math.inf, -math.inf]), st.integers(0, 3))
def test_a_number_that_cannot_be_a_rate_is_refused_in_every_form(bad: float, at: int) -> None:
    row = [1e-3] * 4
    row[at] = bad
    forms: list[Any] = [
        bad,
        slice(bad, 1),
        slice(1e-9, bad),
        slice(bad),
        row,
        dict(zip(NAMES, row, strict=True)),
    ]
    for lr in forms:
        with pytest.raises(InputError, match=r"Rule: (a rate is finite|.*at most)"):
            resolve(lr, NAMES, NONE_STILL)
    for make in (lambda: decay(bad), lambda: decay(1e-3, bad)):
        with pytest.raises(InputError):
            make()


def says(lr: Any, still: tuple[bool, ...] = NONE_STILL, names: tuple[str, ...] = NAMES) -> NbtuneError:
    with pytest.raises(InputError) as caught:
        resolve(lr, names, still)
    return caught.value


def test_messages_name_the_cause() -> None:
    assert "layer2, head" in says({"stem": 1.0, "layer1": 1.0}).given
    assert "layer1" in says({"layr1": 1.0}).next
    assert "slice(1e-05, 0.001)" in says(slice(1e-3, 1e-5)).next
    assert "swapped" in says(slice(1e-3, 1e-5)).likely
    assert "freeze" in says(0.0).next
    assert "or one for each of the 3 that train" in says([1.0] * 2, (True, False, False, False)).rule
    assert "still" in says([1.0] * 4, (True, False, False, False)).given
    assert "step" in says(slice(1e-3, 1e-2, 2)).rule
    assert "step" in says(slice(1e-3, None)).rule
    assert "every group is still" in says(1.0, (True,) * 4).given
    assert "2 flags" in says(1.0, (True, False)).given
    with pytest.raises(InputError, match="above 1 the stem"):
        decay(1e-3, 1.25)


def test_rates_is_a_value_that_shows_itself() -> None:
    rates = resolve(slice(1e-5, 1e-3), NAMES, (True, False, False, False))
    assert repr(rates) == "Learning rates: stem still, layer1 1e-05, layer2 0.0001, head 0.001."
    assert "3 of 4 groups train" in rates._repr_html_()
    assert list(rates.frame()["lr"]) == list(rates.values)
    assert rates.ratios == pytest.approx((0.01, 0.1, 1))
    assert rates.scaled(2e-2).values == pytest.approx((0, 2e-4, 2e-3, 2e-2))
    assert rates == resolve(slice(1e-5, 1e-3), NAMES, (True, False, False, False))
    assert hash(rates) is not None
    picture = rates.plot()
    assert picture._repr_png_().startswith(b"\x89PNG")
    assert repr(picture) == repr(rates)
    assert len(picture.axes[0].patches) == len(NAMES)
    assert Decay(1e-3) == decay(1e-3)


@pytest.mark.parametrize(
    ("names", "values"), [(("a",), (1.0, 2.0)), (("a", "a"), (1.0, 1.0)), (("a",), (0.0,)), (("a",), (-1.0,))]
)
def test_a_table_that_contradicts_itself_cannot_be_built(names: Any, values: Any) -> None:
    with pytest.raises(InputError):
        Rates(names, values)


@pytest.mark.parametrize("lr", [1e30, 100.1, 10**400, slice(1e-3, 200), slice(101), [1e-3] * 3 + [1e5], {"head": 1e9}])
def test_a_rate_that_nobody_uses_is_refused(lr: Any) -> None:
    with pytest.raises(InputError, match="at most 100"):
        resolve(lr, NAMES, NONE_STILL)
    with pytest.raises(InputError, match="at most 100"):
        check(lr)
    assert resolve(100, NAMES, NONE_STILL).top == 100
    with pytest.raises(InputError, match="at most 100"):
        decay(101)


@given(st.integers(2, 6), st.floats(1e-300, 1e-200))
def test_a_rate_that_falls_to_nothing_is_no_still_group(n: int, factor: float) -> None:
    names = [f"g{number}" for number in range(n + 1)]
    with pytest.raises(InputError, match="g0 falls to 0") as error:
        resolve(decay(1e-3, factor), names, [False] * (n + 1))
    assert "steeply" in error.value.likely


def test_what_can_be_known_without_the_groups_is() -> None:
    assert check(np.array([1e-4, 1e-3])) == (1e-4, 1e-3)
    assert check({"head": torch.tensor(0.5)}) == {"head": 0.5}
    assert check(Rates(("a", "b"), (0.0, 1.0))) == {"a": 0.0, "b": 1.0}
    assert check(slice(np.float64(1e-3))) == slice(1e-3)
    assert check(rate for rate in (0, 1)) == (0.0, 1.0)
    for lr, likely in (
        ({}, "to be filled"),
        ([], "to be filled"),
        ([0, 0], "to be still"),
        ({0: 1e-3}, "index instead of its name"),
        ({1e-3}, "several values"),
        (None, "never set"),
        (print, "function"),
        (True, "switch"),
        (slice(None), "end is missing"),
        (slice(1, 2, 3), "third number"),
    ):
        with pytest.raises(NbtuneError) as error:
            check(lr, "body_lr")
        assert likely in error.value.likely
        assert "body_lr" in str(error.value)


def test_rates_of_another_length_are_told_from_a_range_and_a_single_rate() -> None:
    one, two, seven = says([1e-3]), says([1e-4, 1e-3]), says([1e-3] * 7)
    assert one.given == "1 rate for 4 groups."
    assert (one.likely, one.next) == ("one rate for all, in brackets.", "lr=0.001")
    assert (two.given, two.next) == ("2 rates for 4 groups.", "lr=slice(0.0001, 0.001)")
    assert "another model" in seven.likely
    for error in (one, two, seven):
        resolve(eval(error.next.removeprefix("lr=")), NAMES, NONE_STILL)
    assert says({"layr1": 1.0}).likely == "a typing slip."
    assert says({"xyz": 1.0}).likely == "a name of another model."


NUMBER = st.floats(allow_nan=False) | st.integers() | st.booleans() | st.none() | st.text(max_size=4)
PLAIN = st.recursive(
    NUMBER | st.builds(decay, RATE, st.floats(0.01, 1)) | st.builds(slice, RATE) | st.builds(slice, RATE, RATE, RATE),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner) | st.dictionaries(st.text(max_size=3), inner),
)


@given(PLAIN)
def test_source_makes_the_value_again(value: Any) -> None:
    text = source(value)
    assert text is not None
    made = eval(text, {"nt": nt})
    assert (made, type(made)) == (value, type(value))


@given(st.floats())
def test_source_writes_floats_to_the_bit_and_of_any_kind(value: float) -> None:
    text = source(np.float64(value))
    assert text == source(value) == source(torch.tensor(value, dtype=torch.float64))
    assert text is not None
    assert np.float64(eval(text)).tobytes() == np.float64(value).tobytes() or math.isnan(value)


def test_source_of_what_has_a_shorter_form_or_none() -> None:
    curve = nt.LRCurve([1e-3, 1e-2], [[1.0, 2.0]], 0.02, "", {}, 2)
    assert source(curve) == "0.02"
    assert source(slice(None, 0.002, None)) == "slice(0.002)"
    assert source(Path("a") / "b") == repr(str(Path("a/b")))
    assert source(np.array([1.0, 2.0])) == "[1.0, 2.0]"
    assert source(Rates(("a", "b"), (0.0, 1.0))) == "{'a': 0.0, 'b': 1.0}"
    for unwritable in (object(), print, [1, object()], {"a": print}, slice(object()), np.ones((2, 2)), {1}, nt.LRCurve):
        assert source(unwritable) is None
    assert source([1] * 1001) is None  # data, not an argument


def test_an_article_fits_its_noun() -> None:
    assert [kind(value) for value in (1, 1.0, None, np.ones(2), object())] == [
        "an int", "a float", "None", "an ndarray", "an object",
    ]  # fmt: skip
