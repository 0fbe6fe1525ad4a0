"""A trained model without its training data: it predicts, and leaves everything as it was."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor, nn

from nbtune._display import html_table, html_value, short
from nbtune.bodies._pixels import check_pair
from nbtune.bodies.decode import pixels
from nbtune.bodies.images import Edge, as_batch
from nbtune.bodies.tabular import Columns
from nbtune.bundle.answers import answer_of
from nbtune.bundle.domain import some, unlike
from nbtune.errors import BundleError, InputError, InputTypeError, MissingFileError
from nbtune.evaluate.intervals import Estimate
from nbtune.evaluate.outcomes import whole
from nbtune.groups import Group
from nbtune.interrupts import imports_whole

__all__ = ["Architecture", "Model", "Preprocessing", "opened"]


@dataclass(frozen=True)
class Architecture:
    """How to make the network again: a name that is known where it is loaded, and simple keyword arguments.

    For a body of nbtune these are its name and `n_out`, the number of classes.
    """

    name: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Preprocessing:
    """From pixels to the network's input: `size` is (height, width); mean and std are on pixels of 0 to 1.

    `resize` and `interpolation` are those of `nbtune.bodies.Body`.
    """

    size: tuple[int, int]
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resize: Edge = None
    interpolation: str = "bilinear"

    def prepare(self, images: Any) -> Tensor:
        """Images in any common form as uint8 [n, channels, height, width], as they were prepared for training."""
        return as_batch(images, self.size, self.channels, self.resize, self.interpolation)

    def normalise(self, batch: Tensor) -> Tensor:
        """A prepared batch as float, with mean and standard deviation removed."""
        mean, std = (torch.tensor(v, device=batch.device).view(1, -1, 1, 1) for v in (self.mean, self.std))
        return (batch.float() / 255 - mean) / std


@dataclass(frozen=True, repr=False, eq=False)
class Model:
    """A network with its classes, preprocessing and history, as it was saved.

    `module` is the network itself, in evaluation mode; `sha256` is the digest of bundle.json, which holds the
    digests of the other files: it names this bundle and no other.
    """

    module: nn.Module
    vocab: tuple[str, ...]
    preprocessing: Preprocessing | Columns
    architecture: Architecture | None
    card: dict[str, Any]
    groups: tuple[Group, ...]
    metrics: dict[str, Estimate]
    history: tuple[dict[str, Any], ...]
    versions: dict[str, str]
    folder: Path
    sha256: str

    @imports_whole
    def predict(self, items: Any, *, batch_size: int = 64) -> pd.DataFrame:
        """A row an image: its `label`, and the probability of each class in a column of the class's name.

        `items`: uint8 (0 to 255) or float (0 to 1) arrays or tensors, one image [h, w] or [h, w, 3] or many
        [n, h, w] or [n, h, w, 3]; PIL images; paths of image files; a list of any of these; a task's split. An empty
        list gives a frame without rows and with the same columns. A class that is called "label" keeps its column,
        and the labels stand in "label_". A model of a table takes a frame with its columns; one of several labels
        gives `labels`, a list of those above 0.5; one of numbers gives the numbers in their own units.
        Raises MissingFileError, InputError or InputTypeError before the network is run.
        """
        size = whole("batch_size", batch_size, 1)
        answer, chunks = answer_of(self.card), self._chunks(items, size)
        with _evaluating(self.module), torch.no_grad():
            parts = [answer.values(self._scores(chunk)) for chunk in chunks if len(chunk[0])]
        return answer.frame(np.concatenate([np.zeros((0, len(self.vocab))), *parts]), self.vocab)

    def unlike(self, items: Any, known: Any = None) -> str:
        """Why the first of these pictures is unlike the data, in a sentence; "" where nothing says so.

        By brightness and contrast against the mean and spread that the data were normalised by; a network answers to
        anything, and its probabilities do not tell. `known`: training pictures, uint8 [n, c, h, w] as
        `preprocessing.prepare` gives them, for the distance to the nearest. Raises as `predict`.
        """
        steps = self.preprocessing
        if isinstance(steps, Columns):
            return ""
        one = self._prepared(items)[:1]
        if not len(one):
            return ""
        return unlike(steps.normalise(one), None if known is None else steps.normalise(some(known)))

    def _chunks(self, items: Any, size: int) -> list[tuple[Tensor, ...]]:
        """The network's inputs, `size` items at a time."""
        if isinstance(self.preprocessing, Columns):
            frame = getattr(getattr(items, "x", items), "frame", items) if hasattr(items, "ids") else items
            inputs: tuple[Tensor, ...] = self.preprocessing.prepare(frame)
            if self.architecture is None and not self.preprocessing.sizes:
                inputs = inputs[1:]  # a network of one's own on numbers alone
            return list(zip(*(torch.split(one, size) for one in inputs), strict=True))
        return [(chunk,) for chunk in torch.split(self._prepared(items), size)]

    def _prepared(self, items: Any) -> Tensor:
        assert isinstance(self.preprocessing, Preprocessing)
        if isinstance(items, Mapping | pd.DataFrame | pd.Series | bytes) or hasattr(items, "dataset"):
            raise _table(items)
        items = getattr(items, "x", items) if hasattr(items, "ids") else items
        check_pair(items, outer=True)
        if isinstance(items, str | PathLike):
            items = [items]
        if isinstance(items, np.ndarray | Tensor | Image.Image) or not hasattr(items, "__iter__"):
            return self.preprocessing.prepare(items)
        parts = [self.preprocessing.prepare(opened(item)) for item in items]
        return torch.cat([self.preprocessing.prepare([]), *parts])

    def _scores(self, inputs: tuple[Tensor, ...]) -> Tensor:
        weight = next((p for p in self.module.parameters() if p.is_floating_point()), torch.zeros(0))
        if isinstance(self.preprocessing, Preprocessing):
            inputs = (self.preprocessing.normalise(inputs[0].to(weight.device)).to(weight.dtype),)
        scores = self.module(*(one.to(weight.device) for one in inputs))
        wanted = (len(inputs[0]), len(self.vocab))
        if not isinstance(scores, Tensor) or tuple(scores.shape) != wanted or not scores.isfinite().all():
            raise _bad_scores(scores, wanted)
        return scores

    def __repr__(self) -> str:
        name = self.architecture.name if self.architecture else type(self.module).__name__
        name_of, first = next(iter(self.metrics.items()), ("", None))
        worth = f", {name_of} {first}" if first else ""
        classes = ", ".join(self.vocab[:6]) + (", …" if len(self.vocab) > 6 else "")
        table, kind = isinstance(self.preprocessing, Columns), answer_of(self.card).kind
        what = {"single": "classes", "multi": "labels", "regression": "numbers"}[kind]
        outputs = f"{len(self.vocab)} {what if len(self.vocab) > 1 else what.rstrip('s')}"
        return f"Model {name!r} for {outputs} ({classes}){worth}. Use .predict({'df' if table else 'images'})."

    def _repr_html_(self) -> str:
        params = sum(p.numel() for p in self.module.parameters())
        rows = [
            ("classes", ", ".join(self.vocab[:20]) + (" …" if len(self.vocab) > 20 else "")),
            ("parameters", short(params)),
            ("input", _input(self.preprocessing)),
            *((name, f"{estimate}") for name, estimate in self.metrics.items()),
            *((str(key), str(value)) for key, value in self.card.items() if isinstance(value, str) and value),
            ("sha256", self.sha256),
        ]
        return html_value("Model", repr(self), html_table(["", ""], rows))


