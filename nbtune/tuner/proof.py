"""The proof that still is still: digests before and after a real step that is rolled back."""

from __future__ import annotations

from typing import Any

from nbtune._cut import Cut, digests
from nbtune._fastai.borrow import borrowed
from nbtune._fastai.steps import first_batch, trial
from nbtune.freeze import FreezeProof

__all__ = ["prove"]


def prove(learn: Any, cut: Cut) -> FreezeProof:
    """Take one training step on the first batch, compare, and put everything back to the bit.

    Whatever the Learner's callbacks do to the still part in a step, shows.
    """
    model = learn.model
    live = {name: tensor for _, named in cut.live(model) for name, tensor in named}
    with borrowed(learn):
        batch = first_batch(learn)
    before, after = [digests(cut.frozen(model)), digests(live)], []
    trial(
        learn,
        [batch],
        [[p for _, p in named] for _, named in cut.live(model)],
        look=lambda: after.extend([digests(cut.frozen(model)), digests(live)]),
    )
    changed = [tuple(n for n in was if was[n] != now[n]) for was, now in zip(before, after, strict=True)]
    return FreezeProof(len(before[0]), changed[0], changed[1])
