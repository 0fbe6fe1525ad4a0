"""Findings about copies across splits: items that are trained on and measured with."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from time import perf_counter
from typing import Any

from nbtune._fastai import FastaiLoader
from nbtune._fastai.fetch import fetch
from nbtune._nested import tensors
from nbtune.preflight.subject import Subject
from nbtune.preflight.values import Finding

__all__ = ["copies"]

_SECONDS, _CHUNK = 1.5, 64  # of looking for copies; items fetched at once
_FEW = 0.01  # share of the held-out items below which copies are a note


def copies(subject: Subject) -> Iterator[Finding]:
    """Items that stand in two splits, the Tuner's test set among them: the same file, or the same content."""
    origin = getattr(subject.learn, "nbtune_origin", None)
    splits = dict(subject.loaders)
    if subject.test is not None:
        loader, items = subject.test()
        if origin is None or items is not origin.task.test:
            splits["test"] = loader
    if origin is not None:
        yield from _task_copies(origin.task)
        splits.pop("validation", None)
    if len(splits) < 2:
        return
    files = {split: _files(loader) for split, loader in splits.items()}
    train, *others = splits
    for split in others:
        if same := len(files[train] & files[split]):
            yield _leak(split, same, len(files[split]), "the same file as a training item", "")
            splits.pop(split)
    if len(splits) > 1:
        yield from _of_content(splits)


def _files(loader: Any) -> set[str]:
    """Paths of the items, where they are files."""
    items = getattr(getattr(loader, "dataset", None), "items", None)
    listed = isinstance(items, Sequence) and not isinstance(items, str) and len(items)
    paths = bool(listed) and all(isinstance(item, str) or hasattr(item, "stat") for item in items)  # type: ignore[union-attr]
    return set(map(str, items)) if paths and items is not None else set()


def _of_content(splits: Mapping[str, Any]) -> Iterator[Finding]:
    """Copies by the bits of what reaches the model, without random transforms."""
    ends, marks = perf_counter() + _SECONDS, dict[str, list[bytes]]()
    for split, loader in splits.items():
        marks[split] = _marks(loader, perf_counter() + (ends - perf_counter()) / (len(splits) - len(marks)))
    (_, first), *others = marks.items()
    train = set(first)
    twins = sum(count for count in Counter(first).values() if count > 1) / max(1, len(first))  # in training itself
    for split, own in others:
        if not (first and own):
            continue
        shared = sum(mark in train for mark in own)
        counts = [len(loader.dataset) for loader in (splits["training"], splits[split])]
        part = "" if [len(first), len(own)] == counts else f" ({len(first):,} and {len(own):,} compared)"
        if shared:
            # As a table with few distinct rows has by chance; two standard errors are allowed.
            usual = twins > 0 and twins + 2 * math.sqrt(twins * (1 - twins) / len(own)) >= shared / len(own)
            yield _leak(split, shared, len(own), "equal to a training item to the last bit", part, usual)
        elif part:
            yield Finding("note", "copies", f"no {split} item equals a training item, as far as looked{part}.")


def _task_copies(task: Any) -> Iterator[Finding]:
    """Copies of training items in validation and test, among all items of a task."""
    groups = task.copies().groups
    for split, name in (("valid", "validation"), ("test", "test")):
        shared = sum(any(place.split == "train" for place in group) for group in groups
                     if any(place.split == split for place in group))  # fmt: skip
        if shared:
            yield _leak(name, shared, len(getattr(task, split)), "equal to a training item to the last bit", "")


def _leak(split: str, shared: int, count: int, how: str, part: str, usual: bool = False) -> Finding:
    verb = "is" if shared == 1 else "are"
    return Finding(
        "warn" if shared > _FEW * count and not usual else "note", "copies",
        f"{shared:,} of {count:,} {split} items {verb} {how}{part}.",
        f"What was trained on is measured: {split} flatters.", "leave them out of one split",
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
