"""A body at another size, or with weights from a file."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from nbtune.bodies._sizes import resized
from nbtune.bodies._weights import existing
from nbtune.bodies.body import Body
from nbtune.errors import InputError

__all__ = ["adapted"]


def adapted(body: Body, size: Any, weights: Any) -> Body:
    """The body with the file `weights` for its published ones, at the input size `size`; None leaves it as it is.

    Raises InputError or InputTypeError where the body takes none, MissingFileError where there is no such file.
    """
    if weights is not None:
        body = _with(body, weights)
    return body if size is None else resized(body, size)


def _with(body: Body, weights: Any) -> Body:
    build: Any = body.build
    place = existing(weights)
    if not hasattr(build, "path"):
        raise InputError(
            f"weights={str(place)!r:.80} for {body.name!r}.", rule="a file of weights is for a network of another "
            f"library; {body.name!r} comes with its own.", likely="weights of another network.",
            next=f'task.learner("resnet18", weights={str(place)!r:.80}), with the name of their network',
        )  # fmt: skip
    return replace(
        body, build=replace(build, path=str(place)), needs_network=False, licence="that of the file of weights",
        source=f"{body.name} with the weights of {place.name}.",
    )  # fmt: skip
