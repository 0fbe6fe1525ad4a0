"""A trace says what a training did, batch by batch, and stays small."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from fastai.callback.core import Callback
from torch import nn

import learners
import nbtune as nt
from nbtune._fastai.tell import item_losses
from nbtune.trace import POINTS, Trace


def tuner(**options: Any) -> Any:
    return nt.Tuner(learners.digits(**options), seed=0)


def told(trace: Trace, batches: int, phase: int = 1, epochs: int = 1) -> None:
    trace.begin(phase, "head", {"body": 0.0, "head": 1e-3}, epochs, False, batches, lambda: [1e-3])
    for number in range(batches):
        trace.batch((number + 1) / batches, float(number), 8, 1e-3)
    trace.finish()


def test_points_are_the_losses_and_rates_of_the_batches() -> None:
    t = tuner()
    seen: list[Any] = []
    t.trace.watch(lambda: seen.append(t.trace.now))
    history = t.fit(2, 1e-2, schedule="flat")
    points = t.trace.points
    assert points[:, 0].tolist() == pytest.approx([1 / 3, 2 / 3, 1, 4 / 3, 5 / 3, 2])
    assert points[:3, 1].mean() == pytest.approx(history.rows[0]["train_loss"], rel=1e-5)
    assert np.all(points[:, 4] <= np.float32(1e-2))
    assert [x for x, _ in t.trace.rows] == [1.0, 2.0]
    assert t.trace.now is None
    assert len(seen) == 2 * 3 + 2
    assert seen[-1].epoch == 2
    assert seen[-1].left == 0
    assert list(seen[0].rates) == [group.name for group in t.groups]


def test_a_hundred_thousand_batches_stay_small_and_keep_their_mean_and_ends() -> None:
    trace = Trace()
    told(trace, 100_000)
    points = trace.points
    assert POINTS // 4 <= len(points) <= POINTS
    assert points[-1, 0] == 1.0
    assert (points[0, 2], points[-1, 3]) == (0.0, 99_999.0)
    assert np.all(np.diff(points[:, 0]) > 0)
    whole = points[:-1]  # the last point is not full yet
    assert whole[:, 1] == pytest.approx((whole[:, 2] + whole[:, 3]) / 2, rel=1e-4)
    assert trace.batches == 100_000


def test_neighbours_of_two_phases_are_not_mixed_until_there_are_too_many_phases() -> None:
    trace = Trace()
    told(trace, 1000, 1)
    told(trace, 1000, 2)
    edge = trace.stretches[1].begin
    assert edge in trace.points[:, 0]
    for phase in range(3, 3000):
        told(trace, 1, phase)
    assert len(trace.points) <= POINTS


def test_a_stopped_phase_goes_on_where_it_ended_on_the_same_axis() -> None:
    t = tuner()
    done = t.trace.watch(lambda: t.stop() if t.trace.batches == 4 else None)
    t.fit(3)
    done()
    assert t.trace.end == pytest.approx(4 / 3)
    assert [phase.epochs for phase in t.left] == [3]
    t.run()
    assert t.left == ()
    assert t.trace.points[:, 0].tolist() == pytest.approx([(n + 1) / 3 for n in range(9)])
    assert len(t.trace.stretches) == 1


def test_a_phase_after_one_that_was_given_up_begins_there() -> None:
    t = tuner()
    done = t.trace.watch(lambda: t.stop() if t.trace.batches == 4 else None)
    t.fit(3)
    done()
    t.fit(1)
    assert t.trace.stretches[1].begin == pytest.approx(4 / 3)
    assert t.trace.end == pytest.approx(7 / 3)


def test_a_watcher_that_fails_ends_no_training() -> None:
    t = tuner()
    t.trace.watch(lambda: 1 / 0)
    with pytest.warns(UserWarning, match="no longer told"):
        assert len(t.fit(1)) == 1
    assert not t.trace.watched


def test_watching_changes_no_bit_of_the_training() -> None:
    one, other = tuner(), tuner()
    other.trace.watch(lambda: other.trace.now and other.trace.fitting())
    one.fit(2), other.fit(2)
    assert learners.bits(one.learn.model) == learners.bits(other.learn.model)


@pytest.mark.parametrize("wrong", [ZeroDivisionError, KeyboardInterrupt])
def test_an_error_and_an_interrupt_leave_no_running_training(wrong: type[BaseException]) -> None:
    class Bad(Callback):  # type: ignore[misc]
        def after_batch(self) -> None:
            raise wrong("on purpose")

    t = tuner()
    with pytest.raises(wrong):
        t.fit(1, cbs=Bad())
    assert t.trace.now is None


def test_a_loss_that_is_not_finite_leaves_no_running_training() -> None:
    t = tuner(loss_func=lambda x, y: nn.functional.cross_entropy(x, y) * float("nan"))
    assert "ended early" in repr(t.fit(2))
    assert t.trace.now is None


class Called(nn.Module):
    """Somebody's own loss, which counts its calls."""

    calls = 0

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return nn.functional.cross_entropy(x, y)


