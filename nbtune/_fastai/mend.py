"""Put back what nbtune itself changes on a Learner for a while, after an interrupt that came wherever it came."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nbtune.transaction import autocast_undo

__all__ = ["structure_undo"]

_LOADER = ("bs", "drop_last", "create_batches", "after_batch")
_STAGES = ("after_item", "before_batch", "after_batch")
_LEARNER = ("logger", "create_mbar", "_do_fit", "all_batches", "_step")


def structure_undo(learn: Any) -> Callable[[], None]:
    """Undo for what a verb borrows: loaders fed otherwise, forward methods replaced, callbacks and bars left out.

    Weights, the optimizer, streams and what a verb is to change are left as they are.
    """
    undo = [autocast_undo(), _attributes(learn, _LEARNER), _callbacks(learn)]
    for loader in getattr(learn.dls, "loaders", []):
        undo.append(_attributes(loader, _LOADER))
        if hasattr(loader, "fake_l"):
            undo.append(_attributes(loader.fake_l, ("num_workers", "timeout")))
        pipelines = [getattr(loader, stage, None) for stage in _STAGES]
        undo += [_attributes(pipeline, ("fs",)) for pipeline in pipelines if hasattr(pipeline, "fs")]
    undo += [_attributes(module, ("forward",)) for module in learn.model.modules()]

    def act() -> None:
        for step in undo:
            step()

    return act


def _attributes(thing: Any, names: tuple[str, ...]) -> Callable[[], None]:
    """Undo for attributes that the object itself holds, or does not."""
    before = {name: vars(thing)[name] for name in names if name in vars(thing)}

    def act() -> None:
        for name in names:
            if name in before:
                vars(thing)[name] = before[name]
            else:
                vars(thing).pop(name, None)

    return act


def _callbacks(learn: Any) -> Callable[[], None]:
    """Undo for callbacks that came and went; what keeps the plan stays as it is."""
    before = list(learn.cbs)

    def act() -> None:
        now = list(learn.cbs)
        for callback in now:
            if callback not in before and not _keeps(callback):
                learn.remove_cb(callback)
        if any(callback not in now and not _keeps(callback) for callback in before):
            new = [callback for callback in now if callback not in before and _keeps(callback)]
            learn.cbs = type(learn.cbs)([cb for cb in before if cb in now or not _keeps(cb)] + new)
            for callback in learn.cbs:
                callback.learn = learn

    return act


def _keeps(callback: Any) -> bool:
    """Is it the callback that keeps the freezing plan? (Its module imports this package.)"""
    return type(callback).__name__ == "Still"
