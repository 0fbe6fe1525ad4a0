"""What readers may answer in 06_lr_finder."""

from __future__ import annotations

import numpy as np

from nbtune.finder import Fingerprint, LRCurve


def curve(seeds=3, suggestion=1e-3, first="stem", norms="", ratios=(0.001, 0.03, 1.0)):
    verdict = "Learning rate 0.001." if suggestion else "No suggestion: too few steps."
    return LRCurve(
        [1e-3, 1e-2], np.ones((seeds, 2)), suggestion, verdict, {}, 2, ratios, Fingerprint(first, norms, "a")
    )


RIGHT = {
    "whole_network": [lambda: curve(5)],
    "steepest": [lambda: lambda lrs, losses: lrs[1:][np.diff(losses).argmin()]],  # the series is geometric
}
WRONG = {
    "whole_network": [
        (lambda: curve(first="head", norms="still"), "only head"),
        (lambda: curve(ratios=None), "Which form of lr gives their proportions"),
        (lambda: curve(ratios=(1.0, 1.0)), "proportions"),
        (lambda: curve(ratios=(0.01, 0.1, 1.0)), "0.01 times"),
        (lambda: curve(ratios=(0.004, 0.06, 1.0)), "0.004 times"),
        (lambda: curve(seeds=1), "repeats"),
        (lambda: curve(suggestion=None), "too few steps"),
        (lambda: 1e-3, "LRCurve"),
    ],
    "steepest": [
        (lambda: lambda lrs, losses: np.gradient(losses, np.log(lrs)).argmin(), "place in the list"),
        (lambda: lambda lrs, losses: lrs[losses.argmin()], "lowest"),
        (lambda: lambda lrs, losses: lrs[np.gradient(losses, np.log(lrs)).argmax()], "sign"),
        (lambda: lambda lrs, losses: lrs[np.gradient(losses, lrs).argmin()], "as it is drawn"),
        (lambda: lambda lrs, losses: lrs[-1], "the last of them"),
        (lambda: lambda lrs, losses: np.log10(lrs[np.gradient(losses, np.log(lrs)).argmin()]), "logarithm of a rate"),
        (lambda: lambda lrs, losses: float("nan"), "one finite number; it gave float nan"),
        (lambda: lambda lrs, losses: 20.5, "gave 20.5."),
        (lambda: lambda lrs: lrs[0], "TypeError"),
        (lambda: lambda lrs, losses: "0.001", "one finite number; it gave str '0.001'"),
        (lambda: lambda lrs, losses: lrs[[50]], "one finite number; it gave ndarray"),
    ],
}
