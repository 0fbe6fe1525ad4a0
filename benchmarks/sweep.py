"""What do questions about the head cost beside one frozen epoch of fastai? `python benchmarks/sweep.py`.

resnet18 at 128 px, 512 training and 128 validation items, batch 64. Asked of kept features: a sweep of 20 settings as
it comes (successive halving, three seeds of the last three), each setting asked alone for all 5 epochs, `noise()`,
`probe()` and `depth()`. Beside them, one epoch of `learn.freeze()` + `learn.fit(1)`. Without the cache every one of the
epochs that a question trains would cost such an epoch.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from itertools import product
from typing import Any

from frozen.asked import ask, middle
from frozen.ways import learner
from frozen.work import RATE, Work, now, seeded

import nbtune as nt
from nbtune._fastai.optimizer import layered_adamw

RATES, DECAYS, EPOCHS = [1e-4, 3e-4, 1e-3, 3e-3, 1e-2], [0.0, 0.01, 0.1, 0.3], 5
BASE, SWEEP = "one epoch of fastai, frozen", f"sweep of 20 settings, to {EPOCHS} epochs by halving"


def timed(question: Callable[[], Any]) -> float:
    seeded()
    began = now()
    with redirect_stdout(StringIO()):
        question()
    return now() - began


def fastai(work: Work) -> float:
    """The second epoch of a frozen fit: nothing of it is a warm-up."""
    learn = learner(work)
    learn.freeze()
    with learn.no_bar(), learn.no_logging():
        learn.fit(1, RATE)
        return timed(lambda: learn.fit(1, RATE))


def asked(tuner: nt.Tuner) -> dict[str, Callable[[], Any]]:
    def each() -> None:
        for lr, wd in product(RATES, DECAYS):
            tuner.sweep([lr], [wd], epochs=EPOCHS, seeds=1)

    return {
        SWEEP: lambda: tuner.sweep(RATES, DECAYS, epochs=EPOCHS),
        f"20 sweeps of one setting, {EPOCHS} epochs each": each,
        "`noise()`, 10 seeds × 5 epochs": lambda: tuner.noise(EPOCHS, 1e-3),
        "`probe()`": tuner.probe,
        "`depth()`, every boundary": tuner.depth,
    }


def measure(work: Work, rounds: int) -> list[dict[str, float]]:
    """Round by round: fastai's epoch, then every question on kept features."""
    tuner = nt.Tuner(learner(work, opt_func=layered_adamw), seed=0)
    tuner.freeze()
    tuner.sweep([1e-3], [0.0], epochs=1, seeds=1)  # fills what is kept
    questions = asked(tuner)
    return [{BASE: fastai(work), **{name: timed(ask) for name, ask in questions.items()}} for _ in range(rounds)]


def report(rounds: list[dict[str, float]]) -> str:
    lines = ["| | s | of one frozen epoch of fastai |", "|---|---|---|"]
    for name in rounds[0]:
        shares = [one[name] / one[BASE] for one in rounds]
        lines.append(f"| {name} | {middle([one[name] for one in rounds])} | {middle(shares)} |")
    share = statistics.median(one[SWEEP] / one[BASE] for one in rounds)
    goal = "goal: less than one frozen epoch"
    lines += ["", f"{len(rounds)} rounds; medians, and ranges in brackets. Features were filled before.",
              f"The {SWEEP}, on kept features cost {share:.2f} of one frozen epoch of fastai ({goal})."]  # fmt: skip
    return "\n".join(lines)


if __name__ == "__main__":
    ask(__doc__, "Questions", lambda work, rounds: report(measure(work, rounds)))
