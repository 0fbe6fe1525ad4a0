"""What readers may answer in 02_pretrained_model: right ones, and wrong ones with a word that the advice must hold."""

from __future__ import annotations

import nbtune as nt


def names(**filters):
    frame = nt.bodies.table(**filters)
    return list(frame["name"])


def small():
    frame = nt.bodies.table()
    small = frame[(frame["parameters"] <= 6_000_000) & (frame["library"] == "torchvision")]
    side = small["input"].str.split("×").str[1].astype(int)
    return tuple(small[side <= 224]["name"])


RIGHT = {
    "shortlist": [small],
    "pick": [lambda: lambda frame: frame.loc[frame["ms"].where(frame["tied"]).idxmin(), "name"]],
}
WRONG = {
    "shortlist": [
        (lambda: names(licence="BSD", max_size=224), "more than six million"),
        (lambda: names(max_params=6e6, max_size=224), "column library"),
        (lambda: ["squeezenet1_0"], "more would"),
        (lambda: ["resnet19"], "is no name"),
        (lambda: [*small(), "efficientnet_b1"], "more than"),
        (lambda: "squeezenet1_0", "a list of names"),
    ],
    "pick": [
        (lambda: lambda frame: frame["name"].iloc[0], "took the first"),
        (lambda: lambda frame: frame.sort_values("ms")["name"].iloc[0], "told apart"),
        (lambda: lambda frame: frame["tied"].idxmin(), "one of the names"),
        (lambda: lambda frame: frame["nonsense"], "KeyError"),
        (lambda: lambda frame: frame[frame["tied"]]["name"].iloc[-1], "less time"),
        (lambda: "letters", "a function"),
    ],
}
