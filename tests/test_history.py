"""A history only grows, cannot be changed, and knows its best row."""

from __future__ import annotations

import copy
import json
import math
import pickle
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbtune.freeze import FreezeProof
from nbtune.history import History, PhaseRecord, exploded

LOSS = st.floats(0, 10) | st.sampled_from([math.nan, math.inf])


def part(number: int, losses: list[float], fresh: bool = False, **extra: Any) -> History:
    rows = tuple(
        {
            "phase": number,
            "epoch": i,
            "train_loss": 1.0,
            "valid_loss": loss,
            "accuracy": 0.5,
            "seconds": 2.0,
            **extra,
        }
        for i, loss in enumerate(losses, 1)
    )
    record = PhaseRecord(number, "head", {"head": 1e-3}, None, "flat", 0, 3 * len(losses), "finished", fresh=fresh)
    return History() + History(rows, (record,))


@given(losses=st.lists(st.lists(LOSS, max_size=4), min_size=1, max_size=4))
def test_parts_add_up_in_any_grouping_and_the_best_is_the_lowest_finite(losses: list[list[float]]) -> None:
    parts = [part(number, some) for number, some in enumerate(losses, 1)]
    left, right = History(), History()
    for one in parts:
        left = left + one
    for one in reversed(parts):
        right = one + right
    assert left.frame().equals(right.frame())
    assert (left.best, left.phases) == (right.best, right.phases)
    every = [loss for some in losses for loss in some]
    finite = [loss for loss in every if math.isfinite(loss)]
    assert (left.best is None) == (not finite)
    if left.best is not None:
        assert every[left.best] == min(finite)
        assert left.best == every.index(min(finite))


def test_what_came_before_all_weights_were_drawn_anew_is_no_best() -> None:
    history = part(1, [0.1]) + part(2, [3.0, 2.0], fresh=True) + part(3, [2.5])
    assert history.best == 2


def test_it_cannot_be_changed_and_can_be_stored() -> None:
    history = part(1, [1.0, 0.5])
    row, rates = history.rows[0], history.phases[0].rates
    for act in (
        lambda: row.__setitem__("e", 9),
        lambda: row.update(epoch=9),
        lambda: row.pop("epoch"),
        lambda: row.clear(),
        lambda: rates.setdefault("s", 1.0),
        lambda: row.__ior__({"epoch": 9}),
    ):
        with pytest.raises(TypeError, match="cannot be changed"):
            act()
    with pytest.raises(AttributeError):
        history.best = 0  # type: ignore[misc]
    assert history + part(2, [3.0]) is not history
    assert len(history) == 2
    assert pickle.loads(pickle.dumps(history)) == copy.deepcopy(history) == history
    assert json.loads(json.dumps(history.rows[1]))["valid_loss"] == 0.5


def test_the_frame_has_the_columns_of_the_contract() -> None:
    history = part(1, [1.0]) + part(2, [0.5], f1=0.25)
    assert list(history.frame().columns) == [
        "phase", "epoch", "train_loss", "valid_loss", "accuracy", "f1", "seconds"
    ]  # fmt: skip
    assert list(History().frame().columns) == ["phase", "epoch", "train_loss", "valid_loss", "seconds"]
    assert list(history.rates().itertuples(index=False, name=None)) == [(1, "head", 1e-3), (2, "head", 1e-3)]
    assert math.isnan(history.frame()["f1"][0])


def test_it_says_how_it_went() -> None:
    assert repr(History()) == "No training yet."
    assert "2 epochs in 4 s; lowest valid loss 0.500 at epoch 2, accuracy 0.500" in repr(part(1, [1.0, 0.5]))
    record = PhaseRecord(1, "head", {}, None, "flat", 0, 3, "was stopped after step 3", proof=FreezeProof(2, ("a",)))
    text = repr(History((), (record,)))
    assert "Phase 1 was stopped after step 3." in text
    assert "NOT still" in text
    assert "<table" in part(1, [1.0])._repr_html_()
    assert "lowest valid loss" in part(1, [1.0, 0.5]).plot().sentence


def test_the_best_is_named_by_phase_and_epoch_where_there_are_several() -> None:
    assert "at phase 2, epoch 1, accuracy" in repr(part(1, [1.0, 0.9]) + part(2, [0.5, 0.6]))


def test_what_came_before_weights_were_drawn_anew_is_said_to_be_of_another_network() -> None:
    both = part(1, [0.1]) + part(2, [0.9, 0.8], fresh=True)
    assert repr(both).startswith(
        "2 epochs in 4 s since all weights were drawn anew before phase 2 (before that 1 epoch"
    )
    assert "of another network); lowest valid loss 0.800" in repr(both)


