"""Tables in a bundle: preprocessing as plain values, and the network made again from sizes alone."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping
from typing import Any

from torch import nn

from nbtune.bodies.tabular import Columns, TableBody

__all__ = ["columns_from", "columns_problem", "made_tabular", "table_parts"]

_FIELDS = {"categories", "numbers", "medians", "means", "stds", "gaps"}
_MOST = 100_000  # names
_PARAMETERS = 100_000_000  # of a network that is made from sizes in a file, before its weights are compared
_SIZES, _LAYERS = re.compile(r"(\d{1,6}x\d{1,3}(,\d{1,6}x\d{1,3})*)?"), re.compile(r"\d{1,6}(,\d{1,6}){0,19}")


def table_parts(body: TableBody, n_out: int) -> dict[str, Any]:
    """Architecture (kwargs of texts and numbers, None for a network of one's own) and preprocessing for a bundle."""
    columns = body.columns
    sizes = ",".join(f"{n}x{wide}" for n, wide in columns.sizes)
    layers = ",".join(map(str, body.layers))
    kwargs = {"n_out": n_out, "sizes": sizes, "numbers": len(columns.numbers), "layers": layers}
    return {
        "kwargs": kwargs if body.name == "tabular" else None,
        "preprocessing": {
            "categories": {name: list(known) for name, known in columns.categories.items()},
            **{name: list(getattr(columns, name)) for name in sorted(_FIELDS - {"categories"})},
        },
    }


def columns_problem(value: Mapping[str, Any]) -> str:
    """What is wrong with a table's preprocessing, in words; "" for nothing."""
    if set(value) != _FIELDS:
        return f"preprocessing of a table does not have exactly {', '.join(sorted(_FIELDS))}"
    categories, numbers, gaps = value["categories"], value["numbers"], value["gaps"]
    if not isinstance(categories, dict) or not all(_names(known) for known in categories.values()):
        return "preprocessing categories is no table of lists of names"
    if sum(len(known) for known in categories.values()) + len(categories) > _MOST:
        return f"preprocessing has more than {_MOST:,} categories"
    if not _names(numbers) or not _names(gaps) or not set(gaps) <= set(numbers) or set(numbers) & set(categories):
        return "preprocessing numbers and gaps are no lists of names, each once"
    for name in ("medians", "means", "stds"):
        part = value[name]
        if not isinstance(part, list) or len(part) != len(numbers) or not all(_number(x) for x in part):
            return f"preprocessing {name} is not one finite number a column"
    if not categories and not numbers:
        return "preprocessing has no column"
    return "" if all(x > 0 for x in value["stds"]) else "preprocessing stds is not above 0"


def columns_from(value: Mapping[str, Any]) -> Columns:
    """The preprocessing of a checked bundle."""
    return Columns(
        {name: tuple(known) for name, known in value["categories"].items()}, tuple(value["numbers"]),
        tuple(value["medians"]), tuple(value["means"]), tuple(value["stds"]), tuple(value["gaps"]),
    )  # fmt: skip


def made_tabular(n_out: int, sizes: str, numbers: int, layers: str) -> nn.Module:
    """fastai's tabular model of these sizes, such as sizes="5x4,3x3", layers="200,100".

    Raises TypeError for anything else, or for more than 100 million parameters.
    """
    texts = isinstance(sizes, str) and isinstance(layers, str) and _SIZES.fullmatch(sizes) and _LAYERS.fullmatch(layers)
    counts = all(type(one) is int and low <= one <= 10**6 for one, low in ((n_out, 1), (numbers, 0)))
    if not texts or not counts:
        raise TypeError("sizes, numbers and layers are no sizes")
    pairs = [(int(n), int(wide)) for n, wide in (one.split("x") for one in sizes.split(",") if one)]
    widths = [sum(wide for _, wide in pairs) + numbers, *map(int, layers.split(",")), n_out]
    total = sum(n * wide for n, wide in pairs) + sum(a * b for a, b in itertools.pairwise(widths))
    if total > _PARAMETERS or min(widths) < 1 or any(0 in pair for pair in pairs):
        raise TypeError(f"{total:,} parameters, or none")
    from nbtune._fastai.rows import tabular_model

    return tabular_model(pairs, numbers, n_out, widths[1:-1])


def _names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value) and len(set(value)) == len(value)


def _number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and abs(value) < 1e300
