"""What readers may answer in 04_environment: right ones, and wrong ones with a word that the advice must hold."""

from __future__ import annotations

from math import floor, log2

MORE = {"adam": 2, "momentum": 1, "sgd": 0}


def by_logarithm(free, fixed, each):
    fit = (free - fixed) / each
    return 2 ** floor(log2(fit)) if fit >= 1 else 0


RIGHT = {
    "training_bytes": [lambda: lambda t, s, w: 4 * (t + s) + 4 * t + 4 * MORE[w] * t],
    "largest_batch": [lambda: by_logarithm],
}
WRONG = {
    "training_bytes": [
        (lambda: lambda t, s, w: 4 * (2 + MORE[w]) * (t + s), "no gradient"),
        (lambda: lambda t, s, w: (4 * (t + s) + 4 * t + 4 * MORE[w] * t) / 1e6, "yours gives 0.0004. Asked are bytes"),
        (lambda: lambda t, s, w: 4 * (t + s), "four numbers"),
        (lambda: lambda t, s, w: 16 * t + 4 * s, "plain SGD"),
        (lambda: lambda t, s, w: {"adam": 16, "sgd": 8, "momentum": 16}[w] * t + 4 * s, "momentum"),
        (lambda: lambda t, s, w: 4 * (2 + MORE[w]) * t if t else 4 * s, "together"),
    ],
    "largest_batch": [
        (lambda: lambda free, fixed, each: [0], "one finite number; it gave list [0]"),
        (lambda: lambda free, fixed, each: max(0, (free - fixed) // each), "power of two"),
        (lambda: lambda free, fixed, each: 64, "not even one"),
        (lambda: lambda free, fixed, each: by_logarithm(free, 0, each) if free > fixed + each else 0, "50 fit"),
        (lambda: lambda free, fixed, each: by_logarithm(free - 1, fixed, each), "exactly"),
        (lambda: lambda free, fixed, each: by_logarithm(abs(free - fixed), 0, each), "alone is more"),
    ],
}
