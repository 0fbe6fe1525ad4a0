"""Follow a fit: count, watch for what is not finite, stop at a whole batch, keep a row an epoch."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterable
from itertools import accumulate, pairwise
from typing import Any

import torch
from tqdm import tqdm

from nbtune._fastai import CancelFitException, OwnCallback
from nbtune.interrupts import shielded

__all__ = ["Follow", "finish"]

_ABSURD = 1e18  # rate times gradient: far above any training, far below the end of float32 (3e38)


class Follow(OwnCallback):
    """Rows, steps and the reason of an early end; the weights stay those after the last finite step.

    `on_row(row)` is called after every whole epoch, `settle()` where the fit ends early.
    """

    order = 95  # after Recorder and trackers, whose figures it reads

    def __init__(self, phase: int, title: str, on_row: Callable[..., None]) -> None:
        super().__init__()
        self.phase, self.title, self.on_row = phase, title, on_row
        self.settle: Callable[[], None] = lambda: None
        self.stopped: Callable[[], bool] = lambda: False
        self.rows: list[dict[str, Any]] = []
        self.steps, self.ended = 0, ""
        self.within = ""  # of a training batch: "begun", "stepping" while weights move, "stepped"; "" between two
        self.began, self.total, self.items = time.perf_counter(), 0.0, 0
        self.value = 0.0  # this step's loss
        self.slope = 0.0  # norm of this step's gradient
        self.norms: tuple[Any, list[int]] | None = None  # of its tensors, and the place of each in `learning`
        self.silent = False  # without a bar
        self.backup: list[tuple[Any, Any]] | None = None  # weights before an absurd step
        self.bar: Any = None

    def before_fit(self) -> None:
        self.bar = tqdm(
            total=self.learn.n_epoch * len(self.learn.dls.train),
            desc=self.title,
            unit="step",
            leave=False,
            delay=0.5,
            mininterval=0.3,
            file=sys.stdout,
            disable=self.silent,
        )
        lists = [list(group) for group in self.learn.opt.param_lists]
        self.learning = [p for group in lists for p in group]
        self.ends = list(accumulate(map(len, lists), initial=0))  # where each group ends among them
        self.moving = list(self.learn.model.buffers())
        self.kept = [b.clone() for b in self.moving]

    def before_epoch(self) -> None:
        self.began, self.total, self.items = time.perf_counter(), 0.0, 0
        self.whole = False

    def before_batch(self) -> None:
        self.slope, self.backup = 0.0, None
        if self.learn.training:
            if self.moving:
                torch._foreach_copy_(self.kept, self.moving)
            self.within = "begun"

    def after_loss(self) -> None:
        if not self.learn.training:
            return
        value = self.value = float(self.learn.loss.detach().mean())
        if not math.isfinite(value):
            self._not_finite(f"the loss was {value} at step {self.steps + 1}")
        size = len(self.learn.yb[0]) if len(self.learn.yb) and hasattr(self.learn.yb[0], "__len__") else 1
        self.total, self.items = self.total + value * size, self.items + size

    def after_backward(self) -> None:
        if getattr(self.learn, "scaler", None) is not None and self.learn.scaler.is_enabled():
            return  # the scaler skips such a step by itself
        places = [at for at, p in enumerate(self.learning) if p.grad is not None]
        grads = [self.learning[at].grad for at in places]
        norms = torch.stack(torch._foreach_norm(grads)).float() if grads else torch.zeros(0)
        self.slope = float(norms.norm())
        if not math.isfinite(self.slope) and not _finite(grads):  # the square in a norm overflows first
            self._not_finite(f"a gradient was not finite at step {self.steps + 1}")
        self.norms = norms, places

    def slopes(self) -> list[float]:
        """Norm of the gradient of the last finite step, before any clipping, by group that trains; empty if unknown.

        Asked for when somebody looks, so that a batch pays nothing for it.
        """
        if self.norms is None:
            return []
        norms, places = self.norms
        squares = dict(zip(places, norms.double().square().tolist(), strict=True))
        return [math.sqrt(sum(squares.get(at, 0.0) for at in range(*pair))) for pair in pairwise(self.ends)]

    def before_step(self) -> None:
        hypers = self.learn.opt.hypers
        rate, decay = (max(float(h.get(name) or 0.0) for h in hypers) for name in ("lr", "wd"))
        # A step of a sane size cannot leave float32, so weights are copied before an absurd one only.
        if rate * (1 + self.slope) > _ABSURD or rate * decay > 1:
            self.backup = [(p, p.detach().clone()) for p in self.learn.model.parameters() if p.requires_grad]

    def after_step(self) -> None:
        if self.backup is not None and not _finite(p for p, _ in self.backup):
            with torch.no_grad():
                for parameter, value in self.backup:
                    parameter.copy_(value)
            self.learn.opt.clear_state()
            self.within = "stepping"  # the optimizer's state is lost: no point to go on from to the bit
            self._not_finite(f"a weight was not finite after step {self.steps + 1}")

    def roll_back(self) -> None:
        """The buffers as they were before this batch."""
        with torch.no_grad():
            for buffer, kept in zip(self.moving, self.kept, strict=True):
                buffer.copy_(kept)

    def _not_finite(self, reason: str) -> None:
        self.roll_back()
        self.learn.model.zero_grad()  # or the next backward pass would add to what is not finite
        good = _finite(self.learn.model.parameters())
        kept_state = "the weights are those after the last finite step" if good else "some weights are not finite"
        self.ended = f"ended early: {reason}; {kept_state}"
        raise CancelFitException

    def after_batch(self) -> None:
        if self.learn.training:
            self.steps += 1
            self.bar.update()

    def after_validate(self) -> None:
        self.whole = True

    def after_epoch(self) -> None:
        self._add_row(list(self.learn.final_record))

    def after_cancel_fit(self) -> None:
        # A tracker that ends the fit after an epoch does so before our after_epoch: the epoch was whole.
        at = f"after step {self.steps}" if self.steps else "before its first step"
        by = f"was stopped {at}" if self.stopped() else "was ended by a callback"
        self.ended = self.ended or by
        if getattr(self, "whole", False):
            self._add_row([value for value in list(self.learn.recorder.log)[1:] if not isinstance(value, str)])
        self.settle()

    @property
    def elapsed(self) -> float:
        """Seconds since the epoch began."""
        return time.perf_counter() - self.began

    @elapsed.setter
    def elapsed(self, seconds: float) -> None:
        self.began = time.perf_counter() - seconds

    def _add_row(self, values: list[Any]) -> None:
        with shielded():
            self._row(values)

    def _row(self, values: list[Any]) -> None:
        self.whole = False
        names = [name for name in list(self.learn.recorder.metric_names)[1:] if name != "time"]
        found = dict(zip(names, values, strict=False))
        row = {"phase": self.phase, "epoch": self.learn.epoch + 1}
        row["train_loss"] = self.total / self.items if self.items else math.nan
        valid = found.pop("valid_loss", None)
        row["valid_loss"] = math.nan if valid is None else float(valid)
        found.pop("train_loss", None)
        row.update({name: _number(value) for name, value in found.items()})
        row["seconds"] = self.elapsed
        self.rows.append(row)
        self.bar.set_postfix_str(f"valid loss {row['valid_loss']:.3f}", refresh=False)
        self.on_row(row)

    def close(self) -> None:
        """Take the progress bar away."""
        if self.bar is not None:
            self.bar.close()


def _finite(tensors: Iterable[torch.Tensor]) -> bool:
    return all(bool(torch.isfinite(tensor.detach()).all()) for tensor in tensors)


def _number(value: Any) -> Any:
    try:
        return float(value)
    except (TypeError, ValueError):
        return value


def finish(learn: Any) -> None:
    """After a fit that raised, its callbacks still there: the events that fastai leaves out, so that none stays on."""
    with shielded():
        for event in ("after_cancel_fit", "after_fit"):
            for callback in list(learn.cbs.sorted("order")):
                try:
                    callback(event)
                except Exception:  # one callback's clean-up must not keep the others from theirs
                    continue
        learn.model.zero_grad()
        learn._end_cleanup()
