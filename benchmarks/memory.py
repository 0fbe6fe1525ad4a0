"""Peak memory while the features of a still part are kept: in memory, and with a budget of 64 MB on disk.

Goals: at most the features' size + one batch's activations + 200 MB; with a budget of 64 MB and features of 1 GB,
at most the budget + one batch's activations + 200 MB. Items are random and named synthetic. Every case runs in a
process of its own; its resident memory (pages of mapped files included) is read every 2 ms and compared with what
it was after a first, live epoch on a few items. The plain way beside it appends each batch's features to a list
and joins them.

    python benchmarks/memory.py            # 1 GB of features
    python benchmarks/memory.py --items 100
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import fastai.callback.progress  # noqa: F401 - gives Learner no_bar
import torch
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner
from torch import Tensor, nn

import nbtune as nt
from nbtune.cache import Store

BS, SIDE, CHANNELS, BUDGET = 32, 64, 64, 64_000_000
MB = 1e6
CASES = ("plain list", "in memory", "64 MB, then disk")


class Items:
    """Synthetic: item i is drawn from the seed i."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return torch.randn(1, SIDE, SIDE, generator=torch.Generator().manual_seed(index)), index % 3


def body_and_head() -> nn.Module:
    """A body whose features are large: 1 MB an item."""
    body = nn.Sequential(nn.Conv2d(1, CHANNELS, 3, padding=1), nn.ReLU())
    return nn.Sequential(body, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(CHANNELS, 3)))


def learner(items: int) -> Any:
    """An ordinary Learner; one item in ten is for validation."""
    counts = (items - items // 10, items // 10)
    dls = [DataLoader(Items(count), bs=BS, shuffle=not number, device="cpu") for number, count in enumerate(counts)]
    loaders = DataLoaders(*dls, device=torch.device("cpu"))
    split = lambda model: [list(part.parameters()) for part in model.children()]  # noqa: E731
    return Learner(loaders, body_and_head(), loss_func=nn.CrossEntropyLoss(), splitter=split)


def resident() -> int:
    """Bytes of this process in memory."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return 1024 * int(line.split()[1])


@contextmanager
def watched(seen: list[int]) -> Iterator[None]:
    """Appends the highest resident size of the block."""
    over, highest = threading.Event(), [resident()]

    def look() -> None:
        while not over.wait(0.002):
            highest[0] = max(highest[0], resident())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        seen.append(highest[0])


def plain(learn: Any) -> int:
    """What people write: a list of outputs, joined. Bytes of the features."""
    body, kept = learn.model[0].eval(), []
    with torch.no_grad():
        for loader in learn.dls.loaders:
            kept.append(torch.cat([body(x) for x, _ in loader]))
    return sum(one.numel() * one.element_size() for one in kept)


def kept(learn: Any, store: Store) -> int:
    """nbtune's way: one epoch of a frozen fit. Bytes of the features."""
    still = nt.Still("head", store=store, cache="on")
    learn.fit(1, 1e-3, cbs=still)
    return sum(store.sizes)


def measure(case: str, items: int) -> dict[str, float]:
    """Megabytes of one case, in this process."""
    with TemporaryDirectory() as folder:
        first = learner(3 * BS)
        with first.no_bar(), first.no_logging():
            first.fit(1, 1e-3)
        learn, seen = learner(items), []
        before = resident()
        with watched(seen), learn.no_bar(), learn.no_logging():
            if case == "plain list":
                size = plain(learn)
            else:
                size = kept(learn, Store() if case == "in memory" else Store(folder, budget=BUDGET))
        return {"features": size / MB, "peak": (seen[0] - before) / MB}


def main() -> None:
    """Each case in a process of its own; a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1000, help="1 MB of features each")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measure(options.case, options.items)))
        return
    batch = BS * SIDE * SIDE * (1 + 2 * CHANNELS) * 4 / MB  # input, convolution and its activation
    peaks: list[float] = []
    print("| way | features, MB | peak over before, MB | allowed, MB |\n|---|---|---|---|")
    for case in CASES:
        command = [sys.executable, "-W", "ignore", __file__, "--case", case, "--items", str(options.items)]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found = json.loads(out.splitlines()[-1])
        allowed = (BUDGET / MB if "disk" in case else found["features"]) + batch + 200
        said = f"{allowed:.0f}" if case != "plain list" else ""
        print(f"| {case} | {found['features']:.0f} | {found['peak']:.0f} | {said} |")
        peaks.append(found["peak"])
    print(f"\nThe plain list takes {peaks[0] / peaks[1]:.1f} times the memory of nbtune in memory.")


if __name__ == "__main__":
    main()
