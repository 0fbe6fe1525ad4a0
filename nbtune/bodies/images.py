"""Images in any common form as one uint8 array of the size and channels that a body takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from nbtune.errors import InputError, InputTypeError

__all__ = ["as_batch", "as_uint8"]

_NEXT = "give a uint8 array [n, h, w] or [n, h, w, 3] of 0 to 255, or PIL images."
Bytes = npt.NDArray[np.uint8]


def as_batch(images: Any, size: tuple[int, int], channels: int) -> torch.Tensor:
    """Images as uint8 [n, channels, *size]: arrays, tensors, one PIL image or a sequence of either.

    Arrays are [h, w], [n, h, w], [h, w, 3] or [n, h, w, 3], uint8 of 0 to 255 or float of 0 to 1. Other sizes are
    resized bilinearly, colour becomes grey by the ITU-R 601 weights, grey is repeated for three channels.

    Raises:
        InputTypeError: no images, or an array of another dtype.
        InputError: a wrong shape or range.
    """
    stack = [one for part in _parts(images) for one in as_uint8(part)]
    if not stack:
        return torch.zeros((0, channels, *size), dtype=torch.uint8)
    fitted = np.stack([_fit(one, size, channels) for one in stack])
    if channels == 1:
        return torch.from_numpy(fitted)[:, None]
    return torch.from_numpy(fitted).permute(0, 3, 1, 2).contiguous()


def _parts(images: Any) -> Sequence[Any]:
    """A sequence of arrays out of whatever was given."""
    if isinstance(images, (str, bytes)):
        raise InputTypeError(
            f"images={images!r:.60}.", rule="images are arrays or PIL images.", likely="A path was given.",
            next="open it first: PIL.Image.open(path).",
        )  # fmt: skip
    if isinstance(images, Image.Image):
        return [_from_pil(images)]
    if isinstance(images, torch.Tensor):
        return [images.detach().cpu().numpy()]
    if isinstance(images, np.ndarray):
        return [images]
    if isinstance(images, Sequence) or hasattr(images, "__iter__"):
        return [part for one in images for part in _parts(one)]
    raise InputTypeError(
        f"images of type {type(images).__name__}.", rule="images are arrays or PIL images.",
        likely="A row, a number or an item with its label was given.", next=_NEXT,
    )  # fmt: skip


def _from_pil(image: Image.Image) -> Bytes:
    if image.mode in ("1", "L", "I", "I;16", "F"):
        return np.asarray(image.convert("L"))
    return np.asarray(image.convert("RGB"))


def as_uint8(array: npt.NDArray[Any]) -> Bytes:
    """One array of images as uint8 [n, h, w] or [n, h, w, 3].

    Raises:
        InputTypeError: a dtype other than uint8 and float.
        InputError: a wrong shape, a value that is not finite, or floats outside 0 to 1.
    """
    stack = _stacked(array)
    if stack.dtype == np.uint8:
        return stack
    if stack.dtype.kind in "iu" and stack.size and stack.min() >= 0 and stack.max() <= 255:
        return stack.astype(np.uint8)
    if stack.dtype.kind != "f":
        raise InputTypeError(
            f"images of dtype {stack.dtype}.", rule="pixels are uint8 of 0 to 255, or float of 0 to 1.",
            likely="A mask, text or a wider integer range was given.", next=_NEXT,
        )  # fmt: skip
    _check_range(stack)
    return np.floor(stack * 255 + 0.5).astype(np.uint8)


def _check_range(stack: npt.NDArray[Any]) -> None:
    if not np.isfinite(stack).all():
        raise InputError(
            "images with pixels that are not finite.", rule="every pixel is a number of 0 to 1.",
            likely="A division by zero, or missing values.", next="look at numpy.isnan(images).any().",
        )  # fmt: skip
    if stack.size and (stack.min() < 0 or stack.max() > 1):
        raise InputError(
            f"float images from {stack.min():.3g} to {stack.max():.3g}.", rule="float pixels are from 0 to 1.",
            likely="They are on a scale to 16 or 255, or already normalised.",
            next='images.astype("uint8") if they go to 255; leave normalising to the body.',
        )  # fmt: skip


def _stacked(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """[h, w] and [h, w, 3] become a stack of one."""
    shape = array.shape
    single = array.ndim == 2 or (array.ndim == 3 and shape[-1] == 3)
    stack = array[None] if single else array
    good = stack.ndim == 3 or (stack.ndim == 4 and stack.shape[-1] == 3)
    if not good or 0 in stack.shape[1:]:
        raise InputError(
            f"images of shape {list(shape)}.", rule="images are [n, h, w] or [n, h, w, 3], one is [h, w] or [h, w, 3].",
            likely="Flat pixels, or channels first.", next=f"reshape or move the axes: {_NEXT}",
        )  # fmt: skip
    return stack


def _fit(image: Bytes, size: tuple[int, int], channels: int) -> Bytes:
    """One image [h, w] or [h, w, 3] in the body's size and channels."""
    if image.shape == (*size,) and channels == 1:
        return image
    picture = Image.fromarray(image).convert("L" if channels == 1 else "RGB")
    if picture.size != (size[1], size[0]):
        picture = picture.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(picture)
