"""How long does `import nbtune` take, beside the library it is built on? Median of fresh interpreters."""

from __future__ import annotations

import statistics
import subprocess
import sys

GOAL = 0.2  # seconds: an import that is not felt
TIMER = "import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"


def seconds(module: str, runs: int) -> float:
    """Median seconds of `import module` over `runs` fresh interpreters, after one that warms the disk."""
    command = [sys.executable, "-c", TIMER.format(module=module)]
    took = [float(subprocess.check_output(command, stderr=subprocess.DEVNULL)) for _ in range(runs + 1)]
    return statistics.median(took[1:])


def main() -> int:
    """Print both medians and their ratio; the exit code says whether the goal is met."""
    ours, theirs = seconds("nbtune", 9), seconds("fastai.vision.all", 3)
    print(f"import nbtune             {ours * 1000:7.1f} ms   (goal: below {GOAL * 1000:.0f} ms)")
    print(f"import fastai.vision.all  {theirs * 1000:7.1f} ms   ({theirs / ours:.0f} times as long)")
    return int(ours >= GOAL)


if __name__ == "__main__":
    raise SystemExit(main())
