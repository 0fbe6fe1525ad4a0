"""Exercises of 03_data: a split that keeps groups whole; gaps filled with what training knows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from nbtune.lessons.exercise import FUNCTION, Exercise

__all__ = ["fill", "whole_groups"]


def _whole_groups(function: Callable[[Any, float], Any]) -> str | None:
    groups = np.random.RandomState(0).permutation(np.repeat(list("abcdefghij"), 10))
    chosen = np.asarray(function(groups.copy(), 0.3))
    if chosen.shape != groups.shape:
        return f"it gives True or False for each of the {len(groups)} items; this has shape {chosen.shape}."
    if chosen.dtype != bool:
        return f"the shape is right; what stands there has to be True or False (bool), and its dtype is {chosen.dtype}."
    both = sorted(set(groups[chosen]) & set(groups[~chosen]))
    if both:
        return f"{len(both)} of 10 groups stand on both sides, such as {str(both[0])!r}. Draw groups, not items."
    if not chosen.any() or chosen.all():
        return "all items are on one side."
    if not 0.2 <= chosen.mean() <= 0.4:
        return f"a share of 0.3 was asked, and {chosen.mean():.2f} of the items were taken."
    if np.asarray(function(groups.copy(), 0.8)).mean() < 0.6:
        return "0.3 is right and 0.8 gives too few: what of the share?"
    return None


whole_groups = Exercise(
    name="data.whole_groups",
    question="Write valid(groups, share): groups is an array with the name of each item's group (a patient, a site, a "
    "film). Give an array of True and False: which items validate. A group is never on both sides, and about `share` "
    "of the items validate.",
    takes=FUNCTION,
    look=_whole_groups,
    right="what is peculiar to a group is never learned and asked again, so the score is what new groups will see.",
    hints=(
        "numpy.unique(groups) has each name once.",
        "Draw a share of the names, without replacement.",
        "numpy.isin(groups, chosen) tells for each item whether its group is among the chosen.",
    ),
    code="""
import numpy as np


def answer(groups, share):
    names = np.unique(groups)
    drawn = np.random.RandomState(0).permutation(names)[: max(1, round(share * len(names)))]
    return np.isin(groups, drawn)
""",
)


def _fill(function: Callable[[Any, Any], Any]) -> str | None:
    train = pd.Series([1.0, 2.0, 3.0, np.nan, 100.0])
    new = pd.Series([7.0, np.nan, 9.0], index=[4, 8, 2])
    kept = new.copy()
    found = function(train.copy(), new)
    if not isinstance(found, pd.DataFrame) or set(found.columns) != {"value", "missing"}:
        return "it gives a pandas frame with the columns value and missing."
    if not new.equals(kept):
        return "the rows that were given were changed on the way; work on a copy."
    if len(found) > 3:
        return f"new has three rows and {len(found)} came out: train and new may be exchanged."
    if len(found) < 3:
        return f"three rows went in and {len(found)} came out: a row with a gap is filled, not dropped."
    if found["value"].isna().any():
        return "there is still a gap in the values."
    filled = float(found["value"].iloc[1])
    if filled == 8.0:
        return "the gap was filled from the new rows themselves. One row alone has no median; what does training know?"
    if filled == train.mean():
        return "the mean of training is pulled by one large value. Which middle is not?"
    if filled != 2.5:
        return f"the gap was filled with {filled:g}; the median of the training values is another number."
    if found["value"].iloc[[0, 2]].tolist() != [7.0, 9.0]:
        return "the gap is right, and a value that was there was changed."
    if found["missing"].astype(bool).tolist() != [False, True, False]:
        return "the value is right; missing is True where there was a gap, and False elsewhere."
    return None


fill = Exercise(
    name="data.fill",
    question="Write fill(train, new): two pandas Series of numbers with gaps. Give a frame for new with the columns "
    "value (gaps filled with the median of train) and missing (True where there was a gap).",
    takes=FUNCTION,
    look=_fill,
    right="the same number fills a gap whatever rows come with it, and the mark keeps what the gap itself says.",
    hints=(
        "isna() tells where the gaps are; ask before filling.",
        "fillna(number) fills them; the number comes from train alone.",
        'pandas.DataFrame({"value": ..., "missing": ...})',
    ),
    code="""
import pandas as pd


def answer(train, new):
    return pd.DataFrame({"value": new.fillna(train.median()), "missing": new.isna()})
""",
)
