"""No control of a panel is without a test of its line; colours have a fallback outside JupyterLab."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import nbtune as nt
from panel_acts import begun

TASK = nt.tasks.digits(shots=2)
# By panel and act: the test that asks for it and runs the line that the panel shows then.
TESTED = {
    "finder": {
        "find": "test_the_line_of_a_range_test_gives_the_same_curve",
        "seeds": "test_the_line_of_a_range_test_gives_the_same_curve",
        "choose": "test_the_line_of_a_chosen_rate_sets_it",
        "use": "test_the_line_of_a_chosen_rate_sets_it",
        "stop": "test_stop_ends_the_range_test_and_a_storm_begins_one",
    },
    "monitor": {
        "stop": "test_stop_is_said_at_once_and_go_on_gives_the_same_as_its_line",
        "go": "test_stop_is_said_at_once_and_go_on_gives_the_same_as_its_line",
        "best": "test_the_lines_of_the_states_are_true",
        "last": "test_the_lines_of_the_states_are_true",
    },
    "evaluate": {
        "evaluate": "test_a_tuners_test_set_is_looked_at_when_that_is_asked_for_and_not_before",
        "cell": "test_every_cell_opens_exactly_its_items",
        "worst": "test_worst_errors_and_thresholds_are_those_of_their_lines",
        "threshold": "test_worst_errors_and_thresholds_are_those_of_their_lines",
        "page": "test_pages_hold_all_items_once_and_their_lines_are_true",
    },
    "sketchpad": {
        **dict.fromkeys(("draw", "cut", "invert", "save"), "test_the_line_gives_what_the_panel_shows"),
        "put": "test_files_and_code_are_given_as_they_are",
        "clear": "test_asking_leaves_the_learner_as_it_was",  # it shows no line: nothing is predicted
        "refuse": "test_a_file_too_large_for_a_message_is_refused_with_a_line_that_works",
    },
}


def panels() -> dict[str, Any]:
    tuner = begun()
    of_pictures = nt.Tuner(TASK.learner("letters", seed=0), seed=0)
    made = (nt.widgets.LRFinder(tuner), nt.widgets.Monitor(tuner), nt.widgets.Evaluation(tuner))
    return dict(zip(TESTED, (*made, nt.widgets.Sketchpad(of_pictures)), strict=True))


@pytest.mark.parametrize("kind", TESTED)
def test_every_control_has_a_test_of_its_line(kind: str) -> None:
    """Of FreezePanel and DataBrowser their own files hold the same."""
    assert set(panels()[kind].acts()) == set(TESTED[kind])
    tests = importlib.import_module(f"test_widgets_{kind}")
    for act, name in TESTED[kind].items():
        assert f'"{act}"' in inspect.getsource(getattr(tests, name)), act


@pytest.mark.parametrize("part", ["panel", "data", "evaluate", "monitor", "sketchpad"])
def test_a_front_end_without_jupyterlabs_colours_has_those_of_the_panel(part: str, root: Path) -> None:
    text = (root / "widgets" / "nbtune_widgets" / f"{part}.css").read_text()
    used = re.findall(r"var\((--jp-[\w-]+)(,?)", text)
    assert [name for name, fallback in used if not fallback] == []
    assert used or part != "panel"
