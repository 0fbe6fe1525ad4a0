"""What a DataBlock says of its items: inputs, labels, splits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from fastai.data.block import DataBlock

from nbtune.errors import InputError

__all__ = ["Opened", "opened"]


@dataclass(frozen=True)
class Opened:
    """Items of a block, in the order of its source; `paths` where every input is a file, as the block names it."""

    ids: list[str]
    paths: list[Path] | None
    labels: list[Any]
    splits: list[str]
    kind: str | None
    input: Callable[[int], Any]


def opened(block: Any, source: Any) -> Opened | None:
    """The items of the block's training and validation split; None for anything but a DataBlock.

    Raises InputError where the block fails, or does not give one input and one label.
    """
    if not isinstance(block, DataBlock):
        return None
    try:
        sets = block.datasets(source)
        parts = len(sets.tls)
        labels = [_plain(one) for split in (sets.train, sets.valid) for one in _targets(split)] if parts == 2 else []
    except InputError:
        raise
    except Exception as error:  # of the user's own functions
        raise InputError(
            f"the DataBlock fails on this source: {type(error).__name__}: {str(error)[:120]}",
            rule="block.datasets(source) gives pairs of an input and a label.",
            likely="another source than the one that the block was written for.",
            next="block.summary(source) shows the step that fails",
        ) from error
    if parts != 2:
        raise InputError(
            f"a DataBlock of {parts} blocks.", rule="a task has one input and one label.",
            likely="several inputs, or an input without a label.",
            next="nt.Tuner(Learner(block.dataloaders(source), ...)) trains it as it is",
        )  # fmt: skip
    splits = ["train"] * len(sets.train) + ["valid"] * len(sets.valid)
    paths = _paths(sets)
    ids = [f"item {at}" for at in range(len(splits))] if paths is None else _names(paths)

    def take(place: int) -> Any:
        split, at = (sets.train, place) if place < len(sets.train) else (sets.valid, place - len(sets.train))
        return split.tls[0][at]

    return Opened(ids, paths, labels, splits, _kind(sets), take)


def _targets(split: Any) -> list[Any]:
    pipeline = split.tls[1]
    return [pipeline.decode(pipeline[at]) if hasattr(pipeline, "decode") else pipeline[at] for at in range(len(split))]


def _plain(label: Any) -> Any:
    """A label as text, number, or list of texts."""
    if isinstance(label, torch.Tensor):
        return label.item() if label.ndim == 0 else label.as_subclass(torch.Tensor).tolist()
    if isinstance(label, (list, tuple)) or type(label).__name__ in ("L", "MultiCategory"):
        return [str(one) for one in label]
    return str(label) if isinstance(label, str) else label


def _kind(sets: Any) -> str | None:
    names = [type(step).__name__ for step in sets.tls[1].tfms.fs]
    if any(name in ("MultiCategorize", "EncodedMultiCategorize") for name in names):
        return "multi"
    return "regression" if "RegressionSetup" in names else "single" if "Categorize" in names else None


def _paths(sets: Any) -> list[Path] | None:
    """The files that the inputs are opened from; None where anything else than a file is opened."""
    steps = list(sets.tls[0].tfms.fs)
    if not steps or str(getattr(steps[-1], "name", "")) != "PILBase.create":
        return None
    found = []
    for split in (sets.train, sets.valid):
        for item in _items(split):
            for step in steps[:-1]:
                item = step(item)
            if not isinstance(item, (str, Path)):
                return None
            found.append(Path(item))
    return found


def _items(split: Any) -> list[Any]:
    """What the pipelines begin with: rows of a frame are taken by their place."""
    return [split.tls[0]._get(at) for at in range(len(split))]


def _names(paths: list[Path]) -> list[str]:
    root = Path(*_common(paths))
    names = [path.relative_to(root).as_posix() if root.parts else path.as_posix() for path in paths]
    return names if len(set(names)) == len(names) else [f"item {at}: {name}" for at, name in enumerate(names)]


def _common(paths: list[Path]) -> list[str]:
    found = list(paths[0].parts[:-1])
    for path in paths:
        while found and list(path.parts[: len(found)]) != found:
            found.pop()
    return found
