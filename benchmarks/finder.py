"""What does a learning rate range test on a frozen model cost, in nbtune and in fastai? `python benchmarks/finder.py`.

resnet18 at 128 px with fastai's head, 512 images, batch 64, 100 steps. Both end early where the loss diverges, as they
come; so seconds are also given for 100 steps. The features are filled by the first call of `tuner.lr_find()`: it is
timed apart, and added in a second figure.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from frozen.asked import ask, middle
from frozen.ways import learner
from frozen.work import Work, now, seeded

import nbtune as nt
from nbtune._fastai.optimizer import layered_adamw

STEPS, GOAL, FASTER = 100, 1.0, 50


def timed(question: Callable[[], int]) -> tuple[float, int]:
    """Seconds, and the steps that were made."""
    seeded()
    began = now()
    with redirect_stdout(StringIO()):
        steps = question()
    return now() - began, steps


def fastai(work: Work) -> tuple[float, int]:
    """`learn.freeze()`, then `learn.lr_find()` as it comes but for the picture."""
    learn = learner(work)
    learn.freeze()

    def question() -> int:
        with learn.no_bar():
            learn.lr_find(num_it=STEPS, show_plot=False)
        return len(learn.recorder.losses)

    with TemporaryDirectory() as folder:  # fastai writes the weights to disk, and leaves them where it is cut off
        learn.path = Path(folder)
        return timed(question)


def nbtune(work: Work, repeats: int) -> tuple[tuple[float, int], tuple[float, int]]:
    """The first `tuner.lr_find()` after `freeze()`, which fills the cache, and the median of later ones."""
    tuner = nt.Tuner(learner(work, opt_func=layered_adamw), seed=0)
    tuner.freeze()

    def question() -> int:
        return len(tuner.lr_find(steps=STEPS).lrs)

    first, *others = [timed(question) for _ in range(1 + repeats)]
    return first, (statistics.median(seconds for seconds, _ in others), others[0][1])


def measure(work: Work, rounds: int, repeats: int) -> list[dict[str, tuple[float, int]]]:
    """Both, round by round."""
    done = []
    for _ in range(rounds):
        first, later = nbtune(work, repeats)
        done.append({"nbtune, first": first, "nbtune, again": later, "fastai": fastai(work)})
    return done


def report(rounds: list[dict[str, tuple[float, int]]]) -> str:
    """The table: seconds, steps, and ratios by whole calls and by equal steps."""
    lines = ["| | s a call | steps made | s for 100 steps | times as fast, 100 steps |", "|---|---|---|---|---|"]
    names = {"fastai": "fastai `lr_find`, frozen", "nbtune, first": "nbtune `lr_find`, the filling included",
             "nbtune, again": "nbtune `lr_find`, features kept"}  # fmt: skip
    for key, name in names.items():
        seconds = [one[key][0] for one in rounds]
        hundred = [one[key][0] * STEPS / one[key][1] for one in rounds]
        faster = [one["fastai"][0] / one["fastai"][1] / one[key][0] * one[key][1] for one in rounds]
        cells = [middle(seconds), str(rounds[0][key][1]), middle(hundred), middle(faster)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    filling = statistics.median(one["nbtune, first"][0] - one["nbtune, again"][0] for one in rounds)
    again = statistics.median(one["nbtune, again"][0] * STEPS / one["nbtune, again"][1] for one in rounds)
    ratio = statistics.median(
        one["fastai"][0] / one["fastai"][1] / one["nbtune, again"][0] * one["nbtune, again"][1] for one in rounds
    )
    lines += ["", f"Filling alone: {filling:.2f} s. {len(rounds)} rounds; medians, and ranges in brackets."]
    goals = f"goals: under {GOAL:g} s on two cores, {FASTER} times as fast"
    lines += [f"100 steps on kept features: {again:.2f} s, {ratio:.1f} times as fast as fastai ({goals})."]
    return "\n".join(lines)


if __name__ == "__main__":
    ask(__doc__, "lr_find", lambda work, rounds: report(measure(work, rounds, 5)))