def _input(steps: Preprocessing | Columns) -> str:
    if isinstance(steps, Columns):
        return f"{len(steps.categories)} categories and {len(steps.numbers)} numbers"
    return f"{steps.channels} × {steps.size[0]} × {steps.size[1]}"


def _bad_scores(scores: Any, wanted: tuple[int, int]) -> BundleError:
    fits = isinstance(scores, Tensor) and tuple(scores.shape) == wanted
    given = list(scores.shape) if isinstance(scores, Tensor) else f"a value of type {type(scores).__name__}"
    return BundleError(
        f"the network gave {'values that are not finite' if fits else given} for {wanted[0]} images.",
        rule=f"the network gives finite scores {list(wanted)}: one for each class.",
        likely="a training that diverged." if fits else "a network with a head for another number of classes.",
        next="save the model again after a run whose losses are finite"
        if fits
        else f"nt.load(folder, model=network), where network(batch) has {wanted[1]} columns",
    )


def _table(items: Any) -> InputTypeError:
    """The error for a container whose images have to be taken out first."""
    if isinstance(items, pd.DataFrame):
        likely, better = "a table of paths was given whole.", 'model.predict(list(frame["path"]))'
    elif isinstance(items, pd.Series):
        likely, better = "a column of paths or images.", "model.predict(list(column))"
    elif isinstance(items, Mapping):
        likely, better = "images by name.", "model.predict(list(items.values()))"
    elif isinstance(items, bytes):
        likely, better = "the content of an image file.", "model.predict(PIL.Image.open(io.BytesIO(items)))"
    else:
        likely = "a DataLoader, whose batches are normalised already and have labels."
        better = "model.predict(task.test), or the images themselves"
    return InputTypeError(
        f"predict() of {type(items).__name__}.",
        rule="predict takes images: arrays, PIL images, paths, or a list of these.",
        likely=likely,
        next=better,
    )


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode, with every training flag and torch's random streams put back."""
    modes = [(part, part.training) for part in module.modules()]
    devices = sorted({p.device.index for p in module.parameters() if p.device.type == "cuda"})
    with torch.random.fork_rng(devices=devices):
        try:
            module.eval()
            yield
        finally:
            for part, mode in modes:
                part.training = mode


def opened(item: Any) -> Any:
    """A path as its image; anything else as it is."""
    if not isinstance(item, str | PathLike):
        return item
    path = Path(item)
    if path.is_dir():
        raise InputError(
            f"{str(path)!r} is a folder.",
            rule="a path leads to one image file.",
            likely="the folder of the images.",
            next=f"model.predict(sorted(Path({str(path)!r}).glob('*.png')))",
        )
    if not path.is_file():
        raise MissingFileError(
            f"there is no image file {str(path)!r}.",
            rule="a path leads to an image file.",
            likely="a misspelling." if path.parent.is_dir() else f"a folder that is not there: {str(path.parent)!r}.",
            next=f"sorted(Path({str(path.parent)!r}).iterdir()) shows what is there"
            if path.parent.is_dir()
            else f"look at Path({str(path)!r}).resolve()",
        )
    try:
        with warnings.catch_warnings():
            # Pillow only warns up to twice its limit of pixels.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                image.load()
                return pixels(image)
    except InputError:
        raise
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(
            f"{str(path)!r} cannot be read as an image: {str(error)[:100]}",
            rule="Pillow can open and decode the whole file.",
            likely=_why_unreadable(path, error),
            next="open it in a viewer and save it as PNG, or leave it out",
        ) from error


def _why_unreadable(path: Path, error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return "a picture that is far too large, such as a scan or a map."
    if path.stat().st_size == 0:
        return "an empty file: a download that broke off."
    if isinstance(error, UnidentifiedImageError) or not isinstance(error, OSError):
        return "a file that is no image, or of a kind that Pillow does not read."
    return "an image that was cut off, such as by a download that broke off."
