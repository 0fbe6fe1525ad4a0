"""One process writes a run's folder; who is refused is told by whom; what a dead process left does not bar the way."""

from __future__ import annotations

import fcntl
import gc
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import nbtune as nt
from learners import bits, digits
from nbtune.checkpoints import lock as locks
from nbtune.checkpoints.lock import LOCK, Lock
from nbtune.errors import TrainingError

HOLDER = """
import importlib.util, os, sys, time
from pathlib import Path
spec = importlib.util.spec_from_file_location("lock", sys.argv[3])  # alone: without torch it is there at once
lock = importlib.util.module_from_spec(spec)
spec.loader.exec_module(lock)
lock = lock.Lock(Path(sys.argv[1]))
lock.take()
if sys.argv[2] == "fork" and os.fork() == 0:
    time.sleep(60)
    os._exit(0)
print("held", flush=True)
time.sleep(60)
"""


def holder(folder: Path, how: str = "alone") -> Any:
    folder.mkdir(exist_ok=True)
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder), how, locks.__file__], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    return child


def end(child: Any) -> None:
    child.kill()
    child.wait()
    child.stdout.close()


@pytest.mark.survives("a second process on the same run folder", "refused before anything changes, with pid and time")
def test_another_process_is_named_and_nothing_is_changed(tmp_path: Path) -> None:
    child = holder(tmp_path / "run")
    try:
        tuner = nt.Tuner(digits(), run_dir=tmp_path / "run", seed=0)
        before, code = bits(tuner.learn.model), tuner.code()
        for act in (lambda: tuner.fit(1), lambda: tuner.run(nt.recipes.linear_probe(1))):
            with pytest.raises(TrainingError) as error:
                act()
            text = str(error.value)
            assert f"(pid {child.pid}, since 20" in text
            assert all(part in text for part in ("Rule: ", "Likely: ", "Next: "))
        assert bits(tuner.learn.model) == before
        assert tuner.code() == code
        assert tuner.history.phases == ()
        assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [LOCK]
    finally:
        end(child)
    tuner.fit(1)  # the holder was killed: its lock went with it
    assert json.loads((tmp_path / "run" / LOCK).read_text())["pid"] == os.getpid()


def test_a_run_that_another_process_goes_on_with_is_not_resumed(tmp_path: Path) -> None:
    tuner = nt.Tuner(digits(), run_dir=tmp_path / "run", seed=0)
    tuner.fit(1)
    (tmp_path / "run" / LOCK).unlink()  # so that the child can hold what this process held
    child = holder(tmp_path / "run")
    try:
        learn = digits()
        before = bits(learn.model)
        with pytest.raises(TrainingError, match=f"pid {child.pid}"):
            nt.resume(tmp_path / "run", learn)
        assert bits(learn.model) == before
    finally:
        end(child)
    assert nt.resume(tmp_path / "run", digits()).history == tuner.history


@pytest.mark.survives("a killed process whose worker still holds the lock", "the next process goes on after 3 s")
def test_a_worker_that_outlives_its_killed_process_does_not_hold_the_folder(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(locks, "_WAITS", 0.2)
    child = holder(tmp_path / "run", "fork")
    os.kill(child.pid, 9)
    child.wait()  # its fork lives on and holds the open file
    with open(tmp_path / "run" / LOCK) as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    lock = Lock(tmp_path / "run")
    lock.take()
    assert json.loads((tmp_path / "run" / LOCK).read_text())["pid"] == os.getpid()
    child.stdout.close()


def test_the_tuners_of_one_process_share_a_folder_and_the_last_lets_it_go(tmp_path: Path) -> None:
    first, second = Lock(tmp_path), Lock(tmp_path)
    first.take()
    second.take()
    with pytest.raises(subprocess.CalledProcessError):
        other_process_takes(tmp_path)
    del first
    gc.collect()
    with pytest.raises(subprocess.CalledProcessError):
        other_process_takes(tmp_path)
    del second
    gc.collect()
    other_process_takes(tmp_path)


def other_process_takes(folder: Path) -> None:
    code = HOLDER.replace("time.sleep(60)", "")
    given = [str(folder), "alone", locks.__file__]
    subprocess.run([sys.executable, "-c", code, *given], check=True, capture_output=True)


def test_a_folder_that_was_made_anew_is_locked_anew(tmp_path: Path) -> None:
    lock = Lock(tmp_path)
    lock.take()
    (tmp_path / LOCK).unlink()
    lock.take()
    assert (tmp_path / LOCK).exists()
    with pytest.raises(subprocess.CalledProcessError):
        other_process_takes(tmp_path)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b'{"pid": "x"}', b'{"pid": -1, "host": 3}', b"{" * 5000])
def test_a_lock_file_of_nonsense_bars_nobody(content: bytes, tmp_path: Path) -> None:
    (tmp_path / LOCK).write_bytes(content)
    Lock(tmp_path).take()


def test_two_tuners_of_one_process_do_not_overwrite_each_others_checkpoints(tmp_path: Path) -> None:
    first = nt.Tuner(digits(), run_dir=tmp_path / "run", seed=0)
    first.fit(1)
    second = nt.resume(tmp_path / "run", digits())
    for _ in range(3):
        second.fit(1)
    first.fit(1)
    assert nt.resume(tmp_path / "run", digits()).history == first.history, "the newest checkpoint is the last written"
