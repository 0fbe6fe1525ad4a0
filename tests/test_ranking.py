"""`nt.bodies.compare`: a ranking that is the probes' own, with costs, stoppable, and never on the test split."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import nbtune as nt
from nbtune import bodies
from nbtune.errors import InputError, InputTypeError, NbtuneError, TrainingError


@pytest.fixture(scope="module")
def task() -> Any:
    return nt.tasks.digits(shots=5, seed=0)


def fresh(n: int) -> nn.Module:
    return bodies.get("letters").make(n, pretrained=False)


@pytest.fixture(scope="module")
def ranking(task: Any) -> Any:
    chosen = {"fresh": fresh, "letters": "letters", "resnet18": bodies.get("resnet18", size=32)}
    chosen["resnet18"] = lambda n: bodies.get("resnet18", size=32).make(n, pretrained=False)
    return bodies.compare(task, chosen)


def test_the_pretrained_body_is_before_the_same_one_with_fresh_weights(ranking: Any) -> None:
    assert ranking.best.name == "letters"
    frame = ranking.frame()
    assert frame["accuracy"].is_monotonic_decreasing
    assert ((frame["low"] <= frame["accuracy"]) & (frame["accuracy"] <= frame["high"])).all()
    assert (frame[["ms", "seconds", "parameters", "features"]] > 0).all(axis=None)
    last = frame.set_index("name").loc["fresh"]
    assert last["behind"] > 0
    assert not last["tied"]
    assert frame.loc[0, "tied"]


def test_its_accuracy_is_that_of_the_tuners_own_probe(task: Any, ranking: Any) -> None:
    tuner = nt.Tuner(task.learner("letters", augment=False, seed=0), seed=0)
    probe = tuner.probe()
    assert ranking.best.accuracy == probe.accuracy
    assert np.array_equal(ranking.best.correct, probe.correct)


def test_differences_are_paired_over_the_items(ranking: Any) -> None:
    for one in ranking.bodies:
        assert one.behind.value == pytest.approx((ranking.best.correct.astype(float) - one.correct).mean())
        assert one.behind.low <= one.behind.value <= one.behind.high


def test_the_test_split_is_never_read(task: Any) -> None:
    class Unread:
        def __len__(self) -> int:
            return len(task.test)

        def __getattr__(self, name: str) -> Any:
            raise AssertionError(f"the test split was read: {name}")

    hidden = replace(task)
    object.__setattr__(hidden, "test", Unread())
    assert bodies.compare(hidden, ["letters"]).n == len(task.valid)


def test_nothing_is_moved_and_the_same_seed_gives_the_same(task: Any) -> None:
    module = fresh(10)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    state = torch.get_rng_state()
    first, second = (bodies.compare(task, {"mine": module, "other": fresh}, seed=3) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(module.state_dict()[name], value) for name, value in before.items())
    columns = ["name", "accuracy", "low", "high", "behind", "c"]
    assert first.frame()[columns].equals(second.frame()[columns])


def test_it_can_be_stopped_and_says_what_is_left(task: Any) -> None:
    calls = iter(range(10_000))
    found = bodies.compare(task, {"a": fresh, "b": fresh, "c": fresh}, stopped=lambda: next(calls) > 20)
    assert 1 <= len(found.bodies) < 3
    assert found.left
    assert f"Stopped before {', '.join(found.left)}" in repr(found)
    with pytest.raises(TrainingError) as error:
        bodies.compare(task, ["letters"], stopped=lambda: True)
    assert "Next:" in str(error.value)


def test_it_shows_itself(ranking: Any) -> None:
    assert repr(ranking).startswith("Linear probes of 3 bodies on ")
    assert "letters" in ranking._repr_html_()
    assert "<script" not in ranking._repr_html_()
    assert ranking.plot().sentence == ranking.sentence
    assert ranking.quickest.tied


def rows() -> Any:
    from sklearn.datasets import load_wine

    wine = load_wine()
    return nt.tasks.from_arrays(wine.data, wine.target, name="wine")


@pytest.mark.parametrize(
    ("given", "kind", "says"),
    [
        (lambda task: (task, "letters"), InputTypeError, "one body without a list"),
        (lambda task: (task, []), InputError, "a filter that left nothing"),
        (lambda task: (task, ["letters", "letters"]), InputError, "two lists that were joined"),
        (lambda task: (["letters"], task), InputTypeError, "the bodies in its place"),
        (lambda task: (rows(), ["letters"]), InputError, "a table"),
        (lambda task: (task, ["letters", "resnet81"]), InputError, "a misspelling"),
        (lambda task: (task, [None]), InputTypeError, "never set"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared(given: Any, kind: type[NbtuneError], says: str, task: Any) -> None:
    with pytest.raises(kind) as error:
        bodies.compare(*given(task))
    assert says in error.value.likely


def test_a_size_is_for_those_that_take_one(task: Any) -> None:
    found = bodies.compare(task, ["letters", "xresnet18"], size=24, pretrained=False).frame().set_index("name")
    assert found.loc["letters", "size"] == 32
    assert found.loc["xresnet18", "size"] == 24
