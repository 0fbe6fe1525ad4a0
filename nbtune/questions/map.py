"""The picture of a sweep: learning rate × weight decay, one panel a dropout and batch size."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nbtune._display import WARM, Chart, chart
from nbtune._source import source
from nbtune.questions._words import is_share, lower_is_better, named, value

if TYPE_CHECKING:
    from nbtune.questions.sweep import Sweep

__all__ = ["draw"]

_PANELS = 6
_LEAST = 0.1  # of a share, from the lightest to the darkest colour
_IN = 0.47  # of a cell, from its middle to its frame


def draw(sweep: Sweep) -> Chart:
    """Dark is good: the metric after the shortest runs, which all made; text: the longest runs; framed: whole ones."""
    if not sweep.results:
        figure, _ = chart(sweep.sentence)
        return figure
    settings = [result.setting for result in sweep.results]
    lrs, wds = _axis([s.lr for s in settings]), _axis([s.wd for s in settings])
    kinds = _axis([(s.dropout, s.bs) for s in settings])[:_PANELS]
    width = 1.5 + len(kinds) * max(2.5, 0.8 * len(lrs))
    figure, axes = chart(sweep.sentence, width, 1.4 + 0.55 * max(2, len(wds)), ncols=len(kinds), squeeze=False)
    firsts = [result.first for result in sweep.results if math.isfinite(result.first)]
    span = _span(firsts, sweep.metric)
    shown: Any = None
    for kind, ax in zip(kinds, axes[0], strict=True):
        shown = _panel(ax, sweep, kind, lrs, wds, span)
    epochs = f"{sweep.short} epoch{'s' if sweep.short > 1 else ''}"
    figure.colorbar(shown, ax=list(axes[0]), label=f"{sweep.metric} after {epochs}")
    return figure


def _span(values: list[float], metric: str) -> tuple[float, float]:
    """The ends of the colours. Shares have ten points at least: a few items must not look like all the difference."""
    if not values:
        return (0.0, 1.0)
    low, high = min(values), max(values)
    if is_share(metric) and high - low < _LEAST:
        return (low, low + _LEAST) if lower_is_better(metric) else (high - _LEAST, high)
    return (low, high)


def _panel(ax: Any, sweep: Sweep, kind: Any, lrs: list[Any], wds: list[Any], span: tuple[float, float]) -> Any:
    lower = lower_is_better(sweep.metric)
    cells = [[math.nan] * len(lrs) for _ in wds]
    for result in sweep.results:
        one = result.setting
        if (one.dropout, one.bs) != kind:
            continue
        x, y = lrs.index(one.lr), wds.index(one.wd)
        cells[y][x] = result.first
        text = value(sweep.metric, result.estimate.value)
        whole = result.epochs == sweep.epochs
        colour, weight = "white" if _dark(result.first, *span, lower) else "black", "bold" if whole else "normal"
        said = f"{text}\n{result.epochs} ep × {len(result.scores)}"
        ax.text(x, y, said, ha="center", va="center", fontsize=7, color=colour, weight=weight)
        if whole:
            best = result is sweep.results[0]
            ax.plot([x - _IN, x + _IN, x + _IN, x - _IN, x - _IN], [y - _IN, y - _IN, y + _IN, y + _IN, y - _IN],
                    color=WARM, linewidth=3 if best else 1.5)  # fmt: skip
    image = ax.imshow(cells, cmap="Blues_r" if lower else "Blues", vmin=span[0], vmax=span[1], aspect="auto")
    ax.grid(False)
    ax.set_xticks(range(len(lrs)), [source(lr) or "" for lr in lrs], rotation=30 if len(lrs) > 4 else 0)
    ax.set_yticks(range(len(wds)), ["own" if wd is None else f"{wd:g}" for wd in wds])
    ax.set_xlabel("learning rate")
    ax.set_ylabel("weight decay")
    ax.set_title(named(dropout=kind[0], batch_size=kind[1]), fontsize=9)
    return image


def _dark(number: float, low: float, high: float, lower: bool) -> bool:
    share = (number - low) / (high - low) if math.isfinite(number) and high > low else 0.0
    return share < 0.45 if lower and high > low else share > 0.55


def _axis(values: list[Any]) -> list[Any]:
    """The values, each once; in rising order where they have one."""
    once = list({repr(value): value for value in values}.values())
    try:
        return sorted(once, key=lambda value: (value is not None, value))
    except TypeError:
        return once
