"""What readers may answer in 05_freeze: right ones, and wrong ones with a word that the advice must hold."""

from __future__ import annotations

import nbtune as nt


def tuner(cut=None, epochs=0, **options):
    result = nt.Tuner(nt.tasks.digits(shots=1).learner("letters", seed=0), seed=0)
    if cut:
        result.freeze_to(cut)
    if epochs:
        result.fit(epochs, 1e-3, **options)
    return result


def after_a_live_fit():
    """Fits without the cache came first."""
    result = tuner("head", 1, augment=True)
    result.freeze(norms="stats")
    result.fit(1, 1e-3)
    result.freeze_to("layer4")
    result.fit(1, 1e-3)
    return result


def moved_after(first, then):
    """The cut was moved after the last fit."""
    result = tuner(first, 1)
    result.freeze_to(then)
    return result


def filled_twice(epochs, body, head):
    return epochs * (body + head) / (min(epochs, 2) * body + epochs * head)


RIGHT = {
    "cut_lower": [lambda: tuner("layer4", 1), after_a_live_fit],
    "times_faster": [lambda: lambda epochs, body, head: (body + head) * epochs / (body + head * epochs)],
}
WRONG = {
    "cut_lower": [
        (lambda: tuner(), "nothing"),
        (lambda: tuner("head", 1), "one more group"),
        (lambda: tuner("layer1", 1), "parameters are still"),
        (lambda: tuner("layer4"), "train at least one epoch"),
        (lambda: moved_after("head", "layer4"), "nothing was trained since"),
        (lambda: tuner("layer4", 1, cache="off"), "why"),
        (lambda: "layer4", "a Tuner"),
    ],
    "times_faster": [
        (lambda: lambda epochs, body, head: epochs, "nothing to save"),
        (lambda: lambda epochs, body, head: (body + epochs * head) / (epochs * (body + head)), "below 1"),
        (lambda: lambda epochs, body, head: (body + head) / head, "one epoch nothing is saved"),
        (lambda: filled_twice, "how often"),
        (lambda: lambda epochs: epochs, "TypeError"),
        (lambda: lambda epochs, body, head: float("nan"), "it gave float nan. It was called with (5, 0.0, 1.0)."),
        (lambda: 16, "a function"),
    ],
}
