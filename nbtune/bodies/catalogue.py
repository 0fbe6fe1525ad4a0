"""What can be tuned by name, as a frame: from what the libraries state, without making one network."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from numbers import Real
from typing import Any

import pandas as pd

from nbtune.bodies import of_fastai, of_timm, of_torchvision, shipped
from nbtune.errors import InputError, InputTypeError

__all__ = ["table"]

_COLUMNS = ("name", "parameters", "input", "licence", "family", "library", "needs network")
_IMAGENET = 224


def table(family: Any, licence: Any, max_params: Any, max_size: Any, offline: Any, timm: Any) -> pd.DataFrame:
    """See `nbtune.bodies.table`."""
    for name, value in (("family", family), ("licence", licence)):
        _check_word(name, value)
    for name, limit in (("max_params", max_params), ("max_size", max_size)):
        _check_limit(name, limit)
    rows = [_letters(), *map(_torchvision, of_torchvision.tags()), *map(_fastai, of_fastai.NAMES)]
    rows += map(_timm, of_timm.tags()) if timm else []
    found = pd.DataFrame([row[:-1] for row in rows], columns=list(_COLUMNS))
    found["parameters"] = found["parameters"].astype("Int64")
    side = pd.Series([row[-1] for row in rows])
    keep = _has("family", found["family"], family) & _has("licence", found["licence"], licence)
    if max_params is not None:
        keep &= found["parameters"].notna() & (found["parameters"].fillna(0) <= max_params)
    if max_size is not None:
        keep &= side <= max_size
    if offline:
        keep &= ~found["needs network"]
    return found[keep].reset_index(drop=True)


def _letters() -> tuple[Any, ...]:
    body = shipped.letters()
    return ("letters", body.params, "1×32×32", body.licence, body.family, "nbtune", False, 32)


def _torchvision(name: str) -> tuple[Any, ...]:
    weights = next(iter(of_torchvision.published(name).values()))
    side = _side(weights)
    licence = of_torchvision.licence_of(weights)
    family = of_torchvision.family_of(name)
    return (name, weights.meta["num_params"], _input(side), licence, family, "torchvision", True, side)


def _side(weights: Any) -> int:
    """The crop of a set of weights, from its settings where they say it."""
    settings = getattr(weights.transforms, "keywords", {})
    return int(settings["crop_size"] if "crop_size" in settings else weights.transforms().crop_size[0])


def _fastai(name: str) -> tuple[Any, ...]:
    number = of_fastai.PARAMETERS[name]
    return (name, number, _input(_IMAGENET), "Apache-2.0", "xresnet", "fastai", name == "xresnet50", _IMAGENET)


def _timm(name: str) -> tuple[Any, ...]:
    config = of_timm.library(name).get_pretrained_cfg(name)
    side = config.input_size[1]
    family = of_timm.library(name).models._registry._model_to_module[name]
    licence = config.license or "see the weights' own page"
    return (f"timm:{name}", None, _input(side), licence, family, "timm", bool(config.has_weights), side)


def _input(side: int) -> str:
    return f"3×{side}×{side}"


def _has(column: str, texts: pd.Series, word: str | None) -> pd.Series:
    """Which rows have the word. Raises InputError where none has."""
    if word is None:
        return pd.Series(True, index=texts.index)
    found = texts.str.contains(word, case=False, regex=False)
    if not found.any():
        raise _none(column, word, sorted(set(texts)))
    return found


def _none(column: str, word: str, known: Iterable[str]) -> InputError:
    known = list(known)
    near = get_close_matches(word.lower(), [one.lower() for one in known], n=1, cutoff=0.5)
    listed = ", ".join(known[:40]) + (" …" if len(known) > 40 else "")
    return InputError(
        f"{column}={word!r:.60}.", rule=f"{column} is a part of one of: {listed}.",
        likely="a misspelling." if near else "a family of timm, which timm=True lists." if column == "family"
        else "a licence that no body has.",
        next=f'nt.bodies.table({column}="{near[0]}")' if near else "nt.bodies.table(timm=True)",
    )  # fmt: skip


def _check_word(name: str, value: Any) -> None:
    if value is not None and not isinstance(value, str):
        several = isinstance(value, (list, tuple, set))
        raise InputTypeError(
            f"{name}={value!r:.60}.", rule=f"{name} is a part of a word, or None.",
            likely="several at once." if several else "another argument's value.",
            next=f"frame = nt.bodies.table(); frame[frame[{name!r}].isin({list(value)!r:.60})]" if several
            else "nt.bodies.table()",
        )  # fmt: skip


def _check_limit(name: str, value: Any) -> None:
    if value is None or (isinstance(value, Real) and not isinstance(value, bool) and float(value) > 0):
        return
    kind = InputError if isinstance(value, Real) and not isinstance(value, bool) else InputTypeError
    raise kind(
        f"{name}={value!r:.60}.", rule=f"{name} is a number above 0, or None.",
        likely="a subtraction." if kind is InputError else "a number with its unit, such as \"30M\"."
        if isinstance(value, str) else "another argument's value.",
        next=f"{name}={'30e6' if name == 'max_params' else '224'}",
    )  # fmt: skip
