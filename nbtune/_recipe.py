"""A recipe as a value: its phases in words, and as source."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NoReturn

from nbtune._display import html_table, html_value
from nbtune._numbers import shown
from nbtune.errors import InputError, InputTypeError
from nbtune.phases import Phase
from nbtune.rates import Decay

__all__ = ["Recipe"]

_GOOD = 'nt.Recipe([nt.Phase(4, first="head"), nt.Phase(6)])'


@dataclass(frozen=True)
class Recipe:
    """Phases to run one after the other.

    `phases`: a list, tuple or other sequence; kept as a tuple. Raises InputError or InputTypeError if there are
    none, one is no Phase, or another value does not fit.

    Example:
        >>> Recipe([Phase(1, first="head"), Phase(4, lr=1e-4)], keep="last")
        recipe: 1 epoch of the head at the default rate, then 4 epochs of all groups at 0.0001; keeps the last state.
    """

    phases: tuple[Phase, ...]
    name: str = "recipe"
    source: str = ""  # author and year of the method
    keep: str = "best"  # the state after the run: "best" by valid loss across all phases, or "last"
    fresh: bool = False  # draw every weight anew before the first phase
    call: str = field(default="", init=False, compare=False)  # the call that made it; a changed copy has none

    def __post_init__(self) -> None:
        object.__setattr__(self, "phases", _phases(self.phases))
        for name in ("name", "source"):
            _check_text(getattr(self, name), name)
        _check_keep(self.keep)
        if not isinstance(self.fresh, bool):
            raise InputTypeError(
                f"fresh={shown(self.fresh)}.",
                rule="fresh is True, which draws every weight anew first, or False.",
                likely="another value in the place of a switch.",
                next="fresh=True",
            )

    @property
    def code(self) -> str:
        """The recipe as source: the call that made it, or its phases; runs after `import nbtune as nt`."""
        if self.call:
            return f"nt.recipes.{self.call}"
        one = "," if len(self.phases) == 1 else ""
        parts = [f"({', '.join(f'nt.{phase!r}' for phase in self.phases)}{one})"]
        defaults = {"name": "recipe", "source": "", "keep": "best", "fresh": False}
        given = {name: getattr(self, name) for name in defaults}
        parts += [f"{name}={value!r}" for name, value in given.items() if value != defaults[name]]
        return f"nt.Recipe({', '.join(parts)})"

    @property
    def epochs(self) -> int:
        """Passes over the training set in all."""
        return sum(phase.epochs for phase in self.phases)

    def __repr__(self) -> str:
        told = [f"{_epochs(phase.epochs)} of {_trains(phase.first)} at {_rate(phase.lr)}" for phase in self.phases]
        if len(told) > 8:
            told[4:-2] = [f"{len(told) - 6} more phases"]
        fresh = "from random weights, " if self.fresh else ""
        return f"{self.name}: {fresh}{', then '.join(told)}; keeps the {self.keep} state."

    def _repr_html_(self) -> str:
        rows = [
            (number, phase.epochs, _trains(phase.first), _rate(phase.lr)) for number, phase in enumerate(self.phases, 1)
        ]
        sentence = f"{_epochs(self.epochs)} in all; keeps the {self.keep} state. {self.source}".strip()
        return html_value(self.name, sentence, html_table(["phase", "epochs", "trains", "lr"], rows))


def _phases(given: Any) -> tuple[Phase, ...]:
    """`given` as a tuple of phases. Raises InputTypeError, or InputError if there are none."""
    if isinstance(given, (str, bytes, dict)) or not isinstance(given, Iterable):
        _refuse(given, "phases")
    phases = tuple(given)
    for at, phase in enumerate(phases):
        if not isinstance(phase, Phase):
            _refuse(phase, f"phases[{at}]")
    if not phases:
        raise InputError(
            f"phases={given!r:.80}, without a phase.",
            rule="a recipe is a list or tuple of one or more Phase values.",
            likely="a list that was to be filled, or a loop that had nothing to go through.",
            next=_GOOD,
        )
    return phases


def _refuse(wrong: Any, where: str) -> NoReturn:
    """Raise InputTypeError: `wrong`, in the place of the phases or among them, is not what belongs there."""
    likely, better = _meant(wrong)
    raise InputTypeError(
        f"{where}={shown(wrong)}.",
        rule="a recipe is a list or tuple of one or more Phase values.",
        likely=likely,
        next=better,
    )


def _meant(wrong: Any) -> tuple[str, str]:
    """What a person did who gave `wrong`, and a line that works."""
    if isinstance(wrong, Phase):
        return "one Phase without a list around it: (phase) is no tuple.", f"nt.Recipe([nt.{wrong!r}])"
    if isinstance(wrong, Recipe):
        return (
            "a recipe in the place of its phases.",
            "nt.Recipe([*one.phases, *two.phases])",
        )
    if isinstance(wrong, str):
        return "a name; the recipes that have one are functions.", "nt.recipes.probe_then_finetune()"
    if isinstance(wrong, int) and not isinstance(wrong, bool):
        return "the epochs of a phase, without Phase around them.", f"nt.Recipe([nt.Phase({max(1, wrong)})])"
    if isinstance(wrong, (dict, tuple, list)):
        return "the values of a phase, without Phase around them.", _GOOD
    return "a function or class without its brackets." if callable(wrong) else "another object than a Phase.", _GOOD


def _check_text(value: Any, name: str) -> None:
    if isinstance(value, str):
        return
    phase = isinstance(value, Phase)
    raise InputTypeError(
        f"{name}={shown(value)}.",
        rule=f"a recipe's {name} is a text.",
        likely="a second phase outside the list." if phase else "another argument in its place.",
        next="nt.Recipe([first, second])" if phase else f'{name}="my own"',
    )


def _check_keep(keep: Any) -> None:
    if isinstance(keep, str) and keep in ("best", "last"):
        return
    better = "best" if keep is True or str(keep).lower().startswith("b") else "last"
    raise InputError(
        f"keep={shown(keep)}.",
        rule='keep is "best" or "last".',
        likely="another word for it." if isinstance(keep, str) else "another value in the place of a word.",
        next=f'keep="{better}"',
    )


def _epochs(count: int) -> str:
    return f"{count} epoch{'' if count == 1 else 's'}"


def _trains(first: int | str) -> str:
    """What trains, in words."""
    if isinstance(first, str):
        return "the head" if first == "head" else f"all groups from {first} on"
    if first in (0, -1):
        return "the head" if first else "all groups"
    if first < 0:
        return f"the last {-first} groups"
    return f"all groups but the first{'' if first == 1 else f' {first}'}"


def _rate(lr: Any) -> str:
    """A rate, as a Phase holds it, in words."""
    if isinstance(lr, slice) and lr.start is None:
        return f"{lr.stop:g} (head; a tenth below)"
    if isinstance(lr, slice):
        return f"{lr.start:g} (first group) to {lr.stop:g} (head)"
    if isinstance(lr, Decay):
        return f"{lr.top:g} (head; times {lr.factor:.3g} for each group below)"
    if isinstance(lr, dict):
        return ", ".join(f"{value:g} ({name})" for name, value in lr.items())
    if isinstance(lr, tuple):
        return " / ".join(f"{value:g}" for value in lr)
    return "the default rate" if lr is None else f"{lr:g}"
