"""Follow a fit: count, watch for what is not finite, stop at a whole batch, keep a row an epoch."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from tqdm import tqdm

from nbtune._fastai import Callback, CancelFitException

__all__ = ["Follow", "finish"]


class Follow(Callback):  # type: ignore[misc]
    """Rows, steps and the reason of an early end; the weights stay those after the last finite step.

    `stopped()` is asked after every batch. `on_row(row)` is called after every whole epoch.
    """

    order = 95  # after Recorder and trackers, whose figures it reads

    def __init__(self, phase: int, title: str, stopped: Callable[[], bool], on_row: Callable[..., None]) -> None:
        super().__init__()
        self.phase, self.title, self.stopped, self.on_row = phase, title, stopped, on_row
        self.rows: list[dict[str, Any]] = []
        self.steps, self.ended = 0, ""
        self.bar: Any = None

    def before_fit(self) -> None:
        total = self.learn.n_epoch * len(self.learn.dls.train)
        self.bar = tqdm(
            total=total,
            desc=self.title,
            unit="step",
            leave=False,
            delay=0.5,
            mininterval=0.3,
            file=sys.stdout,
        )
        self.moving = [b for b in self.learn.model.buffers() if b.is_floating_point()]
        self.kept = [b.clone() for b in self.moving]

    def before_epoch(self) -> None:
        self.began, self.total, self.items = time.perf_counter(), 0.0, 0

    def before_batch(self) -> None:
        if self.learn.training and self.moving:
            torch._foreach_copy_(self.kept, self.moving)

    def after_loss(self) -> None:
        if not self.learn.training:
            return
        value = float(self.learn.loss.detach().mean())
        if not math.isfinite(value):
            self._not_finite(f"the loss was {value} at step {self.steps + 1}")
        size = len(self.learn.yb[0]) if len(self.learn.yb) and hasattr(self.learn.yb[0], "__len__") else 1
        self.total, self.items = self.total + value * size, self.items + size

    def after_backward(self) -> None:
        if getattr(self.learn, "scaler", None) is not None and self.learn.scaler.is_enabled():
            return  # the scaler skips such a step by itself
        grads = [p.grad for p in self.learn.model.parameters() if p.grad is not None]
        if grads and not math.isfinite(float(torch.stack(torch._foreach_norm(grads)).norm())):
            self._not_finite(f"a gradient was not finite at step {self.steps + 1}")

    def _not_finite(self, reason: str) -> None:
        with torch.no_grad():
            for buffer, kept in zip(self.moving, self.kept, strict=True):
                buffer.copy_(kept)
        self.ended = f"ended early: {reason}; the weights are those after the last finite step"
        raise CancelFitException

    def after_batch(self) -> None:
        if self.learn.training:
            self.steps += 1
            self.bar.update()
        if self.stopped():
            self.ended = f"was stopped after step {self.steps}"
            raise CancelFitException

    def after_epoch(self) -> None:
        recorder = self.learn.recorder
        names, values = list(recorder.metric_names)[1:], list(self.learn.final_record)
        found = dict(zip([n for n in names if n != "time"], values, strict=False))
        row = {"phase": self.phase, "epoch": self.learn.epoch + 1}
        row["train_loss"] = self.total / self.items if self.items else math.nan
        row["valid_loss"] = float(found.pop("valid_loss", None) or math.nan)
        found.pop("train_loss", None)
        row.update({name: _number(value) for name, value in found.items()})
        row["seconds"] = time.perf_counter() - self.began
        self.rows.append(row)
        self.bar.set_postfix_str(f"valid loss {row['valid_loss']:.3f}", refresh=False)
        self.on_row(row)

    def close(self) -> None:
        """Take the progress bar away."""
        if self.bar is not None:
            self.bar.close()


def _number(value: Any) -> Any:
    try:
        return float(value)
    except (TypeError, ValueError):
        return value


def finish(learn: Any) -> None:
    """After a fit that raised: the events that fastai leaves out, so that no callback stays half on."""
    for event in ("after_cancel_fit", "after_fit"):
        for callback in list(learn.cbs):
            try:
                callback(event)
            except Exception:  # one callback's clean-up must not keep the others from theirs
                continue
    if learn.opt is not None:
        learn.opt.zero_grad()
    learn._end_cleanup()
