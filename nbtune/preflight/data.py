"""Findings about items and targets: sizes, classes, constant or missing numbers, order."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import nn

from nbtune._fastai import FastaiLoader
from nbtune._fastai.borrow import seed_all
from nbtune._fastai.fetch import plain, same_bits
from nbtune._nested import tensors
from nbtune.preflight.subject import MOST, Subject
from nbtune.preflight.values import Finding, first_line

__all__ = ["batch", "classes", "inputs", "order", "sizes", "targets"]

_MIXED = 0.1  # of the changes of class that mixed items have, below which they come class by class
_FEW = 30  # validation items, of which one is 3 points of per cent


def batch(subject: Subject) -> Iterator[Finding]:
    """Can a training batch be made at all?"""
    try:
        made = subject.batch
    except Exception as error:
        yield Finding(
            "stop", "batch", f"no training batch can be made: {type(error).__name__}: {first_line(error)}",
            "Training ends there.", "next(iter(learn.dls.train)) shows where",
        )  # fmt: skip
        return
    if not tensors(made) and not any(one.about == "batch size" for one in sizes(subject)):
        yield Finding("stop", "batch", "the training loader gives no batch.", "Training would do nothing.",
                      "look at len(learn.dls.train) and its sampler")  # fmt: skip


def sizes(subject: Subject) -> Iterator[Finding]:
    """Batch size against the sizes of the splits."""
    loader = subject.loaders["training"]
    size = getattr(loader, "bs", None) or getattr(loader, "batch_size", None)
    count = subject.count("training")
    if not size or count is None:
        return
    left, drops = count % size, getattr(loader, "drop_last", False)
    if drops and count < size:
        yield Finding(
            "stop", "batch size", f"{count} training items in batches of {size}, short ones dropped: none is left.",
            "An epoch without a batch trains nothing.", f"bs={count}",
        )  # fmt: skip
    elif count < size:
        yield Finding(
            "note", "batch size", f"{count} training items make one batch, below the batch size of {size}.",
            "An epoch is one step then: count epochs as steps.", f"bs={max(2, count // 4)}",
        )  # fmt: skip
    elif left == 1 and not drops and any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in _modules(subject)):
        yield Finding(
            "warn", "batch size", f"the last training batch of {count} items in batches of {size} has one item.",
            "Batch norm has no spread of one item: its statistics turn to noise, or it raises.",
            f"bs={size - 1}, or drop_last=True",
        )  # fmt: skip
    held = subject.count("validation")
    if held is not None and 0 < held < _FEW:
        yield Finding("note", "validation", f"{held} validation items: one of them is {100 / held:.0f} % of a rate.",
                      "Small differences between epochs are chance.", "hold more items out")  # fmt: skip


def _modules(subject: Subject) -> Iterator[nn.Module]:
    """Modules that train in some phase."""
    for cut in subject.cuts:
        for group in cut.training:
            for path in group.modules:
                yield from subject.learn.model.get_submodule(path).modules()


def inputs(subject: Subject) -> Iterator[Finding]:
    """NaN, infinite and constant inputs."""
    for split in subject.loaders:
        for number, one in enumerate(tensors(subject.inputs(split))):
            name = f"input {number + 1} of {split}" if subject.n_inp > 1 else f"{split} inputs"
            if one.is_floating_point() and (bad := int((~one.isfinite()).flatten(1).any(1).sum())):
                yield Finding(
                    "stop", "inputs", f"{bad} of {len(one)} {name} hold NaN or infinite numbers.",
                    "The first step makes the loss NaN, and every weight after it.",
                    "fill or drop them before the DataLoaders are made",
                )  # fmt: skip
                continue
            yield from _constant(one, name)


def _constant(one: torch.Tensor, name: str) -> Iterator[Finding]:
    if len(one) < 2 or not one[0].numel():  # a table without categories has an input without columns
        return
    flat = one.flatten(1).double()
    if bool((flat == flat[0]).all()):
        yield Finding(
            "stop", "inputs", f"all {len(one)} {name} that were looked at are equal.",
            "Nothing can be learned from an input that never differs.", "look at dls.show_batch()",
        )  # fmt: skip
        return
    if one.ndim > 2 and (same := int((flat == flat[:, :1]).all(1).sum())):
        yield Finding(
            "warn", "inputs", f"{same} of {len(one)} {name} have one value everywhere.",
            "An empty picture tells nothing of its label.", "look at these items, and leave them out",
        )  # fmt: skip
    if one.ndim == 2 and one.is_floating_point() and (still := (flat == flat[0]).all(0).nonzero().flatten().tolist()):
        columns = ", ".join(map(str, still[:5]))
        yield Finding(
            "warn", "inputs", f"numbers at place {columns} are the same in all {len(one)} {name} looked at.",
            "A constant column tells nothing.", "leave it out",
        )  # fmt: skip


def targets(subject: Subject) -> Iterator[Finding]:
    """Labels outside of what the model gives scores for, and targets that are no numbers."""
    ignored = getattr(subject.learn.loss_func, "ignore_index", -100)
    for split, found in subject.targets.items():
        values = found.values
        if values.dtype.kind == "f" and (bad := int((~np.isfinite(values)).sum())):
            yield Finding(
                "stop", "targets", f"{bad} {split} targets of {found} are NaN or infinite.",
                "The loss of their batch is NaN.", "drop these items",
            )  # fmt: skip
        scores = subject.outputs[split]
        if not (found.classes and isinstance(scores, torch.Tensor) and scores.ndim == 2 and scores.shape[1] > 1):
            continue
        outside = values[((values < 0) | (values >= scores.shape[1])) & (values != ignored)]
        if len(outside):
            named = ", ".join(map(str, sorted(set(outside.tolist()))[:5]))
            yield Finding(
                "stop", "labels", f"{len(outside)} {split} labels of {found} are {named}; the model scores 0 to "
                f"{scores.shape[1] - 1}.",
                "Cross-entropy has no score for them: it raises, on a GPU with an error that ends the kernel.",
                f"a head of {int(values.max()) + 1} outputs" if outside.min() >= 0 else "labels that begin at 0",
            )  # fmt: skip


def classes(subject: Subject) -> Iterator[Finding]:
    """Classes that stand in one split only."""
    found = subject.targets
    if len(found) < 2 or not all(one.classes and one.whole for one in found.values()):
        return
    train, valid = (set(found[split].values.tolist()) for split in ("training", "validation"))
    if len(train) == 1 and subject.chooses:
        yield Finding(
            "stop", "classes", f"all {found['training'].items:,} training items are of {_named(subject, list(train))}.",
            "There is nothing to tell apart.", "look at the labels and at the splitter",
        )  # fmt: skip
    if missing := sorted(valid - train):
        yield Finding(
            "warn", "classes", f"{_named(subject, missing)} in validation, but not in training.",
            "They cannot be learned: each of their items counts as an error.", "split again, stratified by class",
        )  # fmt: skip
    if missing := sorted(train - valid):
        yield Finding(
            "note", "classes", f"{_named(subject, missing)} in training, but not in validation.",
            "Nothing tells how well they are read.", "split again, stratified by class, or validate on more items",
        )  # fmt: skip


def _named(subject: Subject, numbers: list[int]) -> str:
    vocab = list(getattr(subject.learn.dls, "vocab", None) or [])
    names = [str(vocab[n]) if 0 <= n < len(vocab) and not isinstance(vocab[n], list) else str(n) for n in numbers[:5]]
    more = f" and {len(numbers) - 5} more" if len(numbers) > 5 else ""
    return f"{'class' if len(numbers) == 1 else 'classes'} {', '.join(names)}{more}"


def order(subject: Subject) -> Iterator[Finding]:
    """Does a seed repeat the first batch, and are the classes mixed?"""
    loader = subject.loaders["training"]
    yield from _sorted(subject)
    if getattr(getattr(loader, "fake_l", loader), "num_workers", 0):
        return
    firsts = []
    for _ in range(2):
        seed_all(subject.learn, 1)
        firsts.append(tensors(plain(next(islice(iter(loader), 1)))))
    if len(firsts[0]) != len(firsts[1]) or not all(same_bits(a, b) for a, b in zip(*firsts, strict=True)):
        yield Finding(
            "warn", "order", "the same seed gave two different first batches.",
            "A sampler or transform draws from a generator of its own: runs cannot be repeated or resumed to the bit.",
            "draw from torch's, numpy's or python's global stream, or from loader.generator",
        )  # fmt: skip


def _sorted(subject: Subject) -> Iterator[Finding]:
    """Do the items come class by class?"""
    loader, found = subject.loaders["training"], subject.targets["training"]
    size: int = getattr(loader, "bs", None) or getattr(loader, "batch_size", None) or 0
    places = _places(loader, found.items) if found.classes and found.whole and size else []
    if not places or len(places) <= size or max(places) >= found.items:
        return
    values = found.values[places]
    _, counts = np.unique(values, return_counts=True)
    changes = int((values[1:] != values[:-1]).sum())
    mixed = (len(values) - 1) * (1 - ((counts / len(values)) ** 2).sum())
    if len(counts) > 1 and mixed > 2 * len(counts) and changes - (len(counts) - 1) < _MIXED * mixed:
        yield Finding(
            "warn", "order",
            f"the {len(values):,} training items come class by class: the class changes {changes:,} times from one "
            f"item to the next, {mixed:,.0f} times where they are mixed.",
            "A batch holds one class or two, and the model forgets the others.", "shuffle=True for the training loader",
        )  # fmt: skip


def _places(loader: Any, count: int) -> list[int]:
    """The order in which an epoch takes the items; empty where it cannot be known without fetching them."""
    if count > MOST:
        return []
    if isinstance(loader, FastaiLoader):
        return [int(place) for place in loader.get_idxs()] if loader.indexed and loader.n else []
    sampler: Any = getattr(loader, "sampler", None)
    return [int(place) for place in sampler] if hasattr(loader, "batch_size") and hasattr(sampler, "__iter__") else []
