"""Findings about the machine: device, memory of a real step, seconds of every phase, room on disk."""

from __future__ import annotations

import ctypes
import os
import shutil
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from nbtune._display import counted, seconds, short
from nbtune._fastai.steps import cut_batch, trial
from nbtune._memory import lacks_memory, largest
from nbtune._nested import tensors
from nbtune.cache.memory import free_memory
from nbtune.costs import Cost, prices
from nbtune.preflight.subject import Subject
from nbtune.preflight.values import Finding, first_line

__all__ = ["device", "disk", "memory", "time"]

_SHARE = 0.9  # of what is free, above which a step is too near the edge


def device(subject: Subject) -> Iterator[Finding]:
    """Where the model is, and whether a GPU lies idle."""
    where = next(subject.learn.model.parameters()).device
    if where.type == "cpu" and torch.cuda.is_available():
        yield Finding("warn", "device", f"the model is on the CPU, and {torch.cuda.get_device_name()} is idle.",
                      "A GPU is many times as fast.", "learn.dls.to('cuda'); learn.model.to('cuda')")  # fmt: skip
    else:
        name = (
            torch.cuda.get_device_name(where)
            if where.type == "cuda"
            else f"CPU, {counted(torch.get_num_threads(), 'thread')}"
        )
        yield Finding("note", "device", f"{name}; torch {torch.__version__}.")


def memory(subject: Subject) -> Iterator[Finding]:
    """One real step at the true batch size, in the phase that trains most; undone to the bit."""
    cut = min(subject.cuts, key=lambda one: one.first)
    size = len((tensors(subject.batch) or [torch.empty(0)])[0])
    cuda = next(subject.learn.model.parameters()).is_cuda
    free = torch.cuda.mem_get_info()[0] if cuda else free_memory()

    def step(count: int) -> None:
        batch = subject.batch if count >= size else cut_batch(subject.batch, count)
        trial(subject.learn, [batch], cut.lists(subject.learn.model))

    try:
        used = (_on_gpu if cuda else _on_cpu)(lambda: step(size))
    except Exception as error:
        traceback.clear_frames(error.__traceback__)  # which hold the batch and its activations
        yield _too_large(subject, size, step) if lacks_memory(error) else _fails(error)
        return
    seen = f"a step of {size} items took {_bytes(used)} at its peak; {_bytes(free)} were free."
    if used > _SHARE * free:
        yield Finding("warn", "memory", seen, "Training may run out of memory.", f"bs={max(1, size // 2)}")
    else:
        yield Finding("note", "memory", seen)


def _too_large(subject: Subject, size: int, step: Callable[[int], None]) -> Finding:
    found, loader = largest(max(1, size // 2), step), subject.loaders["training"]
    if found.fits is None:
        down = size if found.lacked is None else found.lacked
        one = f"; one of {found.failed} fails otherwise ({found.error})" if found.failed else ""
        do = f"a smaller model, or more of it frozen: a step of {down} items lacks memory too{one}"
    else:
        how = f"{'for dl in learn.dls.loaders: dl.bs' if hasattr(loader, 'bs') else 'batch_size'} = {found.fits}"
        do = f"{how}, with which a step was made"
    return Finding("stop", "memory", f"a step of {size} items runs out of memory.",
                   "Training would end at its first step.", do)  # fmt: skip


def _fails(error: Exception) -> Finding:
    return Finding(
        "stop", "step", f"a training step fails: {type(error).__name__}: {first_line(error)}",
        "The first step of training would fail in the same way.",
        "learn.model.train(); learn.model(*learn.dls.one_batch()[:learn.dls.n_inp]) may show where",
    )  # fmt: skip


def _on_gpu(act: Callable[[], None]) -> int:
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    act()
    return int(torch.cuda.max_memory_allocated() - before)


def _on_cpu(act: Callable[[], None]) -> int:
    """Growth of the process's memory, looked at every few milliseconds; 0 where the system does not tell."""
    _give_back()
    before, peak, done = _resident(), [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.002):
            peak[0] = max(peak[0], _resident())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        act()
    finally:
        done.set()
        watcher.join()
    return max(0, peak[0] - before)


def _give_back() -> None:
    """Hand to the system what was freed: else a step takes what an earlier one left, and no growth is seen."""
    with suppress(OSError, AttributeError):  # no glibc
        ctypes.CDLL(None).malloc_trim(0)


def _resident() -> int:
    with suppress(OSError, ValueError, IndexError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
    return 0


def time(subject: Subject) -> Iterator[Finding]:
    """Seconds of every phase and of all, by a few trial steps."""
    known: dict[tuple[int, str], tuple[Cost | None, Cost | None]] = {}
    total, said = [0.0, 0.0, 0.0], []
    for number, (cut, phase) in enumerate(zip(subject.cuts, subject.phases, strict=True), 1):
        key = cut.first, cut.norms
        if key not in known:
            known[key] = prices(subject.learn, cut)
        live, kept = known[key]
        if live is None:
            yield Finding("warn", "time", f"phase {number}: a trial step could not be made.",
                          "Training would fail at its first step, or needs what a trial does not have.")  # fmt: skip
            return
        # From kept features one pass fills the cache; it costs at most a live epoch.
        parts = (
            [(live, 1), (kept, phase.epochs)] if kept is not None and phase.cache != "off" else [(live, phase.epochs)]
        )
        found = [sum(getattr(cost, at) * times for cost, times in parts) for at in ("seconds", "low", "high")]
        total = [one + other for one, other in zip(total, found, strict=True)]
        said.append(f"phase {number} ({_epochs(phase.epochs)} from {cut.groups[cut.first].name}) {seconds(found[0])}")
    if len(said) > 4:
        said[2:-1] = ["…"]
    yield Finding("note", "time", f"{'; '.join(said)}; all about {Cost(*total)}, by a few trial steps.")


def _epochs(count: int) -> str:
    return "1 epoch" if count == 1 else f"{count:,} epochs"


def disk(subject: Subject) -> Iterator[Finding]:
    """Room for the run folder: two generations of weights and optimizer, and the best state."""
    if subject.folder is None:
        return
    weights = sum(tensor.numel() * tensor.element_size() for tensor in subject.learn.model.state_dict().values())
    trained = max(sum(p.numel() * p.element_size() for g in cut.lists(subject.learn.model) for p in g)
                  for cut in subject.cuts)  # fmt: skip
    needed = 3 * weights + 2 * 2 * trained
    place = subject.folder
    while not place.exists() and place != place.parent:
        place = place.parent
    free = shutil.disk_usage(place).free
    seen = f"checkpoints take about {_bytes(needed)}; {_bytes(free)} are free at {subject.folder}."
    if not os.access(place, os.W_OK):
        yield Finding("stop", "disk", f"{place} cannot be written.",
                      "Training would go on in memory, and a dead kernel would lose it.",
                      "run_dir= in a folder of your own")  # fmt: skip
    elif free < needed:
        yield Finding("stop", "disk", seen, "Training would go on in memory, and a dead kernel would lose it.",
                      "run_dir= on another disk")  # fmt: skip
    else:
        yield Finding("note", "disk", seen)


def _bytes(count: Any) -> str:
    return f"{short(float(count))}B" if count >= 1000 else f"{count} B"
