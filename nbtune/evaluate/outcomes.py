"""What a report is made from, checked: probabilities, targets, class names, pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import isfinite
from numbers import Integral, Real
from typing import Any

import numpy as np

from nbtune._numbers import plain, shown
from nbtune.errors import InputError, InputTypeError
from nbtune.evaluate.intervals import Floats, Ints

__all__ = ["Outcomes", "checked", "whole"]

SUM_TOLERANCE = 1e-3  # half precision keeps three digits


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Checked input of a report; `probs` sums to 1 exactly, `digests` says which items these are."""

    probs: Floats
    targets: Ints
    vocab: tuple[str, ...]
    images: Any
    digests: dict[str, str]


def checked(probs: Any, targets: Any, vocab: Sequence[object], items: Any) -> Outcomes:
    """The input of a report, copied and made read-only. Raises InputError or InputTypeError."""
    p, t = _array("probs", probs, "f", "float"), _array("targets", targets, "iu", "an integer")
    _check_shapes(p, t)
    names = _names(vocab, p.shape[1])
    _check_values(p, t)
    p, t = p.astype(np.float64), t.astype(np.int64)
    p /= p.sum(axis=1, keepdims=True)
    p.flags.writeable = t.flags.writeable = False
    images, digests = _images(items, len(t))
    digests = {"targets": sha256(t.tobytes()).hexdigest(), "classes": _text_digest(names), **digests}
    return Outcomes(p, t, names, images, digests)


def whole(name: str, value: Any, least: int) -> int:
    """`value` as an int of `least` or more. Raises InputError or InputTypeError."""
    value, rule = plain(value), f"{name} is an integer of {least} or more."
    if isinstance(value, bool) or not isinstance(value, Integral):
        likely, better = _no_count(value, least)
        given = f"{name}={shown(value)} is not a whole number."
        raise InputTypeError(given, rule=rule, likely=likely, next=f"{name}={better}")
    number = int(value)
    if number < least:
        likely = "a sign slipped in." if number < 0 else "a count that began at 0."
        if number > 0:
            likely = f"one was thought enough; here it takes {least}."
        better = max(least, -number)
        raise InputError(f"{name}={value} is too small.", rule=rule, likely=likely, next=f"{name}={better}")
    return number


def _no_count(value: Any, least: int) -> tuple[str, int]:
    """Why a value is no count, and what was meant."""
    if value is None:
        return "a variable that was never set.", least
    if isinstance(value, bool):
        return "a switch where a number belongs.", least
    if isinstance(value, str):
        meant = value.strip()
        ok = meant.isdecimal() and int(meant) >= least
        return ("a number written as text.", int(meant)) if ok else ("a name where a number belongs.", least)
    if not isinstance(value, Real):
        several = hasattr(value, "__len__")
        return f"{'several values' if several else 'an object'} where a number belongs.", least
    number = float(value)
    if not isfinite(number):
        return "a computed number that is not finite.", least
    if number != int(number):
        return "a division that left a fraction.", max(least, round(number))
    return "a division, which gives a float also where nothing is left over.", max(least, int(number))


def _array(name: str, value: Any, kinds: str, wanted: str) -> Any:
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise InputTypeError(
            f"{name} is no array: {error}",
            rule=f"{name} is an array of {wanted} dtype.",
            likely="rows of different lengths, or a tensor on a GPU or in bfloat16.",
            next="tensor.float().cpu() first.",
        ) from error
    # An empty list is float64 by default: its emptiness is the better finding.
    if array.dtype.kind not in kinds and array.size:
        raise InputTypeError(
            f"{name} has dtype {array.dtype}.",
            rule=f"{name} is an array of {wanted} dtype.",
            likely="probabilities and targets were exchanged, or class names were given instead of indices.",
            next="report(probs, targets, vocab): floats [n, classes], integers [n], names.",
        )
    return array


