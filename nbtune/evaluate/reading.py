"""Plain sentences that read a confusion matrix: what is missed, what is invented, and what is only noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import binomtest

from nbtune._display import counted
from nbtune.evaluate.intervals import Estimate, Ints

__all__ = ["largest_confusions", "looks_warning", "pattern"]

LEVEL = 0.05
NAMED = 3  # classes named in one sentence at most


def pattern(confusion: Ints, vocab: Sequence[str], gap: Estimate) -> str:
    """What precision and recall say together, beyond the noise.

    With one class an item every miss is another class's false alarm, so over all classes the two differ only
    where classes are predicted more or less often than they occur; of a single class they say whether it is
    missed or invented. `gap` is macro precision minus macro recall. A class is missed or invented when its misses
    and false alarms differ (exact sign test at 5 %, corrected for the classes that could differ: Tarone 1990).
    """
    if confusion.sum() == np.trace(confusion):
        return f"No error was seen on {counted(confusion.sum(), 'item')}."
    parts = [part for part in (_macro(confusion, vocab, gap), *_classes(confusion, vocab)) if part]
    if not parts:
        return "Precision and recall agree within the noise, overall and in each class."
    return " ".join(parts)


def _macro(confusion: Ints, vocab: Sequence[str], gap: Estimate) -> str:
    """How often classes are predicted against how often they occur.

    The gap is the mean over classes of recall times (support / predicted - 1): the class that adds most is named.
    """
    if gap.low > 0:
        too_few = _miscounted(confusion, vocab, 1, "rarely")
        return f"{too_few}: macro precision is above macro recall by {gap}."
    if gap.high < 0:
        by = Estimate(-gap.value, -gap.high, -gap.low)
        too_many = _miscounted(confusion, vocab, -1, "often")
        return f"{too_many}: macro recall is above macro precision by {by}."
    return ""


def _miscounted(confusion: Ints, vocab: Sequence[str], sign: int, how: str) -> str:
    hits, support, called = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    # A class that is never predicted, or never occurs, has no hit: both its shares are 0.
    part = sign * (hits / np.maximum(called, 1) - hits / np.maximum(support, 1))
    most = int(part.argmax())
    counts = f"({counted(int(called[most]), 'time')} for {counted(int(support[most]), 'item')})"
    if (part > 0).sum() == 1 and (sign * (support - called) > 0).sum() == 1:
        return f"'{vocab[most]}' is predicted too {how} {counts}"
    return f"Some classes are predicted too {how}, most '{vocab[most]}' {counts}"


def _classes(confusion: Ints, vocab: Sequence[str]) -> list[str]:
    hits, support, called = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    missed, invented = support - hits, called - hits
    found = _beyond_noise(missed, invented)
    found.sort(key=lambda c: -abs(int(missed[c] - invented[c])))
    return [
        _missed(c, confusion, vocab) if missed[c] > invented[c] else _invented(c, confusion, vocab)
        for c in found[:NAMED]
    ]


def _beyond_noise(missed: Ints, invented: Ints) -> list[int]:
    """The classes whose misses and false alarms differ more than a fair coin allows."""
    errors = missed + invented
    # With e errors the smallest p possible is 2^(1-e): classes that cannot reach the level are no tests.
    tests = next(k for k in range(1, len(errors) + 2) if (2.0 ** (1 - errors) <= LEVEL / k).sum() <= k)
    return [
        c for c in range(len(errors)) if errors[c] and binomtest(int(missed[c]), int(errors[c])).pvalue <= LEVEL / tests
    ]


def _missed(c: int, confusion: Ints, vocab: Sequence[str]) -> str:
    row = confusion[c].copy()
    row[c] = 0
    other = int(row.argmax())
    name, support = vocab[c], confusion[c].sum()
    shares = f"{row.sum()} of {support} read as another class, {row[other]} of them as '{vocab[other]}'"
    return f"'{name}' is missed more often than invented: {shares}."


def _invented(c: int, confusion: Ints, vocab: Sequence[str]) -> str:
    column = confusion[:, c].copy()
    column[c] = 0
    other = int(column.argmax())
    name, called = vocab[c], confusion[:, c].sum()
    shares = f"{column.sum()} of {called} read as '{name}' are others, {column[other]} of them '{vocab[other]}'"
    return f"'{name}' is invented more often than missed: {shares}."


def largest_confusions(confusion: Ints, vocab: Sequence[str], n: int = 2) -> str:
    """The most frequent of the errors, in words."""
    errors = confusion - np.diag(np.diag(confusion))
    order = np.argsort(-errors, axis=None, kind="stable")[:n]
    cells = [np.unravel_index(flat, errors.shape) for flat in order if errors.flat[flat] > 0]
    return ", ".join(f"{errors[t, p]} × '{vocab[t]}' read as '{vocab[p]}'" for t, p in cells)


def looks_warning(looks: int) -> str:
    """What repeated looks at one test set do to its figures (empty for the first look)."""
    if looks <= 1:
        return ""
    return (
        f"This was look {looks} at this test set: what is chosen by it is flattered by it, "
        "so choose on validation data."
    )
