"""What is known of every item of a task: a vector to compare by, a small picture, and what could not be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from nbtune._cut import Cut
from nbtune.bodies.own import first_line
from nbtune.cache.boundary import boundary, captured, resting
from nbtune.errors import FreezeError
from nbtune.groups import split as groups_of
from nbtune.quality.stopping import Stopped
from nbtune.questions.pooling import pooled
from nbtune.questions.trials import progress
from nbtune.tasks._ready import Decoding
from nbtune.tasks.stacks import lazy

__all__ = ["SIDE", "Plain", "Seen", "look"]

SIDE = 32  # of the small pictures, in pixels
_SMALL = 16  # of the pictures whose pixels stand in for features
_BATCH = 64

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Plain:
    """The place of a body where there is none: small pictures, whose pixels are the features."""

    channels: int
    size: tuple[int, int] = (SIDE, SIDE)

    def prepare(self, images: Any) -> torch.Tensor:
        """Images as uint8 [n, channels, 32, 32]."""
        from nbtune.bodies.images import as_batch

        return as_batch(images, self.size, self.channels)


@dataclass(frozen=True, eq=False)
class Seen:
    """Of the items that could be read, in the order of `where`: (split, place in it)."""

    where: tuple[tuple[str, int], ...]
    vectors: Floats  # [n, d]
    thumbs: npt.NDArray[np.uint8] | None  # [n, 32, 32] of pictures
    broken: dict[tuple[str, int], str]
    said: str  # what the vectors are
    plain: bool  # they are not a body's features
    by: dict[str, npt.NDArray[np.int64]] = field(default_factory=dict)  # rows of each split

    def rows(self, *splits: str) -> npt.NDArray[np.int64]:
        """Rows of the items of these splits."""
        found = [self.by[split] for split in splits if split in self.by]
        return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)

    def places(self, rows: Any) -> npt.NDArray[np.int64]:
        """Where the items of these rows stand in their splits."""
        return np.array([self.where[row][1] for row in rows], dtype=np.int64)


def look(splits: dict[str, Any], body: Any, model: Any, stopped: Callable[[], bool]) -> Seen:
    """Vectors and small pictures of all `splits` (name → images of a split, as `Items.x`).

    `body` prepares; `model` None: pixels of small pictures stand in for features, as for a model that has no still
    part. Raises Stopped, and where no item of a split can be read what reading raised.
    """
    reader = _Reader(body, stopped)
    with progress("features", sum(-(-len(x) // _BATCH) for x in splits.values()), "batch") as tick:
        vectors, said = _features(reader, model, splits, tick)
    for name, x in splits.items():
        if reader.cause is not None and all((name, place) in reader.broken for place in range(len(x))):
            raise reader.cause  # nothing of it is a picture: not broken files, but another kind of thing
    thumbs = np.concatenate(reader.thumbs) if reader.thumbs else np.zeros((0, SIDE, SIDE), np.uint8)
    where = tuple(reader.read)
    by = {name: np.array([i for i, (split, _) in enumerate(where) if split == name], dtype=np.int64) for name in splits}
    return Seen(where, vectors, thumbs, reader.broken, said, not reader.features, by)


class _Reader:
    """Batches of prepared pictures, and on the way a small grey picture of each; what is broken is passed over."""

    def __init__(self, body: Any, stopped: Callable[[], bool]) -> None:
        self.body, self.stopped, self.features = body, stopped, False
        self.thumbs: list[npt.NDArray[np.uint8]] = []
        self.read: list[tuple[str, int]] = []
        self.broken: dict[tuple[str, int], str] = {}
        self.cause: Exception | None = None  # of the first that is broken

    def batches(self, splits: dict[str, Any], tick: Callable[[], None]) -> Iterator[torch.Tensor]:
        for split, x in splits.items():
            for start in range(0, len(x), _BATCH):
                if self.stopped():
                    raise Stopped("features")
                batch = self._batch(split, x, range(start, min(len(x), start + _BATCH)))
                if len(batch):
                    self.thumbs.append(_thumbs(batch))
                    yield batch
                tick()

    def _batch(self, split: str, x: Any, places: range) -> torch.Tensor:
        try:
            found = self._prepared(x, places)
            self.read += [(split, place) for place in places]
            return found
        except Exception:  # one of them: which, is told item by item
            return self._one_by_one(split, x, places)

    def _one_by_one(self, split: str, x: Any, places: range) -> torch.Tensor:
        kept = []
        for place in places:
            try:
                kept.append(self._prepared(x, range(place, place + 1)))
                self.read.append((split, place))
            except Exception as error:
                self.broken[split, place] = first_line(error)
                self.cause = self.cause or error
        return torch.cat(kept) if kept else torch.zeros((0, self.body.channels, *self.body.size), dtype=torch.uint8)

    def _prepared(self, x: Any, places: range) -> torch.Tensor:
        if lazy(x):
            decoded: torch.Tensor = Decoding(x, self.body)[list(places)]
            return decoded
        if isinstance(x, np.ndarray):
            return self._stack(x[places.start : places.stop])
        return self._stack([x[place] for place in places])

    def _stack(self, images: Any) -> torch.Tensor:
        made: torch.Tensor = self.body.prepare(images)
        return made


def _features(
    reader: _Reader, model: Any, splits: dict[str, Any], tick: Callable[[], None]
) -> tuple[Floats, str]:  # fmt: skip
    """Vectors of all that can be read: before the last group, or of pixels."""
    groups = () if model is None else groups_of(model)
    parts: list[Floats] = []
    if len(groups) < 2:
        for batch in reader.batches(splits, tick):
            parts.append(_pixels(batch))
        return _joined(parts), f"pixels of pictures reduced to {_SMALL}×{_SMALL}"
    cut, where, averaged = Cut(tuple(groups), len(groups) - 1), None, ""
    device = next((t.device for t in model.parameters()), torch.device("cpu"))
    whole = True  # the still part hands over at one place
    with resting(model):
        for batch in reader.batches(splits, tick):
            given = reader.body.normalise(batch.to(device)) if whole else batch
            try:
                where = where or (boundary(model, cut, given) if whole else None)
            except FreezeError:
                whole = False
            if where is None:
                parts.append(_pixels(batch))
                continue
            vectors, averaged = pooled(captured(model, where, given))
            parts.append(vectors.cpu().numpy().astype(np.float32))
    if where is None:
        return _joined(parts), f"pixels of pictures reduced to {_SMALL}×{_SMALL}"
    reader.features = True
    more = f", {averaged}" if averaged else ""
    return _joined(parts), f"features of {reader.body.name} before {groups[-1].name}{more}"


def _joined(parts: list[Floats]) -> Floats:
    return np.concatenate(parts) if parts else np.zeros((0, 1), np.float32)


def _pixels(batch: torch.Tensor) -> Floats:
    small = torch.nn.functional.adaptive_avg_pool2d(batch.float() / 255, _SMALL)
    return small.flatten(1).numpy().astype(np.float32)


def _thumbs(batch: torch.Tensor) -> npt.NDArray[np.uint8]:
    """Grey pictures [n, 32, 32] of a prepared batch."""
    grey = batch.float().mean(1, keepdim=True)
    if grey.shape[-2:] != (SIDE, SIDE):
        grey = torch.nn.functional.interpolate(grey, (SIDE, SIDE), mode="bilinear", antialias=True)
    return grey[:, 0].round().clamp(0, 255).to(torch.uint8).numpy()
