"""What does the Monitor cost? An epoch of 1,000 short batches with it open, beside the same without, interleaved.

The network is tiny, so that a batch takes about two milliseconds: the worst case for what is added to each. Messages
are serialised and signed as a kernel does; a browser is not part of it. Also at 100,000 recorded batches: what they and
a drawing take, and the bytes of the curve and of the largest message. Goals stand beside what was seen.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import comm
import torch
from comm.base_comm import BaseComm
from jupyter_client.session import Session
from torch import nn
from torch.utils.data import DataLoader

import nbtune as nt
from nbtune._fastai import Callback, DataLoaders, Learner
from nbtune.trace import Trace

SESSION = Session(key=b"benchmark")
SENT: list[int] = []


class Signed(BaseComm):
    """A comm that does what a kernel does with a message, short of the socket."""

    def publish_msg(
        self, msg_type: str, data: Any = None, metadata: Any = None, buffers: Any = None, **keys: Any
    ) -> None:
        parts = SESSION.serialize(SESSION.msg(msg_type, {"data": data, "comm_id": self.comm_id, **keys}))
        SENT.append(sum(map(len, parts)) + sum(len(bytes(buffer)) for buffer in buffers or ()))


class Busy(Callback):  # type: ignore[misc]
    """Processor time of an epoch."""

    order = 1000

    def before_epoch(self) -> None:
        self.began = time.process_time()

    def after_epoch(self) -> None:
        self.took = time.process_time() - self.began


def tuner(batches: int) -> nt.Tuner:
    """A small network on random numbers, named synthetic: a step costs the same on any."""
    torch.manual_seed(0)
    rows = [(torch.randn(16, 32), torch.randint(4, (16,))) for _ in range(batches)]
    loaders = DataLoaders(*(DataLoader(part, batch_size=None) for part in (rows, rows[:4])))
    model = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 4))
    return nt.Tuner(Learner(loaders, model, loss_func=nn.CrossEntropyLoss()), seed=0)


def seconds(batches: int, monitored: bool) -> tuple[float, float]:
    """One epoch, without what comes before and after it: by the clock, and in processor time."""
    made = tuner(batches)
    panel = nt.widgets.Monitor(made) if monitored else None
    busy = Busy()
    history = made.fit(1, 1e-3, cbs=busy)
    if panel is not None:
        panel.close()
    return float(history.rows[0]["seconds"]), busy.took


def many(batches: int) -> tuple[float, int, float, int]:
    """After so many: µs a batch of recording, bytes of the curve, ms of a drawing, bytes of the largest message."""
    made = tuner(4)
    trace: Trace = made.trace
    trace.begin(1, "all", {"all": 1e-3}, 1, False, batches, lambda: [1e-3])
    began = time.perf_counter()
    for number in range(batches):
        trace.batch((number + 1) / batches, 1.0 / (number + 1), 16, 1e-3)
    each = 1e6 * (time.perf_counter() - began) / batches
    panel = nt.widgets.Monitor(made)
    SENT.clear()
    began = time.perf_counter()
    panel._draw(anew=True)
    ms = 1e3 * (time.perf_counter() - began)
    panel.send_state()
    panel.close()
    return each, trace.points.nbytes, ms, max(SENT)


def main() -> None:
    """Print the ratio with its spread over the rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--batches", type=int, default=1000)
    given = parser.parse_args()
    comm.create_comm = Signed
    seconds(50, True)  # imports
    SENT.clear()
    pairs = []
    for number in range(given.rounds):
        order = (False, True) if number % 2 else (True, False)
        took = {monitored: seconds(given.batches, monitored) for monitored in order}
        pairs.append((took[False], took[True]))
    for at, name in enumerate(("by the clock", "in processor time, which a busy machine disturbs less")):
        ratios = sorted(with_it[at] / without[at] for without, with_it in pairs)
        alone = statistics.median(without[at] for without, _ in pairs)
        added = statistics.median(1e3 * (b[at] - a[at]) / given.batches for a, b in pairs)
        print(f"{name}: {1e3 * alone / given.batches:.2f} ms a batch without the Monitor,")
        print(f"  {added:.3f} ms more with it (goal 1)")
        print(f"  {statistics.median(ratios):.3f} of it (goal 1.02; rounds {ratios[0]:.3f} to {ratios[-1]:.3f})")
    print(f"{len(SENT)} messages in {given.rounds} epochs, the largest of {max(SENT):,} bytes")
    each, curve, ms, largest = many(100_000)
    print(
        f"at 100,000 batches: {each:.1f} µs a batch to record them, a curve of {curve:,} bytes, {ms:.1f} ms to draw it,"
    )
    print(f"  the largest message, with all that the panel has, {largest:,} bytes")


if __name__ == "__main__":
    main()
