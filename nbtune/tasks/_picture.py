"""A task as a picture: training images by class, or how the targets are spread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nbtune._display import COLD, Chart, chart, counted
from nbtune.tasks.stacks import Rows

if TYPE_CHECKING:
    from nbtune.tasks.task import Task

__all__ = ["picture"]

_MOST = 20  # classes


def picture(task: Task, each: int) -> Chart:
    """The first `each` training images of every class; of tables and numbers how the targets are spread."""
    if isinstance(task.train.x, Rows) or task.kind == "regression":
        return _spread(task)
    classes = list(range(len(task.vocab)))[:_MOST]
    sentence = f"{task.name}: {counted(each, 'training image')} of each of {len(classes)} classes, a column each."
    figure, axes = chart(sentence, 0.55 * len(classes), 0.6 * each, nrows=each, ncols=len(classes), squeeze=False)
    for column, c in enumerate(classes):
        has = task.train.y == c if task.kind == "single" else task.train.y[:, c] > 0
        places = np.flatnonzero(has)[:each]
        axes[0, column].set_title(task.vocab[c], fontsize=9)
        for row in range(each):
            axes[row, column].set_axis_off()
            if row < len(places):
                axes[row, column].imshow(task.train.x[int(places[row])], cmap="gray", vmin=0, vmax=255)
    return figure


def _spread(task: Task) -> Chart:
    """Items a class, or a histogram of the first number."""
    if task.kind == "regression":
        values: Any = task.train.y if task.train.y.ndim == 1 else task.train.y[:, 0]
        sentence = (
            f"{task.name}: {task.vocab[0]} of {len(values):,} training items, {values.min():g} to {values.max():g}."
        )
        figure, ax = chart(sentence, height=2.4)
        ax.hist(values, bins=30, color=COLD)
        ax.set_xlabel(task.vocab[0])
        return figure
    counts = task.card.class_counts
    shown = dict(sorted(counts.items(), key=lambda pair: -pair[1])[:_MOST])
    sentence = f"{task.name}: {len(task.train):,} training items, " + ", ".join(f"{k} {n:,}" for k, n in shown.items())
    figure, ax = chart(sentence, height=0.6 + 0.25 * len(shown))
    ax.barh(list(shown), list(shown.values()), color=COLD)
    ax.invert_yaxis()
    ax.set_xlabel("training items")
    return figure
