"""A table's preprocessing and network as one value: categories, gaps and scale as the training rows have them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from nbtune._display import html_table, html_value, short
from nbtune.errors import InputError, InputTypeError

__all__ = ["Columns", "TableBody", "embedding_sizes", "fitted"]


@dataclass(frozen=True)
class Columns:
    """What rows become: a code for each category, a number for each numeric column, a mark where one was missing.

    Code 0 is a missing or unknown category. A missing number is the training `median`; numbers are brought to mean
    0 and spread 1 of the training rows. `gaps` names numeric columns that had missing values in training: each
    gets a category more (1: present, 2: missing).
    """

    categories: Mapping[str, tuple[str, ...]]
    numbers: tuple[str, ...]
    medians: tuple[float, ...]
    means: tuple[float, ...]
    stds: tuple[float, ...]
    gaps: tuple[str, ...]

    def prepare(self, frame: pd.DataFrame) -> tuple[Tensor, Tensor]:
        """Codes int64 [n, categories + gaps] and numbers float32 [n, numbers] of rows.

        Raises InputError where columns are missing or hold texts for numbers, InputTypeError for no frame.
        """
        _check_rows(frame, (*self.categories, *self.numbers))
        codes = [self._codes(frame[name], known) for name, known in self.categories.items()]
        raw = (
            np.stack([_floats(frame[name]) for name in self.numbers], 1) if self.numbers else np.zeros((len(frame), 0))
        )
        absent = np.isnan(raw)
        codes += [absent[:, self.numbers.index(name)] + 1 for name in self.gaps]
        filled = np.where(absent, np.array(self.medians), raw)
        scaled = (filled - np.array(self.means)) / np.array(self.stds)
        stacked = np.stack(codes, 1).astype(np.int64) if codes else np.zeros((len(frame), 0), dtype=np.int64)
        return torch.from_numpy(stacked), torch.from_numpy(scaled.astype(np.float32))

    @staticmethod
    def _codes(column: pd.Series, known: tuple[str, ...]) -> Any:
        places = {name: at for at, name in enumerate(known, 1)}
        return np.array([0 if absent else places.get(str(value), 0)
                         for value, absent in zip(column, column.isna(), strict=True)], dtype=np.int64)  # fmt: skip

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """(codes, width) of each embedding."""
        return embedding_sizes([len(known) + 1 for known in self.categories.values()] + [3] * len(self.gaps))


def embedding_sizes(counts: list[int]) -> tuple[tuple[int, int], ...]:
    """Width by fastai's rule of thumb: min(600, 1.6 n^0.56)."""
    return tuple((n, min(600, round(1.6 * n**0.56))) for n in counts)


def fitted(frame: pd.DataFrame, cats: tuple[str, ...], conts: tuple[str, ...]) -> Columns:
    """The preprocessing that these training rows ask for."""
    categories = {name: tuple(sorted({str(value) for value in frame[name].dropna()})) for name in cats}
    raw = [_floats(frame[name]) for name in conts]
    medians = [_or(np.nanmedian(one), 0.0) if not np.isnan(one).all() else 0.0 for one in raw]
    filled = [np.where(np.isnan(one), median, one) for one, median in zip(raw, medians, strict=True)]
    stds = [float(one.std()) for one in filled]
    return Columns(
        categories, conts, tuple(medians), tuple(float(one.mean()) for one in filled),
        tuple(std if std > 1e-12 else 1.0 for std in stds),
        tuple(name for name, one in zip(conts, raw, strict=True) if np.isnan(one).any()),
    )  # fmt: skip


def _or(value: Any, other: float) -> float:
    return float(value) if math.isfinite(value) else other


def _floats(column: pd.Series) -> Any:
    try:
        return column.to_numpy(dtype=float, na_value=np.nan)
    except (ValueError, TypeError) as error:
        wrong = column[pd.to_numeric(column, errors="coerce").isna() & column.notna()]
        raise InputError(
            f"column {column.name!r} holds {str(wrong.iloc[0] if len(wrong) else column.iloc[0])!r:.40}.",
            rule="this column was a number in training.",
            likely="a unit, a word for missing values, or another column.",
            next=f"df[{column.name!r}] = pd.to_numeric(df[{column.name!r}], errors='coerce')",
        ) from error  # fmt: skip


def _check_rows(frame: Any, names: tuple[str, ...]) -> None:
    if not isinstance(frame, pd.DataFrame):
        raise InputTypeError(
            f"rows of type {type(frame).__name__}.", rule="a table's model takes a pandas DataFrame with its columns.",
            likely="one row as a dict." if isinstance(frame, Mapping) else "an array, which has no column names.",
            next="model.predict(pd.DataFrame([row]))" if isinstance(frame, Mapping)
            else "model.predict(pd.DataFrame(x, columns=[...]))",
        )  # fmt: skip
    absent = [name for name in names if name not in frame.columns]
    if absent:
        raise InputError(
            f"rows without {', '.join(map(repr, absent[:6]))}{' …' if len(absent) > 6 else ''}.",
            rule=f"rows have the {len(names)} columns of the training: {', '.join(names[:12])}.",
            likely="another table, or columns that were renamed.",
            next="df.rename(columns={...}), or add them as missing",
        )  # fmt: skip


@dataclass(frozen=True)
class TableBody:
    """A table's network with its preprocessing; `joint`: it takes (codes, numbers), else numbers alone."""

    name: str
    columns: Columns
    params: int
    source: str
    build: Callable[[int], nn.Module] = field(repr=False)
    layers: tuple[int, ...] = ()
    joint: bool = True
    licence: str = "none: it is trained from fresh weights"
    card: str = field(default="", repr=False)

    def prepare(self, frame: pd.DataFrame) -> tuple[Tensor, Tensor]:
        """Rows as codes and numbers; raises as `Columns.prepare` does."""
        return self.columns.prepare(frame)

    def __repr__(self) -> str:
        cats, numbers = len(self.columns.categories), len(self.columns.numbers)
        inputs = f"{cats} categories and {numbers} numbers"
        return f'Body "{self.name}": {short(self.params)} parameters, {inputs}. {self.source}'

    def _repr_html_(self) -> str:
        rows = [("parameters", short(self.params)), ("categories", len(self.columns.categories)),
                ("numbers", len(self.columns.numbers))]  # fmt: skip
        return html_value(f"Body {self.name}", self.source, html_table(["", ""], rows))