def test_the_loss_of_each_item_is_known_and_anybodys_own_loss_is_called_once() -> None:
    t = tuner()
    t.fit(4)
    assert t.trace.fitting().items == 32
    own = Called()
    t = tuner(loss_func=own)
    t.fit(1)
    assert own.calls == 3 + 1
    assert t.trace.fitting().items <= 1
    weighted = nn.CrossEntropyLoss(weight=torch.arange(1.0, 11))
    t = tuner(loss_func=weighted)
    t.fit(1)
    assert np.ndim(item_losses_of(t, weighted)) == 0


def item_losses_of(t: Any, loss: Any) -> Any:
    x, y = t.learn.dls.valid.one_batch()
    with torch.no_grad():
        t.learn.pred = t.learn.model.eval()(x)
    t.learn.xb, t.learn.yb, t.learn.loss = (x,), (y,), loss(t.learn.pred, y)
    return item_losses(t.learn)


def test_what_was_trained_before_a_resume_is_on_the_axis(tmp_path: Any) -> None:
    t = nt.Tuner(learners.digits(), seed=0, run_dir=tmp_path / "run")
    t.fit(2)
    again = nt.resume(tmp_path / "run", learners.digits())
    assert [x for x, _ in again.trace.rows] == [1.0, 2.0]
    again.fit(1)
    assert [x for x, _ in again.trace.rows] == [1.0, 2.0, 3.0]


def test_the_gradient_of_each_group_is_that_of_the_last_step() -> None:
    seen: list[list[float]] = []

    class Look(Callback):  # type: ignore[misc]
        order = 200

        def after_backward(self) -> None:
            lists = self.learn.opt.param_lists
            seen.append([float(torch.cat([p.grad.reshape(-1) for p in ps]).norm()) for ps in lists])

    t = tuner()
    t.freeze_to(1)
    live: list[dict[str, float]] = []
    t.trace.watch(lambda: live.append(dict(t.trace.now.slopes)) if t.trace.now else None)
    t.fit(1, cbs=Look())
    names = [group.name for group in t.groups[1:]]
    assert list(t.trace.slopes) == names
    assert list(t.trace.slopes.values()) == pytest.approx(seen[-1], rel=1e-5)
    assert list(live[0].values()) == pytest.approx(seen[0], rel=1e-5)  # also while it runs


def test_a_step_that_is_not_finite_leaves_the_gradient_of_the_one_before() -> None:
    calls = iter([1.0, float("nan")])
    t = tuner(loss_func=lambda x, y: nn.functional.cross_entropy(x, y) * next(calls))
    assert "the loss was nan at step 2" in repr(t.fit(1))
    assert all(value > 0 for value in t.trace.slopes.values())
