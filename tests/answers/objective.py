"""What readers may answer in 01_objective: right ones, and wrong ones with a word that the advice must hold."""

from __future__ import annotations

import numpy as np

GRID = np.round(np.arange(1, 100) / 100, 2)


def cheapest(p, wanted, miss, alarm):
    called = p[None] >= GRID[:, None]
    costs = miss * ((wanted == 1) & ~called).sum(1) + alarm * ((wanted == 0) & called).sum(1)
    return GRID[costs.argmin()]


RIGHT = {
    "items_needed": [lambda: 442, lambda: 460, lambda: 465, lambda: 480, lambda: 488],
    "best_threshold": [lambda: cheapest, lambda: lambda *given: np.array(cheapest(*given))],
}
WRONG = {
    "items_needed": [
        (lambda: 50, "too wide"),
        (lambda: 441, "2.06 points; that is still too wide"),
        (lambda: 489, "with fewer"),
        (lambda: 5000, "with fewer"),
        (lambda: float("nan"), "a finite number is asked for; this is nan"),
        (lambda: -float("inf"), "a finite number is asked for; this is -inf"),
        (lambda: 0, "1 or more"),
        (lambda: "500", "a number"),
    ],
    "best_threshold": [
        (lambda: lambda p, wanted, miss, alarm: 0.5, "whatever p is"),
        (lambda: lambda p, wanted, miss, alarm: alarm / (alarm + miss), "from the prices alone"),
        (lambda: lambda p, wanted, miss, alarm: cheapest(p, wanted, alarm, miss), "rise"),
        (lambda: lambda p, wanted, miss, alarm: 1 - cheapest(p, wanted, miss, alarm), "costs less"),
        (lambda: lambda p, wanted, miss, alarm: 0.0, "between 0.01"),
        (lambda: lambda *given: f"{cheapest(*given)}", "one finite number; it gave str"),
        (lambda: lambda *given: [cheapest(*given)], "one finite number; it gave list"),
        (lambda: 0.09, "a function"),
    ],
}
