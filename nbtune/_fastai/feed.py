"""Feed a Learner's own loaders from kept features: same order, same batches, same random streams.

Only two things of a fastai loader are replaced while it is fed: how indices become a batch, and what is done
to a batch. Shuffling, dropping, epochs and the draws from random streams stay the loader's own.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from tqdm import tqdm

from nbtune._fastai import FastaiLoader
from nbtune._nested import map_tensors, tensors
from nbtune.cache import Boundary, Kept, Store, boundary, captured, key_of, replayed
from nbtune.errors import FreezeError
from nbtune.transaction import Streams, attributes_undo

__all__ = ["feeding", "kept_of", "plain", "still_pass", "tried", "why_not"]

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


def why_not(learn: Any, cut: Any, sample: int = _SAME) -> str:
    """Why a fit cannot be fed from kept features, as far as `sample` items tell without running the model."""
    if not cut.first:
        return "Nothing is still, so there is nothing to keep."
    if cut.norms != "still":
        return f'Norm layers of the still part follow the data (norms="{cut.norms}"), so its output changes.'
    for loader in getattr(learn.dls, "loaders", []) or [None]:
        if not isinstance(loader, FastaiLoader) or loader.bs is None or not loader.indexed or loader.n is None:
            return "The loaders are not indexed fastai loaders with a batch size."
    looking = [type(callback).__name__ for callback in learn.cbs if _looks(callback)]
    if looking:
        return f"{', '.join(looking)} may need the input of each batch (before_batch)."
    hooked = _hooked(learn.model, cut)
    if hooked:
        return f"A hook looks at {hooked}, which would not run."
    return _changing(learn, sample)


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


def _changing(learn: Any, sample: int) -> str:
    """The promise of a fixed item, tried: no stream moves, and items equal themselves on a second fetch."""
    for name, loader in zip(("training", "validation"), learn.dls.loaders, strict=False):
        n = len(loader.dataset)
        places = sorted({round(i * (n - 1) / max(1, sample - 1)) for i in range(min(sample, n))})
        streams = Streams()
        first, moved = _fetch(loader, places), not streams.same()
        again = _fetch(loader, places)
        streams.restore()
        pairs = zip(tensors(first), tensors(again), strict=True)
        if moved or not all(torch.equal(a, b) for a, b in pairs):
            return f"The {name} items change from one fetch to the next (augmentation or noise)."
    return ""


def _fetch(loader: Any, places: Sequence[int]) -> Any:
    """The items at `places` as one batch, as the loader would make it."""
    size, loader.bs = loader.bs, len(places)
    drop, loader.drop_last = loader.drop_last, False
    try:
        batch = next(iter(loader.create_batches(iter(places))))
        if loader.device is not None:
            batch = _to(batch, loader.device)
        return plain(loader.after_batch(batch))
    finally:
        loader.bs, loader.drop_last = size, drop


def _to(value: Any, device: Any) -> Any:
    return map_tensors(value, lambda tensor: tensor.to(device))


def plain(value: Any) -> Any:
    return map_tensors(value, lambda tensor: tensor.as_subclass(torch.Tensor))


@contextmanager
def feeding(learn: Any, cut: Any, store: Store, digest: str) -> Iterator[str]:
    """Inside, the Learner's fit runs on kept features; yields "" then, else the reason why it runs live."""
    try:
        where, kept = kept_of(learn, cut, store, digest)
    except FreezeError as error:
        yield error.given
        return
    with ExitStack() as stack:
        current: list[Any] = [None]
        stack.enter_context(replayed(learn.model, where, lambda: current[0]))
        for loader, own in zip(learn.dls.loaders, kept, strict=False):
            stack.enter_context(_fed(loader, own, current))
        yield ""


def kept_of(learn: Any, cut: Any, store: Store, digest: str) -> tuple[Boundary, list[Kept]]:
    """What the still part before `cut` gives for the training and the validation items, from `store` or filled now.

    `digest`: of the still part's tensors. Raises FreezeError, whose `given` is the reason, where it cannot be kept.
    """
    if reason := why_not(learn, cut):
        raise FreezeError(
            reason,
            rule="the still part runs first, and the items reach it unchanged.",
            likely="augmentation, a callback or hook that needs the input, or nothing that is still.",
            next='train live (cache="off").',
        )
    where, needs_input = tried(learn, cut)
    return where, [_filled(learn, loader, where, needs_input, store, digest) for loader in learn.dls.loaders[:2]]


