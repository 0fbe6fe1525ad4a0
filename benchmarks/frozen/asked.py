"""What benchmarks of questions share: their options, a median with its range, the section that a full run stores."""

from __future__ import annotations

import argparse
import statistics
import warnings
from collections.abc import Callable, Sequence

from frozen.table import machine, store
from frozen.work import WORKS, Work, on_one_thread

__all__ = ["WORK", "ask", "middle"]

WORK = "resnet18 @128"


def middle(values: Sequence[float]) -> str:
    """The median, and the range in brackets."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def ask(about: str | None, title: str, measured: Callable[[Work, int], str]) -> None:
    """Print what `measured(work, rounds)` says; a full run stores it as the section `title`."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="64 px, one round; nothing is stored")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processor", action="store_true", help="processor seconds of one thread, named so")
    options = parser.parse_args()
    if options.processor:
        on_one_thread()
    warnings.simplefilter("ignore")
    text = measured(WORKS["resnet18 @64" if options.quick else WORK], 1 if options.quick else options.rounds)
    print(text)
    if not options.quick:
        store(f"{title}, {WORK}", f"{text}\n\n{machine()}")
