"""How targets are probed: one class, several labels, or numbers an item; which one, the Learner's loss says."""

from __future__ import annotations

from typing import Any

from nbtune._fastai.predict import kind_of, vocabulary
from nbtune.questions.kinds.classes import Classes, ClassKind
from nbtune.questions.kinds.labels import LabelKind, Labels
from nbtune.questions.kinds.numbers import NumberKind, Numbers
from nbtune.questions.kinds.outcome import Fitted, Kind, Outcome
from nbtune.questions.kinds.probed import Probed

__all__ = ["Classes", "Fitted", "Kind", "Labels", "Numbers", "Outcome", "Probed", "kind_for"]


def kind_for(learn: Any, name: str | None = None) -> Kind:
    """How the Learner's targets are probed, or targets of the kind `name` (single, multi or regression).

    Told by the loss, and by the task where the loss is one of the user's own.
    """
    name = name or _told(learn)
    if name == "single":
        return ClassKind()
    metrics, names = [str(metric.name) for metric in learn.metrics], _names(learn)
    return LabelKind(metrics, names) if name == "multi" else NumberKind(metrics, names)


def _told(learn: Any) -> str:
    told, origin = kind_of(learn), getattr(learn, "nbtune_origin", None)
    return str(origin.task.kind) if told == "single" and origin is not None else told


def _names(learn: Any) -> tuple[str, ...]:
    """What the labels or numbers are called; nothing where the data do not say."""
    origin = getattr(learn, "nbtune_origin", None)
    if origin is not None:
        return tuple(origin.task.vocab)
    columns = getattr(learn.dls, "y_names", None)
    if columns is not None:
        return tuple(map(str, columns))
    known: Any = getattr(learn.dls, "vocab", None)
    try:
        return tuple(vocabulary(learn, len(known)))
    except TypeError:
        return ()
