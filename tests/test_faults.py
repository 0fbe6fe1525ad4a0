"""Long fault tests (`make faults`): the kernel's interrupt at random moments, for real."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch
from fastai.callback.core import Callback

import nbtune as nt
import test_resume as runs
from learners import bits, digits
from nbtune.checkpoints import RunFolder
from nbtune.tuner.queue import Queue

pytestmark = pytest.mark.faults


def interrupted(act: Any, after: float) -> bool:
    """Run `act` and send SIGINT `after` seconds in; whether it arrived while `act` ran."""
    timer = threading.Timer(after, os.kill, (os.getpid(), signal.SIGINT))
    with contextlib.suppress(KeyboardInterrupt):
        timer.start()
        act()
        timer.cancel()
        timer.join()
        return False
    return True


def state(learn: Any) -> list[torch.Tensor]:
    opt = [] if learn.opt is None else [v for s in learn.opt.state.values() for v in s.values() if torch.is_tensor(v)]
    return [t.clone() for t in [*learn.model.state_dict().values(), *opt, torch.get_rng_state()]]


@pytest.mark.survives(
    "60 real interrupts at random moments of lr_find",
    "weights, optimizer, callbacks and random streams are as before, to the bit",
)
def test_lr_find_leaves_no_trace_wherever_it_is_interrupted() -> None:
    draw, hits = random.Random(0), 0
    tuner = nt.Tuner(digits(), seed=0)
    tuner.fit(1, 1e-3)
    before, cbs, rng = state(tuner.learn), list(tuner.learn.cbs), random.getstate()
    for _ in range(60):
        hits += interrupted(lambda: tuner.lr_find(steps=60), draw.uniform(0, 0.25))
        assert all(torch.equal(a, b) for a, b in zip(before, state(tuner.learn), strict=True))
        assert list(tuner.learn.cbs) == cbs
        assert random.getstate() == rng
    assert hits >= 20


@pytest.mark.survives(
    "40 real interrupts at random moments of a fit under changing plans",
    "callbacks as before, weights finite, history kept, the next fit works",
)
def test_a_fit_that_is_interrupted_at_any_moment_can_go_on() -> None:
    draw, hits = random.Random(1), 0
    tuner = nt.Tuner(digits(), seed=0)
    for number in range(40):
        tuner.freeze_to(number % 3)
        cbs, rows = list(tuner.learn.cbs), len(tuner.history)
        hits += interrupted(lambda: tuner.fit(8, 1e-3), draw.uniform(0, 0.4))
        assert list(tuner.learn.cbs) == cbs
        assert all(torch.isfinite(t).all() for t in state(tuner.learn))
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        assert len(tuner.history) >= rows
    assert hits >= 10
    assert tuner.fit(1, 1e-3).phases[-1].ended == "finished"
    assert tuner.best().learn is tuner.learn


@pytest.fixture(scope="module")
def whole() -> dict[int, Any]:
    found = {}
    for workers in (0, 2):
        tuner = nt.Tuner(runs.learner(workers), seed=3)
        tuner.run(runs.RECIPE)
        found[workers] = runs.outcome(tuner)
    return found


@pytest.mark.survives(
    "a 40-step run ended after each of its steps, workers 0 and 2 (80 resumes)",
    "weights, optimizer, schedule, random streams and history equal the whole run, to the bit",
)
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("at", range(1, runs.STEPS + 1))
def test_a_run_that_is_ended_after_any_of_its_steps_equals_the_whole_one(
    at: int, workers: int, whole: Any, tmp_path: Path
) -> None:
    runs.check_resumed(workers, "stop" if at % 2 else "raise", at, whole, tmp_path)


FORKS = """
import os, sys, warnings
warnings.simplefilter("ignore")
sys.path[:0] = [{tests!r}]
import torch; torch.set_num_threads(1)
from test_faults import train
for line in sys.stdin:
    if (pid := os.fork()) == 0:
        try:
            train(*line.split())
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    print("gone", flush=True)
"""


class Noted(Callback):
    """Writes down where each training batch is: number of the phase, epoch, batch."""

    def __init__(self, tuner: nt.Tuner, file: Path) -> None:
        super().__init__()
        self.tuner, self.file = tuner, file

    def after_batch(self) -> None:
        if self.training:
            with self.file.open("a") as stream:
                stream.write(f"{self.tuner._queue.todo[0].number} {self.epoch} {self.iter}\n")


def train(path: str, every: str) -> None:
    """Begin a run or go on with it; in a process that may be killed."""
    place, learn = Path(path), runs.learner()
    again = place.exists()
    made = {"run_dir": place, "seed": 3, "every": float(every)}
    tuner = nt.resume(place, learn, every=float(every)) if again else nt.Tuner(learn, **made)
    print("ready", os.getpid(), flush=True)
    noted = Noted(tuner, place.with_suffix(".log"))
    tuner.run(cbs=noted) if again else tuner.run(runs.RECIPE, cbs=noted)
    print("done", flush=True)


class Forks:
    """A process that has imported everything and begins, as a fork of itself, each one that is to be killed."""

    def __init__(self) -> None:
        code = FORKS.format(tests=str(Path(__file__).parent))
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def killed(self, path: Path, after: float, every: float) -> bool:
        """Train in a process that is killed after so many seconds of its own work; was it finished before that?"""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{path} {every}\n")
        self.process.stdin.flush()
        word, pid = self.process.stdout.readline().split()
        assert word == "ready"
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
            child = psutil.Process(int(pid))
            begun = sum(child.cpu_times()[:2])
            while sum(child.cpu_times()[:2]) < begun + after and child.status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.002)
            child.kill()
        said = [self.process.stdout.readline().strip()]
        while not said[-1].endswith("gone"):  # a progress bar may stand in front of it
            said.append(self.process.stdout.readline().strip())
        return any(line.endswith("done") for line in said)


@pytest.fixture
def forks() -> Iterator[Forks]:
    made = Forks()
    yield made
    made.process.kill()
    made.process.communicate()


def kept(path: Path) -> tuple[int, int, int]:
    """Phase, whole epochs and batches of the newest whole checkpoint."""
    value, _ = RunFolder(path).load()
    queue, history = Queue(), value["history"]
    queue.put(value["queue"])
    phases = [SimpleNamespace(number=phase["number"]) for phase in history["phases"]]
    return queue.place(SimpleNamespace(rows=history["rows"], phases=phases))  # type: ignore[arg-type]


@pytest.mark.survives(
    "kill -9 at 50 random moments of a run",
    "the resumed run ends with the weights of the whole one; saved at every step, no whole step but the last is lost",
)
def test_a_process_that_is_killed_at_random_moments_ends_as_the_whole_one(
    whole: Any, tmp_path: Path, forks: Forks
) -> None:
    draw, kills, looked = random.Random(2), 0, 0
    for number in range(50):
        path, done = tmp_path / str(number), False
        while not done and kills < 50:  # until it is through, each time on from where it was
            every = draw.choice([0.0, 0.05])
            done = forks.killed(path, draw.uniform(0.0, 0.8), every)
            kills += not done
            log = path.with_suffix(".log")
            lines = log.read_text().splitlines() if log.exists() else []
            if not done and not every and lines:
                phase, epoch, batch = map(int, lines[-1].split())
                assert kept(path) >= (phase, epoch, batch)  # as it was when this batch began
                looked += 1
            log.unlink(missing_ok=True)
        if not path.exists():  # killed before it had begun
            continue
        tuner = nt.resume(path, runs.learner())
        tuner.run()
        lasting = {"last", "best", "optimizer", "rows", "phases"}  # streams and the recorder end with the process
        assert lasting.isdisjoint(runs.same(whole[0], runs.outcome(tuner)))
        if kills >= 50:
            break
    print(f"{kills} kills in {number + 1} runs; after {looked} of them the steps that were kept were compared")
    assert kills >= 50
    assert looked >= 5


@pytest.mark.survives(
    "the newest checkpoint of a run cut at 1,000 places", "the one before it is used, and that is said once"
)
def test_a_checkpoint_that_is_cut_at_a_thousand_places_gives_way_to_the_one_before(tmp_path: Path) -> None:
    tuner = nt.Tuner(runs.learner(), run_dir=tmp_path / "run", seed=3)
    tuner.run(runs.RECIPE)
    folder, cuts = RunFolder(tmp_path / "run"), 0
    _, newest = [int(path.stem[-6:]) for path in sorted(folder.path.glob("checkpoint-*.json"))]
    before = [kept(folder.path)]
    files = [folder.path / f"checkpoint-{newest:06d}.json", folder.path / f"state-{newest:06d}.safetensors"]
    for path in files:
        content = path.read_bytes()
        for at in range(500):
            path.write_bytes(content[: at * len(content) // 500])
            with pytest.warns(UserWarning, match="one before it") as said:
                before.append(kept(folder.path))
            assert len(said) == 1
            cuts += 1
        path.write_bytes(content)
    assert (cuts, len(set(before[1:]))) == (1000, 1)
    assert before[1] <= before[0] == kept(folder.path)


@pytest.mark.survives(
    "100 random schedules of stops, errors and resumes",
    "the best state is that of the joined history",
)
def test_the_best_of_runs_that_were_ended_at_random_is_that_of_the_joined_history(tmp_path: Path) -> None:
    draw = random.Random(3)
    for number in range(100):
        tuner = nt.Tuner(digits(), run_dir=tmp_path / str(number), seed=number, every=draw.choice([0.0, 60.0]))
        recipe = nt.Recipe((nt.Phase(2, first="head", lr=1e-2), nt.Phase(3, lr=draw.choice([1e-2, 1.0]))))
        with contextlib.suppress(runs.Fault):
            tuner.run(recipe, cbs=runs.Break(draw.randint(1, 14), draw.choice([tuner.stop, runs.fail])))
        while tuner._queue.todo:
            tuner = nt.resume(tmp_path / str(number), digits())
            with contextlib.suppress(runs.Fault):
                tuner.run(cbs=runs.Break(draw.randint(1, 14), draw.choice([tuner.stop, runs.fail])))
        expected = nt.Tuner(digits(), seed=number)
        expected.run(recipe)
        assert bits(tuner.learn.model) == bits(expected.learn.model)
        assert tuner.history.best == expected.history.best
