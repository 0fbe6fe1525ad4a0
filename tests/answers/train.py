"""What readers may answer in 08_train."""

from __future__ import annotations

import os
import tempfile

import nbtune as nt


def left_over(train, valid):
    turned = valid.index(min(valid)) < len(valid) - 1
    if turned:
        return "overfitting"
    return "fine" if train[-1] < train[0] / 4 else "underfitting"


def share_lost(least):
    """A network underfits that keeps at least this share of its first training loss."""
    return lambda train, valid: (
        "overfitting" if valid[-1] > 1.2 * min(valid) else "underfitting" if train[-1] > least * train[0] else "fine"
    )


def tuner(stop=0, resume=False, run=False, epochs=2, inside=""):
    task, folder = nt.tasks.digits(shots=1), os.path.join(tempfile.mkdtemp(), inside)
    result = nt.Tuner(task.learner("letters", seed=0), seed=0, run_dir=folder)
    result.freeze()
    if stop:
        result.trace.watch(lambda: result.stop() if len(result.trace.rows) >= stop else None)
    result.fit(epochs, 1e-3)
    if resume:
        result = nt.resume(folder, task.learner("letters", seed=0))
    if run:
        result.run()
    return result


RIGHT = {
    "diagnose": [lambda: left_over, lambda: share_lost(0.5), lambda: share_lost(0.8), lambda: share_lost(0.9)],
    "resumed": [lambda: tuner(1, True, True, 3)],
}
WRONG = {
    "diagnose": [
        (lambda: lambda train, valid: "overfitting" if valid[-1] > train[-1] else "fine", "both losses still fall"),
        (lambda: lambda train, valid: "underfitting", "turned"),
        (lambda: lambda train, valid: "underfitting" if train[-1] > 0.1 else "overfitting", "levelled"),
        (lambda: lambda train, valid: "underfitting" if valid[-1] > 1.6 else
         "overfitting" if valid[-1] > 1 else "fine", "ten times"),
        (lambda: lambda train, valid: "overfitting" if valid[-1] > 3 * train[-1] else
         "underfitting" if train[-1] > 0.5 * train[0] else "fine", "by heart"),
        (lambda: lambda train, valid: "good", "the words are"),
        (lambda: "overfitting", "function"),
    ],
    "resumed": [
        (lambda: tuner(), "nt.resume"),
        (lambda: tuner(1, True, epochs=3), "Which verb"),
        (lambda: tuner(0, True), "nothing was left"),
        (lambda: tuner(1, True, True, 3, "runs/killed"), "the notebook's own"),
    ],
}  # fmt: skip
