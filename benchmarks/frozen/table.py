"""Tables of what was measured, and the sections of `benchmarks/RESULTS.md`."""

from __future__ import annotations

import datetime
import os
import re
import statistics
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from frozen.work import EPOCHS, Run, Work, seconds_are

__all__ = ["OUT", "machine", "store", "table"]

OUT = Path(__file__).parents[1] / "RESULTS.md"
LIBRARIES = ("torch", "torchvision", "fastai", "transformers", "accelerate", "lightning", "keras")
HEADER = """# Frozen phases, measured

Written by `frozen.py`, `finder.py` and `sweep.py` in `benchmarks/`. Networks with random weights and random
items, named synthetic, in memory (a step costs the same on any; files that must be decoded would cost all but the
cached and the ideal ways more). All ways of a table ran interleaved in one process, round by round in rotated order.
"""


def machine() -> str:
    """Cores, processor, memory, libraries and date, a line each."""
    found = []
    for name in LIBRARIES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    import nbtune

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"- {os.cpu_count()} cores, {_processor()}, {memory:.0f} GB; threads: {torch.get_num_threads()}; CPU only\n"
        f"- {seconds_are()}\n"
        f"- nbtune {nbtune.__version__}, {', '.join(found)}\n- {datetime.date.today().isoformat()}"
    )


def _processor() -> str:
    try:
        names = re.findall(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    except OSError:
        names = []
    return names[0].strip() if names else "processor unknown"


def table(work: Work, rounds: Sequence[dict[str, Run]], base: str, ideal: str) -> str:
    """A row a way: seconds a step and a phase, how many times faster than `base`, the share of `ideal`.

    Ratios are taken within a round; given are their medians and ranges over rounds.
    """
    lines = [
        f"{work.train} training and {work.valid} validation items, batch {work.bs}, {len(rounds)} rounds, a phase of "
        f"{EPOCHS} epochs. {seconds_are()}.\n",
        "| way | ms a step | s a phase | epochs measured | times as fast as fastai's | share of the ideal |",
        "|---|---|---|---|---|---|",
    ]
    for name in rounds[0]:
        runs = [one[name] for one in rounds]
        faster = [one[base].seconds / one[name].seconds for one in rounds]
        share = [one[ideal].seconds / one[name].seconds for one in rounds]
        step = [1000 * statistics.median(run.steps) for run in runs]
        scaled = "" if runs[0].epochs >= EPOCHS else ", scaled"
        cells = [name, _spread(step), _spread([run.seconds for run in runs]), f"{runs[0].epochs}{scaled}"]
        lines.append(f"| {' | '.join([*cells, _spread(faster), _spread(share)])} |")
    notes = [f"{name}: {run.note}" for name, run in rounds[-1].items() if run.note]
    return "\n".join([*lines, "", *([f"Of the phase, in the last round: {'; '.join(notes)}."] if notes else [])])


def _spread(values: Sequence[float]) -> str:
    """The median, and the range where there are several."""
    middle = _short(statistics.median(values))
    low, high = _short(min(values)), _short(max(values))
    return middle if low == high else f"{middle} ({low} to {high})"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def store(title: str, text: str, path: Path = OUT) -> None:
    """Write the section `title`; the others stay as they are."""
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    sections = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", before, re.M | re.S))
    sections = {name: f"\n{content.strip()}\n\n" for name, content in sections.items()}
    sections[title] = f"\n{text.strip()}\n\n"
    body = "".join(f"## {name}\n{content}" for name, content in sections.items())
    path.write_text(f"{HEADER}\n{body}".rstrip() + "\n", encoding="utf-8")
