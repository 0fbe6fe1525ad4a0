"""Why an array is no images: errors with the likely cause, and an expression on `images` that mends it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from nbtune.errors import InputError, InputTypeError

__all__ = ["PIXELS", "bad_dtype", "bad_range", "bad_shape", "check_pair", "no_images", "not_finite"]

SHAPES = "images are [n, h, w] or [n, h, w, 3]; one is [h, w] or [h, w, 3]; no side is 0."
PIXELS = "pixels are uint8 of 0 to 255, or float of 0 to 1."
KINDS = "images are arrays, tensors or PIL images, or a list of these."
_PAIRS = "an image comes without its label."


def bad_shape(shape: tuple[int, ...], size: tuple[int, int] | None = None) -> InputError:
    """The error for an array whose axes are not those of images; `size`: rows of the pixels of such images."""
    rows = "rows of flat pixels, an image a row.", f"images.reshape(-1, {size[0]}, {size[1]})" if size else ""
    likely, better = rows if size else _axes(shape)
    return InputError(f"images of shape {list(shape)}.", rule=SHAPES, likely=likely, next=better)


def _axes(shape: tuple[int, ...]) -> tuple[str, str]:
    if 0 in shape:
        likely = "a crop that left nothing, or an image that could not be read."
        return likely, "[image for image in images if 0 not in numpy.shape(image)]"
    if len(shape) < 2:
        return _flat(shape)
    if len(shape) == 3 or (len(shape) == 4 and shape[-1] not in (2, 3) and shape[-1] < 6):
        return _last_axis(shape[-1])
    if len(shape) == 4 and shape[1] == 1:
        return "channels before the sides, as torch has them.", "images[:, 0]"
    if len(shape) == 4 and shape[1] in (3, 4):
        return "channels before the sides, as torch has them.", "numpy.moveaxis(numpy.asarray(images), 1, -1)[..., :3]"
    if len(shape) == 4:
        return "volumes or films, of many pictures each.", "images[:, 0], for the first picture of each"
    return f"batches within batches: {len(shape)} axes.", f"images.reshape(-1, *images.shape[-{min(3, len(shape))}:])"


def _flat(shape: tuple[int, ...]) -> tuple[str, str]:
    if not shape:
        return "one number, such as a label.", "task.test.x"
    side = math.isqrt(shape[0])
    if side * side == shape[0] and side > 1:
        return "the flat pixels of one image.", f"images.reshape({side}, {side})"
    return "labels, or the flat pixels of one image.", "images.reshape(height, width)"


def _last_axis(channels: int) -> tuple[str, str]:
    if channels == 1:
        return "grey images with an axis for their one channel.", "images[..., 0]"
    if channels == 2:
        return "grey images with transparency.", "images[..., 0]"
    if channels == 4:
        return "colour images with transparency.", "images[..., :3]"
    return "images of several bands, such as a satellite's.", "images[..., :3], or the three bands that matter"


def bad_dtype(array: npt.NDArray[Any]) -> InputTypeError:
    """The error for an array of other values than pixels."""
    likely, better = _values(array)
    return InputTypeError(f"images of dtype {array.dtype}.", rule=PIXELS, likely=likely, next=better)


def _values(array: npt.NDArray[Any]) -> tuple[str, str]:
    kind = array.dtype.kind
    if kind in "US" or (kind == "O" and isinstance(next(array.flat, None), str)):
        return "names of image files in an array.", "[PIL.Image.open(path) for path in images]"
    if kind == "O" and array.ndim == 1:
        return "images of different sizes in one array.", "list(images)"
    if kind == "O":
        return "pixels that are Python's numbers, as a table gives them.", 'images.astype("uint8")'
    if kind == "b":
        return "a mask, whose pixels are True or False.", "images * 1.0"
    if kind == "c":
        return "a Fourier transform, or another complex picture.", "numpy.abs(images) / numpy.abs(images).max()"
    if kind not in "iu":
        return "times or records instead of pixels.", "task.test.x"
    return _integers(int(array.min()), int(array.max()), array.dtype)


def _integers(low: int, high: int, dtype: np.dtype[Any]) -> tuple[str, str]:
    if dtype == np.int8:
        return "bytes that were read as signed.", 'images.view("uint8")'
    if low < 0:
        return f"a subtraction, or a mark such as -1: pixels go from {low} to {high}.", "images.clip(0, 255)"
    return f"pixels on a wider scale, such as 16 bits: they go to {high}.", "images / images.max()"


def not_finite(stack: npt.NDArray[Any]) -> InputError:
    """The error for floats of which some are NaN or infinite."""
    nan = int(np.isnan(stack).sum())
    what = f"{nan:,} that are NaN" if nan else f"{int(np.isinf(stack).sum()):,} that are infinite"
    return InputError(
        f"images of {stack.size:,} pixels, {what}.", rule="every pixel is a finite number.",
        likely="a division of 0 by 0, such as scaling an empty image, or missing values." if nan
        else "a division by 0, or numbers too large for their type.",
        next="numpy.argwhere(~numpy.isfinite(images)) finds them",
    )  # fmt: skip


def bad_range(stack: npt.NDArray[Any]) -> InputError:
    """The error for floats outside 0 to 1."""
    low, high = float(stack.min()), float(stack.max())
    likely, better = _scale(low, high)
    return InputError(f"float images from {low:.4g} to {high:.4g}.", rule=PIXELS, likely=likely, next=better)


def _scale(low: float, high: float) -> tuple[str, str]:
    if low < 0 and low >= -1 and high <= 1:
        return "pixels on a scale from -1 to 1, as some libraries have them.", "(images + 1) / 2"
    if low < 0 and high - low < 20:
        likely = "images that are normalised already: the body does that itself."
        return likely, "images * std + mean, with the numbers that they were normalised by"
    if low < 0:
        return "a subtraction that went below 0.", "images.clip(0, 255) / 255"
    if high <= 1.01:
        return "rounding or resizing that went just above 1.", "images.clip(0, 1)"
    if high <= 16:
        return "counts of ink from 0 to 16, as scikit-learn's digits have them.", "images / 16"
    if high <= 255:
        return "pixels of 0 to 255, kept as float.", "images / 255"
    return "pixels on a wider scale, such as 16 bits.", "images / images.max()"


def no_images(value: Any) -> InputTypeError:
    """The error for what is neither an array nor a picture nor a sequence of them."""
    likely, better = _kind(value)
    given = "None among the images" if value is None else f"images of type {type(value).__name__}"
    return InputTypeError(f"{given}.", rule=KINDS, likely=likely, next=better)


def _kind(value: Any) -> tuple[str, str]:
    if value is None:
        return "a file that could not be read: cv2.imread gives None then.", "PIL.Image.open(path)"
    if isinstance(value, (bool, int, float, np.generic)):
        return "a label beside the images, or lists of numbers instead of an array.", 'numpy.array(images, "uint8")'
    if hasattr(value, "train") and hasattr(value, "test"):
        return "the task itself, which has three splits.", "task.test"
    if hasattr(value, "dls"):
        return "a Learner, which has its data and its model.", "task.test"
    return "a value of another library.", "numpy.asarray(images)"


def check_pair(value: Any, *, outer: bool = False) -> None:
    """Raise InputTypeError for an (image, label) tuple; `outer`: it is all that was given, not one of many."""
    if not isinstance(value, tuple) or len(value) != 2 or _label(value[0]) or not _label(value[1]):
        return
    raise InputTypeError(
        "an (image, label) pair." if outer else "(image, label) pairs.", rule=_PAIRS,
        likely="an item of a split, such as task.test[0]." if outer else "a list of items, or a dataset.",
        next="items[0]" if outer else "[image for image, label in items]",
    )  # fmt: skip


def _label(value: Any) -> bool:
    """Whether it is a class or its name, rather than an image."""
    return isinstance(value, (int, str, np.generic)) or (hasattr(value, "shape") and math.prod(value.shape) == 1)
