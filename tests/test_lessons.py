"""Exercises: each tells right answers from typical wrong ones and from none, and its solution is accepted."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

import nbtune as nt
from nbtune.lessons.exercise import CHOICE, FUNCTION, NUMBER, ONE_NUMBER, Exercise, one_of

pytestmark = pytest.mark.notebooks
NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
EXERCISES = [exercise for name in nt.lessons.names() for exercise in nt.lessons.exercises(name)]


def answers(exercise: Exercise):
    notebook, name = exercise.name.split(".")
    module = importlib.import_module(f"answers.{notebook}")
    return module.RIGHT[name], module.WRONG[name]


CASES = [(e, case) for e in EXERCISES for case in range(len(answers(e)[1]))]


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.name)
def test_right_answers_are_right_and_the_solution_is_one(exercise: Exercise) -> None:
    right, wrong = answers(exercise)
    assert right
    assert len(wrong) >= 2
    for make in right:
        outcome = exercise.check(make())
        assert outcome, outcome
    space: dict[str, object] = {"__name__": "reader"}
    exec(exercise.solution().text, space)
    outcome = exercise.check(space["answer"])
    assert outcome, outcome
    assert outcome.says == exercise.right


@pytest.mark.parametrize(("exercise", "case"), CASES, ids=[f"{e.name}-{case}" for e, case in CASES])
def test_a_wrong_answer_is_told_what_to_look_at(exercise: Exercise, case: int) -> None:
    make, word = answers(exercise)[1][case]
    outcome = exercise.check(make())
    assert outcome.state == "not yet"
    assert word in outcome.says


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.name)
def test_no_answer_is_no_attempt(exercise: Exercise) -> None:
    assert {exercise.check(answer).state for answer in (..., None, "")} == {"not attempted"}
    assert exercise.check().state == "not attempted"


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.name)
def test_hints_come_one_after_another(exercise: Exercise) -> None:
    exercise._given[0] = 0
    seen = [exercise.hint() for _ in range(len(exercise.hints) + 1)]
    assert [note.title for note in seen[:-1]] == [f"Hint {n} of {len(exercise.hints)}" for n in range(1, len(seen))]
    assert seen[-1] == seen[-2]
    assert "solution()" in seen[-1].text


@pytest.mark.parametrize("notebook", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_asks_its_exercises_and_no_others(notebook: Path) -> None:
    text = "".join("".join(c["source"]) for c in json.loads(notebook.read_text())["cells"])
    name = re.sub(r"^\d+_", "", notebook.stem)
    asked = set(re.findall(r"nt\.lessons\.(\w+\.\w+)\.check", text))
    known = {e.name for e in nt.lessons.exercises(name)} if name in nt.lessons.names() else set()
    assert asked == known


@pytest.mark.parametrize("exercise", [e for e in EXERCISES if e.takes is FUNCTION], ids=lambda e: e.name)
def test_a_function_without_return_or_that_raises_is_told_so(exercise: Exercise) -> None:
    def raises(*given):
        raise ValueError("no such\nvalue.")

    assert "your function gave None: is there a return?" in exercise.check(lambda *given: print(end="")).says
    assert "in your answer with ValueError: no such" in exercise.check(raises).says
    assert exercise.check(raises).state == "not yet"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ((0, "a"), "NameError: no. It was called with (0, 'a')."),
        (("ab" * 40, 0), f"NameError: no. It was called with ('{'ab' * 29}…)."),
        ((0, np.eye(2)), "NameError: no."),
    ],
    ids=["short", "long", "of several lines"],
)  # fmt: skip
def test_a_call_that_raises_is_told_with_its_arguments(given: tuple[object, ...], says: str) -> None:
    def raises(*_):
        raise NameError("no")

    exercise = an_exercise(FUNCTION, look=lambda function: function(*given))
    assert exercise.check(raises).says == f"the check stopped in your answer with {says}"


def test_a_result_of_another_kind_is_told_which_kind() -> None:
    exercise = an_exercise(FUNCTION, look=lambda function: None if function(1) == 5 else "again.", gives=ONE_NUMBER)
    for five in (5, 5.0, np.int64(5), np.array(5), np.float32(5), torch.tensor(5)):
        assert exercise.check(lambda x, five=five: five)
    assert exercise.check(lambda x: float("nan")).says == "again."
    assert exercise.check(lambda x: "5").says == "your function is to give one number; it gave str '5'. " + (
        "It was called with (1)."
    )
    for other in ([5], np.array([5]), 5j, {5}, int):
        assert "is to give one number; it gave" in exercise.check(lambda x, other=other: other).says


def test_what_breaks_the_check_itself_is_told() -> None:
    exercise = an_exercise(FUNCTION, look=lambda function: list(function(1)))
    assert "the check stopped in your answer with TypeError: 'int'" in exercise.check(lambda x: 5).says
    silent = an_exercise(FUNCTION, look=lambda function: next(function(1)))
    assert silent.check(lambda x: iter(())).says == "the check stopped in your answer with StopIteration"


def test_a_number_is_finite() -> None:
    for number in (float("nan"), float("inf"), np.float32("-inf")):
        assert an_exercise().check(number).says == f"a finite number is asked for; this is {number}."


def test_replies_with_numbers_have_the_right_ones() -> None:
    half = nt.lessons.objective._half
    assert half(465) <= 0.02 < min(half(n) for n in range(1, 465))
    assert nt.lessons.objective.items_needed.right.startswith("465 ")
    shortlist = nt.lessons.pretrained_model.shortlist
    eighty, fourteen = (nt.bodies.table()["library"] == "torchvision").sum(), len(answers(shortlist)[0][0]())
    assert f"took {eighty} bodies down to {fourteen} " in shortlist.right


def an_exercise(takes=NUMBER, look=lambda n: None if n == 5 else "count <again>.", **changes) -> Exercise:
    return Exercise("x.y", "How many?", takes, look, "yes.", ("a",), "answer = 5", **changes)


def test_an_answer_of_another_kind_is_told_which_kind() -> None:
    assert "the answer is a number; this is str 'five'" in an_exercise().check("five").says
    assert an_exercise().check(True).state == "not yet"
    assert "one of 'a', 'b'" in an_exercise(one_of("a", "b")).check("c").says


def test_a_function_that_is_still_empty_is_no_attempt() -> None:
    def dots(x): ...

    def words(x):
        """What it will do."""

    exercise = an_exercise(FUNCTION)
    assert {exercise.check(f).state for f in (dots, words)} == {"not attempted"}
    assert {exercise.check(f).state for f in (lambda x: x, lambda x: 5, lambda: print())} == {"not yet"}


def test_what_is_unchanged_or_half_filled_is_no_attempt() -> None:
    assert an_exercise(unchanged=lambda n: n == 3).check(3).state == "not attempted"
    assert an_exercise(CHOICE).check({"a": 1, "b": ...}).state == "not attempted"
    assert an_exercise(CHOICE).check([1, ...]).state == "not attempted"


def test_values_show_themselves_escaped_and_without_colours() -> None:
    exercise = an_exercise()
    wrong, right, none = (exercise.check(answer) for answer in (4, 5, ...))
    for value in (exercise, wrong, right, none, exercise.hint(), exercise.solution()):
        assert not re.search(r"#[0-9a-f]{3}|color:|background", value._repr_html_())
        assert repr(value)
    assert "count &lt;again&gt;" in wrong._repr_html_()
    assert repr(wrong) == "Not yet: count <again>."
    assert [bool(outcome) for outcome in (wrong, right, none)] == [False, True, False]


def test_an_unknown_notebook_is_named() -> None:
    with pytest.raises(AttributeError, match="known are"):
        nt.lessons.nonsense  # noqa: B018


def test_panels_that_nobody_touched_are_no_attempt() -> None:
    widgets = importlib.import_module("answers.widgets")
    for exercise, make in ((nt.lessons.widgets.steer, widgets.steered), (nt.lessons.widgets.relabel, widgets.marked)):
        assert exercise.check(make()).state == "not attempted"


@pytest.mark.parametrize("notebook", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_has_two_exercises_or_more(notebook: Path) -> None:
    assert len(nt.lessons.exercises(re.sub(r"^\d+_", "", notebook.stem))) >= 2
