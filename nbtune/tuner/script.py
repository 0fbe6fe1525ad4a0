"""What a Tuner did, as a script that does it again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nbtune._source import source
from nbtune.finder import LRCurve

__all__ = ["Code", "Script"]


class Code(str):
    """A text that is source already."""


class Script:
    """Lines of Python, one a verb, under the lines that make the Learner and the Tuner.

    A value that no line can write (a callback, your own data) is left as `...`, with a comment that names it.
    """

    def __init__(self, learn: Any) -> None:
        self.origin = getattr(learn, "nbtune_origin", None)
        self._head: list[str] = []
        self._lines: list[str] = []
        self._curves: list[LRCurve] = []  # held, so that none is taken for another

    def begin(self, **options: tuple[object, object]) -> None:
        """The line that makes the Tuner: (value, default) pairs, left out where equal."""
        made = ["learn = ...  # your own fastai Learner"]
        if self.origin is not None:
            made = [f"task = {self.origin.task.code}", f"learn = {self.origin.code}"]
        self._head = ["import nbtune as nt", "", *made, self._line("tuner = nt.Tuner", (Code("learn"),), options)]

    def say(self, verb: str, *given: object, **options: tuple[object, object]) -> None:
        """Add `tuner.verb(given, name=value)`; `options` are (value, default) pairs, left out where equal."""
        self._lines.append(self._line(f"{'report = ' * (verb == 'evaluate')}tuner.{verb}", given, options))

    def unsay(self) -> None:
        """Take the last line back."""
        self._lines.pop()

    @property
    def length(self) -> int:
        """Lines so far."""
        return len(self._lines)

    def back(self, length: int) -> None:
        """Be as when there were `length` lines."""
        del self._lines[length:]

    def note(self, note: str) -> None:
        """Add a comment to the last line."""
        self._lines[-1] += f"  # {note}"

    def value(self) -> list[list[str]]:
        """The lines as plain values."""
        return [list(self._head), list(self._lines)]

    def resumed(self, value: list[list[str]], folder: str, test: object) -> None:
        """Go on with the lines of the run in `folder`."""
        self._head, lines = value
        options: dict[str, tuple[object, object]] = {"test": (test, None)}
        self._lines = [*lines, self._line("tuner = nt.resume", (folder, Code("learn")), options)]

    def put(self, name: str, value: object) -> None:
        """Add `tuner.name = value`."""
        self._lines.append(f"tuner.{name} = {self._source(value) or '...'}")

    def curve(self, curve: LRCurve, **options: tuple[object, object]) -> None:
        """Add the `lr_find` that made `curve`, under a name of its own."""
        self._curves.append(curve)
        self._lines.append(self._line(f"{self._name(curve)} = tuner.lr_find", (), options))

    def _name(self, curve: LRCurve) -> str:
        number = next(at for at, known in enumerate(self._curves, 1) if known is curve)
        return "curve" if number == 1 else f"curve_{number}"

    def _line(self, verb: str, given: Sequence[object], options: dict[str, tuple[object, object]]) -> str:
        shown = [("", value) for value in given]
        shown += [(f"{name}=", value) for name, (value, default) in options.items() if not _equal(value, default)]
        told, notes = [], []
        for label, value in shown:
            text = self._source(value)
            told.append(label + (text or "..."))
            if text is None:
                notes.append(f"...: {_kind(value)} of your own")
            if self._foreign(value):
                notes.append("the rate that another Tuner's curve suggests")
        return f"{verb}({', '.join(told)})" + (f"  # {'; '.join(notes)}" if notes else "")

    def _foreign(self, value: object) -> bool:
        return isinstance(value, LRCurve) and not any(known is value for known in self._curves)

    def _source(self, value: object) -> str | None:
        """`value` as Python, or None where no line can write it."""
        if isinstance(value, Code):
            return value
        if isinstance(value, LRCurve) and not self._foreign(value):
            return self._name(value)
        if self.origin is not None:
            for split in ("train", "valid", "test"):
                if value is getattr(self.origin.task, split):
                    return f"task.{split}"
        return source(value)

    def __str__(self) -> str:
        return "\n".join([*self._head, *self._lines]) + "\n"


def _equal(value: object, default: object) -> bool:
    return value is default or (type(value) is type(default) and bool(value == default))


def _kind(value: object) -> str:
    several = value if isinstance(value, (list, tuple)) else [value]
    return ", ".join(dict.fromkeys(type(one).__name__ for one in several))
