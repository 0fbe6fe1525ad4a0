"""What a user may choose of any source of data, in one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any, TypedDict

from nbtune._source import source
from nbtune.errors import InputError, InputTypeError

__all__ = ["Asked", "Choices", "Options", "options_of", "written"]


class Asked(TypedDict, total=False):
    """Keywords of every `nbtune.tasks.from_…`; see `Options`."""

    target: str | None
    label_delim: str | None
    objective: str | None
    metrics: Any
    seed: int
    leave_out: Sequence[object]
    broken: str
    name: str | None
    licence: str
    nature: str


class Choices(Asked, total=False):
    """The same, with the shares of the splits."""

    valid: float
    test: float


@dataclass(frozen=True)
class Options:
    """The choices with their defaults."""

    target: str | None = None  # "single", "multi", "regression"; None: proposed, with the reason in the card
    label_delim: str | None = None  # what separates an item's labels in one text
    objective: str | None = None  # a sentence
    metrics: Any = None  # names or fastai metrics; None: proposed, with the reason in the card
    valid: float = 0.2  # shares of the items
    test: float = 0.2
    seed: int = 0  # of the splits
    leave_out: Sequence[object] = ()  # classes
    broken: str = "raise"  # or "skip": left out, and listed in the card
    name: str | None = None
    licence: str = "not stated"
    nature: str = "real"

    def __post_init__(self) -> None:
        if self.nature not in ("real", "synthetic"):
            raise InputError(
                f"nature={self.nature!r:.60}.", rule='nature is "real" or "synthetic".',
                likely="a description, which belongs into name or objective.", next='nature="real"',
            )  # fmt: skip


_NAMES = tuple(field.name for field in fields(Options))
_ELSEWHERE = {
    "valid_pct": "valid", "val": "valid", "valid_size": "valid", "test_size": "test", "random_state": "seed",
    "metric": "metrics", "problem_type": "target", "task": "target", "errors": "broken", "skip": "broken",
    "valid_col": "split", "valid_name": "split", "fn_col": "x", "label_col": "y", "y_names": "y", "groups": "group",
    "item_tfms": "task.learner(..., augment=)", "batch_tfms": "task.learner(..., augment=)",
    "bs": "task.learner(..., bs=)",
    "procs": "nothing: missing values, categories and scale are seen to",
}  # fmt: skip


def options_of(call: str, own: Sequence[str], given: Mapping[str, Any]) -> Options:
    """The choices of a call. Raises InputTypeError for a keyword that it does not have."""
    known = (*own, *_NAMES)
    for name, value in given.items():
        if name in _NAMES:
            continue
        close = get_close_matches(name.lower(), known, n=1, cutoff=0.6)
        other = _ELSEWHERE.get(name.lower())
        raise InputTypeError(
            f"{call}(..., {name}={value!r:.40}).", rule=f"the keywords are {', '.join(known)}.",
            likely="the name that it has elsewhere." if other else "a misspelling." if close
            else "an option of another call or library.",
            next=f"{other}={value!r:.40}" if other in known else other or (f"{close[0]}={value!r:.40}" if close
            else f"{call}(...), without it"),
        )  # fmt: skip
    return Options(**given)


def written(call: str, first: str, given: Mapping[str, Any]) -> str:
    """The call that makes the task again, as far as a line can say it."""
    said = [first]
    for name, value in given.items():
        if value is None or (isinstance(value, (tuple, list)) and not value):
            continue
        said.append(f"{name}={source(value) or '...'}")
    return f"nt.tasks.{call}({', '.join(said)})"
