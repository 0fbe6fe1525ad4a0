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


def frozen_late():
    """Trained as a whole; then frozen and trained as a probe."""
    result = probe(1, 1, 1e-3, still=False)
    result.freeze()
    result.fit(40, 5e-3)
    return result


def frozen_twice():
    result = probe(1, 20, 1e-2)
    result.fit(40, 5e-3)
    return result


def phases(*rates):
    """A training of each: a number for the head alone, a slice or a tuple for all."""
    result = nt.Tuner(nt.tasks.digits(shots=1).learner("letters", seed=0), seed=0)
    for rate in rates:
        if isinstance(rate, float):
            result.freeze()
        else:
            result.unfreeze()
        result.fit(1, rate[0] if isinstance(rate, tuple) else rate)
    return result


RIGHT = {
    "one_shot": [lambda: probe(1, 60, 1e-2), frozen_twice],
    "head_first": [lambda: phases(1e-3, slice(1e-5, 1e-3)), lambda: phases(1e-3, 1e-4, slice(2e-6, 2e-4))],
}
WRONG = {
    "one_shot": [
        (lambda: probe(10), "100 images of 10 classes"),
        (lambda: probe(1), "now train"),
        (lambda: probe(1, 1, still=False), "still"),
        (frozen_late, "training 1 moved stem"),
        (lambda: probe(1, 1, 1e-6), "more epochs"),
        (lambda: nt.tasks.digits(shots=1), "a Tuner"),
    ],
    "head_first": [
        (lambda: phases(), "not been trained"),
        (lambda: phases(slice(1e-5, 1e-3)), "train alone first"),
        (lambda: phases(1e-3), "every group"),
        (lambda: phases(1e-3, (1e-3,)), "another"),
        (lambda: phases(1e-3, ([1e-3, 1e-3, 1e-3, 1e-3, 1e-3, 1e-5],)), "faster than the head"),
        (lambda: phases(1e-3, slice(1e-4, 1e-3)), "10 times as fast"),
        (lambda: slice(1e-5, 1e-3), "a Tuner"),
    ],
}
