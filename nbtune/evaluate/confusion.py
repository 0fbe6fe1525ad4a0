"""Pictures of errors: the confusion matrix, and the most confident mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.colors import to_rgb

from nbtune._display import COLD, WARM, Chart, chart, counted, html_table, html_value
from nbtune.errors import InputError
from nbtune.evaluate.intervals import Floats, Ints
from nbtune.evaluate.reading import largest_confusions

__all__ = ["Worst", "confusion_chart"]

SHOWN = 20  # classes whose counts are still legible in one picture
PICTURES = 36
LISTED = 5  # errors named in words
_KEY = "true class → predicted class; p: the probability given to the predicted class"


def confusion_chart(confusion: Ints, vocab: Sequence[str]) -> Chart:
    """The confusion matrix [true, predicted] as a picture; above 20 classes, the 20 with most errors."""
    k = len(vocab)
    keep = _most_errors(confusion) if k > SHOWN else np.arange(k)
    errors = int(confusion.sum() - np.trace(confusion))
    items, wrong = counted(int(confusion.sum()), "item"), counted(errors, "error")
    part = f" The {SHOWN} classes of {k} with most errors are shown." if k > SHOWN else ""
    sentence = (
        f"Confusion matrix of {items}: {wrong}; most often {largest_confusions(confusion, vocab)}.{part}"
        if errors
        else f"Confusion matrix of {items}: no errors.{part}"
    )
    size = 2.2 + 0.42 * len(keep)
    figure, ax = chart(sentence, width=max(3.6, size), height=max(3.2, size - 0.4))
    share = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    _draw(ax, confusion[np.ix_(keep, keep)], share[np.ix_(keep, keep)])
    title = f"{wrong} on {items}"
    if k > SHOWN:
        title += f"; {SHOWN} of {k} classes shown,\nthose with most errors"
    _label(ax, [vocab[c] for c in keep], title)
    return figure


def _most_errors(confusion: Ints) -> Ints:
    wrong = confusion.sum(axis=0) + confusion.sum(axis=1) - 2 * np.diag(confusion)
    return np.sort(np.argsort(-wrong, kind="stable")[:SHOWN])


def _draw(ax: Any, counts: Ints, share: Floats) -> None:
    tint = np.where(np.eye(len(counts), dtype=bool)[..., None], to_rgb(COLD), to_rgb(WARM))
    # The root makes rare errors visible beside a full diagonal.
    strength = np.sqrt(share)[..., None]
    pixels = 1 - strength * (1 - tint)
    ax.imshow(pixels, interpolation="nearest")
    ax.grid(False)
    for row, column in zip(*np.nonzero(counts), strict=True):
        white, black = _contrast(pixels[row, column])
        ax.text(
            column,
            row,
            counts[row, column],
            ha="center",
            va="center",
            color="white" if white > black else "black",
            size=9,
        )


def _contrast(rgb: Any) -> tuple[float, float]:
    """Contrast of white and of black text on a colour (WCAG 2.1); the higher of the two is always 4.5 or more."""
    rgb = np.asarray(rgb)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    light = float(linear @ (0.2126, 0.7152, 0.0722))
    return 1.05 / (light + 0.05), (light + 0.05) / 0.05


def _label(ax: Any, names: Sequence[str], title: str) -> None:
    turn = 90 if max(map(len, names)) > 3 else 0
    ax.set_xticks(range(len(names)), [_cut(name) for name in names], rotation=turn)
    ax.set_yticks(range(len(names)), [_cut(name) for name in names])
    ax.set_xlabel("predicted")
    ax.set_ylabel("true")
    ax.set_title(title, loc="left", size=10)


def _cut(name: str) -> str:
    # A dollar would start mathematics in matplotlib.
    return (name if len(name) <= 16 else f"{name[:15]}…").replace("$", r"\$")


@dataclass(frozen=True, repr=False, eq=False)
class Worst:
    """The most confident errors: a frame, and their pictures [h, w] or [h, w, 3] where there are any."""

    rows: pd.DataFrame
    images: tuple[Any, ...] | None
    errors: int
    n: int

    def frame(self) -> pd.DataFrame:
        """A row an error: index, true, predicted, probability (of the class that was said), loss."""
        return self.rows.copy()

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def sentence(self) -> str:
        if not len(self):
            return f"No error on {self.n} items."
        listed = self.rows.head(LISTED).itertuples(index=False)
        errors = [f"item {i} is '{true}', read as '{said}' (p = {p:.2f})" for i, true, said, p, _ in listed]
        more = "; …" if len(self) > LISTED else "."
        of = f"{len(self)} of {self.errors} error{'s' if self.errors > 1 else ''}"
        order = ", the most confident first" if len(self) > 1 else ""
        return f"{of} on {self.n} item{'s' if self.n > 1 else ''}{order}: {'; '.join(errors)}{more}"

    def plot(self) -> Chart:
        """The items as pictures (36 at most). Raises InputError when there are no images."""
        if self.images is None:
            raise InputError(
                "this report has no images.",
                rule="errors are drawn when the report was given its items as images.",
                likely="report(...) was called without items.",
                next="report(..., items=task.test), or .frame() for the rows.",
            )
        shown = min(len(self), PICTURES)
        columns = max(1, min(6, shown))
        rows = max(1, -(-shown // columns))
        figure, axes = chart(
            self.sentence,
            width=max(3.0, 1.35 * columns),
            height=1.7 * rows,
            nrows=rows,
            ncols=columns,
            squeeze=False,
        )
        for ax in axes.flat:
            ax.axis("off")
        for i, ax in zip(range(shown), axes.flat, strict=False):
            self._picture(ax, i)
        if shown:
            figure.suptitle(
                "true → predicted class;\np: the predicted one's probability" if columns < 5 else _KEY,
                size=9,
                x=0,
                ha="left",
            )
        if not shown:
            axes.flat[0].text(0.5, 0.5, "no errors", ha="center", va="center")
        return figure

    def _picture(self, ax: Any, i: int) -> None:
        assert self.images is not None
        row = self.rows.iloc[i]
        ax.imshow(self.images[i], cmap="gray", vmin=0, vmax=255)
        ax.set_title(f"{_cut(row['true'])} → {_cut(row['predicted'])}\np = {row['probability']:.2f}", size=9)

    def __repr__(self) -> str:
        return self.sentence

    def _repr_html_(self) -> str:
        rows = [(i, t, p, f"{q:.3f}", f"{loss:.3f}") for i, t, p, q, loss in self.rows.itertuples(index=False)]
        table = html_table(["item", "true", "predicted", "probability", "loss"], rows) if rows else ""
        return html_value("Most confident errors", self.sentence, table)
