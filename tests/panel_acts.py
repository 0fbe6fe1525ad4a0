"""What unit tests of panels share: to ask as the page does, to run the line shown, and to see what is displayed."""

from __future__ import annotations

import time
from typing import Any

import pytest

import nbtune as nt
from learners import bits, digits
from nbtune_widgets import panel as base

__all__ = ["Shown", "ask", "begun", "run", "same", "wait"]


def begun(**options: Any) -> nt.Tuner:
    """A Tuner of three stages and a head, the same at every call."""
    return nt.Tuner(digits(), seed=0, groups="learner", **options)


def ask(panel: Any, act: str, *values: Any) -> None:
    """As the page asks."""
    panel._asked(panel, {"act": act, "with": list(values)}, [])


def wait(panel: Any) -> None:
    """Until what was begun aside has ended."""
    end = time.monotonic() + 60
    while panel._thread is not None and time.monotonic() < end:
        time.sleep(0.01)
    assert panel._thread is None


def run(code: str, tuner: nt.Tuner) -> dict[str, Any]:
    """Run the line as a person would who copied it; gives the names that it made."""
    names: dict[str, Any] = {"tuner": tuner, "nt": nt}
    exec(code, names)
    return names


def same(one: nt.Tuner, other: nt.Tuner) -> None:
    """Plan, rate, weights and what was done are the same."""
    kinds = [(group.name, group.trainable, group.norms) for group in one.plan.groups]
    assert kinds == [(group.name, group.trainable, group.norms) for group in other.plan.groups]
    assert (one.plan.first, one.plan.norms) == (other.plan.first, other.plan.norms)
    assert one.lr == other.lr
    assert one.curve == other.curve
    assert bits(one.learn.model) == bits(other.learn.model)
    assert one.code() == other.code()


class Shown:
    """Stands in for a notebook's page: what is displayed, and under which id it was drawn anew."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.first: list[Any] = []
        self.again: list[tuple[str, str]] = []
        monkeypatch.setattr(base.page, "display", self._display)
        monkeypatch.setattr(base.page, "update_display", self._update)

    def _display(self, *given: Any, **how: Any) -> None:
        self.first.append((given[0], how))

    def _update(self, given: Any, display_id: str) -> None:
        self.again.append((given.data, display_id))