@contextmanager
def _fed(loader: Any, kept: Kept, current: list[Any]) -> Iterator[None]:
    def create_batches(samps: Iterable[int]) -> Iterator[Any]:
        order = list(samps)
        stop = len(order) - len(order) % loader.bs if loader.drop_last else len(order)
        for start in range(0, stop, loader.bs):
            places = torch.tensor(order[start : start + loader.bs], device=kept.device)
            current[0] = kept.take(places)
            yield kept.batch(places)

    before = {name: vars(loader)[name] for name in ("create_batches", "after_batch") if name in vars(loader)}
    workers, loader.fake_l.num_workers = loader.fake_l.num_workers, 0
    loader.create_batches, loader.after_batch = create_batches, _same
    try:
        yield
    finally:
        loader.fake_l.num_workers = workers
        for name in ("create_batches", "after_batch"):
            vars(loader).pop(name, None)
        vars(loader).update(before)


def _same(batch: Any) -> Any:
    return batch


@contextmanager
def still_pass(learn: Any) -> Iterator[None]:
    """The model in eval mode, without gradient, in the precision that the Learner's callbacks train in."""
    # All that modules hold, not their flags alone: a recurrent one keeps its state, which this pass moves.
    undo = [attributes_undo(module) for module in learn.model.modules()]
    mixed = [callback for callback in learn.cbs if type(callback).__name__ == "MixedPrecision"]
    learn.model.eval()
    try:
        with ExitStack() as stack:
            stack.enter_context(torch.no_grad())
            if mixed:
                half = torch.bfloat16 if "BF16" in str(mixed[0].amp_mode).upper() else torch.float16
                stack.enter_context(torch.autocast("cuda", dtype=half))
            yield
    finally:
        for step in undo:
            step()


def tried(learn: Any, cut: Any) -> tuple[Boundary, bool]:
    """The boundary, and whether what follows needs the input too: tried on a batch that was not recorded."""
    loader, n_inp = learn.dls.train, getattr(learn.dls, "n_inp", 1)
    n, size = len(loader.dataset), min(4, len(loader.dataset))
    with still_pass(learn):
        recorded = _fetch(loader, range(size))[:n_inp]
        other = _fetch(loader, range(n - 1, n - 1 - size, -1))[:n_inp]
        where = boundary(learn.model, cut, *recorded)
        expected, kept = learn.model(*other), captured(learn.model, where, *other)
        for needs_input in (False, True):
            given = other if needs_input else _blank(other)
            with replayed(learn.model, where, lambda: kept):
                try:
                    found = learn.model(*given)
                except (RuntimeError, ValueError, TypeError, IndexError):
                    continue
            if all(torch.equal(a, b) for a, b in zip(tensors(expected), tensors(found), strict=True)):
                return where, needs_input
    raise FreezeError(
        f"the model's output from {where.end} on depends on more than that place's output.",
        rule="what follows the still part reads its output and the input, nothing else.",
        likely="a skip connection around the boundary, or random behaviour in evaluation mode.",
        next='train live (cache="off"), or cut at another group.',
    )


def _blank(inputs: Any) -> Any:
    return map_tensors(inputs, lambda t: torch.zeros((), dtype=t.dtype, device=t.device).expand(t.shape))


def _filled(learn: Any, loader: Any, where: Boundary, needs_input: bool, store: Store, digest: str) -> Kept:
    """Features, targets (and inputs) of all of the loader's items, at its nominal batch size; kept by key."""
    n, size = len(loader.dataset), loader.bs
    sample = _fetch(loader, sorted({round(i * (n - 1) / 31) for i in range(min(32, n))}))
    key = key_of(digest, where.end, n, size, needs_input, [str(cb) for cb in learn.cbs if "Mixed" in str(cb)], sample)
    if key in store:
        return store[key]
    n_inp = getattr(learn.dls, "n_inp", 1)
    kept: Kept | None = None
    with still_pass(learn):
        numbers = tqdm(
            range(math.ceil(n / size)), desc="keeping features", unit="batch", leave=False, delay=0.5, file=sys.stdout
        )
        for number in numbers:
            places = list(range(number * size, min(n, (number + 1) * size)))
            padded = places + [0] * (size - len(places))
            batch = _fetch(loader, padded)
            inputs, targets = batch[:n_inp], batch[n_inp:]
            found = captured(learn.model, where, *inputs)
            if kept is None:
                kept = Kept.empty(n, found, targets, inputs, needs_input, store.budget)
            kept.put(places, found, targets, inputs)
    assert kept is not None
    store.put(digest, key, kept)
    return kept
