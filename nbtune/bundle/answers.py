"""What a loaded network's scores mean: one class, several labels, or numbers; and the frame that says it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from nbtune.evaluate.intervals import Floats

__all__ = ["Answer", "answer_of", "answer_problem"]

THRESHOLD = 0.5


@dataclass(frozen=True)
class Answer:
    """`kind` is single, multi or regression; `mean` and `std` bring numbers back to their own units."""

    kind: str
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def values(self, scores: Tensor) -> Floats:
        """Probabilities, or numbers in their own units, float64 [n, outputs]."""
        found = scores.float()
        if self.kind == "single":
            found = found.softmax(dim=1)
        elif self.kind == "multi":
            found = found.sigmoid()
        values: Floats = found.double().cpu().numpy()
        return values * np.array(self.std) + np.array(self.mean) if self.kind == "regression" else values

    def frame(self, values: Floats, vocab: Sequence[str]) -> pd.DataFrame:
        """A row an item: label and probabilities; labels, as a list, and probabilities; or the numbers."""
        frame = pd.DataFrame(values, columns=list(vocab))
        if self.kind == "regression":
            return frame
        name = "label" if self.kind == "single" else "labels"
        while name in vocab:
            name += "_"
        if self.kind == "multi":
            said: list[Any] = [[name for name, p in zip(vocab, row, strict=True) if p > THRESHOLD] for row in values]
        else:
            said = [vocab[c] for c in values.argmax(axis=1)] if len(values) else []
        frame.insert(0, name, pd.Series(said, dtype=object if not len(said) or self.kind == "multi" else None))
        return frame


def answer_of(card: Mapping[str, Any]) -> Answer:
    """The answer that a bundle's card describes; a card that says nothing means one class."""
    scale = card.get("scale")
    if card.get("kind") == "regression" and scale:
        return Answer("regression", tuple(map(float, scale[0])), tuple(map(float, scale[1])))
    return Answer("multi" if card.get("kind") == "multi" else "single")


def answer_problem(card: Mapping[str, Any], outputs: int) -> str:
    """What is wrong with a card's `kind` and `scale`, in words; "" for nothing."""
    kind, scale = card.get("kind", "single"), card.get("scale") or []
    if kind not in ("single", "multi", "regression"):
        return "task has a kind that is none of single, multi and regression"
    if kind != "regression":
        return "classes is a list of one name" if kind == "single" and outputs < 2 else ""
    good = isinstance(scale, list) and len(scale) == 2 and all(
        isinstance(part, list) and len(part) == outputs and all(_number(x) for x in part) for part in scale
    )  # fmt: skip
    return "" if good and min(scale[1]) > 0 else "task has no mean and spread of each number"


def _number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and abs(value) < 1e300
