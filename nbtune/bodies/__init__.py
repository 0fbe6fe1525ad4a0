"""What can be tuned: pretrained bodies by name, and any network of the user's own."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from nbtune.bodies.body import Body
from nbtune.errors import InputError, InputTypeError, nearest

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Body", "get", "names", "table"]


def _letters() -> Body:
    from nbtune.bodies.shipped import letters

    return letters()


_KNOWN: dict[str, Callable[[], Body]] = {"letters": _letters}


def names() -> tuple[str, ...]:
    """The names that `get` knows."""
    return tuple(_KNOWN)


@cache
def _made(name: str) -> Body:
    return _KNOWN[name]()


def get(name: str) -> Body:
    """The body of this name.

    Raises:
        InputTypeError: the name is no text.
        InputError: no body has this name; the nearest names are given.

    Example:
        >>> get("letters").size
        (32, 32)
    """
    if not isinstance(name, str):
        raise InputTypeError(
            f"a body's name of type {type(name).__name__}.", rule="a name is text.",
            likely="A network was given where a name is asked for.", next="task.learner(network) takes it as it is.",
        )  # fmt: skip
    if name not in _KNOWN:
        raise InputError(
            f"no body is called {name!r}.", rule=f"a body is one of {', '.join(_KNOWN)}.",
            likely="A spelling, or a body that this version does not know.", next=nearest(name, _KNOWN),
        )  # fmt: skip
    return _made(name)


def table() -> pd.DataFrame:
    """Every body that can be tuned by name: a row each."""
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for name in _KNOWN:
        body = get(name)
        rows.append(
            {
                "name": name,
                "parameters": body.params,
                "input": f"{body.channels}×{body.size[0]}×{body.size[1]}",
                "licence": body.licence,
                "needs network": body.needs_network,
            }
        )
    return pd.DataFrame(rows)
