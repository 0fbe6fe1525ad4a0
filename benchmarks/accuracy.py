"""How well does it read, and what does pretraining bring? `python benchmarks/accuracy.py --seeds 10`.

Handwritten digits, one recipe for every number of images a class, on the fixed test split: from scratch (own rate, the
same augmentation), linear probe, fine-tuned, and fastai's `Learner.fine_tune` with its defaults on the same body, seeds
and batch size. Rates and epochs were chosen on validation and unused training images, never on the test split.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch

import nbtune as nt
from nbtune import recipes
from nbtune.tasks import Task

SHOTS: tuple[int | None, ...] = (1, 5, 10, 50, None)
MANY = 50  # images a class from which a run takes minutes, and seeds differ little
HEAD, WD = {"head_epochs": 20, "head_lr": 1e-3}, 0.05
SCRATCH_RATE = 1e-3  # best of 3e-4, 1e-3, 3e-3 at 1, 5 and 10 images a class
HEADER = """# Accuracy on 600 test digits

Written by `python benchmarks/accuracy.py`. Mean ± standard deviation over seeds.
"""
OUT = Path(__file__).with_name("ACCURACY.md")


def body_epochs(items: int) -> int:
    """30 for few items, falling to 12: about as many images seen from 500 items on."""
    return int(np.clip(6000 // items, 12, 30))


def _read(learn: Any, task: Task) -> float:
    """Accuracy on the test split."""
    body, model = learn.nbtune_origin.body, learn.model.eval()
    device = next(model.parameters()).device
    with torch.no_grad():
        parts = body.prepare(task.test.x).split(256)
        guess = torch.cat([model(body.normalise(part.to(device))).argmax(1).cpu() for part in parts])
    return float((guess.numpy() == task.test.y).mean())


def _run(task: Task, seed: int, recipe: Any, **options: Any) -> float:
    learn = task.learner("letters", seed=seed, **options)
    with redirect_stdout(StringIO()):  # the table, not each run's progress
        nt.Tuner(learn, seed=seed).run(recipe)
    return _read(learn, task)


def scratch(task: Task, seed: int) -> float:
    """The same network from fresh weights, for half as long again as fine-tuning."""
    epochs = body_epochs(len(task.train)) * 3 // 2
    return _run(task, seed, recipes.from_scratch(epochs, SCRATCH_RATE, wd=WD, keep="last"), pretrained=False)


def probe(task: Task, seed: int) -> float:
    """The head alone."""
    return _run(task, seed, recipes.linear_probe(HEAD["head_epochs"], wd=WD, keep="last"))


def tuned(task: Task, seed: int) -> float:
    """Head first, then all at discriminative rates."""
    epochs = body_epochs(len(task.train))
    recipe = recipes.probe_then_finetune(
        HEAD["head_epochs"], epochs, head_lr=HEAD["head_lr"], body_lr=slice(1e-4, 1e-3), wd=WD, keep="last"
    )
    return _run(task, seed, recipe)


def fastai(task: Task, seed: int) -> float:
    """`learn.fine_tune` as fastai ships it: its Adam, base rate 2e-3, frozen norms training."""
    from fastai.optimizer import Adam

    learn = task.learner("letters", seed=seed, opt_func=Adam)
    torch.manual_seed(seed)
    with learn.no_bar(), learn.no_logging():
        learn.fine_tune(body_epochs(len(task.train)))
    return _read(learn, task)


WAYS: dict[str, Callable[[Task, int], float]] = {
    "scratch": scratch, "probe": probe, "fine-tuned": tuned, "fastai fine_tune": fastai,
}  # fmt: skip


def measure(shots: int | None, seeds: int) -> dict[str, list[float]]:
    """Test accuracy by way and seed."""
    scores: dict[str, list[float]] = {way: [] for way in WAYS}
    for seed in range(seeds):
        task = nt.tasks.digits(shots=shots, seed=seed)
        for way, run in WAYS.items():
            scores[way].append(run(task, seed))
    return scores


def row(shots: int | None, scores: dict[str, list[float]]) -> str:
    """A line of the table: mean ± standard deviation over seeds, and the margins."""
    cells = [f"{np.mean(s):.3f} ± {np.std(s):.3f}" for s in scores.values()]
    tuned = np.array(scores["fine-tuned"])
    margins = [f"{np.mean(tuned - np.array(scores[way])):+.3f}" for way in ("scratch", "fastai fine_tune")]
    return f"| {shots or 'all'} | {len(tuned)} | {' | '.join(cells)} | {' | '.join(margins)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--shots", nargs="*", default=[str(s) for s in SHOTS], help="images a class; None for all")
    parser.add_argument("--many-seeds", type=int, default=3, help=f"seeds from {MANY} images a class on")
    options = parser.parse_args()
    columns = ["images a class", "seeds", *WAYS, "fine-tuned over scratch", "over fastai"]
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    print("\n".join(lines))
    for text in options.shots:
        shots = None if text == "None" else int(text)
        few = shots is not None and shots < MANY
        lines.append(row(shots, measure(shots, options.seeds if few else options.many_seeds)))
        print(lines[-1], flush=True)
    if len(options.shots) == len(SHOTS):
        OUT.write_text(f"{HEADER}\n" + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
