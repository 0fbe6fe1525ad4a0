"""An exercise: a question, a check that says what to look at next, hints, and a solution that runs."""

from __future__ import annotations

import dis
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html import escape
from numbers import Real
from types import FunctionType
from typing import Any

__all__ = ["CHOICE", "FUNCTION", "NUMBER", "YES_NO", "Exercise", "Kind", "Note", "Outcome", "a", "one_of"]

# No colour is set, so that all of it is legible in light and dark.
_BOX = "<div style='border-left:4px solid currentColor;padding:.2em .8em'>{}</div>"


@dataclass(frozen=True)
class Outcome:
    """What a check says: `state` is "right", "not yet" or "not attempted"; true only if right."""

    state: str
    says: str

    def __bool__(self) -> bool:
        return self.state == "right"

    def __repr__(self) -> str:
        return f"{self.state.capitalize()}: {self.says}"

    def _repr_html_(self) -> str:
        mark = {"right": "✓", "not yet": "↻"}.get(self.state, "…")
        return _BOX.format(f"{mark} <strong>{self.state.capitalize()}:</strong> {escape(self.says)}")


@dataclass(frozen=True)
class Note:
    """A hint, or a solution as code."""

    title: str
    text: str
    code: bool = False

    def __repr__(self) -> str:
        return self.text if self.code else f"{self.title}: {self.text}"

    def _repr_html_(self) -> str:
        body = f"<pre>{escape(self.text)}</pre>" if self.code else escape(self.text)
        return _BOX.format(f"<strong>{escape(self.title)}.</strong> {body}")


@dataclass(frozen=True)
class Kind:
    """What an answer has to be: in words, and as a test."""

    words: str
    fits: Callable[[Any], bool]


def a(words: str, *types: type) -> Kind:
    """An answer of one of these types: `a("a Tuner", nt.Tuner)`."""
    return Kind(words, lambda answer: isinstance(answer, types))


def one_of(*choices: str) -> Kind:
    """One of a few words."""
    return Kind(f"one of {', '.join(map(repr, choices))}", lambda answer: isinstance(answer, str) and answer in choices)


NUMBER = Kind("a number", lambda answer: isinstance(answer, Real) and not isinstance(answer, bool))
YES_NO = a("True or False", bool)
FUNCTION = Kind("a function", callable)
CHOICE = a("a word in quotes", str)


@dataclass(frozen=True, eq=False)
class Exercise:
    """One exercise of a notebook.

    `look` gets an answer of the right kind and gives None if it is right, else what to look at next, without giving
    the answer away. `code` runs by itself and leaves its result in `answer`.
    """

    name: str
    question: str
    takes: Kind
    look: Callable[[Any], str | None]
    right: str
    hints: tuple[str, ...]
    code: str
    unchanged: Callable[[Any], bool] = lambda answer: False
    _given: list[int] = field(default_factory=lambda: [0], repr=False)

    def check(self, answer: Any = ...) -> Outcome:
        """Right; not yet, and what to look at; or not attempted (`...`, None, or what the notebook gave, unchanged)."""
        if _blank(answer):
            return Outcome("not attempted", f"put your answer, {self.takes.words}, in the place of the dots.")
        if not self.takes.fits(answer):
            return Outcome("not yet", f"the answer is {self.takes.words}; this is {_shown(answer)}.")
        try:
            if self.unchanged(answer):
                return Outcome("not attempted", "this is as the notebook gave it; change it first.")
            advice = self.look(answer)
        except Exception as error:  # a reader's own function may raise anything
            says = str(error).split("\n", 1)[0]
            return Outcome("not yet", f"the check stopped in your answer with {type(error).__name__}: {says}")
        return Outcome("right", self.right) if advice is None else Outcome("not yet", advice)

    def hint(self) -> Note:
        """The next hint; the last one again when there are no more."""
        number, total = min(self._given[0] + 1, len(self.hints)), len(self.hints)
        self._given[0] = number
        last = " That is the last hint; solution() shows code." if number == total else ""
        return Note(f"Hint {number} of {total}", self.hints[number - 1] + last)

    def solution(self) -> Note:
        """Code that runs by itself, and whose `answer` the check accepts."""
        return Note("One solution", self.code.strip(), code=True)

    def __repr__(self) -> str:
        return f"Exercise {self.name}: {self.question}"

    def _repr_html_(self) -> str:
        return _BOX.format(f"<strong>Exercise.</strong> {escape(self.question)}")


def _blank(answer: Any) -> bool:
    """Dots or nothing, at any place of the answer; a function without a body."""
    if answer is None or answer is ... or (isinstance(answer, str) and not answer.strip()):
        return True
    if isinstance(answer, Mapping):
        return any(_blank(value) for value in answer.values())
    if isinstance(answer, (list, tuple, set)):
        return any(item is ... for item in answer)
    return isinstance(answer, FunctionType) and _empty(answer)


def _empty(function: FunctionType) -> bool:
    """Whether the body is `...`, `pass` or a docstring alone."""
    code = function.__code__
    names = {step.opname for step in dis.get_instructions(code)}
    return names <= {"RESUME", "NOP", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST"} and set(code.co_consts) <= {
        None,
        ...,
        function.__doc__,
    }


def _shown(answer: Any) -> str:
    text = repr(answer).split("\n", 1)[0]
    return f"{type(answer).__name__} {text if len(text) <= 60 else text[:59] + '…'}"
