"""What readers may answer in 15_your_table."""

from __future__ import annotations

import tempfile
from collections import Counter

import numpy as np
import pandas as pd

import nbtune as nt


def rows(seed=0, categories=True):
    """Sixty rows with a number and, if wanted, a category."""
    draw = np.random.RandomState(seed)
    df = pd.DataFrame({"size": draw.rand(60), "y": ["a", "b"] * 30})
    return nt.tasks.from_frame(df.assign(colour=draw.choice(["red", "blue"], 60)) if categories else df, y="y")


def tuner(cut=None, epochs=0, body=None, categories=True):
    if body is None:
        first = nt.Tuner(rows(categories=categories).learner("tabular", layers=[8, 4], seed=0), seed=0)
        body = nt.load(first.save(tempfile.mkdtemp() + "/first"))
    result = nt.Tuner(rows(1, categories).learner(body, seed=0), seed=0)
    if cut is not None:
        result.freeze_to(cut)
    if epochs:
        result.fit(epochs, 1e-3)
    return result


def tuner_that_stood_still_at_last():
    result = tuner(epochs=1)
    result.freeze_to(1)
    result.fit(1, 1e-3)
    return result


def tuner_that_was_let_loose_between():
    result = tuner(1, 1)
    result.unfreeze()
    result.fit(1, 1e-3)
    result.freeze_to(1)
    return result


def site(temp, dewp, humid):
    """Forty hours with these means, a quarter of them each for validation and for testing."""
    apart = np.tile([-1.0, 1.0], 20)
    df = pd.DataFrame({"temp": temp + apart, "dewp": dewp + apart, "humid": humid + apart, "wind_dir": ["a", "b"] * 20})
    parts = ["train", "train"] * 10 + ["valid"] * 10 + ["test"] * 10
    return nt.tasks.from_frame(df.assign(sight=["clear", "poor"] * 20, part=parts), y="sight", split="part")


def pair(here, there):
    first = nt.Tuner(site(*here).learner("tabular", layers=[8, 4], seed=0), seed=0)
    model = nt.load(first.save(tempfile.mkdtemp() + "/first"))
    result = nt.Tuner(site(*there).learner(model, seed=0), seed=0)
    result.freeze_to(1)
    result.fit(1, 1e-3)
    return result


NEWARK, KENNEDY, LAGUARDIA = (55.7, 42.0, 63.3), (54.0, 41.0, 64.3), (55.3, 40.0, 58.8)
RIGHT = {
    "said_without_looking": [lambda: lambda labels: max(Counter(labels).values()) / len(labels)],
    "held_embeddings": [
        lambda: tuner("layers.0", 1),
        lambda: pair(KENNEDY, NEWARK),
        lambda: pair(NEWARK, LAGUARDIA),
        lambda: pair(LAGUARDIA, KENNEDY),
    ],
}
WRONG = {
    "said_without_looking": [
        (lambda: lambda labels: 1 / len(set(labels)), "a fair coin"),
        (lambda: lambda labels: max(Counter(labels).values()), "which answer"),
        (lambda: lambda labels: 0.8, "half of the time"),
        (lambda: lambda labels: labels.count(labels[0]) / len(labels), "which answer"),
        (lambda: lambda labels: labels.count(labels[-1]) / len(labels), "which answer"),
        (lambda: lambda labels: labels.count(min(labels)) / len(labels), "always says rain"),
        (lambda: lambda labels: 1 - min(Counter(labels).values()) / len(labels), "always says rain"),
        (lambda: lambda labels: float("nan"), "which answer"),
        (lambda: 0.8, "a function"),
    ],
    "held_embeddings": [
        (lambda: tuner(categories=False), "no embeddings"),
        (lambda: tuner(1, 1, "tabular"), "fresh"),
        (lambda: tuner(epochs=1), "nothing is still"),
        (lambda: tuner("head", 1), "every layer after them"),
        (lambda: tuner(1), "train at least one epoch"),
        (lambda: pair(NEWARK, KENNEDY), "this is the notebook's own"),
        (tuner_that_stood_still_at_last, "trained in phase 1"),
        (tuner_that_was_let_loose_between, "trained in phase 2"),
        (lambda: nt.tasks.digits(shots=1), "a Tuner"),
    ],
}
