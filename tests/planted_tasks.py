"""Tasks with faults put in on purpose, shared by the tests of quality."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer

import nbtune as nt
from nbtune.tasks import Items

__all__ = ["about", "bench", "few", "items_like", "patients", "split_of", "with_train"]


@cache
def bench() -> Any:
    """benchmarks/quality.py, which plants and counts."""
    path = Path(__file__).parents[1] / "benchmarks" / "quality.py"
    spec = importlib.util.spec_from_file_location("planting", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["planting"] = module
    spec.loader.exec_module(module)
    return module


@cache
def few(shots: int = 8, test: int = 40, valid: int = 50) -> nt.Task:
    """The digits with few training and test items, so that a look takes a second."""
    task = nt.tasks.digits(shots=shots)
    return replace(task, valid=task.valid.take(np.arange(0, 200, 200 // valid)), test=task.test.take(np.arange(test)))


def with_train(task: nt.Task, **changes: Any) -> nt.Task:
    """The task with other training items."""
    return replace(task, train=replace(task.train, **changes))


def split_of(task: nt.Task, places: Any) -> nt.Task:
    """The task with a part of its training items."""
    return replace(task, train=task.train.take(np.asarray(places)))


def about(quality: Any, word: str) -> list[str]:
    """What was seen about a thing."""
    return [finding.seen for finding in quality.findings if finding.about == word]


def patients(**columns: Any) -> nt.Task:
    """Real rows of the breast cancer data, six columns and the given ones."""
    data = load_breast_cancer(as_frame=True)
    frame = data.data.iloc[:, :6].copy()
    frame["kind"] = pd.Series(np.array(["benign", "malignant"])[1 - data.target])
    for name, column in columns.items():
        frame[name] = column(frame) if callable(column) else column
    return nt.tasks.from_frame(frame, y="kind")


def items_like(items: Items, x: Any, word: str) -> Items:
    """Other inputs with the labels of items."""
    return Items(x, items.y[: len(x)], tuple(f"{name} {word}" for name in items.ids[: len(x)]))
