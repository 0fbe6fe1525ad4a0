"""Tell a trace what a fit does: each batch's loss and rate, each epoch's row and its validation losses by item."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from nbtune._fastai import OwnCallback
from nbtune._fastai.follow import Follow
from nbtune.trace import Trace

__all__ = ["Tell", "item_losses"]

_PURE = ("torch.", "fastai.")  # modules of losses that may be called twice: somebody's own may count its calls


class Tell(OwnCallback):
    """Reads what `Follow` found, and changes nothing."""

    order = Follow.order + 1

    def __init__(self, trace: Trace, follow: Follow) -> None:
        super().__init__()
        self.trace, self.follow = trace, follow
        self.losses: list[Any] = []
        self.rows = 0

    def before_validate(self) -> None:
        self.losses = []

    def after_loss(self) -> None:
        if not self.learn.training:
            self.losses.append(item_losses(self.learn))

    def after_batch(self) -> None:
        learn = self.learn
        if learn.training:
            yb = learn.yb
            items = len(yb[0]) if len(yb) and hasattr(yb[0], "__len__") else 1
            epoch = learn.epoch + (learn.iter + 1) / learn.n_iter
            self.trace.batch(epoch, self.follow.value, items, float(learn.opt.hypers[-1]["lr"]))

    def after_epoch(self) -> None:
        self._whole()

    def after_cancel_fit(self) -> None:
        self._whole()  # a tracker ends a fit after an epoch before our `after_epoch`

    def _whole(self) -> None:
        if len(self.follow.rows) > self.rows:
            self.rows = len(self.follow.rows)
            self.trace.epoch(self.follow.rows[-1], self.losses)


def item_losses(learn: Any) -> Any:
    """The loss of each item of this batch, float32 [items]; its mean alone where single ones cannot be had."""
    mean = float(learn.loss.detach().mean())
    if str(getattr(learn.loss_func, "__module__", "")).startswith(_PURE):
        try:
            with torch.no_grad(), learn.loss_not_reduced():
                found = learn.loss_func(learn.pred, *learn.yb)
            items = found.detach().float().reshape(len(learn.yb[0]), -1).mean(1).cpu().numpy()
        except Exception:  # a loss that knows no other reduction
            items = np.array([])
        # Weighted classes and ignored positions make another mean of a batch than that of its items.
        if len(items) and abs(float(items.mean()) - mean) <= 1e-3 * abs(mean) + 1e-6:
            return items
    return np.float32(mean)
