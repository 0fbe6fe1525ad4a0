"""What can be tuned: pretrained bodies by name, and any network of the user's own."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from torch import nn

from nbtune.bodies._unknown import no_name, no_network
from nbtune.bodies.body import Body
from nbtune.errors import InputTypeError

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
        InputError: no body has this name; the error has a line that works, also for a network of another library.

    Example:
        >>> get("letters").size
        (32, 32)
    """
    if isinstance(name, nn.Module):
        raise InputTypeError(
            f"a network ({type(name).__name__}) where a name belongs.", rule="get finds a body by its name.",
            likely="a network of your own, which needs no name.", next="task.learner(network)",
        )  # fmt: skip
    if not isinstance(name, str):
        raise no_network(name, _KNOWN)
    if name not in _KNOWN:
        raise no_name(name, _KNOWN)
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
