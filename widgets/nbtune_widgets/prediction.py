"""A picture and what a model says of it, in rows and in a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pandas.api.types import is_numeric_dtype
from PIL import Image

__all__ = ["Prediction"]

ROWS = 10  # classes listed


@dataclass(frozen=True)
class Prediction:
    """A value: a panel takes another one at once, whatever thread reads it meanwhile."""

    image: Image.Image | None = None  # that was given; None where there is none
    frame: Any = None  # as `Model.predict` gives it for one picture; None where there is none
    unlike: str = ""  # how the picture differs from the model's data
    waits: str = ""  # why it was not read yet

    @property
    def left(self) -> int:
        """How many classes are not listed."""
        return 0 if self.frame is None else max(0, len(self.frame.columns) - self._first - ROWS)

    @property
    def _first(self) -> int:
        """How many columns stand before the numbers: the label or labels."""
        return int(not is_numeric_dtype(self.frame.dtypes.iloc[0]))

    @property
    def rows(self) -> list[list[Any]]:
        """[name, share or None, text], the highest first; numbers in their order."""
        if self.frame is None:
            return []
        values = self.frame.iloc[0, self._first :]
        if not self._first:
            return [[str(name), None, f"{value:.4g}"] for name, value in values.head(ROWS).items()]
        top = values.astype(float).sort_values(ascending=False, kind="stable").head(ROWS)
        return [[str(name), float(p), f"{100 * p:.1f} %"] for name, p in top.items()]

    @property
    def sentence(self) -> str:
        """What was read, or what to do."""
        if self.frame is None:
            return self.waits or "Draw here, drop a picture, or choose a file: the prediction follows at once."
        rows, said = self.rows, self.frame.iloc[0, 0]
        if not self._first:
            return ", ".join(f"{name}: {text}" for name, _, text in rows) + "."
        if isinstance(said, list):
            return f"Read as {', '.join(map(str, said))}." if said else "No label is above 50 %."
        second = f"; next '{rows[1][0]}' with {rows[1][2]}" if len(rows) > 1 else ""
        return f"Read as '{said}' with {rows[0][2]}{second}."
