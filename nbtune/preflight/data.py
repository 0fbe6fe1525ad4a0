"""Findings about items and targets: sizes, classes, constant or missing numbers, copies across splits, order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import islice
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import nn

from nbtune._fastai import FastaiLoader
from nbtune._fastai.borrow import seed_all
from nbtune._fastai.fetch import fetch, plain, same_bits
from nbtune._nested import tensors
from nbtune.preflight.subject import Subject
from nbtune.preflight.values import Finding

__all__ = ["classes", "copies", "inputs", "order", "sizes", "targets"]

_SECONDS, _CHUNK = 1.5, 64  # of looking for copies; items fetched at once
_FEW = 0.01  # share of the validation items below which copies are a note


def sizes(subject: Subject) -> Iterator[Finding]:
    """Batch size against the sizes of the splits."""
    loader = subject.loaders["training"]
    size = getattr(loader, "bs", None) or getattr(loader, "batch_size", None)
    count = len(loader.dataset) if hasattr(getattr(loader, "dataset", None), "__len__") else None
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
    if len(one) < 2:
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


def copies(subject: Subject) -> Iterator[Finding]:
    """Items that stand in both splits: the same file, or the same content."""
    splits = list(subject.loaders)
    if len(splits) < 2:
        return
    if (origin := getattr(subject.learn, "nbtune_origin", None)) is not None:
        yield from _task_copies(origin.task)
        return
    keys: list[Any] = [getattr(getattr(subject.loaders[split], "dataset", None), "items", None) for split in splits]
    named = [set(map(str, one)) if _files(one) else set() for one in keys]
    if same := len(named[0] & named[1]):
        yield _leak(same, len(named[1]), "the same file as a training item", "")
        return
    ends = perf_counter() + _SECONDS
    marks: list[list[bytes]] = []
    for split in splits:
        marks.append(_marks(subject.loaders[split], (ends - perf_counter()) / (2 - len(marks)) + perf_counter()))
    if not all(marks):
        return
    train = set(marks[0])
    shared = sum(mark in train for mark in marks[1])
    counts = [len(subject.loaders[split].dataset) for split in splits]
    part = "" if [len(one) for one in marks] == counts else f" ({len(marks[0]):,} and {len(marks[1]):,} compared)"
    if shared:
        yield _leak(shared, len(marks[1]), "equal to a training item to the last bit", part)
    elif part:
        yield Finding("note", "copies", f"no validation item equals a training item, as far as looked{part}.")


def _task_copies(task: Any) -> Iterator[Finding]:
    """Copies of training items in validation and test, among all items of a task."""
    for split in ("valid", "test"):
        shared = sum(any(place.split == "train" for place in group) for group in task.copies().groups
                     if any(place.split == split for place in group))  # fmt: skip
        if shared:
            yield _leak(shared, len(getattr(task, split)), "equal to a training item to the last bit", f" ({split})")


def _files(items: Any) -> bool:
    listed = isinstance(items, Sequence) and not isinstance(items, str) and len(items)
    return bool(listed) and all(isinstance(item, str) or hasattr(item, "stat") for item in items)


def _leak(shared: int, count: int, how: str, part: str) -> Finding:
    verb = "is" if shared == 1 else "are"
    return Finding(
        "warn" if shared > _FEW * count else "note", "copies",
        f"{shared:,} of {count:,} validation items {verb} {how}{part}.",
        "What was trained on is measured: validation flatters.", "leave them out of one split",
    )  # fmt: skip


def _marks(loader: Any, ends: float) -> list[bytes]:
    """Digests of the inputs of a loader's items, without random transforms, as far as time allows."""
    if not (isinstance(loader, FastaiLoader) and loader.indexed and loader.n and loader.bs is not None):
        return []
    found: list[bytes] = []
    fs = getattr(getattr(loader, "after_batch", None), "fs", None)
    n_inp = getattr(loader, "n_inp", 1)
    try:
        if fs is not None:
            loader.after_batch.fs = type(fs)(f for f in fs if getattr(f, "split_idx", None) != 0)
        for start in range(0, loader.n, _CHUNK):
            if perf_counter() > ends and found:
                break
            batch = fetch(loader, list(range(start, min(loader.n, start + _CHUNK))))
            parts = [one.cpu().numpy() for one in tensors(batch[:n_inp])]
            for row in range(len(parts[0])):
                found.append(hashlib.sha256(b"".join(part[row].tobytes() for part in parts)).digest())
    finally:
        if fs is not None:
            loader.after_batch.fs = fs
    return found


def order(subject: Subject) -> Iterator[Finding]:
    """Does a seed repeat the first batch?"""
    loader = subject.loaders["training"]
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
