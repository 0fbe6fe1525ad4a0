"""What readers may answer in 03_data: right ones, and wrong ones with a word that the advice must hold."""

from __future__ import annotations

import numpy as np
import pandas as pd


def first_names(groups, share):
    names = sorted(set(groups))
    return np.array([name in names[: int(share * len(names))] for name in groups])


def by_item(groups, share):
    return np.random.RandomState(0).rand(len(groups)) < share


def filled(number, mark=None):
    def fill(train, new):
        value = new.fillna(number(train, new))
        return pd.DataFrame({"value": value, "missing": new.isna() if mark is None else mark(new)})

    return fill


def in_place(train, new):
    missing = new.isna()
    new[missing] = train.median()
    return pd.DataFrame({"value": new, "missing": missing})


def dropped(train, new):
    return pd.DataFrame({"value": new.dropna(), "missing": False})


RIGHT = {
    "whole_groups": [lambda: first_names],
    "fill": [lambda: filled(lambda train, new: np.nanmedian(train))],
}
WRONG = {
    "whole_groups": [
        (lambda: by_item, "on both sides"),
        (lambda: lambda groups, share: np.unique(groups), "each of the 100 items"),
        (lambda: lambda groups, share: np.isin(groups, list("abc")).astype(int), "its dtype is int64"),
        (lambda: by_item, "such as 'a'"),
        (lambda: lambda groups, share: groups == "none", "one side"),
        (lambda: lambda groups, share: groups == "a", "0.10 of the items"),
        (lambda: lambda groups, share: np.isin(groups, list("abc")), "0.8 gives too few"),
        (lambda: 0.3, "a function"),
    ],
    "fill": [
        (lambda: filled(lambda train, new: new.median()), "new rows themselves"),
        (lambda: filled(lambda train, new: train.mean()), "pulled by one large value"),
        (lambda: filled(lambda train, new: 0.0), "filled with 0"),
        (lambda: filled(lambda train, new: train.median(), lambda new: new.notna()), "where there was a gap"),
        (lambda: lambda train, new: new.fillna(train.median()), "the columns value and missing"),
        (lambda: in_place, "changed on the way"),
        (lambda: dropped, "filled, not dropped"),
        (lambda: lambda train, new: filled(lambda new, train: train.median())(new, train), "may be exchanged"),
    ],
}
