"""The keywords of `task.learner`, checked before anything is made."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from nbtune.errors import InputError, InputTypeError

__all__ = ["check_augment", "check_kind", "check_names", "check_switch"]

_OWN = ("bs", "augment", "seed", "pretrained", "size", "weights", "layers")
# What other libraries call the same: no spelling is near.
_ELSEWHERE = {
    "batch": "bs", "batch_size": "bs", "batchsize": "bs", "image_size": "size", "item_size": "size",
    "random_state": "seed", "rng": "seed",
    "transforms": "augment", "batch_tfms": "augment", "item_tfms": "augment", "aug_transforms": "augment",
    "checkpoint": "weights", "pretrained_weights": "weights",
    "optimizer": "opt_func", "optim": "opt_func", "loss": "loss_func",
    "criterion": "loss_func", "callbacks": "cbs", "weight_decay": "wd", "momentum": "moms", "learning_rate": "lr",
}  # fmt: skip
# What belongs to another call: where it goes instead.
_OTHER_CALLS = {
    "epochs": ("a number of epochs", "nt.Tuner(learn).fit"), "n_epoch": ("a number of epochs", "nt.Tuner(learn).fit"),
    "shots": ("the size of the training split", "nt.tasks.digits"),
}  # fmt: skip
_MADE_HERE = ("dls", "model")


def check_names(options: Mapping[str, Any], learner: Callable[..., Any]) -> None:
    """Raise InputTypeError for a keyword that neither `task.learner` nor fastai's Learner has."""
    theirs = [name for name in inspect.signature(learner).parameters if name not in (*_MADE_HERE, "self")]
    known = (*_OWN, *theirs)
    for name, value in options.items():
        if name not in known:
            likely, better = _meant(name, value, known)
            raise InputTypeError(
                f"task.learner(..., {name}={_shown(value)}).", rule=f"the keywords are {', '.join(known)}.",
                likely=likely, next=better,
            )  # fmt: skip


def _meant(name: str, value: Any, known: Sequence[str]) -> tuple[str, str]:
    """The likely cause of an unknown keyword, and a call that works."""
    if name in _MADE_HERE:
        what = "the data are the task's own" if name == "dls" else "the network is the first argument"
        return f"a call of fastai's Learner: here {what}.", 'task.learner("letters")'
    if name in _OTHER_CALLS:
        what, call = _OTHER_CALLS[name]
        return f"{what}, which another call takes.", f"{call}({'' if call.endswith('fit') else 'shots='}{value!r:.40})"
    if name.lower() in _ELSEWHERE:
        near = _ELSEWHERE[name.lower()]
        return f"{near}, by the name that it has elsewhere.", f'task.learner("letters", {near}={_shown(value)})'
    close = get_close_matches(name.lower(), known, n=1, cutoff=0.6)
    if close:
        return f"a misspelling of {close[0]}.", f'task.learner("letters", {close[0]}={_shown(value)})'
    return "an option of another library, or of another call.", 'task.learner("letters"), without it'


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else "..."


def check_switch(name: str, value: Any) -> None:
    """Raise InputTypeError unless it is True or False: "no" counts as true."""
    if isinstance(value, bool):
        return
    off = value is None or str(value).strip().lower() in ("no", "false", "off", "none", "0")
    if isinstance(value, str) and not off and value.strip().lower() not in ("yes", "true", "on", "1"):
        likely = "the name of a set of weights: which weights is part of the body."
    elif isinstance(value, str):
        likely = "a word where a switch belongs."
    else:
        likely = "a variable that was never set." if value is None else f"a value of type {type(value).__name__}."
    raise InputTypeError(
        f"{name}={value!r:.60}.", rule=f"{name} is True or False.", likely=likely, next=f"{name}={not off}",
    )  # fmt: skip


def check_augment(augment: Any) -> None:
    """Raise InputTypeError unless it is None, False, "none" or a list of transforms."""
    if augment is None or augment is False or (isinstance(augment, str) and augment == "none"):
        return
    several = isinstance(augment, Sequence) and not isinstance(augment, str)
    if several and all(callable(one) for one in augment):
        return
    wrong = next((type(one).__name__ for one in augment if not callable(one)), "") if several else ""
    if augment is True:
        likely, better = "the usual deformation, which is what None gives.", "augment=None"
    elif isinstance(augment, str):
        likely, better = "the name of a preset: this version has none.", "augment=None"
    elif callable(augment):
        likely, better = "one transform without a list around it.", "augment=[transform]"
    elif several:
        likely, better = f"one of them is no transform but of type {wrong}.", "augment=None"
    else:
        likely, better = "a strength: the usual deformation has one strength.", "augment=None"
    raise InputTypeError(
        f"augment={_shown(augment)}.", rule='augment is None, False, "none" or a list of fastai batch transforms.',
        likely=likely, next=better,
    )  # fmt: skip


def check_kind(kind: Any, kinds: Sequence[str]) -> None:
    """Raise InputError unless it is None or a kind of target."""
    if kind is None or (isinstance(kind, str) and kind in kinds):
        return
    meant = {"classification": "single", "class": "single", "multilabel": "multi", "multi-label": "multi",
             "float": "regression", "number": "regression", "numbers": "regression"}  # fmt: skip
    close = get_close_matches(str(kind).lower(), kinds, n=1, cutoff=0.6)
    better = meant.get(str(kind).lower()) or (close[0] if close else None)
    raise InputError(
        f"target={kind!r:.60}.",
        rule=f"target is {', '.join(repr(one) for one in kinds)}, or None to be proposed with a reason.",
        likely="the name of the column: that is y." if better is None else "a word of another library."
        if str(kind).lower() in meant else "a misspelling.",
        next=f"target={better!r}" if better else f"y={kind!r:.60}",
    )  # fmt: skip
