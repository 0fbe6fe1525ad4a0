"""What `Still` can be asked to keep, and what it says where it cannot."""

from __future__ import annotations

from typing import Any

from nbtune.errors import InputError, InputTypeError

__all__ = ["cannot_keep", "check_cache", "check_views"]


def check_views(views: Any) -> int:
    """`views` if it is a count. Raises InputError or InputTypeError."""
    if isinstance(views, bool) or not isinstance(views, int):
        raise InputTypeError(
            f"views={views!r}.",
            rule="views is how many augmented views of a training item are kept: a whole number.",
            likely="a switch or a share instead of a count.",
            next="views=4",
        )
    if views < 1:
        raise InputError(
            f"views={views}.",
            rule="one view of an item or more is kept.",
            likely='0 for "no cache", which has a word of its own.',
            next='cache="off", or views=1',
        )
    return views


def check_cache(cache: Any) -> str:
    """`cache` if it is a known word. Raises InputError."""
    if cache not in ("auto", "on", "off", "half"):
        likely = "True or False instead of a word." if isinstance(cache, bool) else "a misspelt word."
        raise InputError(
            f"cache={cache!r}.",
            rule='cache is "auto", "on", "off" or "half".',
            likely=likely,
            next='cache="auto" uses it whenever that is the same training.',
        )
    return str(cache)


def cannot_keep(why: str) -> InputError:
    """Kept features were insisted on, and there can be none."""
    return InputError(
        f'cache="on" for a fit that cannot be fed from kept features: {why}',
        rule="the still part runs first, the items reach it unchanged, and nothing else needs the input.",
        likely="augmentation, mixup, or a cut in the middle of a skip connection.",
        next='cache="auto", which trains live where it must; or augment=False.',
    )
