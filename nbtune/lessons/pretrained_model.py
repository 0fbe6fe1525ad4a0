"""Exercises of 02_pretrained_model: a shortlist by licence and cost; the rule that picks one of a ranking."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd

from nbtune import bodies
from nbtune.lessons.exercise import FUNCTION, Exercise, Kind, a

__all__ = ["pick", "shortlist"]

MOST, SIDE = 6e6, 224


def _names(answer: Any) -> bool:
    kinds = (list, tuple, set, pd.Series, pd.Index, pd.api.extensions.ExtensionArray, np.ndarray)
    return isinstance(answer, kinds) and all(isinstance(name, str) for name in answer)


def _of_torchvision(frame: pd.DataFrame) -> list[str]:
    return list(frame[frame["library"] == "torchvision"]["name"])


ALL = _of_torchvision(bodies.table())
WANTED = _of_torchvision(bodies.table(licence="BSD", max_params=MOST, max_size=SIDE))


def _shortlist(answer: Iterable[str]) -> str | None:
    table, names = bodies.table().set_index("name"), [str(name) for name in answer]
    if not names:
        return "the list is empty, and there are bodies that fit. Which condition took the last one away?"
    unknown = [name for name in names if name not in table.index]
    if unknown:
        return f"{unknown[0]!r} is no name in nt.bodies.table()."
    # Parameters come last: what has another licence or a larger input is large as well, and would only hear of that.
    for name, row in table.loc[names].iterrows():
        if row["library"] != "torchvision":
            return f"{name} is not torchvision's: the column library says whose each is."
        if "BSD" not in row["licence"]:
            return f"{name} has another licence, {row['licence']}."
        if int(row["input"].split("×")[1]) > SIDE:
            return f"{name} wants pictures of more than 224 pixels: look at the column input."
        if row["parameters"] > MOST:
            return f"{name} has more than six million parameters."
    missing = len(set(WANTED) - set(names))
    return f"all of these fit, and {missing} more would." if missing else None


shortlist = Exercise(
    name="pretrained_model.shortlist",
    question="Which bodies of torchvision have the BSD licence, at most six million parameters, and an input of at "
    "most 224 × 224? Give the list of their names.",
    takes=Kind("a list of names", _names),
    look=_shortlist,
    right=f"three questions, which no accuracy answers, took {len(ALL)} bodies down to {len(WANTED)} before any was "
    "tried.",
    hints=(
        "nt.bodies.table() takes licence=, max_params= and max_size=.",
        "Some rows are of other libraries: frame[frame['library'] == 'torchvision'].",
        "list(frame['name']) gives the names.",
    ),
    code="""
import nbtune as nt

frame = nt.bodies.table(licence="BSD", max_params=6e6, max_size=224)
answer = list(frame[frame["library"] == "torchvision"]["name"])
""",
)

# Made up for the check: names, accuracy, whether not told apart from the best, ms an item.
_MADE_UP = (
    (("large", 0.95, True, 40.0), ("middle", 0.94, True, 9.0), ("small", 0.80, False, 1.0)),
    (("only", 0.90, True, 5.0), ("quick", 0.50, False, 0.5)),
    (("first", 0.97, True, 7.0), ("second", 0.97, True, 2.0), ("third", 0.96, True, 8.0)),
)


def _pick(function: Callable[[Any], str]) -> str | None:
    for number, rows in enumerate(_MADE_UP):
        frame = pd.DataFrame(rows, columns=["name", "accuracy", "tied", "ms"])
        wanted = frame[frame["tied"]].sort_values("ms")["name"].iloc[0]
        found = function(frame)
        if found not in set(frame["name"]):
            return f"your function gave {found!r:.60}; it should give one of the names in the frame."
        if found == wanted:
            continue
        if not frame.set_index("name").loc[found, "tied"]:
            return "your function took a body that is told apart from the best, so that it is worse."
        if found == frame["name"].iloc[0]:
            return "your function took the first; another is not told apart from it and costs less."
        return f"in table {number + 1} of the check a body that is as good by these items takes less time."
    return None


pick = Exercise(
    name="pretrained_model.pick",
    question="Write pick(frame): of a ranking's frame, the name of the body that takes the least time an item among "
    "those that are not told apart from the best. Its columns are name, accuracy, tied (not told apart from the best, "
    "the best itself too) and ms (an item).",
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
