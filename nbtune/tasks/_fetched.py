"""Pictures that a function gives, each looked at once: size and digest, and whether it stays as it is."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from nbtune.bodies.decode import pixels
from nbtune.bodies.images import as_uint8
from nbtune.errors import InputError, NbtuneError
from nbtune.tasks.stacks import Fetched

__all__ = ["fetched", "picture_of"]

_AGAIN = 8  # items that must equal themselves on a second look


def picture_of(value: Any) -> Any:
    """A picture of PIL, an array or a tensor (channels first or last) as uint8 [h, w] or [h, w, 3].

    Raises InputError or InputTypeError for anything else, and for pixels that were normalised.
    """
    if isinstance(value, Image.Image):
        return pixels(value)
    array = value.detach().cpu().numpy() if hasattr(value, "detach") else np.asarray(value)
    if array.ndim == 3 and array.shape[0] in (1, 3) and array.shape[-1] not in (1, 3):
        array = np.moveaxis(array, 0, -1)
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    return as_uint8(array)[0]


def fetched(get: Callable[[int], Any], ids: Sequence[str]) -> tuple[Fetched, dict[str, str]]:
    """The pictures, and by id what could not be fetched. Raises InputError for pictures that change."""
    marks, offenders = [], {}
    for place, name in enumerate(ids):
        try:
            image = get(place)
            marks.append((image.shape[:2], _digest(image)))
        except NbtuneError:
            if not place:  # the first one tells what all are
                raise
            offenders[name] = "no picture as the first one is"
            marks.append(((0, 0), name))
        except Exception as error:  # of the user's own code, an item each
            offenders[name] = f"cannot be fetched ({type(error).__name__})"
            marks.append(((0, 0), name))
    _check_same(get, marks, [at for at, name in enumerate(ids) if name not in offenders])
    return Fetched(get, tuple(range(len(ids))), tuple(marks)), offenders


def _digest(image: Any) -> str:
    return hashlib.sha256(repr(image.shape).encode() + np.ascontiguousarray(image).tobytes()).hexdigest()


def _check_same(get: Callable[[int], Any], marks: Sequence[Any], places: Sequence[int]) -> None:
    chosen = [places[at] for at in np.linspace(0, len(places) - 1, min(_AGAIN, len(places))).astype(int)]
    changed = [place for place in chosen if _digest(get(place)) != marks[place][1]]
    if changed:
        raise InputError(
            f"{len(changed)} of {len(chosen)} items change from one look to the next.",
            rule="an item is the same at every look, so that splits, digests and kept features hold.",
            likely="random augmentation inside the dataset.",
            next="give the dataset no random transform; task.learner(..., augment=[...]) augments",
        )  # fmt: skip
