"""Out of memory and lost workers: what a person is told, and what is let go."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import nbtune as nt
from faulty import children
from learners import Items, bits, cnn, differing, digits, loaders, state
from nbtune._fastai import workers
from nbtune._memory import Fit, largest
from nbtune.errors import TrainingError
from nbtune.tuner.trouble import explained

SEEN: list[Any] = []  # not in the module, where it would be put back


class Hungry(nn.Module):
    """Runs out of memory above `limit` items, from the `after`-th forward pass on; keeps weak references."""

    def __init__(self, limit: int = 8, after: int = 1) -> None:
        super().__init__()
        self.limit, self.after, self.calls = limit, after, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        out = x * 1
        SEEN.extend([weakref.ref(x), weakref.ref(out)])
        if len(x) > self.limit and self.calls >= self.after:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return out


def hungry(limit: int = 8, after: int = 4) -> Any:
    """Small stages before and after it: what they compute is in the frames of the error."""
    model = cnn()
    return digits(nn.Sequential(model[0], Hungry(limit, after), model[1], model[2], model[3]), splitter=halves)


def holders(tensor: Any) -> list[str]:
    """Who holds it: for the message of a test that fails."""
    return [f"{type(holder).__name__} {str(holder)[:300]}" for holder in gc.get_referrers(tensor)]


def halves(model: nn.Module) -> list[list[nn.Parameter]]:
    return [list(part.parameters()) for part in model.children() if list(part.parameters())]


@pytest.mark.survives(
    "out of memory in any verb", "the batch size that fits is measured; tensors of the batch are freed"
)
@pytest.mark.parametrize("verb", ["fit", "lr_find", "evaluate"])
def test_the_message_says_what_would_fit_and_nothing_is_held(verb: str) -> None:
    tuner = nt.Tuner(learn := hungry(after=4), test=digits().dls.valid, seed=0)
    layer = learn.model[1]
    if verb != "fit":
        layer.after = 1
    before = state(learn)
    calls = {"fit": lambda: tuner.fit(2, 1e-2), "lr_find": tuner.lr_find, "evaluate": tuner.evaluate}
    layer.calls = 0
    SEEN.clear()
    with pytest.raises(TrainingError) as kept:  # which keeps the traceback, as IPython does
        calls[verb]()
    text = str(kept.value)
    step = "a forward pass" if verb == "evaluate" else "a training step"
    assert f"{verb}() ran out of memory at batch size 32; {step} of 8 fits (measured)." in text
    assert "dl.bs = 8" in text
    gc.collect()
    assert len(SEEN) > 2
    assert [holders(ref()) for ref in SEEN if ref() is not None] == []
    if verb != "fit":
        assert differing(before, state(learn)) == []
    else:
        assert tuner.history.phases[0].ended == "ended early: OutOfMemoryError"
        assert tuner.history.phases[0].steps == 3


def test_what_the_message_says_works() -> None:
    tuner = nt.Tuner(learn := hungry(after=1), seed=0)
    with pytest.raises(TrainingError, match="of 8 fits"):
        tuner.fit(1, 1e-2)
    for dl in tuner.learn.dls.loaders:
        dl.bs = 8
    assert len(tuner.fit(1, 1e-2)) == 1
    assert learn.model[1].calls > 0


def test_the_search_is_bounded_and_knows_other_errors() -> None:
    tried: list[int] = []

    def step(size: int, error: type[Exception] = torch.OutOfMemoryError, limit: int = 0) -> None:
        tried.append(size)
        if size > limit:
            raise error("on purpose")

    assert largest(100, lambda size: step(size, limit=30)) == Fit(25, 50)
    assert tried == [100, 50, 25]
    found = largest(2**30, step)
    assert found.fits is None
    assert found.lacked == tried[-1] == 2**30 // 2 ** (len(tried) - 4)
    assert len(tried) <= 3 + 12
    assert largest(64, lambda size: step(size, ValueError)) == Fit(None, None, 64, "ValueError: on purpose")


class Choosy(Hungry):
    """Runs out of memory above `limit` items, and fails otherwise up to it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = super().forward(x)
        if self.calls >= self.after and self.training:
            raise ValueError(f"no batch of {len(x)} is wanted")
        return out


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        (8, "of 16 does too; which batch would fit is not known: a training step of 8 fails otherwise (ValueError: no"),
        (1, "of 2 does too (measured); one of 1 fails otherwise (ValueError"),
        (0, "a training step of 1 does too (measured)."),
    ],
)
def test_another_error_in_the_search_is_not_called_a_lack_of_memory(limit: int, said: str) -> None:
    tuner = nt.Tuner(learn := hungry(after=1), seed=0)
    learn.model[1] = Choosy(limit, 1)
    with pytest.raises(TrainingError) as raised:
        tuner.fit(1, 1e-2)
    assert said in raised.value.given
    assert ("dl.bs = 16" in raised.value.next) == (limit == 8)


