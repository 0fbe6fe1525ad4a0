"""The Learner of a table: fastai's tabular model, or a network of the user's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from nbtune.bodies.own import called, first_line
from nbtune.bodies.tabular import Columns, TableBody, fitted
from nbtune.errors import InputError, InputTypeError
from nbtune.tasks._tuned import is_tuned, tuned_body

if TYPE_CHECKING:
    from nbtune.tasks.task import Task

__all__ = ["LAYERS", "table_body"]

LAYERS = (200, 100)  # fastai's own


def table_body(
    task: Task, body: Any, layers: Sequence[int] | None, pretrained: bool = True
) -> tuple[TableBody, nn.Module]:
    """The body of a table and its network. Raises InputError or InputTypeError for what takes no rows."""
    rows, n_out = task.train.x, len(task.vocab)
    if is_tuned(body):
        return tuned_body(task, body, layers, pretrained)
    columns = fitted(rows.frame, rows.cats, rows.conts)
    if isinstance(body, str) and body == "tabular":
        return _fastais(columns, n_out, _checked(layers))
    if isinstance(body, str) or hasattr(body, "channels"):
        name = body if isinstance(body, str) else body.name
        raise InputError(
            f"the body {name!r:.60} for a table.", rule='a table takes "tabular", or a network of your own.',
            likely="a body for images." if not isinstance(body, str) or body != "tabular".strip() else "a misspelling.",
            next='task.learner("tabular")',
        )  # fmt: skip
    return _own(columns, body, n_out)


def _fastais(columns: Columns, n_out: int, layers: tuple[int, ...]) -> tuple[TableBody, nn.Module]:
    from nbtune._fastai.rows import tabular_model

    def build(outputs: int) -> nn.Module:
        return tabular_model(columns.sizes, len(columns.numbers), outputs, layers)

    model = build(n_out)
    params = sum(p.numel() for p in model.parameters())
    source = f"fastai's tabular model, layers {', '.join(map(str, layers))}, fresh weights."
    return TableBody("tabular", columns, params, source, build, layers), model


def _own(columns: Columns, body: Any, n_out: int) -> tuple[TableBody, nn.Module]:
    model = body if isinstance(body, nn.Module) else called(body, n_out)
    joint = bool(columns.sizes)
    codes = torch.zeros((2, len(columns.sizes)), dtype=torch.int64)
    inputs = (codes, torch.zeros(2, len(columns.numbers))) if joint else (torch.zeros(2, len(columns.numbers)),)
    modes = {part: part.training for part in model.modules()}
    takes = f"codes [n, {len(columns.sizes)}] and numbers [n, {len(columns.numbers)}]" if joint else (
        f"numbers [n, {len(columns.numbers)}]")  # fmt: skip
    try:
        with torch.no_grad():
            shape = list(model.eval()(*inputs).shape)
    except (RuntimeError, ValueError, TypeError, AttributeError, IndexError) as cause:
        raise InputError(
            f"{type(model).__name__} failed on two rows: {first_line(cause)}",
            rule=f"the network takes {takes} and gives a tensor of scores.",
            likely="a network for images, or for another table.",
            next='task.learner("tabular")' if joint
            else f"task.learner(nn.Sequential(nn.Linear({len(columns.numbers)}, 64), nn.ReLU(), "
            f"nn.Linear(64, {n_out})))",
        ) from cause  # fmt: skip
    finally:
        for part, mode in modes.items():
            part.training = mode
    if shape != [2, n_out]:
        raise InputError(
            f"{type(model).__name__} gives {shape} for two rows.", rule=f"it gives [2, {n_out}] here.",
            likely="a head for another number of classes.",
            next=f"nn.Sequential(network, nn.Linear({shape[-1]}, {n_out}))",
        )  # fmt: skip
    params = sum(p.numel() for p in model.parameters())
    source = "The user's own network on rows."
    own = TableBody(type(model).__name__, columns, params, source, lambda n: model, joint=joint)
    return own, model


def _checked(layers: Any) -> tuple[int, ...]:
    if layers is None:
        return LAYERS
    several = isinstance(layers, Sequence) and not isinstance(layers, str)
    if (
        several
        and layers
        and all(isinstance(one, int) and not isinstance(one, bool) and 0 < one < 10**6 for one in layers)
    ):
        return tuple(layers)
    raise InputTypeError(
        f"layers={layers!r:.60}.", rule="layers is a list of widths, each a whole number of 1 or more.",
        likely="one layer without a list around it." if isinstance(layers, int) else "a setting of another library.",
        next=f"layers=[{layers}]" if isinstance(layers, int) and layers > 0 else "layers=[200, 100]",
    )  # fmt: skip
