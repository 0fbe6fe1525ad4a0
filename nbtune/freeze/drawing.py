"""A freezing plan as a picture: groups from input to head, and the ice line."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import Any

from matplotlib.patches import Rectangle

from nbtune._display import COLD, WARM, Chart, chart, short
from nbtune.groups import LayerGroup

__all__ = ["draw"]

_NAMED = 10  # with more groups than these, the still ones and the training ones are drawn as two boxes
_INK = "#1b1f24"
_LETTERS = 125  # of a line as wide as the picture


def draw(groups: Sequence[LayerGroup], still: int, sentence: str) -> Chart:
    """`groups` side by side, the first `still` of them cold and hatched; widths follow parameters, small ones widened.

    Above 10 groups the still ones are one box and the training ones another.
    """
    boxes = [[group] for group in groups]
    if len(groups) > _NAMED:
        boxes = [list(part) for part in (groups[:still], groups[still:]) if part]
        cold = 1 if still else 0
    else:
        cold = still
    figure, ax = chart(sentence, width=9, height=2.1)
    total = max(1, sum(group.params for group in groups))
    share = [sum(group.params for group in box) / total for box in boxes]
    least = 1 / len(boxes) if len(boxes) > 2 else 0.3  # a name fits into it
    widths = [max(one, least) for one in share]
    lefts = [sum(widths[:at]) for at in range(len(widths) + 1)]
    for at, box in enumerate(boxes):
        _box(ax, lefts[at], widths[at], _label(box, widths[at] / lefts[-1]), at < cold)
    if cold:
        ax.plot([lefts[cold]] * 2, [0, 1.06], color=_INK, linewidth=2.5)
        ax.text(lefts[cold], 1.14, "◀ still | trains ▶", ha="center", fontsize=8, color=_INK)
    _frame(ax, lefts[-1], "; small ones widened" if widths != share else "")
    ax.set_title(fill(sentence.replace("$", r"\$"), _LETTERS), loc="left", fontsize=9, color=_INK)
    return figure


def _label(box: Sequence[LayerGroup], share: float) -> str:
    """The name of a box, of one group or of many, and its parameters; a name too long for it keeps its end."""
    size, room = short(sum(group.params for group in box)), int(_LETTERS * share)
    if len(box) == 1:
        return f"{_ending(box[0].name, room)}\n{size}"
    first, last = (_ending(group.name, room // 2 - 2) for group in (box[0], box[-1]))
    return f"{first} … {last}\n({len(box)} groups)\n{size}"


def _ending(name: str, room: int) -> str:
    return name if len(name) <= room else f"…{name[1 - room :]}"


def _box(ax: Any, left: float, width: float, label: str, cold: bool) -> None:
    face, ink = ("#ddeaff", COLD) if cold else ("#ffead5", WARM)
    hatch = "//" if cold else None
    ax.add_patch(Rectangle((left, 0), width, 1, facecolor=face, edgecolor=ink, hatch=hatch, linewidth=0.8))
    text = f"{label}\n{'❄' if cold else '▲'}".replace("$", r"\$")
    ax.text(left + width / 2, 0.5, text, ha="center", va="center", fontsize=8, color=_INK,
            bbox={"facecolor": face, "edgecolor": "none", "pad": 2.5})  # fmt: skip


def _frame(ax: Any, width: float, widened: str) -> None:
    ax.set_xlim(0, width)
    ax.set_ylim(0, 1.35)
    ax.set_xlabel(f"groups from input to head; width by parameters{widened}", fontsize=9)
    ax.set_yticks([])
    ax.grid(False)
    ax.set_xticks([])
    ax.spines[["left", "bottom"]].set_visible(False)
