"""Images in any common form as one uint8 array of the size and channels that a body takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from nbtune.bodies._pixels import KINDS, bad_dtype, bad_range, bad_shape, check_pair, no_images, not_finite
from nbtune.bodies.decode import pixels
from nbtune.errors import InputTypeError

__all__ = ["METHODS", "Edge", "as_batch", "as_uint8"]

Edge = int | tuple[int, int] | None
METHODS = {
    "nearest": Image.Resampling.NEAREST, "bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS, "box": Image.Resampling.BOX, "hamming": Image.Resampling.HAMMING,
}  # fmt: skip

Bytes = npt.NDArray[np.uint8]


def as_batch(
    images: Any, size: tuple[int, int], channels: int, resize: Edge = None, interpolation: str = "bilinear"
) -> torch.Tensor:
    """Images as uint8 [n, channels, *size]: arrays, tensors, one PIL image or a sequence of either.

    Arrays are [h, w], [n, h, w], [h, w, 3] or [n, h, w, 3], uint8 of 0 to 255 or float of 0 to 1. Other sizes are
    resized: to `size` whole, or with `resize` so that the shorter side has so many pixels (a pair: both sides),
    and `size` is cut from the middle. Colour becomes grey by the ITU-R 601 weights, grey is repeated for three
    channels. An empty list is an empty batch.

    Raises:
        InputTypeError: no images, or an array of another dtype.
        InputError: a wrong shape or range.
    """
    parts = _parts(images)
    for part in parts:  # more than one row: a strip of one row may be an image
        if part.ndim == 2 and part.shape[0] > 1 and part.shape[1] == size[0] * size[1] > 16:
            raise bad_shape(part.shape, size)
    stack = [one for part in parts for one in as_uint8(part)]
    if not stack:
        return torch.zeros((0, channels, *size), dtype=torch.uint8)
    fitted = np.stack([_fit(one, size, channels, resize, METHODS[interpolation]) for one in stack])
    if channels == 1:
        return torch.from_numpy(fitted)[:, None]
    return torch.from_numpy(fitted).permute(0, 3, 1, 2).contiguous()


def _parts(images: Any) -> Sequence[Any]:
    """A sequence of arrays out of whatever was given."""
    if isinstance(images, (str, bytes, PathLike)):
        raise _a_file(images)
    if isinstance(images, Image.Image):
        return [pixels(images)]
    if isinstance(images, torch.Tensor):
        return [_from_tensor(images)]
    if isinstance(images, np.ndarray):
        return [images]
    check_pair(images)
    if isinstance(images, Mapping):
        raise InputTypeError(
            f"images of type {type(images).__name__}.", rule=KINDS, likely="images by name.",
            next="list(images.values())",
        )  # fmt: skip
    if hasattr(images, "__iter__") and not hasattr(images, "dls"):
        return [part for one in images for part in _parts(one)]
    raise no_images(images)


def _a_file(given: Any) -> InputTypeError:
    content = isinstance(given, bytes)
    return InputTypeError(
        f"images={given!r:.60}.", rule=KINDS,
        likely="the content of an image file." if content else "the name of a file.",
        next="PIL.Image.open(io.BytesIO(images))" if content else f"PIL.Image.open({str(given)!r})",
    )  # fmt: skip


def _from_tensor(images: torch.Tensor) -> npt.NDArray[Any]:
    tensor = images.detach().cpu()
    if tensor.layout != torch.strided or tensor.is_quantized:
        raise InputTypeError(
            f"a tensor that is {'quantized' if tensor.is_quantized else 'sparse'}.", rule=KINDS,
            likely="an output of a quantized network." if tensor.is_quantized else "a table of few entries.",
            next="images.dequantize()" if tensor.is_quantized else "images.to_dense()",
        )  # fmt: skip
    # numpy has no bfloat16, and a conjugate is resolved for it.
    array: npt.NDArray[Any] = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).resolve_conj().numpy()
    return array


def as_uint8(array: npt.NDArray[Any]) -> Bytes:
    """One array of images as uint8 [n, h, w] or [n, h, w, 3].

    Raises:
        InputTypeError: a dtype other than uint8 and float.
        InputError: a wrong shape, a value that is not finite, or floats outside 0 to 1.
    """
    if array.shape == (0,):  # numpy.array([])
        return np.zeros((0, 1, 1), np.uint8)
    if array.dtype.kind not in "iuf":
        raise bad_dtype(array)
    stack = _stacked(array)
    if stack.dtype == np.uint8:
        return stack
    if stack.dtype.kind == "f":
        _check_range(stack)
        return np.floor(stack * 255 + 0.5).astype(np.uint8)
    if stack.size and not (stack.min() >= 0 and stack.max() <= 255):
        raise bad_dtype(stack)
    return stack.astype(np.uint8)


def _check_range(stack: npt.NDArray[Any]) -> None:
    if not np.isfinite(stack).all():
        raise not_finite(stack)
    if stack.size and (stack.min() < 0 or stack.max() > 1):
        raise bad_range(stack)


def _stacked(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """[h, w] and [h, w, 3] become a stack of one."""
    shape = array.shape
    single = array.ndim == 2 or (array.ndim == 3 and shape[-1] == 3)
    stack = array[None] if single else array
    good = stack.ndim == 3 or (stack.ndim == 4 and stack.shape[-1] == 3)
    if not good or 0 in stack.shape[1:] or _has_channels(shape):
        raise bad_shape(shape)
    return stack


def _has_channels(shape: tuple[int, ...]) -> bool:
    """Whether [a, b, c] is one image of c channels: as a stack, it would hold strips of c pixels."""
    return len(shape) == 3 and shape[2] in (1, 2, 4, 5) and min(shape[:2]) >= 8


def _fit(image: Bytes, size: tuple[int, int], channels: int, resize: Edge, method: Image.Resampling) -> Bytes:
    """One image [h, w] or [h, w, 3] in the body's size and channels."""
    if image.shape == (*size,) and channels == 1 and resize is None:
        return image
    picture = Image.fromarray(image).convert("L" if channels == 1 else "RGB")
    wanted = _scaled(picture.size, size, resize)
    if picture.size != wanted:
        picture = picture.resize(wanted, method)
    return np.asarray(picture if resize is None else _middle(picture, size))


def _scaled(given: tuple[int, int], size: tuple[int, int], resize: Edge) -> tuple[int, int]:
    """Width and height before the middle is cut, rounded as torchvision does."""
    if not isinstance(resize, int):
        high, wide = size if resize is None else resize
        return wide, high
    wide, high = given
    long = int(resize * max(given) / min(given))
    return (resize, long) if wide <= high else (long, resize)


def _middle(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The middle of a picture; black around one that is smaller."""
    high, wide = size
    left, top = round((picture.width - wide) / 2), round((picture.height - high) / 2)
    return picture.crop((left, top, left + wide, top + high))
