"""What a course of losses says of over- and underfitting, on synthetic courses whose truth is known."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from nbtune.overfitting import Epoch, judge


def course(
    valid: np.ndarray, train: np.ndarray, seed: int, items: int = 200, moves: float = 0.3, jitter: float = 0.0
) -> list[Epoch]:
    """Epochs with these mean losses: items differ, move by chance from epoch to epoch, and jitter together."""
    rng = np.random.default_rng(seed)
    easy, found = rng.exponential(1, items), []
    for level, fitted in zip(valid, train, strict=True):
        losses = level * (easy + rng.normal(0, moves, items)) + rng.normal(0, jitter)
        found.append(Epoch(fitted, float(losses.mean()), 0.005, losses, metric=0.9))
    return found


X = np.arange(1, 13) / 12
FALLS = 0.3 * np.exp(-2 * X)
LEVEL = np.full(12, 0.4)
TURNS = 0.3 + 1.2 * (X - 0.4) ** 2


def verdicts(valid: np.ndarray, train: np.ndarray, **options: float) -> Counter[str]:
    return Counter(judge(course(valid, train, seed, **options)).verdict for seed in range(40))  # type: ignore[arg-type]


def test_a_valid_loss_that_turns_up_while_train_falls_is_overfitting() -> None:
    assert verdicts(TURNS, FALLS)["overfits"] >= 38
    found = judge(course(TURNS, FALLS, 0), "accuracy")
    assert found
    assert "above its lowest" in found.sentence
    assert "accuracy went from 0.900 to 0.900" in found.sentence
    assert found.rise > found.rise_noise > 0


@pytest.mark.parametrize("jitter", [0.0, 0.02])
def test_noise_about_a_level_is_rarely_called_overfitting(jitter: float) -> None:
    assert verdicts(LEVEL, FALLS, jitter=jitter)["overfits"] <= 4  # of 40; chosen lowest and scatter are counted in


def test_the_same_rise_is_not_claimed_where_few_items_cannot_show_it() -> None:
    slight = 0.4 + 0.15 * (X - 0.4) ** 2
    assert verdicts(slight, FALLS, items=5000)["overfits"] >= 30
    assert verdicts(slight, FALLS, items=30)["overfits"] <= 3


def test_both_falling_with_train_no_lower_is_underfitting_and_with_a_gap_is_learning() -> None:
    down = np.exp(-X)
    assert verdicts(down, down)["underfits"] >= 38
    assert verdicts(down, 0.3 * down)["learns"] >= 38


def test_a_rise_of_both_is_divergence() -> None:
    assert verdicts(TURNS, TURNS)["diverges"] >= 38


def test_what_cannot_be_judged_says_why() -> None:
    few = course(TURNS[:2], FALLS[:2], 0)
    assert "before 3 whole epochs" in judge(few).sentence
    assert "before 3 whole epochs" in judge([]).sentence
    assert "12 validation items" in judge(course(TURNS, FALLS, 0, items=12)).sentence
    assert "not known" in judge([Epoch(1.0, 1.0)] * 4).sentence
    assert "no valid loss" in judge([Epoch(1.0, math.nan)] * 4).sentence
    assert "not finite" in judge([*course(TURNS, FALLS, 0), Epoch(math.nan, 1.0)]).sentence
    assert not judge(few)


def test_epochs_whose_items_were_let_go_give_no_false_certainty() -> None:
    epochs = [
        Epoch(e.train, e.valid, e.train_error, e.items if at > 8 else None)
        for at, e in enumerate(course(TURNS, FALLS, 0))
    ]
    assert judge(epochs).verdict != "overfits"
