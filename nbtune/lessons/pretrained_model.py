"""Exercises of 02_pretrained_model: a shortlist by licence and cost; the rule that picks one of a ranking."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd

from nbtune import bodies
from nbtune.lessons.exercise import FUNCTION, Exercise, Kind, a

__all__ = ["pick", "shortlist"]

MOST, SIDE = 10e6, 224


def _names(answer: Any) -> bool:
    kinds = (list, tuple, set, pd.Series, pd.Index, pd.api.extensions.ExtensionArray, np.ndarray)
    return isinstance(answer, kinds) and all(isinstance(name, str) for name in answer)


TABLE = bodies.table()
FITS = {
    "licence": TABLE["licence"].str.contains("BSD"),
    "input": TABLE["input"].str.split("×").str[1].astype(int) <= SIDE,
    "parameters": TABLE["parameters"] <= MOST,
}
WANTED = list(TABLE[pd.concat(FITS, axis=1).all(axis=1)]["name"])


def _alone(condition: str) -> list[str]:
    """What this condition rules out and the two others let pass."""
    others = pd.concat([fits for name, fits in FITS.items() if name != condition], axis=1).all(axis=1)
    return list(TABLE[others & ~FITS[condition]]["name"])


def _shortlist(answer: Iterable[str]) -> str | None:
    table, names = TABLE.set_index("name"), [str(name) for name in answer]
    if not names:
        return "the list is empty, and there are bodies that fit. Which condition took the last one away?"
    unknown = [name for name in names if name not in table.index]
    if unknown:
        return f"{unknown[0]!r} is no name in nt.bodies.table()."
    # Parameters come last: what has another licence or a larger input is large as well, and would only hear of that.
    for name, row in table.loc[names].iterrows():
        if "BSD" not in row["licence"]:
            return f"{name} has another licence, {row['licence']}."
        if int(row["input"].split("×")[1]) > SIDE:
            return f"{name} wants pictures of more than 224 pixels: look at the column input."
        if row["parameters"] > MOST:
            return f"{name} has more than ten million parameters."
    missing = len(set(WANTED) - set(names))
    return f"all of these fit, and {missing} more would." if missing else None


shortlist = Exercise(
    name="pretrained_model.shortlist",
    question="Your firm has cleared the BSD licence and no other. Which bodies of nt.bodies.table() have it, at most "
    "ten million parameters, and an input of at most 224 × 224? Give the list of their names.",
    takes=Kind("a list of names", _names),
    look=_shortlist,
    right="three questions, which no accuracy answers, and each rules out what the two others let pass: the licence "
    f"{' and '.join(_alone('licence'))}, the input {' and '.join(_alone('input'))}, the parameters "
    f"{len(_alone('parameters'))} bodies. Of torchvision's, they took {sum(TABLE['library'] == 'torchvision')} bodies "
    f"down to {len(WANTED)} before any was tried.",
    hints=(
        "nt.bodies.table() takes licence=, max_params= and max_size=.",
        "What it gives is a frame, here with as many rows as bodies fit all three.",
        "list(frame['name']) gives the names.",
    ),
    code="""
import nbtune as nt

frame = nt.bodies.table(licence="BSD", max_params=10e6, max_size=224)
answer = list(frame["name"])
""",
)

# Made up for the check, with the columns that the notebook shows. No other column has the order of ms, so that a rule
# by another one is found out.
COLUMNS = ("name", "accuracy", "tied", "parameters", "ms", "seconds")
_MADE_UP = (
    (
        ("first", 0.97, True, 11_000_000, 7.0, 3.0),
        ("second", 0.97, True, 25_000_000, 2.0, 5.0),
        ("third", 0.96, True, 4_000_000, 8.0, 4.0),
        ("fourth", 0.96, True, 9_000_000, 6.0, 1.0),
        ("fifth", 0.95, True, 12_000_000, 9.0, 6.0),
        ("last", 0.80, False, 1_000_000, 0.5, 0.4),
    ),
    (
        ("large", 0.95, True, 5_000_000, 40.0, 2.0),
        ("middle", 0.94, True, 20_000_000, 9.0, 4.0),
        ("small", 0.80, False, 2_000_000, 1.0, 1.0),
    ),
    (("only", 0.90, True, 8_000_000, 5.0, 3.0), ("quick", 0.50, False, 600_000, 0.5, 0.5)),
)


def _least(frame: pd.DataFrame, column: str) -> Any:
    return frame[frame["tied"]].sort_values(column)["name"].iloc[0]


def _pick(function: Callable[[Any], str]) -> str | None:
    for number, rows in enumerate(_MADE_UP):
        frame = pd.DataFrame(rows, columns=list(COLUMNS))
        found = function(frame.copy())
        if found not in set(frame["name"]):
            return f"your function gave {found!r:.60}; it should give one of the names in the frame."
        if found != _least(frame, "ms"):
            return _told(frame, found, number + 1)
    return None


def _told(frame: pd.DataFrame, found: str, number: int) -> str:
    if not frame.set_index("name").loc[found, "tied"]:
        return "your function took a body that is told apart from the best, so that it is worse."
    if found == frame["name"].iloc[0]:
        return "your function took the first; another is not told apart from it and costs less."
    for column in ("parameters", "seconds"):
        if found == _least(frame, column):
            return f"your function took the least of {column}; another takes less time an item, which is in ms."
    return f"in table {number} of the check a body that is as good by these items takes less time."


pick = Exercise(
    name="pretrained_model.pick",
    question="Write pick(frame): of a ranking's frame, the name of the body that takes the least time an item among "
    "those that are not told apart from the best. Its columns are name, accuracy, tied (not told apart from the best, "
    "the best itself too), parameters, ms (an item) and seconds (for all items and the probe).",
    takes=FUNCTION,
    look=_pick,
    gives=a("one of the names in the frame", str),
    right="what the items cannot tell apart, the cost decides. With more validation items the ties become fewer.",
    hints=(
        "The column tied says which are not told apart from the best; the best itself is among them.",
        "frame[frame['tied']] keeps these rows.",
        "Sort them by ms and take the first name.",
    ),
    code="""
def answer(frame):
    return frame[frame["tied"]].sort_values("ms")["name"].iloc[0]
""",
)
