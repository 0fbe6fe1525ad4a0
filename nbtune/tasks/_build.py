"""From inputs, labels and what is known of them to a Task: the way that all sources share."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nbtune.errors import InputError, InputTypeError
from nbtune.tasks._broken import by_reason, check_broken, settle
from nbtune.tasks._choices import Options
from nbtune.tasks._given import check_classes, check_straddling, read_given
from nbtune.tasks._labels import missing, names_of
from nbtune.tasks._proposal import propose
from nbtune.tasks.card import Card
from nbtune.tasks.items import Items
from nbtune.tasks.split import check_seed
from nbtune.tasks.splits import Aside, Plan, plan_split
from nbtune.tasks.stacks import lazy
from nbtune.tasks.targets import Target, read_target, unlabelled
from nbtune.tasks.task import Task

__all__ = ["Source", "build", "build_splits"]


@dataclass
class Source:
    """Inputs and labels, an item each, and what was found about them on the way."""

    call: str  # the function of nbtune.tasks, for messages
    name: str
    said: str  # where the data come from
    code: str
    x: Any
    values: pd.Series | pd.DataFrame
    ids: list[str]
    aside: Aside = field(default_factory=Aside)
    offenders: dict[str, str] = field(default_factory=dict)  # by id, or by name where there is no item
    notes: list[str] = field(default_factory=list)

    def keep(self, mask: npt.NDArray[np.bool_]) -> None:
        """Keep the items of the mask."""
        if mask.all():
            return
        places = np.flatnonzero(mask)
        self.x, self.aside = self.x[places], self.aside.take(places)
        self.values = self.values.iloc[places].reset_index(drop=True)
        self.ids = [self.ids[at] for at in places]


def build(source: Source, options: Options) -> Task:
    """The task. Raises InputError or InputTypeError, with the list of offenders, before anything is trained."""
    skip, seed = check_broken(options.broken), check_seed(options.seed)
    skipped = _leave(source, _findings(source), skip)
    skipped |= _left_out(source, options.leave_out)
    if not len(source.ids):
        raise _nothing(source, skipped)
    target = read_target(source.values, options.target, options.label_delim, source.call)
    twice = _twins(source, target)
    if twice:
        skipped |= _leave(source, twice, skip)
        target = read_target(source.values, options.target, options.label_delim, source.call)
    _check_given(source)
    plan = plan_split(target, source.aside, valid=options.valid, test=options.test, seed=seed)
    return build_splits(source, options, target, plan, skipped)


def build_splits(source: Source, options: Options, target: Target, plan: Plan, skipped: Mapping[str, str]) -> Task:
    """A task of these splits, with its card."""
    places = {"train": plan.train, "valid": plan.valid, "test": plan.test}
    notes = [*source.notes, *_class_notes(target, places)]
    everything = Items(source.x, target.y, tuple(source.ids), *_beside(source.aside))
    splits = {name: everything.take(at) for name, at in places.items()}
    proposal = propose(target, options.objective, options.metrics)
    digest = hashlib.sha256("".join(items.digest for items in splits.values()).encode()).hexdigest()
    counts = dict(zip(target.vocab, splits["train"].counts(len(target.vocab)), strict=False))
    card = Card(
        options.name or source.name, source.said, options.licence, options.nature,
        {name: len(items) for name, items in splits.items()}, counts, digest, " ".join(notes),
        split=plan.said, proposal=proposal.why, skipped=dict(skipped),
    )  # fmt: skip
    return Task(
        card.name, proposal.objective, proposal.metrics, target.vocab, card, splits["train"], splits["valid"],
        splits["test"], source.code, target.kind,
    )  # fmt: skip


def _beside(aside: Aside) -> tuple[Any, Any]:
    return tuple(None if one is None else np.asarray(one) for one in (aside.group, aside.time))  # type: ignore[return-value]


def _findings(source: Source) -> dict[str, str]:
    """Offenders so far, with items that have no label, group or time."""
    found = dict(source.offenders)
    checks = {"no label": unlabelled(source.values)}
    for reason, column in (("no group", source.aside.group), ("no time", source.aside.time)):
        if column is not None:
            checks[reason] = missing(pd.Series(np.asarray(column)))
    for reason, mask in checks.items():
        for at in np.flatnonzero(mask):
            found.setdefault(source.ids[at], reason)
    return found


def _leave(source: Source, offenders: Mapping[str, str], skip: bool) -> dict[str, str]:
    """Settle the offenders, and leave their items out. Raises InputError unless `skip`."""
    n = len(set(source.ids) | set(offenders))
    gone = settle(offenders, n, skip, source.call)
    if gone:
        source.keep(np.array([name not in gone for name in source.ids], dtype=bool))
    return gone


def _left_out(source: Source, classes: Sequence[object]) -> dict[str, str]:
    """Leave out the items of these classes, as asked."""
    if isinstance(classes, str):
        raise InputTypeError(
            f"leave_out={classes!r}.", rule="leave_out is a list of classes.",
            likely="one class without a list around it.", next=f"leave_out=[{classes!r}]",
        )  # fmt: skip
    if not len(classes) or isinstance(source.values, pd.DataFrame):
        return {}
    names, gone = names_of(source.values), {str(one) for one in classes}
    unknown = gone - set(names)
    if unknown:
        raise InputError(
            f"leave_out={sorted(unknown)!r}.", rule="what is left out is a class of the data.",
            likely="a misspelling, or a class that is gone already.",
            next=f"the classes are {', '.join(sorted(set(names))[:12])}",
        )  # fmt: skip
    skipped = {
        source.ids[at]: f"class {name!r} was left out, as asked" for at, name in enumerate(names) if name in gone
    }
    source.keep(np.array([name not in gone for name in names], dtype=bool))
    return skipped


def _nothing(source: Source, skipped: Mapping[str, str]) -> InputError:
    why = f" All were left out: {by_reason(skipped)}." if skipped else ""
    return InputError(
        f"{source.call} found no items.{why}", rule="a task has items.",
        likely="another folder or column than the one that was meant." if not skipped else "a copy that failed.",
        next="look into the folder or the table first",
    )  # fmt: skip


def _twins(source: Source, target: Target) -> dict[str, str]:
    """Files of equal contents: noted where harmless; offenders with two labels, or in two given splits."""
    hashes = source.aside.hashes
    if hashes is None or not lazy(source.x):
        return {}
    places: dict[str, list[int]] = {}
    for at, mark in enumerate(hashes):
        places.setdefault(mark, []).append(at)
    several = [found for found in places.values() if len(found) > 1]
    given = None if source.aside.given is None else read_given(source.aside.given)
    offenders: dict[str, str] = {}
    for found in several:
        if len({target.y[at].tobytes() for at in found}) > 1:
            offenders |= dict.fromkeys((source.ids[at] for at in found), "the same file with different labels")
        elif given is not None and len({given[at] for at in found}) > 1:
            best = next(name for name in ("test", "valid") if any(given[at] == name for at in found))
            copies = [at for at in found if given[at] != best]
            offenders |= {source.ids[at]: f"the same file in the {best} split, which would leak" for at in copies}
    harmless = sum(len(found) - 1 for found in several) - len(offenders)
    if harmless > 0 and given is None and source.aside.time is None:
        source.notes.append(f"{harmless:,} exact copies stay in one split with their originals.")
    return offenders


def _check_given(source: Source) -> None:
    if source.aside.given is not None and source.aside.group is not None:
        check_straddling(read_given(source.aside.given), source.aside.group)


def _class_notes(target: Target, places: Mapping[str, npt.NDArray[np.int64]]) -> list[str]:
    """Raise for classes that are asked for and never trained; what is never measured, in words."""
    if target.kind == "regression":
        return []
    if target.kind == "single":
        return check_classes({name: target.y[at] for name, at in places.items()}, target.vocab)
    return check_classes({name: np.flatnonzero(target.y[at].any(0)) for name, at in places.items()}, target.vocab)
