"""What a network is really given: items after all transforms of their split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from nbtune._display import Chart, chart, figure, html_value
from nbtune._nested import tensors
from nbtune.errors import InputError
from nbtune.tasks import Task

__all__ = ["Inputs", "inputs"]


@dataclass(frozen=True, repr=False, eq=False)
class Inputs:
    """One batch as the network gets it; `x` is [n, ...], several inputs as numbers beside each other."""

    x: Any = field(repr=False)
    split: str
    random: bool  # drawn anew at every fetch: augmentation

    @property
    def sentence(self) -> str:
        """Shape, range, whether it is drawn at random, and how pictures show it."""
        shape = "×".join(str(side) for side in self.x.shape[1:])
        again = "Drawn at random, another time differently." if self.random else "The same every time."
        shown = " The lowest value is shown black, the highest white." if self.is_pictures else ""
        low, high = (figure(float(end)) for end in (self.x.min(), self.x.max()))
        return f"The model's input: {shape}, {self.x.dtype}, from {low} to {high}. {again}{shown}"

    @property
    def is_pictures(self) -> bool:
        """Whether they are [n, 1, h, w] or [n, 3, h, w]."""
        return self.x.ndim == 4 and self.x.shape[1] in (1, 3)

    @property
    def pictures(self) -> list[Any]:
        """Of images [n, c, h, w]: uint8 arrays [h, w] or [h, w, 3], the batch's lowest value black, its highest white.

        Raises InputError for inputs that are no images.
        """
        if not self.is_pictures:
            raise InputError(
                f"inputs of shape {list(self.x.shape)} as pictures.", rule="pictures are [n, 1, h, w] or [n, 3, h, w].",
                likely="a table or a text, which the network gets as numbers.", next="inputs.x has the numbers.",
            )  # fmt: skip
        low, high = float(self.x.min()), float(self.x.max())
        shown = np.round((self.x - low) * (255 / ((high - low) or 1))).astype(np.uint8)
        return [one[0] if len(one) == 1 else np.moveaxis(one, 0, -1) for one in shown]

    def frame(self) -> Any:
        """A pandas frame, a row an item: lowest, mean and highest value."""
        import pandas as pd

        flat = self.x.reshape(len(self.x), -1)
        return pd.DataFrame({"low": flat.min(1), "mean": flat.mean(1), "high": flat.max(1)})

    def plot(self) -> Chart:
        """At most 20 of them as pictures."""
        shown = self.pictures[:20]
        made, axes = chart(self.sentence, 0.7 * len(shown), 0.8, ncols=len(shown), squeeze=False)
        for ax, picture in zip(axes.flat, shown, strict=True):
            ax.set_axis_off()
            ax.imshow(picture, cmap="gray", vmin=0, vmax=255)
        return made

    def __repr__(self) -> str:
        return self.sentence

    def _repr_html_(self) -> str:
        return html_value(f"Input of {len(self.x)} {self.split} items", self.sentence)


def inputs(learn: Any, task: Task, split: str, places: Sequence[int]) -> Inputs:
    """The items at `places` of a task's split as `learn`'s own loaders make them: resized, augmented, normalised.

    Training items go through the random transforms of the training loader. The random streams stay as they are.
    Raises InputError for an item that the Learner's data do not have.
    """
    from nbtune._fastai.fetch import fetch
    from nbtune.transaction import Streams
    from nbtune.tuner.test_set import TestSet

    streams = Streams()
    try:
        if split == "test":
            loader, at = TestSet(task.test, None).loader(learn)[0], list(places)
        else:
            loader = learn.dls.train if split == "train" else learn.dls.valid
            at = _places(loader.dataset, getattr(task, split), split, places)
        batch, again = fetch(loader, at), fetch(loader, at)
    finally:
        streams.restore()
    count = getattr(learn.dls, "n_inp", 1)
    first, second = (_joined(tensors(one[:count])) for one in (batch, again))
    return Inputs(first.detach().cpu().numpy(), split, not torch.equal(first, second))


def _joined(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """One input as it is; of several, such as codes and numbers of a table, all numbers of an item in a row."""
    if len(parts) == 1:
        return parts[0]
    return torch.cat([part.reshape(len(part), -1).float() for part in parts], 1)


def _places(dataset: Any, items: Any, split: str, places: Sequence[int]) -> list[int]:
    """Where the Learner's dataset has the items: by id, or by place where both are as long."""
    ids = getattr(dataset, "ids", None)
    if ids is None and len(dataset) == len(items):
        return list(places)
    at = {name: place for place, name in enumerate(ids or ())}
    absent = [items.ids[place] for place in places if items.ids[place] not in at]
    if absent:
        raise InputError(
            f"{split} item {absent[0]!r}, which the Learner's data do not have.",
            rule="an item's input comes from the loaders that the Learner was made with.",
            likely="a Learner of another task, other shots, or made before the task was edited.",
            next='learn = task.learner("letters")',
        )  # fmt: skip
    return [at[items.ids[place]] for place in places]
