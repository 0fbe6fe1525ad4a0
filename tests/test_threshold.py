"""Cells and thresholds of a report, against counts made by hand and by scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import precision_score, recall_score

from nbtune.errors import InputError
from nbtune.evaluate import Report, report

NAMES = ["cat", "dog", "eel"]


def made(n: int = 60) -> Report:
    rng = np.random.default_rng(3)
    return report(rng.dirichlet(np.ones(3), n), rng.integers(0, 3, n), NAMES, n_boot=20)


@pytest.mark.parametrize("at", [0.0, 0.2, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("name", NAMES)
def test_a_threshold_counts_as_scikit_learn_does(name: str, at: float) -> None:
    r = made()
    c, found = NAMES.index(name), r.threshold(name, at)
    called, there = r.probs[:, c] >= at, r.targets == c
    assert found.precision.value == pytest.approx(precision_score(there, called, zero_division=0))
    assert found.recall.value == pytest.approx(recall_score(there, called, zero_division=0))
    for e in (found.precision, found.recall):
        assert 0 <= e.low <= e.value <= e.high <= 1


def test_an_item_that_reaches_the_threshold_exactly_is_called() -> None:
    r = report([[0.75, 0.25], [0.25, 0.75]], [0, 1], ["no", "yes"], n_boot=2)
    assert (r.threshold("yes", 0.75).found, r.threshold("yes", 0.76).found) == (1, 0)
    assert "nothing is called so" in repr(r.threshold("yes", 0.76))


def test_a_cell_holds_exactly_its_items() -> None:
    r = made()
    seen: list[int] = []
    for t, true in enumerate(NAMES):
        for p, predicted in enumerate(NAMES):
            cell = r.cell(true, predicted)
            assert len(cell) == r.confusion[t, p]
            assert set(cell["true"]) <= {true}
            assert set(cell["predicted"]) <= {predicted}
            assert cell["probability"].is_monotonic_decreasing
            seen += cell["index"].tolist()
    assert sorted(seen) == list(range(len(r)))


@pytest.mark.parametrize(
    ("name", "at"), [("cot", 0.5), (1, 0.5), ("cat", 50), ("cat", -0.1), ("cat", float("nan")), ("cat", "x")]
)
def test_what_is_no_class_or_no_probability_is_refused(name: object, at: object) -> None:
    with pytest.raises(InputError) as error:
        made().threshold(name, at)  # type: ignore[arg-type]
    assert error.value.likely
    assert error.value.next
