"""A task from a fastai DataBlock: what its items and labels are is the block's, size and scale are the body's."""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np
from PIL import Image

from nbtune.errors import InputError, InputTypeError
from nbtune.interrupts import imports_whole
from nbtune.tasks._build import Source, build
from nbtune.tasks._choices import Choices, options_of, written
from nbtune.tasks._fetched import fetched, picture_of
from nbtune.tasks._pictures import looked_at
from nbtune.tasks.splits import Aside
from nbtune.tasks.targets import as_columns
from nbtune.tasks.task import Task

__all__ = ["from_datablock"]


@imports_whole
def from_datablock(block: Any, source: Any, **options: Unpack[Choices]) -> Task:
    """A task from a DataBlock of pictures with classes, several labels or numbers, and what it is made from.

    Items, labels and the splitter are the block's; a test split is drawn from its training items. Its `item_tfms`
    and `batch_tfms` are left out, as size and normalisation belong to the body that `task.learner` is given, and
    the card says so; augmentation is given there too (`augment=aug_transforms()`). Pictures that are files are
    looked at as by `from_folder`. `options`: see `nbtune.tasks.from_frame`.

    Raises:
        InputTypeError: no DataBlock.
        InputError: a block of another kind than pictures, or items, labels or splits that cannot be trained on.
    """
    from nbtune._fastai.blocks import opened

    given = options_of("from_datablock", (), options)
    found = opened(block, source)
    if found is None:
        loaders = hasattr(block, "loaders")
        raise InputTypeError(
            f"from_datablock({type(block).__name__}).", rule="from_datablock takes a fastai DataBlock and its source.",
            likely="DataLoaders, which are made already." if loaders else "a dataset, or the source alone.",
            next="nt.Tuner(Learner(dls, ...)) takes them as they are" if loaders
            else "nt.tasks.from_torch(dataset), or from_folder(path)",
        )  # fmt: skip
    if given.target is None and found.kind is not None:
        from dataclasses import replace

        given = replace(given, target=found.kind if found.kind != "multi" else None)
    ids, said = found.ids, f"a DataBlock on {len(found.ids):,} items"
    offenders: dict[str, str] = {}
    notes = ["The block's item and batch transforms are left out: size and scale are those of the body."]
    x: Any
    if found.paths is not None:
        x, offenders, more = looked_at(found.paths, ids)
        notes += more
    else:
        x, offenders = fetched(lambda place: picture_of(_picture(found.input(place))), ids)
    code = written("from_datablock", "block, source", options)
    aside = Aside(None, None, found.splits, x.hashes)
    values = as_columns(found.labels)
    name = given.name or "datablock"
    return build(Source("from_datablock", name, said, code, x, values, ids, aside, offenders, notes), given)


def _picture(value: Any) -> Any:
    if isinstance(value, Image.Image):
        return value
    if isinstance(value, np.ndarray) or hasattr(value, "detach"):
        return value
    raise InputError(
        f"a DataBlock whose inputs are of type {type(value).__name__}.",
        rule="this version makes tasks of blocks of pictures.",
        likely="a text, a table or several inputs, which fastai's own Learner takes.",
        next="nt.Tuner(Learner(block.dataloaders(source), ...)) trains it as it is",
    )
