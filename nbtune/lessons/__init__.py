"""Exercises of the notebooks: one module for each, reached as `nt.lessons.freeze`, `nt.lessons.rates` and so on.

Example:
    >>> import nbtune as nt
    >>> nt.lessons.freeze.times_faster.check(...)
    Not attempted: put your answer, a function, in the place of the dots.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from nbtune.lessons.exercise import Exercise, Note, Outcome

__all__ = ["Exercise", "Note", "Outcome", "exercises", "names"]


def names() -> tuple[str, ...]:
    """The modules with exercises, by name: each is the notebook's name without its number."""
    return tuple(sorted(m.name for m in iter_modules(__path__) if m.name != "exercise" and not m.name.startswith("_")))


def exercises(notebook: str) -> tuple[Exercise, ...]:
    """The exercises of one notebook, in its order.

    Example:
        >>> [exercise.name for exercise in exercises("freeze")]
        ['freeze.cut_lower', 'freeze.times_faster']
    """
    module = import_module(f"{__name__}.{notebook}")
    return tuple(getattr(module, name) for name in module.__all__)


def __getattr__(name: str) -> Any:
    if name not in names():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; known are {', '.join(names())}")
    return import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    return sorted([*__all__, *names()])
