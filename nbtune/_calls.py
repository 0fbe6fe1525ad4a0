"""A function that makes a recipe leaves the shortest call that makes it again."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Any, ParamSpec

from nbtune._recipe import Recipe
from nbtune._source import source

__all__ = ["told"]

_P = ParamSpec("_P")


def told(make: Callable[_P, Recipe]) -> Callable[_P, Recipe]:
    """`make`, with `call` set on the recipe: "" where an argument has no source, so that the phases are told."""
    known = signature(make)

    @wraps(make)
    def making(*args: _P.args, **named: _P.kwargs) -> Recipe:
        recipe = make(*args, **named)
        given = _arguments(known, known.bind(*args, **named).arguments)
        object.__setattr__(recipe, "call", "" if given is None else f"{make.__name__}({given})")
        return recipe

    return making


def _arguments(known: Signature, given: dict[str, Any]) -> str | None:
    """Arguments as source, by position up to the last that is not at its default; None where one has no source."""
    parts: list[str] = []
    waiting: list[str] = []  # by position and at their defaults: written only if one after them is not
    for name, parameter in known.parameters.items():
        text = source(given.get(name, parameter.default))
        if text is None:
            return None
        by_name = parameter.kind is Parameter.KEYWORD_ONLY
        if parameter.default is not Parameter.empty and text == source(parameter.default):
            waiting += [] if by_name else [text]
        elif by_name:
            parts.append(f"{name}={text}")
        else:
            parts, waiting = [*parts, *waiting, text], []
    return ", ".join(parts)
