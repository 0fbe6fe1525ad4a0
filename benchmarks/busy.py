"""What does a busy machine do to small steps? `python benchmarks/busy.py [--rounds N]`.

A range test and two whole epochs on the embedded digits, alone, beside a process that keeps a core busy, and beside
others that train with PyTorch as it comes: once with PyTorch loaded by nbtune, whose waiting threads soon sleep, and
once loaded before it, as it comes. Every run is a process of its own; the two ways run one after the other, round by
round. Exit code 1 if nbtune's way is slower beside a training.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

WAYS = {"as it comes": "import torch; ", "by nbtune": ""}
WORK = """
import time, warnings
warnings.simplefilter("ignore")
import nbtune as nt

tuner = nt.Tuner(nt.tasks.digits(shots=10, seed=0).learner("letters", seed=0), seed=0)
tuner.freeze()
tuner.lr_find(steps=30)
began = time.perf_counter()
tuner.lr_find(seeds=2)
tuner.unfreeze()
tuner.fit(2, slice(1e-4, 1e-3))
print("took", time.perf_counter() - began)
"""
LOOP = "while True: pass"
TRAINING = """
import torch
net = torch.nn.Sequential(torch.nn.Conv2d(3, 32, 3), torch.nn.ReLU(), torch.nn.Conv2d(32, 32, 3))
while True: net(torch.randn(16, 3, 32, 32)).sum().backward()
"""
LOADS = {"nothing": [], "a busy loop": [LOOP], "a training": [TRAINING], "two trainings": [TRAINING, TRAINING]}


@contextmanager
def beside(programs: Sequence[str]) -> Iterator[None]:
    """These programs run meanwhile."""
    busy = [subprocess.Popen([sys.executable, "-c", program]) for program in programs]
    try:
        yield
    finally:
        for one in busy:
            one.kill()
            one.wait()


def seconds(way: str) -> float:
    """Of the work, loading not counted."""
    unset = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    done = subprocess.run(
        [sys.executable, "-c", WAYS[way] + WORK], env=unset, check=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return float(next(line for line in done.stdout.splitlines() if line.startswith("took")).split()[1])


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each load: medians with ranges over the rounds, and the ratio within rounds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args(arguments).rounds
    print("| beside | as it comes, s | by nbtune, s | times as fast |\n|---|---|---|---|")
    beside_training = 1.0
    for load, programs in LOADS.items():
        with beside(programs):
            done = [{way: seconds(way) for way in WAYS} for _ in range(rounds)]
        ratios = [one["as it comes"] / one["by nbtune"] for one in done]
        beside_training = statistics.median(ratios) if programs == [TRAINING] else beside_training
        cells = [said([one[way] for one in done]) for way in WAYS]
        print(f"| {load} | {' | '.join(cells)} | {said(ratios)} |", flush=True)
    return int(beside_training < 1)


def said(values: Sequence[float]) -> str:
    """A median with its range."""
    return f"{statistics.median(values):.2g} ({min(values):.2g} to {max(values):.2g})"


if __name__ == "__main__":
    raise SystemExit(main())
