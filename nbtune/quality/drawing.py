"""A picture of a task's quality: classes, doubts, the learning curve, and how the sets differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nbtune._display import COLD, GREY, WARM, Chart, chart
from nbtune.quality.columns import TELLS
from nbtune.tasks.split import SPLITS

if TYPE_CHECKING:
    from nbtune.quality.value import Quality

__all__ = ["draw"]

_COLOURS = {"train": COLD, "valid": "#7aa7d6", "test": "#b9cde4"}
_MANY = 25  # classes, above which names are left out


def draw(quality: Quality) -> Chart:
    """Up to four panels: what there is nothing to draw of is left out."""
    panels = [_classes if any(map(sum, quality.counts.values())) else None, _doubts]
    panels.append(_columns if quality.columns else None)
    panels.append(_curve if quality.curve is not None else None)
    panels.append(_shifts if quality.valid_shift is not None or quality.new_shift is not None else None)
    shown = [panel for panel in panels if panel is not None]
    high = -(-len(shown) // 2)
    figure, axes = chart(quality.sentence, width=9.5, height=2.6 * high, nrows=high, ncols=2, squeeze=False)
    for panel, ax in zip(shown, axes.flat, strict=False):
        panel(quality, ax)
    for ax in axes.flat[len(shown) :]:
        ax.axis("off")
    return figure


def _classes(quality: Quality, ax: Any) -> None:
    base = np.zeros(len(quality.vocab))
    for split in SPLITS:
        counts = np.array(quality.counts[split])
        ax.bar(range(len(counts)), counts, bottom=base, color=_COLOURS[split], label=split)
        base = base + counts
    if len(quality.vocab) <= _MANY:
        names = [name.replace("$", r"\$")[:12] for name in quality.vocab]
        ax.set_xticks(range(len(names)), names, rotation=90 if max(map(len, names)) > 3 else 0)
    ax.set_title("items of each class", loc="left", fontsize="medium")
    ax.set_ylim(0, 1.25 * max(1, base.max()))  # room for the names of the splits
    ax.legend(frameon=False, fontsize="small", loc="upper center", ncols=3)


def _doubts(quality: Quality, ax: Any) -> None:
    twins = quality.duplicates
    across = twins["split"] != twins["twin_split"]
    bars = [
        ("likely wrong labels", len(quality.wrong_labels)),
        ("exact copies", int(((twins["kind"] == "exact") & ~across).sum())),
        ("near duplicates", int(((twins["kind"] == "near") & ~across).sum())),
        ("copies across splits", int(((twins["kind"] == "exact") & across).sum())),
        ("near, across splits", int(((twins["kind"] == "near") & across).sum())),
        ("unreadable", len(quality.broken)),
    ]
    ax.barh([name for name, _ in bars], [n for _, n in bars], color=WARM)
    for at, (_, n) in enumerate(bars):
        ax.annotate(f"{n:,}", (n, at), (3, 0), textcoords="offset points", va="center", color=GREY)
    ax.set_xlim(0, 1.15 * max(1, *(n for _, n in bars)))
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.invert_yaxis()
    ax.set_title("items to look at", loc="left", fontsize="medium")


def _columns(quality: Quality, ax: Any) -> None:
    found = quality.columns[:10]
    names = [one.name[:20].replace("$", r"\$") for one in found]
    ax.barh(names, [one.tells for one in found], color=[WARM if one.tells >= TELLS else COLD for one in found])
    ax.axvline(TELLS, color=GREY, linestyle=":")
    ax.set_xlim(0, 1)
    ax.invert_yaxis()
    ax.set_xlabel("0 is guessing, 1 all; beyond the dots likely a leak")
    ax.set_title("how much a column alone tells of the label", loc="left", fontsize="medium")


def _curve(quality: Quality, ax: Any) -> None:
    assert quality.curve is not None
    quality.curve.draw(ax)
    ax.set_title("would more data help?", loc="left", fontsize="medium")


def _shifts(quality: Quality, ax: Any) -> None:
    found = [shift for shift in (quality.valid_shift, quality.new_shift) if shift is not None]
    for at, shift in enumerate(found):
        shift.draw(ax, at)
    ax.set_yticks(range(len(found)), [f"train, {shift.other}" for shift in found])
    ax.set_ylim(-0.6, len(found) - 0.4)
    ax.set_title("can the two be told apart?", loc="left", fontsize="medium")