def _check_shapes(probs: Any, targets: Any) -> None:
    if not (probs.size and targets.size):
        raise InputError(
            f"probs has shape {list(probs.shape)} and targets {list(targets.shape)}: an empty split.",
            rule="a report needs at least one item.",
            likely="the split has no items, or a filter left none.",
            next="look at len(task.test).",
        )
    if probs.ndim != 2 or targets.ndim != 1 or len(probs) != len(targets) or probs.shape[1] < 2:
        raise InputError(
            f"probs has shape {list(probs.shape)} and targets {list(targets.shape)}.",
            rule="probs is [n, classes] with two classes or more, targets is [n] with the same n.",
            likely="targets are one-hot (take their argmax), or p has one column (stack 1 − p and p).",
            next="report(probs, targets, vocab) with the shapes of the rule.",
        )


def _names(vocab: Sequence[object], k: int) -> tuple[str, ...]:
    names = tuple(str(name) for name in vocab)
    if len(names) != k or len(set(names)) != k:
        raise InputError(
            f"vocab has {len(names)} names ({len(set(names))} different) for {k} classes.",
            rule="vocab names each column of probs once.",
            likely="the names are of another task, or two classes share a name.",
            next="task.vocab, in the order of the columns.",
        )
    return names


def _check_values(probs: Any, targets: Any) -> None:
    bad = np.flatnonzero(~np.isfinite(probs).all(axis=1))
    if bad.size:
        raise InputError(
            f"probs is not finite in {bad.size} of {len(probs)} rows (first: row {bad[0]}).",
            rule="probabilities are finite.",
            likely="the training diverged, so that the model gives NaN.",
            next="tuner.lr_find(), then train again with a smaller rate.",
        )
    off = (probs < -SUM_TOLERANCE).any(axis=1) | (np.abs(probs.sum(axis=1, dtype=np.float64) - 1) > SUM_TOLERANCE)
    if off.any():
        row = int(np.flatnonzero(off)[0])
        raise InputError(
            f"row {row} of probs sums to {probs[row].sum():.4g} (lowest {probs[row].min():.4g}); "
            f"{int(off.sum())} of {len(probs)} rows are like it.",
            rule="each row of probs is at least 0 and sums to 1.",
            likely="these are scores (logits), not probabilities.",
            next="softmax over the last axis first.",
        )
    if targets.min() < 0 or targets.max() >= probs.shape[1]:
        raise InputError(
            f"targets go from {targets.min()} to {targets.max()} for {probs.shape[1]} classes.",
            rule=f"a target is a class index from 0 to {probs.shape[1] - 1}.",
            likely="classes are counted from 1, or unknown labels are coded as −1.",
            next="task.test.y, or vocab.index(name) for each item.",
        )


def _images(items: Any, n: int) -> tuple[Any, dict[str, str]]:
    """The pictures, if the items are images, and digests of what identifies the items."""
    if items is None:
        return None, {}
    ids, x = getattr(items, "ids", None), getattr(items, "x", items)
    digests = {} if ids is None else {"item ids": _text_digest(ids)}
    if len(x) != n or (ids is not None and len(ids) != n):
        raise InputError(
            f"items has {len(x)} entries for {n} predictions.",
            rule="items holds one entry a prediction, in the same order.",
            likely="they are of another split.",
            next="items=task.test for predictions on task.test.",
        )
    picture = isinstance(x, np.ndarray) and x.dtype == np.uint8
    if picture and (x.ndim == 3 or (x.ndim == 4 and x.shape[3] == 3)):
        return x, {**digests, "images": sha256(np.ascontiguousarray(x).tobytes()).hexdigest()}
    if hasattr(x, "hashes"):  # pictures that are decoded when they are looked at
        return x, digests
    if x is items:
        raise InputTypeError(
            f"items is {type(x).__name__} {getattr(x, 'dtype', '')} {list(getattr(x, 'shape', ()))}".rstrip() + ".",
            rule="items is uint8 images [n, h, w] or [n, h, w, 3], or a task's split.",
            likely="images as floats, or with channels first.",
            next="items=task.test, or (255 * x).astype('uint8') with channels last.",
        )
    return None, digests


def _text_digest(names: Sequence[object]) -> str:
    return sha256("\0".join(str(name) for name in names).encode()).hexdigest()
