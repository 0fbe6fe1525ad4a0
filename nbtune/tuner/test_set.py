"""The held-out items: how they become batches, and how often they have been looked at."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from nbtune._numbers import kind
from nbtune.checkpoints import write_file
from nbtune.errors import InputError, InputTypeError
from nbtune.tasks import Items
from nbtune.transaction import Streams

__all__ = ["TestSet"]

_LOOKS: Counter[str] = Counter()  # by digest: two tuners on one test set look at the same set


class TestSet:
    """What `evaluate` looks at, and a count of the looks (in this process, and in the run's folder).

    Raises InputTypeError for what can hold no labelled items.
    """

    __test__ = False  # the name is not pytest's

    def __init__(self, test: Any, run_dir: Path | None) -> None:
        if test is not None:
            check_data(test, "test=")
        self.test = test
        self.file = None if run_dir is None else run_dir / "looks.json"

    def loader(self, learn: Any, dl: Any = None) -> tuple[Any, Any]:
        """A loader in order, and the items themselves where there are any; moves no random stream.

        Raises InputTypeError or InputError without data, or where no labelled batch can be made of it.
        """
        streams = Streams()  # a fastai loader draws a seed when it is made
        try:
            return self._loader(learn, dl)
        finally:
            streams.restore()

    def _loader(self, learn: Any, dl: Any) -> tuple[Any, Any]:
        data = self.test if dl is None else dl
        if data is None:
            raise InputError(
                "evaluate() without a test set.",
                rule="a report needs labelled items that no choice was made on.",
                likely="the Tuner was made without test=.",
                next="nt.Tuner(learn, test=task.test), or tuner.evaluate(loader).",
            )
        if dl is not None:
            check_data(dl, "evaluate on ")
        if hasattr(data, "__len__") and not len(data):
            raise InputError(
                "evaluate() on a test set of 0 items.",
                rule="a report needs one labelled item or more.",
                likely="an empty split.",
                next="give the test split a share when splitting.",
            )
        if isinstance(data, Items):
            return self._arrays(learn, data), data
        if hasattr(data, "dataset"):
            return data, None
        return _batched(learn, data), None

    def _arrays(self, learn: Any, items: Items) -> Any:
        origin = getattr(learn, "nbtune_origin", None)
        if origin is None:
            raise InputError(
                "a task's items for a Learner that was not made by task.learner.",
                rule="input size and normalisation come from the body that task.learner was given.",
                likely="a Learner of your own with another task's test split.",
                next="pass a DataLoader: tuner.evaluate(learn.dls.test_dl(items, with_labels=True))",
            )
        return learn.dls.valid.new(origin.ready(items))

    def look(self, targets: Any, items: Items | None) -> int:
        """Count one look at these items; returns how many there have been."""
        digest = items.digest if items is not None else hashlib.sha256(np.asarray(targets).tobytes()).hexdigest()
        stored = self._stored()
        _LOOKS[digest] = max(_LOOKS[digest], stored.get(digest, 0)) + 1
        if self.file is not None and self.file.parent.is_dir():  # which the first training makes
            with suppress(OSError):  # a full disk must not keep the report back
                write_file(self.file, json.dumps({**stored, digest: _LOOKS[digest]}).encode())
        return _LOOKS[digest]

    def _stored(self) -> dict[str, int]:
        """The counts in the run's folder, as far as they can be read."""
        try:
            return {str(key): int(count) for key, count in json.loads(self.file.read_bytes()).items()}  # type: ignore[union-attr]
        except (OSError, ValueError, AttributeError, TypeError):
            return {}


def check_data(data: Any, where: str) -> None:
    """Raise InputTypeError unless `data` is Items, a loader, or a sequence; `where` begins the message."""
    loaders = isinstance(getattr(data, "loaders", None), list)
    sequence = hasattr(data, "__len__") and hasattr(data, "__getitem__")
    sequence = sequence and not isinstance(data, (type, str, bytes, dict))
    if not loaders and (hasattr(data, "dataset") or sequence) and not hasattr(data, "forward"):
        return
    likely, better = _no_data(data, loaders)
    raise InputTypeError(
        f"{where}{data!r:.80}." if isinstance(data, (str, bytes, int, float)) else f"{where}{kind(data)}.",
        rule="a test set is a split of a task, a DataLoader, or labelled items in a sequence, for learn.dls.test_dl.",
        likely=likely,
        next=f"{'test=' if where == 'test=' else 'tuner.evaluate('}{better}{'' if where == 'test=' else ')'}",
    )


def _no_data(data: Any, loaders: bool) -> tuple[str, str]:
    """What a person did who gave `data` as a test set, and what was meant."""
    if loaders:
        return "all the loaders; a report is about one.", "dls.valid"
    if isinstance(getattr(data, "test", None), Items):
        return "the task instead of its test split.", "task.test"
    if hasattr(data, "dls"):
        return "the Learner instead of its data.", "learn.dls.valid"
    if hasattr(data, "forward"):
        return "the model instead of the data.", "task.test"
    if isinstance(data, (str, bytes, PurePath)):
        return "the name of a split, a file or a folder instead of what it holds.", "task.test"
    if isinstance(data, (bool, int, float)):
        return "a number of items instead of the items.", "task.test"
    if isinstance(data, (dict, set, frozenset)):
        return "items without an order; a list of (input, class) pairs has one.", "DataLoader(pairs, 64)"
    if hasattr(data, "__next__"):
        return "an iterator, which is read only once.", "list(items)"
    return "another object than data.", "task.test"


def _batched(learn: Any, data: Any) -> Any:
    """fastai's loader of `data`; a first batch shows whether it has inputs as the Learner's, and targets."""
    inputs = getattr(learn.dls, "n_inp", 1)
    try:
        loader = learn.dls.test_dl(data, with_labels=True)
        found, known = loader.one_batch(), learn.dls.valid.one_batch()
    except Exception as error:
        first = str(error).strip().partition("\n")[0]
        raise _unfit(data, f"a batch fails with {type(error).__name__}: {first:.120}") from error
    if not isinstance(found, (tuple, list)) or len(found) <= inputs:
        raise _unfit(data, "their batches have no targets")
    shapes = [[getattr(part, "ndim", None) for part in batch[:inputs]] for batch in (found, known)]
    if shapes[0] != shapes[1]:
        raise _unfit(data, "their inputs have not as many axes as the Learner's")
    return loader


def _unfit(data: Any, why: str) -> InputError:
    return InputError(
        f"evaluate on {kind(data)} of {len(data)}: {why}.",
        rule="the items are labelled, and of the kind that the Learner's data were made from.",
        likely="inputs without their classes." if "target" in why else "items of another kind, or not yet prepared.",
        next="tuner.evaluate(torch.utils.data.DataLoader(pairs, 64)), a pair being (input for the model, class).",
    )
