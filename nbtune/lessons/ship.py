"""Exercises of 12_ship: what a card needs that no program can know; a model that may be unsure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from nbtune.lessons.exercise import FUNCTION, Exercise, a

__all__ = ["careful", "limits"]

_PARTS = ("intended", "not_for", "untested")
# A shorter text says nothing that could be wrong.
_WORDS, _SIGNS = 4, 12
# Thai and Lao, Burmese, Khmer, kana, Han, Hangul: here words have no spaces between them, or few letters.
_SIGN = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
# Both only where a text begins so: "Nothing but scans was tested" and "None of the photographs" name a limit.
_NO_LIMIT = re.compile(r"\W*(?:for\s+)?(everything|anything)\b", re.IGNORECASE)
_EMPTY = re.compile(
    r"\W*(todo|nothing(?!\s+(?:but|except|other))|none(?!\s+of)|(?:we(?:['’]ve)?\s+)?(?:have\s+)?tested\s+everything"
    r"|everything\s+(?:was|is|has\s+been)\s+tested)\b",
    re.IGNORECASE,
)


def _words(text: str) -> int:
    """How many different words of three or more letters; a vowel sign is a part of its word."""
    letters = "".join(sign if unicodedata.category(sign)[0] in "LM" else " " for sign in text.lower())
    return len({word for word in letters.split() if len(word) > 2})


def _short(part: str, text: str) -> str | None:
    words = _words(text)
    if words >= _WORDS or len(set(_SIGN.findall(text))) >= _SIGNS:
        return None
    counted = f"{words} different {'word' if words == 1 else 'words'} of three or more letters"
    return (
        f"{part!r} is so short that nobody could act on it: {counted}, and {_WORDS} are the least ({_SIGNS} different "
        "characters, where words have no spaces between them). Say who, what, or in which case."
    )


def _limits(texts: Mapping[str, Any]) -> str | None:
    for part in _PARTS:
        if not isinstance(texts.get(part), str):
            return f"there is no text under {part!r}; the three are {', '.join(_PARTS)}."
        if found := _EMPTY.match(texts[part]):
            return f"{part!r} begins with {found[1]!r}, which names no case. Say who, what, or in which case."
        if short := _short(part, texts[part]):
            return short
    if len({texts[part].strip().lower() for part in _PARTS}) < len(_PARTS):
        return "two of the texts are the same, and they answer different questions."
    if found := _NO_LIMIT.match(texts["intended"]):
        return f"'intended' begins with {found[1]!r}, which names no limit. Who would use it, on which images, and why?"
    return None


limits = Exercise(
    name="ship.limits",
    question="What is the model for, what must it not be used for, and on what was it never tried? Three texts.",
    takes=a("a dictionary with the texts intended, not_for and untested", dict),
    look=_limits,
    right="no program can check whether they are true; a colleague who knows the use can. Show them.",
    hints=(
        "Who will call predict(), on which images, and what happens after its answer?",
        "What would a stranger try first that it was not made for? A postcode, a cheque, a photograph?",
        "Compare the card's source with the use: which writers, which years, which scanner are not in it?",
    ),
    code="""
answer = {
    "intended": "To learn and compare methods of fine-tuning on small grey images of single handwritten digits.",
    "not_for": "Reading postcodes, cheques or forms, or anything where a wrong digit costs money or harms a person.",
    "untested": "Photographs, coloured ink, several digits in one image, and writers other than those of the UCI data.",
}
""",
)


def _careful(function: Callable[[pd.DataFrame, float], Any]) -> str | None:
    frame = pd.DataFrame({"label": ["a", "b", "b"], "a": [0.9, 0.4, 0.05], "b": [0.1, 0.6, 0.95]})
    kept, before = frame.copy(), list(frame["label"])
    if list(function(frame, 0.0)) != before:
        return "from a threshold of 0 on nothing is unsure: the labels are as they were."
    found = list(function(frame, 0.8))
    if found == ["a", "unsure", "unsure"]:
        return "'b' with 0.95 became unsure. Which column belongs to the label that was given?"
    if found != ["a", "unsure", "b"]:
        return f"for highest probabilities of 0.9, 0.6 and 0.95 and at=0.8 yours gives {found}."
    if not frame.equals(kept):
        return "the frame that was given has changed; whoever uses it next gets your labels instead of the model's."
    if next(iter(function(frame, 0.9))) != "a":
        return "0.9 is not below 0.9: the label stays."
    return None


careful = Exercise(
    name="ship.careful",
    question='Write careful(frame, at): the labels as a list, "unsure" where the highest probability is below `at`.',
    takes=FUNCTION,
    look=_careful,
    right="the user decides what happens to an unsure item. Choose `at` on validation items, by what an error costs.",
    hints=(
        "All columns but 'label' are probabilities: frame.drop(columns='label').",
        "Their highest value in each row: .max(axis=1).",
        "frame['label'].where(highest >= at, 'unsure') gives a new column and leaves the frame alone.",
    ),
    code="""
def answer(frame, at):
    highest = frame.drop(columns="label").max(axis=1)
    return frame["label"].where(highest >= at, "unsure").tolist()
""",
)
