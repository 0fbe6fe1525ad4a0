"""The numbers of an image processor of transformers: size, crop, mean and spread, tried against the processor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from nbtune.bodies.images import Edge, as_batch
from nbtune.errors import InputError

__all__ = ["numbers_of"]

_METHODS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}  # Pillow's own order
_NEAR = 0.05  # mean difference in spreads of a pixel: two ways to resize differ by less, two sizes by more


def numbers_of(processor: Any, name: str) -> dict[str, Any]:
    """size, mean, std, resize and interpolation for a Body. Raises InputError where they do not do as it does."""
    size, edge = _sizes(processor)
    mean, std = _scale(processor)
    method = 2 if processor.resample is None else int(processor.resample)
    found = {
        "size": size, "resize": edge, "interpolation": _METHODS.get(method, "bilinear"),
        "mean": mean, "std": std,
    }  # fmt: skip
    _check(processor, found, name)
    return found


def _sizes(processor: Any) -> tuple[tuple[int, int], Edge]:
    """What comes out, and what is resized to before the crop."""
    size, crop = processor.size, getattr(processor, "crop_size", None)
    cropped = bool(getattr(processor, "do_center_crop", False)) and crop is not None
    edge = _of(size, "shortest_edge")
    share = getattr(processor, "crop_pct", None)
    if edge and share and edge < 384:  # ConvNeXt's own rule
        return (edge, edge), int(edge / share)
    if edge and cropped:
        return (_of(crop, "height"), _of(crop, "width")), edge
    if edge:
        return (edge, edge), None
    whole = (_of(size, "height"), _of(size, "width"))
    middle = (_of(crop, "height"), _of(crop, "width")) if cropped else whole
    return middle, None if middle == whole else whole


def _of(size: Any, name: str) -> Any:
    return size.get(name) if isinstance(size, Mapping) else getattr(size, name, None)


def _scale(processor: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and spread on pixels of 0 to 1, whatever scale the processor brings them to first."""
    factor = 255 * processor.rescale_factor if processor.do_rescale else 255.0
    below = 1.0 if getattr(processor, "rescale_offset", False) else 0.0
    mean = processor.image_mean if processor.do_normalize else [0.0] * 3
    std = processor.image_std if processor.do_normalize else [1.0] * 3
    return tuple((m + below) / factor for m in mean), tuple(s / factor for s in std)


def _check(processor: Any, found: Mapping[str, Any], name: str) -> None:
    from PIL import Image

    rows, columns = np.mgrid[0:150, 0:200]
    picture = np.stack([rows, columns, 255 - columns], -1).astype(np.uint8)
    theirs = processor(images=Image.fromarray(picture), return_tensors="pt")["pixel_values"]
    ours = as_batch(picture, found["size"], 3, found["resize"], found["interpolation"]).float() / 255
    mean, std = (torch.tensor(found[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    ours = (ours - mean) / std
    if theirs.shape == ours.shape and float((theirs - ours).abs().mean()) < _NEAR * float(theirs.std()):
        return
    raise InputError(
        f"the image processor of {name!r} gives {list(theirs.shape[1:])}, and its numbers "
        f"give {list(ours.shape[1:])}{'' if theirs.shape != ours.shape else ' with other values'}.",
        rule="a body's pictures are resized, cut from the middle, and normalised by mean and spread.",
        likely="a processor that pads, or keeps each picture's own shape.",
        next="task.learner(network, size=224), with a network of your own that brings them to its scale",
    )  # fmt: skip
