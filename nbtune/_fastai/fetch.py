"""A Learner's items as its own loaders make them, and whether they reach the model unchanged every time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from nbtune._fastai import FastaiLoader
from nbtune._nested import map_tensors, tensors
from nbtune.cache import resting
from nbtune.transaction import Streams

__all__ = ["changing", "fetch", "plain", "same_bits", "spread", "still_pass", "why_not"]

_SAME = 32  # items that must equal themselves on a second fetch
# Callbacks of these modules do not look at the input in `before_batch`, or put it only on another type or device.
_BLIND = (
    "fastai.callback.core",
    "fastai.learner",
    "fastai.callback.fp16",
    "fastai.callback.schedule",
    "fastai.callback.tracker",
    "fastai.callback.training",
    "fastai.callback.progress",
    "nbtune.",
)


def why_not(learn: Any, cut: Any, sample: int = _SAME, views: int = 1) -> str:
    """Why a fit cannot be fed from kept features, as far as `sample` items tell without running the model.

    With more than one view an item, the training items may change.
    """
    if not cut.first:
        return "Nothing is still, so there is nothing to keep."
    if cut.norms != "still":
        return f'Norm layers of the still part follow the data (norms="{cut.norms}"), so its output changes.'
    for loader in getattr(learn.dls, "loaders", []) or [None]:
        if not isinstance(loader, FastaiLoader) or loader.bs is None or not loader.indexed or loader.n is None:
            return "The loaders are not indexed fastai loaders with a batch size."
        if not len(loader.dataset):
            return "A loader has no items."
    looking = [type(callback).__name__ for callback in learn.cbs if _looks(callback)]
    if looking:
        return f"{', '.join(looking)} may need the input of each batch (before_batch)."
    hooked = _hooked(learn.model, cut)
    if hooked:
        return f"A hook looks at {hooked}, which would not run."
    found = changing(learn, sample)
    return next((reason for name, reason in found.items() if views == 1 or name == "validation"), "")


def _hooked(model: Any, cut: Any) -> str:
    """A still module that somebody else's hook watches, or nothing."""
    roots = [root for group in cut.still for root in group.modules]
    for path, module in model.named_modules():
        hooked = module._forward_hooks or module._forward_pre_hooks or module._backward_hooks
        if hooked and any(path == root or path.startswith(f"{root}.") for root in roots):
            return str(path)
    return ""


def _looks(callback: Any) -> bool:
    places = [(vars(callback), type(callback)), *((vars(kind), kind) for kind in type(callback).__mro__)]
    owners = [owner for place, owner in places if "before_batch" in place]
    return bool(owners) and not owners[0].__module__.startswith(_BLIND)


def changing(learn: Any, sample: int = _SAME) -> dict[str, str]:
    """The splits that break the promise of a fixed item, and how: a stream moves, or a second fetch differs."""
    found, streams = {}, Streams()
    for name, loader in zip(("training", "validation"), learn.dls.loaders, strict=False):
        places = spread(len(loader.dataset), sample)
        try:
            first, moved = fetch(loader, places), not streams.same()
            again = fetch(loader, places)
        except Exception as error:  # of the user's data: where a real batch fails too, the fit itself will say it
            text = str(error).strip().split("\n")[0]
            found[name] = f"{len(places)} {name} items make no batch ({type(error).__name__}: {text})."
            continue
        finally:
            streams.restore()
        pairs = zip(tensors(first), tensors(again), strict=True)
        if moved or not all(same_bits(a, b) for a, b in pairs):
            found[name] = f"The {name} items change from one fetch to the next (augmentation or noise)."
    return found


def same_bits(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Equal, NaN where NaN is."""
    if one.shape != other.shape:
        return False
    return torch.equal(one, other) or bool(torch.isclose(one, other, 0, 0, equal_nan=True).all())


def spread(n: int, sample: int = _SAME) -> list[int]:
    """`sample` of the places 0 .. n - 1, evenly spread."""
    sample = min(n, sample)
    return sorted({round(i * (n - 1) / max(1, sample - 1)) for i in range(sample)})


def fetch(loader: Any, places: Sequence[int]) -> Any:
    """The items at `places` as one batch, as the loader would make it."""
    size, loader.bs = loader.bs, len(places)
    drop, loader.drop_last = loader.drop_last, False
    try:
        loader.before_iter()  # tells the transforms which split they work on: before a first epoch they do not know
        batch = next(iter(loader.create_batches(iter(places))))
        if loader.device is not None:
            batch = map_tensors(batch, lambda tensor: tensor.to(loader.device))
        return plain(loader.after_batch(batch))
    finally:
        loader.bs, loader.drop_last = size, drop


def plain(value: Any) -> Any:
    """Tensors without fastai's types."""
    return map_tensors(value, lambda tensor: tensor.as_subclass(torch.Tensor))


@contextmanager
def still_pass(learn: Any) -> Iterator[None]:
    """The model in eval mode, without gradient, in the precision that the Learner's callbacks train in."""
    mixed = [callback for callback in learn.cbs if type(callback).__name__ == "MixedPrecision"]
    with resting(learn.model):
        if not mixed:
            yield
            return
        half = torch.bfloat16 if "BF16" in str(mixed[0].amp_mode).upper() else torch.float16
        with torch.autocast("cuda", dtype=half):
            yield
