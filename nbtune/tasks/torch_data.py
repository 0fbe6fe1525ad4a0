"""A task from torch datasets, or any sequences of (input, label) pairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Unpack

import numpy as np

from nbtune.errors import InputError, InputTypeError
from nbtune.interrupts import imports_whole
from nbtune.tasks._build import Source, build
from nbtune.tasks._choices import Asked, options_of, written
from nbtune.tasks._fetched import fetched, picture_of
from nbtune.tasks.arrays import _named, _rows
from nbtune.tasks.splits import Aside
from nbtune.tasks.targets import as_columns
from nbtune.tasks.task import Task

__all__ = ["from_torch"]


@imports_whole
def from_torch(
    train: Any, valid: Any = 0.2, test: Any = 0.2, *, vocab: Sequence[object] | None = None,
    **options: Unpack[Asked],
) -> Task:  # fmt: skip
    """A task from a torch dataset of (input, label) pairs; `valid` and `test` are datasets, or shares to draw.

    An input is a PIL image, an array [h, w] or [h, w, 3], a tensor [c, h, w] (uint8, or float of 0 to 1), or a vector
    [columns]: then it is a table. Inputs are the same at every look: augmentation belongs to `task.learner`. Every
    item is fetched once for its label and a digest of its input. `vocab` names the classes; the dataset's own
    `classes` are taken where there are any. `options`: see `nbtune.tasks.from_frame`.

    Raises:
        InputError, InputTypeError: no dataset, items that are no pairs or change from look to look, normalised
            inputs, or labels or splits that cannot be trained on.
    """
    shares = {name: one for name, one in (("valid", valid), ("test", test)) if isinstance(one, float)}
    given = options_of("from_torch", ("vocab",), {**shares, **options})
    sets = {name: one for name, one in (("train", train), ("valid", valid), ("test", test)) if name not in shares}
    for name, one in sets.items():
        _check_set(name, one)
    starts = np.cumsum([0, *(len(one) for one in sets.values())])
    places = [(name, at) for name, one in sets.items() for at in range(len(one))]

    def pair(place: int) -> tuple[Any, Any]:
        name, at = places[place]
        found = sets[name][at]
        if not isinstance(found, (tuple, list)) or len(found) != 2:
            raise _no_pair(name, at, found)
        return found[0], found[1]

    names = vocab if vocab is not None else getattr(train, "classes", None)
    code = written("from_torch", ", ".join(f"{name}=..." for name in sets), {"vocab": names, **options})
    ids = [f"{name} {at}" for name, at in places]
    splits = [name for name, _ in places] if len(sets) > 1 else None
    assert starts[-1] == len(places)
    return build(_source(pair, ids, splits, names, given.name or type(train).__name__, code), given)


def _source(
    pair: Callable[[int], tuple[Any, Any]], ids: list[str], splits: list[str] | None, vocab: Any, name: str, code: str
) -> Source:
    first = pair(0)[0]
    said = f"{len(ids):,} items of a torch dataset"
    if _is_vector(first):
        pairs = [pair(at) for at in range(len(ids))]
        rows = np.stack([np.asarray(one, dtype=float) for one, _ in pairs])
        values = _named(as_columns(_plain([label for _, label in pairs])), _fitting(vocab))
        made = _rows(rows, values, None, (None, None, splits), code)
        made.call, made.name, made.said, made.ids = "from_torch", name, said, ids
        return made
    labels: dict[int, Any] = {}

    def get(place: int) -> Any:
        image, labels[place] = pair(place)
        return picture_of(image)

    pictures, offenders = fetched(get, ids)
    for at, one in enumerate(ids):
        if one in offenders:
            labels.setdefault(at, None)
    values = _named(as_columns(_plain([labels[at] for at in range(len(ids))])), _fitting(vocab))
    aside = Aside(None, None, splits, pictures.hashes)
    return Source("from_torch", name, said, code, pictures, values, ids, aside, offenders)


def _fitting(vocab: Any) -> Any:
    return None if vocab is None else list(vocab)


def _plain(labels: list[Any]) -> Any:
    """Labels without torch: numbers, names, or an array [n, k]."""
    found = [one.detach().cpu().numpy() if hasattr(one, "detach") else one for one in labels]
    rows = all(isinstance(one, np.ndarray) and one.ndim == 1 and one.dtype.kind in "iufb" for one in found)
    if rows and len({len(one) for one in found}) == 1:
        return np.stack(found)
    return [one.item() if isinstance(one, (np.ndarray, np.generic)) and one.ndim == 0 else one for one in found]


def _is_vector(one: Any) -> bool:
    return hasattr(one, "ndim") and one.ndim == 1


def _check_set(name: str, one: Any) -> None:
    sequence = hasattr(one, "__len__") and hasattr(one, "__getitem__") and not isinstance(one, (str, bytes, dict))
    if sequence and not hasattr(one, "batch_size"):
        if len(one):
            return
        raise InputError(
            f"{name} is a dataset without items.", rule="a dataset has items.",
            likely="a split or a filter that left nothing.", next=f"look at len({name})",
        )  # fmt: skip
    loader = hasattr(one, "batch_size")
    raise InputTypeError(
        f"{name} is of type {type(one).__name__}.",
        rule="from_torch takes datasets with a length, whose items are (input, label) pairs.",
        likely="a DataLoader, which has the dataset inside." if loader else "a stream without a length, or the arrays.",
        next=f"nt.tasks.from_torch({name}.dataset)" if loader
        else "nt.tasks.from_torch(list(stream)), or from_arrays(x, y)",
    )  # fmt: skip


def _no_pair(name: str, at: int, found: Any) -> InputTypeError:
    several = isinstance(found, (tuple, list))
    return InputTypeError(
        f"item {at} of {name} is {f'{len(found)} values' if several else f'of type {type(found).__name__}'}.",
        rule="an item is a pair of an input and its label.",
        likely="several inputs, or boxes and masks beside the label." if several
        else "a record, or an input without its label.",
        next="wrap the dataset, so that its items are (input, label)",
    )  # fmt: skip