def test_phases_may_have_different_metrics() -> None:
    first, second = part(1, [1.0, 0.9]), part(2, [0.5])
    rows = tuple({key: value for key, value in row.items() if key != "accuracy"} for row in second.rows)
    both = first + History(rows, second.phases)
    assert both.metrics == ("accuracy",)
    assert repr(both).endswith("lowest valid loss 0.500 at phase 2, epoch 1.")
    metric = both.plot().axes[1].lines[0].get_ydata()
    assert list(metric[:2]) == [0.5, 0.5]
    assert math.isnan(metric[2])
    assert "<table" in both._repr_html_()


def data_lines(ax: Any) -> list[list[float]]:
    return [list(line.get_xdata()) for line in ax.lines if line.get_marker() == "o"]


def test_the_lines_are_broken_where_all_weights_were_drawn_anew() -> None:
    both = part(1, [0.1, 0.1]) + part(2, [3.0, 2.0], fresh=True) + part(3, [1.0])
    picture = both.plot()
    assert data_lines(picture.axes[0]) == [[1, 2], [3, 4, 5]] * 2  # train, valid
    assert data_lines(picture.axes[1]) == [[1, 2], [3, 4, 5]]
    assert any("all anew" in text.get_text() for text in picture.axes[0].texts)
    (legend,) = picture.legends
    assert [text.get_text() for text in legend.get_texts()] == ["train", "valid"]
    assert data_lines((part(1, [1.0]) + part(2, [0.5])).plot().axes[1]) == [[1, 2]]


@pytest.mark.parametrize(
    ("losses", "log"),
    [([2.3, 0.5, 0.01], False), ([2.3, 0.5, 900.0], True), ([2.3, -0.1, 900.0], False), ([math.nan, math.nan], False)],
)
def test_a_loss_that_explodes_does_not_press_the_rest_flat(losses: list[float], log: bool) -> None:
    history = part(1, losses)
    assert exploded(history.rows) == log
    assert history.plot().axes[0].get_yscale() == ("log" if log else "linear")


def test_the_table_shows_the_network_of_now() -> None:
    html = (part(1, [0.111]) + part(2, [3.0, 2.0], fresh=True))._repr_html_()
    assert "0.111" not in html
    assert "2 of 3 epochs (1 of another network); .frame() has all." in html


def test_a_long_history_without_a_best_shows_its_ends() -> None:
    old = part(1, [0.5]) + part(2, [math.nan] * 12, fresh=True)
    assert old.best is None
    assert old._repr_html_().count("<tr>") == 7  # the heading, three rows at each end
    assert "0.500</td><td style='text-align:right'>2 s" in part(1, [0.5])._repr_html_()
    assert part(1, [0.9] * 5 + [0.1] + [0.9] * 6)._repr_html_().count("<tr>") == 8  # and the best


def test_no_finite_loss_is_said() -> None:
    assert repr(part(1, [math.nan, math.inf])) == "2 epochs in 4 s; no valid loss was finite."


@pytest.mark.parametrize("counts", [(3, 4, 3), (1, 1, 1, 9), (1, 40, 1), (1,) * 30, (2,)])
def test_names_of_phases_do_not_overprint_and_stay_in_the_picture(counts: tuple[int, ...]) -> None:
    history = History()
    for number, count in enumerate(counts, 1):
        one = part(number, [1.0] * count, fresh=number == 3)
        history = history + History(one.rows, (replace(one.phases[0], trains="layer3, layer4 and head"),))
    picture = history.plot()
    picture._repr_png_()
    for ax in picture.axes:
        boxes = [text.get_window_extent() for text in ax.texts]
        assert boxes
        assert all(left.x1 <= right.x0 for left, right in pairwise(boxes))
        assert boxes[-1].x1 <= picture.bbox.x1
    assert picture.axes[0].get_ylabel() == "loss (mean over items)"
    assert picture.legends[0].get_window_extent().y1 < picture.axes[0].get_window_extent().y0


def test_a_default_rate_is_said() -> None:
    record = PhaseRecord(1, "all", {"a": 1e-4, "b": 1e-3}, None, "flat", 0, 3, "finished", lr_default=True)
    text = repr(History((), (record,)))
    assert "Phase 1 trained at the default rate, 0.0001 at the input to 0.001 at the head." in text


@pytest.mark.parametrize(("loss", "shown"), [(3.25e29, "3.25e+29"), (1.2e-7, "1.20e-07"), (0.25, "0.250")])
def test_figures_are_legible_at_any_size(loss: float, shown: str) -> None:
    made = part(1, [loss])
    assert shown in repr(made)
    assert shown in made._repr_html_()
