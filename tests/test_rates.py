"""What a person may write for a learning rate, and what it must mean."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from fastai.optimizer import SGD, Optimizer
from fastcore.foundation import L
from hypothesis import given
from hypothesis import strategies as st

from nbtune.errors import InputError, InputTypeError, NbtuneError
from nbtune.rates import Decay, Rates, decay, resolve

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
