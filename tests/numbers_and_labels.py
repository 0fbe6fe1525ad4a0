"""Tasks of numbers and of several labels on real small data, and Learners of fastai's own, that tests share."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from fastai.metrics import mae
from fastai.tabular.all import Normalize, TabularDataLoaders, tabular_learner
from sklearn.datasets import load_diabetes, load_digits
from torch import nn

import nbtune as nt
from learners import cnn, digits, loaders, quiet, seed

LABELS = {"even": (0, 2, 4, 6, 8), "small": (0, 1, 2, 3, 4), "round": (0, 6, 8, 9)}


def images(n: int) -> tuple[Any, Any]:
    return load_digits().images[:n] / 16, load_digits().target[:n]


def diabetes() -> nt.Task:
    return nt.tasks.from_frame(load_diabetes(as_frame=True, scaled=False).frame, y="target", name="diabetes")


def as_numbers(n: int = 240, k: int = 1) -> nt.Task:
    """The digit as a number; as the second one the ink, in thousandths."""
    x, y = images(n)
    goal = y.astype(np.float32) if k == 1 else np.stack([y, 1000 * x.mean((1, 2))], 1).astype(np.float32)
    return nt.tasks.from_arrays(x, goal, target="regression", name="numbers")


def as_labels(n: int = 240) -> nt.Task:
    x, y = images(n)
    return nt.tasks.from_arrays(x, [[name for name, those in LABELS.items() if d in those] for d in y], name="labels")


TASKS: dict[str, Any] = {
    "table": (diabetes, "tabular", "mae"), "number": (as_numbers, "letters", "mae"),
    "numbers": (lambda: as_numbers(k=2), "letters", "mae"), "labels": (as_labels, "letters", "f1"),
}  # fmt: skip


def begun(name: str) -> nt.Tuner:
    make, body, _ = TASKS[name]
    task = make()
    tuner = nt.Tuner(task.learner(body, seed=0), test=task.test, seed=0)
    tuner.freeze()
    return tuner


def table_of_fastai() -> Any:
    seed(0)
    frame = load_diabetes(as_frame=True).frame
    dls = TabularDataLoaders.from_df(
        frame, procs=[Normalize], cont_names=[*frame.columns[:-1]], y_names="target", valid_idx=list(range(340, 442)),
        bs=64, num_workers=0,
    )  # fmt: skip
    return quiet(tabular_learner(dls, layers=[24, 12], metrics=mae))


def labels_of_fastai(loss: Any) -> Any:
    x, y = images(128)
    hot = torch.tensor(np.stack([np.isin(y, those) for those in LABELS.values()], 1)).float()
    model = cnn()
    model[-1][-1] = nn.Linear(10, len(LABELS))
    learn = digits(model, loss_func=loss, metrics=[])
    learn.dls = loaders(torch.tensor(x, dtype=torch.float32)[:, None], y=hot)
    return learn
