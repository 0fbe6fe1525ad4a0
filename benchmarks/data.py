"""Does training from a folder wait for its pictures? `python benchmarks/data.py`.

JPEG files of 400 × 400 pixels, cut from two photographs (scikit-learn), brought to 64 × 64 for a network. First the
pictures a second that each way hands out with nothing else to do, beside Pillow alone: open, decode, resize, in one
thread and in as many as there are cores. Then a training of resnet18 on them: the share of its time in which it
waits for a batch, and its seconds beside the same training on tensors that lie ready in memory.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from frozen.table import machine
from own.sets import photographs
from PIL import Image
from torchvision.models import resnet18

import nbtune as nt
from nbtune.tasks import Task, _ready

OUT = Path(__file__).with_name("DATA.md")
HEADER = "# From a folder to the network\n\nWritten by `python benchmarks/data.py`."
SIDE, SIZE, BATCH, CORES = 400, 64, 32, os.cpu_count() or 1


def decoded(path: Path) -> torch.Tensor:
    """What any loader has to do for a picture."""
    with Image.open(path) as image:
        picture = image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    return torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8).view(SIZE, SIZE, 3)


def bare(paths: Sequence[Path], threads: int) -> float:
    """Seconds in which Pillow decodes all."""
    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(decoded, paths):
            pass
    return time.perf_counter() - began


def learner(task: Task, room: int) -> Any:
    """A Learner that keeps what it decoded, or (`room=0`) decodes at need. Its pictures are forgotten first."""
    _ready._decoded.clear()
    before, _ready.ROOM = _ready.ROOM, room
    try:
        return task.learner(lambda n: resnet18(num_classes=n), size=SIZE, bs=BATCH, augment=False, seed=0)
    finally:
        _ready.ROOM = before


def epoch(loader: Any) -> float:
    """Seconds to take every batch of an epoch."""
    began = time.perf_counter()
    for _ in loader:
        pass
    return time.perf_counter() - began


def fastai(paths: Sequence[Path], workers: int) -> Any:
    """fastai's own loader of the same files: decodes every epoch, in processes of its own where there are workers."""
    from fastai.vision.all import CategoryBlock, DataBlock, ImageBlock, IndexSplitter, Resize, parent_label

    block = DataBlock((ImageBlock, CategoryBlock), get_y=parent_label, splitter=IndexSplitter([0]),
                      item_tfms=Resize(SIZE, method="squish"))  # fmt: skip
    return block.dataloaders(paths, bs=BATCH, num_workers=workers, device="cpu").train


def trained(loader: Any, epochs: int) -> tuple[float, float]:
    """Seconds of a plain training on `loader`, and of these the seconds in which it waited for a batch."""
    torch.manual_seed(0)
    model, waited, began = resnet18(num_classes=4).train(), 0.0, time.perf_counter()
    opt, loss = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True), torch.nn.CrossEntropyLoss()
    for _ in range(epochs):
        batches, asked = iter(loader), time.perf_counter()
        for x, y in batches:
            waited += time.perf_counter() - asked
            opt.zero_grad()
            loss(model(x.as_subclass(torch.Tensor)), y.as_subclass(torch.Tensor)).backward()
            opt.step()
            asked = time.perf_counter()
        waited += time.perf_counter() - asked
    return time.perf_counter() - began, waited


def handing_out(task: Task, rounds: int) -> list[str]:
    """Pictures a second by way, and how many times the bare decoder in one thread."""
    paths, n = list(task.train.x.paths), len(task.train)
    kept, late = learner(task, 1 << 30).dls.train, learner(task, 0).dls.train
    ways: dict[str, Callable[[], float]] = {
        "Pillow alone, one thread": lambda: bare(paths, 1),
        f"Pillow alone, {CORES} threads": lambda: bare(paths, CORES),
        "nbtune, decoded once: the filling": lambda: _once(task),
        "nbtune, decoded once: every epoch": lambda: epoch(kept),
        "nbtune, decoded at need: every epoch": lambda: epoch(late),
        "fastai, no workers": lambda: epoch(fastai(paths, 0)),
        f"fastai, {CORES} workers": lambda: epoch(fastai(paths, CORES)),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            taken[name].append(way())
    base = statistics.median(taken["Pillow alone, one thread"])
    rows = [(name, n / statistics.median(some), base / statistics.median(some)) for name, some in taken.items()]
    return ["| way | pictures a second | times Pillow in one thread |", "|---|---|---|"] + [
        f"| {name} | {rate:,.0f} | {ratio:.2f} |" for name, rate, ratio in rows
    ]


def _once(task: Task) -> float:
    """Seconds to decode the training pictures whole."""
    _ready._decoded.clear()
    body = learner(task, 0).nbtune_origin.body
    began = time.perf_counter()
    _ready.prepared(task.train.x, body)
    return time.perf_counter() - began


def training(task: Task, epochs: int) -> list[str]:
    """Seconds and waiting of one training by way."""
    paths = list(task.train.x.paths)
    ways: dict[str, Callable[[], Any]] = {
        "tensors ready in memory": lambda: list(learner(task, 1 << 30).dls.train),
        "nbtune, decoded once (filling counted)": lambda: learner(task, 1 << 30).dls.train,
        "nbtune, decoded at need": lambda: learner(task, 0).dls.train,
        "fastai, no workers": lambda: fastai(paths, 0),
        f"fastai, {CORES} workers": lambda: fastai(paths, CORES),
    }
    lines, base = [f"| {epochs} epochs of resnet18 | s | waits for | times ready tensors |", "|---|---|---|---|"], 0.0
    for name, make in ways.items():
        began = time.perf_counter()
        loader = make()
        filling = time.perf_counter() - began if "counted" in name else 0.0
        seconds, waited = trained(loader, epochs)
        base = base or seconds
        share = (waited + filling) / (seconds + filling)
        lines.append(f"| {name} | {seconds + filling:.1f} | {share:.1%} | {(seconds + filling) / base:.2f} |")
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    """Print both tables; a run of 1,000 pictures or more stores them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3)
    given = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    with TemporaryDirectory() as place:
        root = photographs(Path(place) / "pictures", given.pictures, SIDE)
        began = time.perf_counter()
        task = nt.tasks.from_folder(root)
        looked = given.pictures / (time.perf_counter() - began)
        lines = [*handing_out(task, given.rounds), "", *training(task, given.epochs)]
    n, threads = len(task.train), torch.get_num_threads()
    lines += ["", f"{n:,} of {given.pictures:,} files train; medians of {given.rounds} rounds; {threads} threads."
              f" `from_folder` looked at {looked:,.0f} files a second before that."]  # fmt: skip
    print(*lines, sep="\n")
    if given.pictures >= 1000:
        about = "\n".join((__doc__ or "").splitlines()[2:])
        OUT.write_text(f"{HEADER}\n{about}\n\n" + "\n".join(lines) + f"\n\n{machine()}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
