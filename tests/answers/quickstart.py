"""What readers may answer in 00_quickstart."""

from __future__ import annotations

import nbtune as nt


def probe(shots, epochs=0, lr=5e-3, still=True):
    result = nt.Tuner(nt.tasks.digits(shots=shots).learner("letters", seed=0), seed=0)
    if still:
        result.freeze()
    if epochs:
        result.fit(epochs, lr)
    return result


RIGHT = {"one_shot": [lambda: probe(1, 60, 1e-2)]}
WRONG = {
    "one_shot": [
        (lambda: probe(10), "100 images of 10 classes"),
        (lambda: probe(1), "now train"),
        (lambda: probe(1, 1, still=False), "still"),
        (lambda: probe(1, 1, 1e-6), "more epochs"),
        (lambda: nt.tasks.digits(shots=1), "a Tuner"),
    ]
}
