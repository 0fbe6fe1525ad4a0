"""How values show themselves: charts without pyplot, tables as HTML, numbers in few digits."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from io import BytesIO
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["COLD", "GREY", "WARM", "Chart", "chart", "html_table", "html_value", "seconds", "short"]

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


def html_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """An HTML table with every cell escaped."""
    head = "".join(f"<th scope='col' style='text-align:left'>{escape(str(h))}</th>" for h in header)
    body = "".join(
        "<tr>" + "".join(f"<td style='text-align:left'>{escape(str(c))}</td>" for c in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def short(number: float) -> str:
    """A count in at most three digits with its unit: 9.5 k, 148 k, 2.1 M."""
    for limit, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(number) >= limit:
            value = number / limit
            return f"{value:.3g}{unit}" if value < 100 else f"{value:.0f}{unit}"
    return f"{number:.0f}"


def seconds(value: float) -> str:
    """A duration in words: 12 ms, 3.1 s, 2 min 5 s."""
    if value < 0.1:
        return f"{value * 1000:.2g} ms"
    if value < 60:
        return f"{value:.2g} s"
    return f"{int(value // 60)} min {int(value % 60)} s"
