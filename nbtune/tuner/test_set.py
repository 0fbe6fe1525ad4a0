"""The held-out items: how they become batches, and how often they have been looked at."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from nbtune._fastai.data import ArrayItems
from nbtune.errors import InputError
from nbtune.tasks import Items
from nbtune.transaction import Streams

__all__ = ["TestSet"]

_LOOKS: Counter[str] = Counter()  # by digest: two tuners on one test set look at the same set


class TestSet:
    """What `evaluate` looks at, and a count of the looks (in this process, and in the run's folder)."""

    __test__ = False  # the name is not pytest's

    def __init__(self, test: Any, run_dir: Path | None) -> None:
        self.test = test
        self.file = None if run_dir is None else run_dir / "looks.json"

    def loader(self, learn: Any, dl: Any = None) -> tuple[Any, Any]:
        """A loader in order, and the items themselves where there are any; moves no random stream.

        Raises InputError without data.
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
        return learn.dls.test_dl(data, with_labels=True), None

    def _arrays(self, learn: Any, items: Items) -> Any:
        origin = getattr(learn, "nbtune_origin", None)
        if origin is None:
            raise InputError(
                "a task's items for a Learner that was not made by task.learner.",
                rule="input size and normalisation come from the body that task.learner was given.",
                likely="a Learner of your own with another task's test split.",
                next="pass a DataLoader: tuner.evaluate(learn.dls.test_dl(items, with_labels=True))",
            )
        import torch

        ready = ArrayItems(origin.body.prepare(items.x), torch.tensor(items.y), items.ids, 1)
        return learn.dls.valid.new(ready)

    def look(self, targets: Any, items: Items | None) -> int:
        """Count one look at these items; returns how many there have been."""
        digest = items.digest if items is not None else hashlib.sha256(np.asarray(targets).tobytes()).hexdigest()
        stored = {}
        if self.file is not None and self.file.exists():
            stored = json.loads(self.file.read_text())
        _LOOKS[digest] = max(_LOOKS[digest], int(stored.get(digest, 0))) + 1
        if self.file is not None:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.file.write_text(json.dumps({**stored, digest: _LOOKS[digest]}))
        return _LOOKS[digest]
