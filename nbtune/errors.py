"""Errors that say what was given, the rule, the likely cause and the next step."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = [
    "BundleError",
    "FreezeError",
    "InputError",
    "InputTypeError",
    "MissingExtraError",
    "MissingFileError",
    "NbtuneError",
    "TrainingError",
    "nearest",
]


class NbtuneError(Exception):
    """Base of every error that nbtune raises on purpose.

    The message has four labelled parts, kept as attributes: `given` (what was given), `rule`, `likely`
    (the likely cause) and `next` (the next step).

    Example:
        >>> print(NbtuneError("epochs=0.", rule="epochs is 1 or more.", likely="a typo.", next="fit(4)."))
        epochs=0.
          Rule: epochs is 1 or more.
          Likely: a typo.
          Next: fit(4).
    """

    def __init__(self, given: str, *, rule: str, likely: str, next: str) -> None:
        self.given, self.rule, self.likely, self.next = given, rule, likely, next
        super().__init__(f"{given}\n  Rule: {rule}\n  Likely: {likely}\n  Next: {next}")

    def __reduce__(self) -> tuple[object, ...]:
        # Exception pickles its args, which are one string here: data loader workers send errors by pickle.
        return _rebuild, (type(self), self.given, self.rule, self.likely, self.next)


def _rebuild(kind: type[NbtuneError], given: str, rule: str, likely: str, next: str) -> NbtuneError:
    return kind(given, rule=rule, likely=likely, next=next)


class InputError(NbtuneError, ValueError):
    """A value that does not fit: out of range, of the wrong length, not finite, unknown."""


class InputTypeError(NbtuneError, TypeError):
    """A value of the wrong type."""


class FreezeError(NbtuneError, ValueError):
    """A group that does not exist, or a model that cannot be cut there."""


class BundleError(NbtuneError, ValueError):
    """A bundle that is altered, incomplete in content, or of an unknown kind."""


class MissingFileError(NbtuneError, FileNotFoundError):
    """A file or folder that is not there."""

    def __str__(self) -> str:  # OSError would print its own errno form
        return str(self.args[0])


class MissingExtraError(NbtuneError, ImportError):
    """A library that is needed here and is not installed: an optional extra."""


class TrainingError(NbtuneError, RuntimeError):
    """Training that could not start or go on."""


def nearest(word: str, known: Iterable[str]) -> str:
    """`known` as text, with the nearest names to `word` first: for the `Next:` part of an error."""
    names = [str(name) for name in known]
    close = get_close_matches(str(word), names, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(close)}?" if close else f"known are {', '.join(names)}."