def test_an_optimizer_that_finds_no_memory_in_its_first_step_is_undone(tmp_path: Path) -> None:
    from faulty import fails, fault

    tuner = nt.Tuner(learn := digits(), run_dir=tmp_path / "run", seed=0)
    before = bits(learn.model)
    with fault("in the optimizer", fails(torch.OutOfMemoryError)) as seen, pytest.raises(TrainingError):
        tuner.fit(1, 1e-2)
    assert seen.reached
    assert bits(learn.model) == before
    with fault("in the optimizer", fails(RuntimeError), nth=3) as seen, pytest.raises(RuntimeError) as raised:
        tuner.run()
    assert seen.reached
    assert "within an optimizer step: some weights were moved" in tuner.history.phases[-1].ended
    assert "some weights were moved and others not, in step 2." in raised.value.__notes__[0]
    assert f"nt.resume({str(tmp_path / 'run')!r}, learn)" in raised.value.__notes__[0]
    saved = nt.resume(tmp_path / "run", digits())  # the last whole state is what the folder holds
    saved.run()
    alone = nt.Tuner(digits(), seed=0)
    alone.fit(1, 1e-2)
    assert bits(saved.learn.model) == bits(alone.learn.model)


class Unreliable(Items):
    """Items of which one, fetched in a worker, does `act`."""

    act: Any = None

    def __getitem__(self, index: Any) -> Any:
        if index == 5 and torch.utils.data.get_worker_info() is not None and self.act is not None:
            self.act()
        return super().__getitem__(index)


def with_workers(act: Any, **options: Any) -> Any:
    learn = digits()
    learn.dls = loaders(num_workers=2, **options)
    items = Unreliable(learn.dls.train.dataset)
    items.act = act
    learn.dls.train.dataset = items
    return learn


def gone(before: list[int], patience: float = 5.0) -> bool:
    """Do only those processes live that did before, within `patience` seconds?"""
    ends = time.monotonic() + patience
    while time.monotonic() < ends:
        gc.collect(0)
        if set(children()) <= set(before):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.survives("a loader's worker that dies", "said, with its pid; the other workers are ended")
def test_a_worker_that_dies_is_said_and_none_is_left() -> None:
    before = children()
    tuner = nt.Tuner(with_workers(lambda: os.kill(os.getpid(), 9)), seed=0)
    with pytest.raises(TrainingError, match=r"fit\(\) lost a worker process of the loader \(pid \d+"):
        tuner.fit(1)
    assert gone(before)


@pytest.mark.survives("an item that uses CUDA in a worker, or too little shared memory", "said, with what to do")
def test_cuda_in_a_worker_and_a_lack_of_shared_memory_are_said() -> None:
    def cuda() -> None:  # the words of torch.cuda._lazy_init
        raise RuntimeError("Cannot re-initialize CUDA in forked subprocess. To use CUDA with multiprocessing, you must")

    with pytest.raises(TrainingError, match="uses CUDA in a worker") as raised:
        nt.Tuner(with_workers(cuda), seed=0).fit(1)
    assert "num_workers=0" in raised.value.next
    error = RuntimeError("DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that dataloader's "
                         "workers are out of shared memory. Please try to raise your shared memory limit.")  # fmt: skip
    found = explained(error, "fit", None)
    assert found is not None
    assert "/dev/shm" in found.likely


@pytest.mark.survives("a loader's worker that hangs", "ended after 300 s without a batch, and said; no worker is left")
def test_a_worker_that_hangs_is_waited_for_only_so_long(monkeypatch: Any) -> None:
    monkeypatch.setattr(workers, "PATIENCE", 1)
    before = children()
    tuner = nt.Tuner(with_workers(lambda: time.sleep(60)), seed=0)
    with pytest.raises(TrainingError, match=r"fit\(\) waited 1 s for a batch") as error:
        tuner.fit(1)
    assert isinstance(error.value.__cause__, RuntimeError)
    assert gone(before, 15.0)  # torch gives a worker that hangs five seconds to end by itself
    assert [loader.fake_l.timeout for loader in tuner.learn.dls.loaders] == [0, 0]


@pytest.mark.survives("an error or interrupt while workers load", "no worker process is left, though the traceback is")
@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("kind", ["RuntimeError", "interrupt", "two interrupts"])
def test_no_worker_outlives_an_error_whose_traceback_is_kept(kind: str, persistent: bool) -> None:
    from faulty import KINDS, fault

    before = children()
    learn = digits()
    learn.dls = loaders(num_workers=2, persistent_workers=persistent)
    tuner = nt.Tuner(learn, seed=0)
    make, error = KINDS[kind]
    with fault("after after_loss", make(tuner), 2), pytest.raises(error or Exception) as kept:
        tuner.fit(2)
    assert kept.value is not None
    assert gone(before)


IPYTHON = """
import gc, sys
sys.path[:0] = [{tests!r}]
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell()
shell.history_manager.enabled = False
result = shell.run_cell('''
import test_trouble as t
tuner = t.nt.Tuner(t.hungry(after=1), seed=0)
for _ in range(3):
    pass
tuner.fit(1)
''')
assert "of 8 fits" in str(result.error_in_exec), result.error_in_exec
assert sys.last_traceback is not None
gc.collect()
seen = shell.user_ns["t"].SEEN
print("alive", sum(ref() is not None for ref in seen), "of", len(seen))
"""


@pytest.mark.survives(
    "out of memory in IPython, which keeps the traceback",
    "no tensor of the batch or its activations lives",
)
@pytest.mark.faults
def test_nothing_of_the_batch_lives_though_ipython_keeps_the_traceback() -> None:
    code = IPYTHON.format(tests=str(Path(__file__).parent))
    found = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert "alive 0 of" in found.stdout, found.stdout + found.stderr
