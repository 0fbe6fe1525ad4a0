"""How values show themselves: charts without pyplot, tables as HTML, numbers in few digits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from io import BytesIO
from math import isfinite
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = [
    "COLD", "GREY", "WARM", "Chart", "chart", "counted", "figure", "html_table", "html_value", "seconds", "short",
]  # fmt: skip

# Still is cold, training is warm; both have a contrast of more than 4.5 on white.
COLD, WARM, GREY = "#0b5cad", "#b04e0f", "#5b6472"


class Chart(Figure):
    """A matplotlib figure that shows itself as PNG with a plain sentence as its text.

    It is made without pyplot, whose global state another thread of a notebook may corrupt.
    """

    sentence: str = ""

    def _repr_png_(self) -> bytes:
        buffer = BytesIO()
        self.savefig(buffer, format="png", dpi=100, facecolor="white", metadata={"Software": None})
        return buffer.getvalue()

    def __repr__(self) -> str:
        return self.sentence

    __str__ = __repr__


def chart(sentence: str, width: float = 7.0, height: float = 3.2, **grid: Any) -> tuple[Chart, Any]:
    """A chart of `width` × `height` inches and its axes; `grid` goes to `Figure.subplots`.

    The sentence is the chart's text: what a reader without the picture should know.

    Example:
        >>> import nbtune as nt
        >>> figure, ax = nt.chart("The loss falls from 2 to 1.", height=2)
        >>> _ = ax.plot([2, 1])
        >>> figure
        The loss falls from 2 to 1.
    """
    figure = Chart(figsize=(width, height), layout="constrained", facecolor="white")
    figure.sentence = sentence
    axes = figure.subplots(**grid)
    for ax in axes.flat if hasattr(axes, "flat") else [axes]:
        _plain(ax)
    return figure, axes


def _plain(ax: Axes) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(True, color="#e5e7eb", linewidth=0.8)
    ax.set_axisbelow(True)


def html_value(title: str, sentence: str, table: str = "") -> str:
    """The common shape of a value's HTML: a title, one sentence, an optional table.

    No colour is set, so that it is legible in light and dark.
    """
    return f"<div><strong>{escape(title)}</strong><p style='margin:.3em 0'>{escape(sentence)}</p>{table}</div>"


def html_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """An HTML table with every cell escaped; columns of numbers are aligned at their right.

    The first cell of a row is its heading. Headings of columns that are all empty are left out.
    """
    cells = [[str(cell) for cell in row] for row in rows]
    sides = ["right" if _numbers(column) else "left" for column in zip(*cells, strict=True)] or ["left"] * len(header)
    styles = [f"style='text-align:{side}'" for side in sides]
    head = "".join(f"<th scope='col' {style}>{escape(text)}</th>" for text, style in zip(header, styles, strict=True))
    head = f"<thead><tr>{head}</tr></thead>" if any(header) else ""
    body = "".join(f"<tr>{_line(row, styles)}</tr>" for row in cells)
    return f"<table>{head}<tbody>{body}</tbody></table>"


def _line(row: Sequence[str], styles: Sequence[str]) -> str:
    first, *rest = (f"{style}>{escape(text)}" for text, style in zip(row, styles, strict=True))
    return f"<th scope='row' {first}</th>" + "".join(f"<td {cell}</td>" for cell in rest)


# A number, with its unit or its interval where it has one; "10th item" is text.
_NUMBER = re.compile(
    r"[+\-−]?(\d[\d,]*\.?\d*|\.\d+)(e[+-]?\d+)?( ?(%|[kMG]?B|[kMG]|µs|ms|s|min( \d+ s)?|h( \d+ min)?))?( ?\[[^\]]*\])?"
    r"|\[[^\]]*\]|nan|-?inf"
)


def _numbers(column: Sequence[str]) -> bool:
    return all(_NUMBER.fullmatch(cell) or not cell for cell in column) and any(column)


def figure(value: object) -> str:
    """A measured number with three decimals, or in powers of ten where that would hide or flood it."""
    if not isinstance(value, float):
        return str(value)
    plain = value == 0 or not isfinite(value) or 5e-4 <= abs(value) < 1e5
    return f"{value:.3f}" if plain else f"{value:.2e}"


def short(number: float) -> str:
    """A count in at most three digits with its unit: 9.5 k, 148 k, 2.1 M.

    Example:
        >>> short(9500), short(999_999)
        ('9.5 k', '1 M')
    """
    if not isfinite(number):
        return str(number)
    for limit, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(number) >= 0.9995 * limit:  # what would round to 1000 of the unit below
            return f"{_digits(number / limit, 3)}{unit}"
    return f"{number:.0f}"


def _digits(value: float, count: int) -> str:
    """A number in `count` digits, without powers of ten."""
    rounded = float(f"{value:.{count}g}")
    return f"{rounded:.0f}" if abs(rounded) >= 10 ** (count - 1) else f"{rounded:.{count}g}"


def counted(n: int, noun: str) -> str:
    """1 item, 2 items."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def seconds(value: float) -> str:
    """A duration in words: 12 ms, 3.1 s, 2 min 5 s, 3 h 4 min; "unknown time" where it is not finite.

    Example:
        >>> seconds(0.0123), seconds(125), seconds(11_040)
        ('12 ms', '2 min 5 s', '3 h 4 min')
    """
    if not isfinite(value):
        return "unknown time"
    if value < 0.0995:  # 0.0996 rounds to 0.1 s
        return f"{_digits(value * 1000, 2)} ms"
    if value < 59.5:
        return f"{_digits(value, 2)} s"
    whole = round(value)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(value / 60)
    return f"{minutes // 60:,} h {minutes % 60} min"
