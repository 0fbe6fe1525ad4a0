"""bundle.json: how it is written, and every check that it passes before anything in it is used."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from nbtune.bodies.images import METHODS
from nbtune.bundle.answers import answer_problem
from nbtune.bundle.tables import columns_problem
from nbtune.errors import BundleError, InputError, InputTypeError

__all__ = ["FORMAT", "LIMIT", "MANIFEST", "README", "SCHEMA", "WEIGHTS", "parse", "plain", "problem", "render"]

FORMAT, SCHEMA = "nbtune-bundle", 1
MANIFEST, WEIGHTS, README = "bundle.json", "weights.safetensors", "README.md"
LIMIT = 1 << 24  # 16 MiB
CLASSES, SIDE, DEPTH = 100_000, 16_384, 32

_ZEROS = "0" * 64
_HEX = re.compile(r"[0-9a-f]{64}")
_SEAL = re.compile(rb'"sha256": "([0-9a-f]{64})"\n\}\n\Z')
_KEYS = (
    "format", "schema", "architecture", "network", "groups", "preprocessing", "classes", "task", "metrics", "history",
    "versions", "ties", "files",
)  # fmt: skip


def render(data: Mapping[str, Any]) -> bytes:
    """The file's bytes. Its last field is the sha256 of the file with that value as zeros: it seals itself."""
    text = json.dumps({**data, "sha256": _ZEROS}, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    raw = text.encode()
    return raw[: -len(_ZEROS) - 4] + sha256(raw).hexdigest().encode() + raw[-4:]


def parse(raw: bytes) -> dict[str, Any]:
    """The checked content of bundle.json. Raises BundleError; nothing else is touched."""
    data = _json(raw)
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise _foreign(data)
    if type(data.get("schema")) is not int or data["schema"] != SCHEMA:
        raise _other_schema(data.get("schema"))
    seal = _SEAL.search(raw)
    if seal is None or sha256(raw[: seal.start(1)] + _ZEROS.encode() + raw[seal.end(1) :]).hexdigest() != (
        seal[1].decode()
    ):
        raise _refused("it was altered after it was saved", "an edit by hand, or a damaged copy.")
    data.pop("sha256")
    found = problem(data)
    if found:
        raise _refused(found, "a file that was made by hand or by another program.")
    return data


def _other_schema(schema: Any) -> BundleError:
    newer = type(schema) is int and schema > SCHEMA
    return _refused(
        f"its schema is {str(schema)[:20]}, and this version of nbtune reads schema {SCHEMA}",
        "a bundle that a newer nbtune saved." if newer else "an edit by hand.",
        "pip install --upgrade nbtune" if newer else _AGAIN,
    )


def _foreign(data: Any) -> BundleError:
    what = "it has no format of nbtune" if isinstance(data, dict) else f"it is a {_KINDS[type(data)]} and no table"
    return _refused(what, "a bundle.json of another program, in a folder of the same form.",
                    "nt.load(tuner.save(...)): save gives the path of a bundle")  # fmt: skip


_KINDS = {list: "list", str: "text", int: "number", float: "number", bool: "switch", type(None): "null"}


def _json(raw: bytes) -> Any:
    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is no JSON")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise ValueError("a name stands twice")
        return dict(pairs)

    try:
        return json.loads(raw.decode(), parse_constant=refuse, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        likely = (
            "an empty file: a disk that was full, or a copy that broke off."
            if not raw.strip()
            else ("a file that was cut off or altered.")
        )
        raise _refused(f"it is no valid JSON ({str(error)[:80]})", likely) from error


_AGAIN = "copy the bundle again from where it was saved, or save the model once more"


def _refused(what: str, likely: str, next: str = _AGAIN) -> BundleError:
    return BundleError(
        f"{MANIFEST} is refused: {what}.",
        rule=f"{MANIFEST} is as nbtune wrote it, in schema {SCHEMA}.",
        likely=likely,
        next=next,
    )


def problem(data: Mapping[str, Any]) -> str:
    """The first field that breaks the schema, in words; empty when all are sound."""
    if set(data) != set(_KEYS):
        odd = sorted(set(data) ^ set(_KEYS))
        return f"fields are missing or unknown: {', '.join(map(repr, odd))[:120]}"
    checks = {
        "architecture": _architecture, "network": _network, "groups": _groups,
        "preprocessing": _preprocessing, "classes": _classes, "files": _files, "ties": _texts, "versions": _texts,
        "task": _table, "metrics": _metrics, "history": _history,
    }  # fmt: skip
    found = next((found for field, check in checks.items() if (found := check(field, data[field]))), "")
    return found or _outputs(data) or answer_problem(data["task"], len(data["classes"]))


def _outputs(data: Mapping[str, Any]) -> str:
    classes = len(data["classes"])
    n_out = (data["architecture"] or {"kwargs": {}})["kwargs"].get("n_out", classes)
    # A huge number of outputs would be allocated before any shape is compared.
    return "" if n_out == classes else f"architecture has {str(n_out)[:20]} outputs for {classes} classes"


def _architecture(field: str, value: Any) -> str:
    if value is None:
        return ""
    good = isinstance(value, dict) and set(value) == {"name", "kwargs"} and isinstance(value["name"], str)
    if not good or not isinstance(value["kwargs"], dict):
        return f"{field} is neither null nor a name with its kwargs"
    simple = all(isinstance(v, str | int | float | bool | None) for v in value["kwargs"].values())
    return "" if simple else f"{field} has kwargs that are not simple values"


def _network(field: str, value: Any) -> str:
    good = (
        isinstance(value, dict) and set(value) == {"class", "parts", "parameters"} and isinstance(value["class"], str)
    )
    sound = good and _names(value["parts"]) and type(value["parameters"]) is int and value["parameters"] >= 0
    return "" if sound else f"{field} does not say its class, parts and number of parameters"


def _groups(field: str, value: Any) -> str:
    good = isinstance(value, list) and all(
        isinstance(g, dict)
        and set(g) == {"name", "modules", "tensors"}
        and isinstance(g["name"], str)
        and _names(g["modules"])
        and _names(g["tensors"])
        for g in value
    )
    return "" if good else f"{field} is no list of name, modules and tensors"


def _preprocessing(field: str, value: Any) -> str:
    if isinstance(value, dict) and "categories" in value:
        return columns_problem(value)
    if not isinstance(value, dict) or set(value) - {"resize", "interpolation"} != {"size", "channels", "mean", "std"}:
        return f"{field} does not have exactly size, channels, mean and std, or resize and interpolation beside them"
    size, channels = value["size"], value["channels"]
    if not isinstance(size, list) or len(size) != 2 or not all(type(s) is int and 0 < s <= SIDE for s in size):
        return f"{field} size is not [height, width] from 1 to {SIDE:,}"
    if not _edge(value.get("resize")) or value.get("interpolation", "bilinear") not in list(METHODS):
        return f"{field} resize is no number of pixels from 1 to {SIDE:,}, or interpolation is unknown"
    if type(channels) is not int or channels not in (1, 3):
        return f"{field} channels is neither 1 nor 3"
    for name in ("mean", "std"):
        numbers = value[name]
        if not isinstance(numbers, list) or len(numbers) != channels or not all(map(_number, numbers)):
            return f"{field} {name} is not one finite number a channel"
    return "" if min(value["std"]) > 0 else f"{field} std is not above 0"


def _edge(value: Any) -> bool:
    sides = value if isinstance(value, list) and len(value) == 2 else [value]
    return value is None or all(type(side) is int and 0 < side <= SIDE for side in sides)


def _classes(field: str, value: Any) -> str:
    if not _names(value) or not 1 <= len(value) <= CLASSES:
        return f"{field} is no list of 1 to {CLASSES:,} names"
    return "" if len(set(value)) == len(value) else f"{field} names a class twice"


def _files(field: str, value: Any) -> str:
    if not isinstance(value, dict) or set(value) != {WEIGHTS, README}:
        named = ", ".join(map(repr, value)) if isinstance(value, dict) else repr(value)
        return f"{field} names {named[:120]}, and a bundle has exactly {WEIGHTS} and {README} beside {MANIFEST}"
    good = all(
        isinstance(entry, dict)
        and set(entry) == {"sha256", "bytes"}
        and isinstance(entry["sha256"], str)
        and _HEX.fullmatch(entry["sha256"])
        and type(entry["bytes"]) is int
        and entry["bytes"] >= 0
        for entry in value.values()
    )
    return "" if good else f"{field} lacks a size or digest"


def _texts(field: str, value: Any) -> str:
    good = isinstance(value, dict) and all(isinstance(v, str) for v in value.values())
    return "" if good else f"{field} is no table of texts"


def _table(field: str, value: Any) -> str:
    return "" if isinstance(value, dict) else f"{field} is no table"


def _metrics(field: str, value: Any) -> str:
    good = isinstance(value, dict) and all(
        isinstance(v, list) and len(v) == 3 and all(x is None or _number(x) for x in v) for v in value.values()
    )
    return "" if good else f"{field} is no table of value, low and high"


def _history(field: str, value: Any) -> str:
    good = value is None or (isinstance(value, list) and all(isinstance(row, dict) for row in value))
    return "" if good else f"{field} is no list of rows"


def _names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _number(value: Any) -> bool:
    # An integer above 1e308 has no float.
    return type(value) in (int, float) and abs(value) < 1e300 and math.isfinite(value)


def plain(field: str, value: Any, depth: int = 0) -> Any:
    """`value` as what JSON can hold; NaN and infinity become null. Raises InputError or InputTypeError."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, np.generic):
        return plain(field, value.item(), depth)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str | Path):
        return _text(field, str(value))
    if depth < DEPTH and isinstance(value, Mapping):
        return {_text(field, str(k)): plain(field, v, depth + 1) for k, v in value.items()}
    if depth < DEPTH and isinstance(value, list | tuple):
        return [plain(field, v, depth + 1) for v in value]
    raise InputTypeError(
        f"{field} holds a value of type {type(value).__name__}.",
        rule=f"{field} holds texts, numbers, lists and tables, at most {DEPTH} deep.",
        likely="an object, or lists within lists without end."
        if isinstance(value, list | tuple | Mapping)
        else "an object or an array.",
        next="array.tolist(), or str(value), in its place",
    )


def _text(field: str, text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"{field} holds the text {text[:40]!r}, which is no valid Unicode.",
            rule="texts can be written as UTF-8.",
            likely="the name of a file in another encoding.",
            next='text.encode(errors="replace").decode()',
        ) from error
    return text
