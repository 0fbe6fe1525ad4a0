"""Feed a Learner's own loaders from kept features: same order, same batches, same random streams.

Only two things of a fastai loader are replaced while it is fed: how indices become a batch, and what is done
to a batch. Shuffling, dropping, epochs and the draws from random streams stay the loader's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import torch

from nbtune._fastai.fetch import changing, fetch, plain, same_bits, still_pass, why_not
from nbtune._fastai.fill import Sizes, Stopped, Way, filled, saves_time, wanted
from nbtune._nested import map_tensors, tensors
from nbtune.cache import Boundary, Kept, Store, boundary, captured, replayed, told
from nbtune.errors import FreezeError
from nbtune.transaction import Streams

__all__ = ["Stopped", "Way", "feeding", "kept_of", "plain", "still_pass", "tried", "why_not"]


@contextmanager
def feeding(learn: Any, cut: Any, store: Store, digest: str, way: Way | None = None) -> Iterator[tuple[bool, str]]:
    """Inside, the Learner's fit runs on kept features; yields whether it does, and why or why not.

    Raises Stopped when `way.stopped()` while the features are computed.
    """
    way = way or Way()
    try:
        where, kept = kept_of(learn, cut, store, digest, way)
    except FreezeError as error:
        yield False, error.given
        return
    with ExitStack() as stack:
        current: list[Any] = [None]
        stack.enter_context(replayed(learn.model, where, lambda: current[0]))
        for loader, own in zip(learn.dls.loaders, kept, strict=False):
            stack.enter_context(_fed(loader, own, current, lambda: learn.epoch))
        yield True, _said(where, cut, kept)


def _said(where: Boundary, cut: Any, kept: list[Kept]) -> str:
    """What was kept, and in what this training is another than the live one."""
    said = [f"The still part ran once: {told(kept)}"]
    if where.group != cut.groups[cut.first - 1].name:
        said.append(f"It is kept after {where.group}, as its end takes more room; what is between runs live.")
    if kept[0].views > 1:
        said.append(f"Epochs take {kept[0].views} augmented views in turn: another training than live augmentation.")
    held = tensors(kept[0].features)[0].dtype
    if held != kept[0].dtypes[0]:
        error = max(one.error for one in kept)
        name = str(held).removeprefix("torch.")
        said.append(f"Kept in {name}, another training: errors up to {error:.1g} of an item's largest feature.")
    return " ".join(said)


def kept_of(learn: Any, cut: Any, store: Store, digest: str, way: Way | None = None) -> tuple[Boundary, list[Kept]]:
    """What the still part before `cut` gives for the training and the validation items, from `store` or filled now.

    `digest`: of the still part's tensors. Where the end of the still part takes more room than there is, the
    last earlier group that fits and saves time ends what is kept. The global random streams stay as they are.
    Raises FreezeError, whose `given` is the reason, where it cannot be kept; Stopped when `way.stopped()`.
    """
    way, streams = way or Way(), Streams()
    try:
        if way.views > 1 and cut.first and "training" not in changing(learn):
            way = replace(way, views=1)  # every view would be the same
        if reason := why_not(learn, cut, views=way.views):
            raise FreezeError(
                reason,
                rule="the still part runs first, and the items reach it unchanged.",
                likely="augmentation, a callback or hook that needs the input, or nothing that is still.",
                next='train live (cache="off").',
            )
        store.of(digest)
        where, splits, place = _placed(learn, cut, store, digest, way)
        pairs = zip(learn.dls.loaders, splits, strict=False)
        sizes: Sizes = {}
        return where, [filled(learn, loader, where, one, store, place, way, sizes) for loader, one in pairs]
    finally:
        streams.restore()


def _placed(learn: Any, cut: Any, store: Store, digest: str, way: Way) -> tuple[Boundary, list[Any], Any]:
    """The end of the still part, or the last group before it, whose features have a place; and that place."""
    full: FreezeError | None = None
    for first in range(cut.first, 0, -1):
        try:
            where, needs_input = tried(learn, replace(cut, first=first))
        except FreezeError:
            if full is None:
                raise
            continue
        splits = wanted(learn, where, needs_input, digest, way)
        if all(store.find(one) is not None for one in splits):
            return where, splits, None
        try:
            place = store.place(splits, tensors(splits[0].features)[0].device)
        except FreezeError as error:
            full = full or error
            continue
        if full is None or saves_time(learn, where, splits[0], place):
            return where, splits, place
    assert full is not None
    raise full


@contextmanager
def _fed(loader: Any, kept: Kept, current: list[Any], epoch: Callable[[], int]) -> Iterator[None]:
    def create_batches(samps: Iterable[int]) -> Iterator[Any]:
        order = list(samps)
        stop = len(order) - len(order) % loader.bs if loader.drop_last else len(order)
        view = epoch() % kept.views if kept.views > 1 else 0
        rows = torch.tensor(order, device=kept.device) + view * kept.items  # once an epoch, not a batch
        for start in range(0, stop, loader.bs):
            places = rows[start : start + loader.bs]
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


def tried(learn: Any, cut: Any, on: tuple[Any, Any] | None = None) -> tuple[Boundary, bool]:
    """The boundary, and whether what follows needs the input too: tried on a batch that was not recorded.

    `on`: two batches of inputs; None fetches two items for each.
    """
    with still_pass(learn):
        recorded, other = on or _two(learn)
        where = boundary(learn.model, cut, *recorded)
        streams = Streams()
        expected, kept = learn.model(*other), captured(learn.model, where, *other)
        if not streams.same():
            raise _more(where, "draws random numbers, though the model is in evaluation mode")
        for needs_input in (False, True):
            given = other if needs_input else _blank(other)
            with replayed(learn.model, where, lambda: kept):
                try:
                    found = learn.model(*given)
                except (RuntimeError, ValueError, TypeError, IndexError):
                    continue
            if all(same_bits(a, b) for a, b in zip(tensors(expected), tensors(found), strict=True)):
                return where, needs_input
    raise _more(where, "depends on more than that place's output")


def _two(learn: Any) -> tuple[Any, Any]:
    """The inputs of a few items from the front, and of a few from the back."""
    loader, n_inp = learn.dls.train, getattr(learn.dls, "n_inp", 1)
    n, size = len(loader.dataset), min(2, len(loader.dataset))
    return fetch(loader, range(size))[:n_inp], fetch(loader, range(n - 1, n - 1 - size, -1))[:n_inp]


def _more(where: Boundary, what: str) -> FreezeError:
    return FreezeError(
        f"the model's output from {where.end} on {what}.",
        rule="what follows the still part reads its output and the input, nothing else.",
        likely="a skip connection around the boundary, or random behaviour in evaluation mode.",
        next='train live (cache="off"), or cut at another group.',
    )


def _blank(inputs: Any) -> Any:
    return map_tensors(inputs, lambda t: torch.zeros((), dtype=t.dtype, device=t.device).expand(t.shape))
