"""Is anything lost, or won, on data of one's own, beside a plain script? `python benchmarks/plain.py --seeds 10`.

Four real data sets that nbtune does not bring, each in two ways in the same run: through nbtune from `from_…` to the
predictions of the bundle that `nt.load` gives, and a plain fastai or PyTorch script. Both get the same items in the
same splits (drawn anew for every seed), the same network, batch size and number of epochs. Nothing was tuned for
either: rates are those of the libraries' defaults or the same in both, the test split is looked at once a seed.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from frozen.table import machine
from own.ways import WAYS, Way
from scipy import stats

OUT = Path(__file__).with_name("PLAIN.md")
HEADER = "# Data of one's own, beside a plain script\n\nWritten by `python benchmarks/plain.py`."
COLUMNS = ("data", "way in", "measure", "plain script", "nbtune", "plain", "nbtune better by [95 %]", "s", "s, plain")


def timed(question: Callable[[], Any]) -> tuple[Any, float]:
    """The answer and its seconds."""
    began = time.perf_counter()
    return question(), time.perf_counter() - began


def measure(way: Way, seeds: int) -> dict[str, list[float]]:
    """Scores and seconds of both ways, a value a seed; who goes first takes turns."""
    found: dict[str, list[float]] = {name: [] for name in ("nbtune", "plain", "nbtune s", "plain s")}
    for seed in range(seeds):
        task = way.task(seed)
        pairs = [("nbtune", way.nbtune), ("plain", way.plain)]
        for name, run in pairs if seed % 2 else pairs[::-1]:
            said, seconds = timed(lambda run=run, task=task, seed=seed: run(task, seed))  # type: ignore[misc]
            found[name].append(way.score(task, said))
            found[f"{name} s"].append(seconds)
    return found


def gain(way: Way, found: dict[str, list[float]]) -> tuple[float, float, float]:
    """How much better nbtune is: the mean over seeds of the paired differences, and its 95 % interval (t)."""
    differences = way.better * (np.array(found["nbtune"]) - np.array(found["plain"]))
    mean, n = float(differences.mean()), len(differences)
    if n < 2:
        return mean, float("nan"), float("nan")
    half = float(stats.t.ppf(0.975, n - 1) * differences.std(ddof=1) / np.sqrt(n))
    return mean, mean - half, mean + half


def row(way: Way, found: dict[str, list[float]]) -> str:
    """A line of the table: mean ± standard deviation over seeds."""
    digits = 1 if max(found["plain"]) > 2 else 3
    scores = [f"{np.mean(found[k]):.{digits}f} ± {np.std(found[k]):.{digits}f}" for k in ("nbtune", "plain")]
    mean, low, high = gain(way, found)
    better = f"{mean:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]"
    seconds = [f"{np.median(found[k]):.1f}" for k in ("nbtune s", "plain s")]
    return f"| {' | '.join((way.name, f'`{way.source}`', way.metric, way.peer, *scores, better, *seconds))} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table; a run of five seeds or more of all data sets stores it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--only", default="", help="data sets whose name holds this")
    given = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    lines = [f"| {' | '.join(COLUMNS)} |", "|" + "---|" * len(COLUMNS)]
    print(*lines, sep="\n")
    for way in (way for way in WAYS if given.only in way.name):
        lines.append(row(way, measure(way, given.seeds)))
        print(lines[-1], flush=True)
    foot = (
        f"{given.seeds} seeds, each with splits of its own: mean ± standard deviation over seeds; seconds are medians."
    )
    print(foot)
    if given.seeds >= 5 and not given.only:
        about = "\n".join(line for line in (__doc__ or "").splitlines()[2:])
        OUT.write_text(f"{HEADER}\n{about}\n\n" + "\n".join(lines) + f"\n\n{foot}\n\n{machine()}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
