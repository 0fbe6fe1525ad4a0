"""An exercise: a question, a check that says what to look at next, hints, and a solution that runs."""

from __future__ import annotations

import dis
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from html import escape
from math import isfinite
from numbers import Real
from types import FunctionType
from typing import Any

__all__ = [
    "CHOICE",
    "FINITE_NUMBER",
    "FUNCTION",
    "NUMBER",
    "ONE_NUMBER",
    "YES_NO",
    "Exercise",
    "Kind",
    "Note",
    "Outcome",
    "a",
    "one_of",
    "two_numbers",
]

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


def _plain(value: Any) -> Any:
    """A NumPy number, or an array or tensor without axes, as the number that it holds."""
    return value.item() if getattr(value, "shape", None) == () and hasattr(value, "item") else value


def _finite(value: Any) -> bool:
    number = _plain(value)
    return isinstance(number, Real) and isfinite(number)


def two_numbers(which: str) -> Kind:
    """Two numbers in order, of any type that holds them so; `which` says which two."""
    return Kind(f"two numbers, {which}", _pair)


def _pair(value: Any) -> bool:
    if isinstance(value, (str, Mapping, Set)) or not hasattr(value, "__len__") or getattr(value, "ndim", 1) != 1:
        return False
    return len(value) == 2 and all(_finite(one) for one in value)


# What a function gives. nan is found by no test of the form `abs(x - right) > little`: a check that has no word of its
# own on nan takes FINITE_NUMBER.
ONE_NUMBER = Kind("one number", lambda value: isinstance(_plain(value), Real))
FINITE_NUMBER = Kind("one finite number", _finite)


@dataclass(frozen=True, eq=False)
class Exercise:
    """One exercise of a notebook.

    `look` gets an answer of the right kind and gives None if it is right, else what to look at next, without giving
    the answer away. Where the answer is a function, `gives` is the kind of its results, and `look` sees no other.
    `code` runs by itself and leaves its result in `answer`.
    """

    name: str
    question: str
    takes: Kind
    look: Callable[[Any], str | None]
    right: str
    hints: tuple[str, ...]
    code: str
    unchanged: Callable[[Any], bool] = lambda answer: False
    gives: Kind | None = None
    _given: list[int] = field(default_factory=lambda: [0], repr=False)

    def check(self, answer: Any = ...) -> Outcome:
        """Right; not yet, and what to look at; or not attempted (`...`, None, or what the notebook gave, unchanged)."""
        if _blank(answer):
            return Outcome("not attempted", f"put your answer, {self.takes.words}, in the place of the dots.")
        if not self.takes.fits(answer):
            return Outcome("not yet", f"the answer is {self.takes.words}; this is {_shown(answer)}.")
        try:
            if isinstance(answer, Real) and not isfinite(answer):
                return Outcome("not yet", f"a finite number is asked for; this is {answer}.")
            if self.unchanged(answer):
                return Outcome("not attempted", "this is as the notebook gave it; change it first.")
            advice = self.look(_watched(answer, self.gives) if self.takes is FUNCTION else answer)
        except _ToldError as told:
            return Outcome("not yet", str(told))
        except Exception as error:  # what a reader's own function gave may break anything
            return Outcome("not yet", _stopped(error))
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


class _ToldError(Exception):
    """Ends a look: what the reader's function did in one call, in words for the reader."""


def _watched(function: Callable[..., Any], gives: Kind | None) -> Callable[..., Any]:
    """The reader's function; a call that raises, or gives nothing or another kind, ends the look and is told."""

    def asked(*given: Any) -> Any:
        try:
            result = function(*given)
        except Exception as error:  # a reader's own function may raise anything
            raise _ToldError(f"{_stopped(error).rstrip('.')}.{_called(given)}") from error
        if result is None:
            raise _ToldError(f"your function gave None: is there a return?{_called(given)}")
        if gives is not None and not gives.fits(result):
            told = f"your function is to give {gives.words}; it gave {_shown(_plain(result))}."
            raise _ToldError(f"{told}{_called(given)}")
        return result

    return asked


def _stopped(error: Exception) -> str:
    says = str(error).split("\n", 1)[0]
    return f"the check stopped in your answer with {type(error).__name__}{says and f': {says}'}"


def _called(given: tuple[Any, ...]) -> str:
    """The arguments of a call as a sentence; none of what takes several lines, such as a frame."""
    texts = [repr(one) for one in given]
    if any("\n" in text for text in texts):
        return ""
    return f" It was called with ({_cut(', '.join(texts))})."


def _shown(answer: Any) -> str:
    return f"{type(answer).__name__} {_cut(' '.join(repr(answer).split()))}"


def _cut(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"
