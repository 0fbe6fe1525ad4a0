"""A freezing plan as a picture: groups from input to head, and the ice line."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.patches import Rectangle

from nbtune._display import COLD, WARM, Chart, chart, short
from nbtune.groups import LayerGroup

__all__ = ["draw"]

_NAMED = 14  # groups above this number have no names in the picture but the first, the last and those at the line


def draw(groups: Sequence[LayerGroup], still: int, sentence: str) -> Chart:
    """`groups` side by side, the first `still` of them cold and hatched; widths follow parameters, the least 2 %."""
    figure, ax = chart(sentence, width=9, height=1.7)
    total = max(1, sum(group.params for group in groups))
    widths = [max(0.02 if len(groups) <= _NAMED else 0.0, group.params / total) for group in groups]
    if len(groups) <= _NAMED:
        widths = [max(width, 0.6 / len(groups)) for width in widths]  # a name fits into it
    left = 0.0
    edges = []
    for index, (group, width) in enumerate(zip(groups, widths, strict=True)):
        cold = index < still
        ink = COLD if cold else WARM
        face = "#ddeaff" if cold else "#ffead5"
        box = Rectangle(
            (left, 0),
            width,
            1,
            facecolor=face,
            edgecolor=ink,
            hatch="//" if cold else None,
            linewidth=0.8 if len(groups) <= _NAMED else 0,
        )
        ax.add_patch(box)
        edges.append(left)
        if len(groups) <= _NAMED or index in (0, still - 1, still, len(groups) - 1):
            label = f"{group.name}\n{short(group.params)}\n{'❄' if cold else '▲'}"
            ax.text(left + width / 2, 0.5, label, ha="center", va="center", fontsize=8, color="#1b1f24",
                    bbox={"facecolor": face, "edgecolor": "none", "pad": 1.5})  # fmt: skip
        left += width
    if still:
        ax.plot([edges[still]] * 2, [0, 1.06], color="#1b1f24", linewidth=2.5)
        ax.text(edges[still], 1.14, "◀ still | trains ▶", ha="center", fontsize=8, color="#1b1f24")
    ax.set_xlim(0, left)
    ax.set_ylim(0, 1.3)
    ax.set_xlabel("groups from input to head; width by parameters, small ones widened")
    ax.set_yticks([])
    ax.grid(False)
    ax.set_xticks([])
    ax.spines[["left", "bottom"]].set_visible(False)
    return figure
