"""What do kept views of augmented images cost in accuracy, beside augmentation live? `python benchmarks/views.py`.

The head on a still body, the same epochs each way: without augmentation from kept features, with K kept views of an
image taken in turn, and with augmentation live, where every epoch draws images anew and the body runs each time.
Measured on training images that the draw left out and on the validation split, never on the test split. Ways are
interleaved over seeds; a difference is paired by seed.
"""

from __future__ import annotations

import argparse
import time
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from statistics import fmean, median, stdev
from typing import Any

import numpy as np
import torch

import nbtune as nt

SHOTS, EPOCHS, RATE = 10, 20, 3e-3
WAYS: dict[str, dict[str, Any]] = {
    "kept, no augmentation": {"augment": False},
    "kept, 4 views": {"views": 4},
    "kept, 10 views": {"views": 10},
    "live augmentation": {"augment": True, "cache": "off"},
}
LIVE = "live augmentation"


def _accuracy(learn: Any, seed: int) -> float:
    """On all images that this draw did not train on, the test split apart."""
    task, pool = learn.nbtune_origin.task, nt.tasks.digits(seed=seed)
    used, body = set(task.train.ids), learn.nbtune_origin.body
    others = [place for place, name in enumerate(pool.train.ids) if name not in used]
    x, y = np.concatenate([pool.train.x[others], task.valid.x]), np.concatenate([pool.train.y[others], task.valid.y])
    model = learn.model.eval()
    with torch.no_grad():
        guess = torch.cat([model(body.normalise(part)).argmax(1) for part in body.prepare(x).split(256)])
    return float((guess.numpy() == y).mean())


def run(way: str, seed: int) -> tuple[float, float]:
    """Accuracy and seconds of one way."""
    learn = nt.tasks.digits(shots=SHOTS, seed=seed).learner("letters", seed=seed)
    tuner = nt.Tuner(learn, seed=seed)
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        tuner.freeze()
        began = time.perf_counter()
        history = tuner.fit(EPOCHS, RATE, **WAYS[way])
        took = time.perf_counter() - began
    assert history.cached == (way != LIVE), history.why
    return _accuracy(learn, seed), took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    seeds = parser.parse_args().seeds
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    for seed in range(seeds):
        for way in list(WAYS)[seed % len(WAYS) :] + list(WAYS)[: seed % len(WAYS)]:
            found[way].append(run(way, seed))
    live = [accuracy for accuracy, _ in found[LIVE]]
    print(f"{SHOTS} images a class, {EPOCHS} epochs of the head, {seeds} seeds; mean ± standard deviation\n")
    for way, runs in found.items():
        accuracies, times = zip(*runs, strict=True)
        apart = [one - other for one, other in zip(accuracies, live, strict=True)]
        ratio = median(other / one for one, (_, other) in zip(times, found[LIVE], strict=True))
        spread = f"{fmean(apart) * 100:+.1f} ± {stdev(apart) * 100 if seeds > 1 else float('nan'):.1f} points to live"
        print(f"{way:22} {fmean(accuracies):.3f}   {spread}   {ratio:.1f} times as fast")


if __name__ == "__main__":
    main()
