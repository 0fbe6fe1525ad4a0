"""What readers may answer in 02_pretrained_model: right ones, and wrong ones with a word that the advice must hold."""

from __future__ import annotations

import numpy as np
import pandas as pd

import nbtune as nt


def names(**filters):
    frame = nt.bodies.table(**filters)
    return list(frame["name"])


def small():
    frame = nt.bodies.table()
    small = frame[(frame["parameters"] <= 10_000_000) & frame["licence"].str.startswith("BSD")]
    side = small["input"].str.split("×").str[1].astype(int)
    return tuple(small[side <= 224]["name"])


def below_six_million():
    frame = nt.bodies.table()
    torchvision = frame[frame["library"] == "torchvision"]
    return torchvision[torchvision["parameters"] <= 6e6]["name"].tolist()


def least(column):
    return lambda frame: frame[frame["tied"]].sort_values(column)["name"].iloc[0]


RIGHT = {
    "shortlist": [
        small,
        lambda: pd.Series(small(), index=range(9, 9 + len(small()))),
        lambda: pd.Series(small()).array,
        lambda: pd.Index(small()),
        lambda: np.array(small()),
        lambda: np.array(small(), dtype=object),
    ],
    "pick": [lambda: lambda frame: frame.loc[frame["ms"].where(frame["tied"]).idxmin(), "name"]],
}
WRONG = {
    "shortlist": [
        (lambda: names(licence="BSD", max_size=224), "more than ten million"),
        (lambda: names(licence="BSD", max_params=10e6), "efficientnet_b1 wants pictures of more than 224"),
        (lambda: names(max_params=10e6, max_size=224), "letters has another licence, Apache-2.0"),
        (lambda: names(max_size=224), "has another licence"),
        (below_six_million, "all of these fit, and"),
        (lambda: ["squeezenet1_0"], "more would"),
        (lambda: ["resnet19"], "is no name"),
        (lambda: [*small(), "resnet18"], "resnet18 has more than ten million"),
        (lambda: [*small(), "xresnet18"], "xresnet18 has another licence"),
        (lambda: [*small(), "efficientnet_b2"], "efficientnet_b2 wants pictures of more than 224"),
        (lambda: [*small(), "regnet_y_128gf"], "regnet_y_128gf has another licence"),
        (list, "the list is empty"),
        (lambda: nt.bodies.table(), "a list of names; this is DataFrame"),
        (lambda: "squeezenet1_0", "a list of names"),
    ],
    "pick": [
        (lambda: lambda frame: frame["name"].iloc[0], "took the first"),
        (lambda: lambda frame: frame.sort_values("ms")["name"].iloc[0], "told apart"),
        (lambda: least("parameters"), "took the least of parameters; another takes less time an item"),
        (lambda: least("seconds"), "took the least of seconds; another takes less time an item"),
        (lambda: lambda frame: frame.sort_values("parameters")["name"].iloc[0], "told apart"),
        (lambda: lambda frame: frame.sort_values("accuracy")["name"].iloc[-1], "took the first"),
        (lambda: lambda frame: frame["tied"].idxmin(), "one of the names"),
        (lambda: lambda frame: frame.sort_values("ms").iloc[0], "one of the names in the frame; it gave Series"),
        (lambda: lambda frame: frame[frame["tied"]]["name"], "one of the names in the frame; it gave Series"),
        (lambda: lambda frame: "resnet19", "gave 'resnet19'"),
        (lambda: lambda frame: frame["nonsense"], "KeyError"),
        (lambda: lambda frame: frame[frame["tied"]]["name"].iloc[-1], "less time"),
        (lambda: "letters", "a function"),
    ],
}
