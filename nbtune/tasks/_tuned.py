"""A table's model that was trained before, as the start of another task: the same columns, scale and weights."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from nbtune.bodies.tabular import Columns, TableBody
from nbtune.errors import InputError

if TYPE_CHECKING:
    from nbtune.tasks.task import Task

__all__ = ["code_of", "is_tuned", "tuned_body"]


def is_tuned(body: Any) -> bool:
    """Whether this is a model of a table that `nt.load` gave."""
    return isinstance(getattr(body, "preprocessing", None), Columns) and isinstance(
        getattr(body, "module", None), nn.Module
    )


def code_of(body: Any) -> str:
    """The call that gives a loaded model again; "" for anything else."""
    return f"nt.load({str(body.folder)!r})" if is_tuned(body) and hasattr(body, "folder") else ""


def tuned_body(task: Task, model: Any, layers: Any, pretrained: bool) -> tuple[TableBody, nn.Module]:
    """The body of a loaded model, and a copy of its network for this task.

    Categories, fillings and scale stay those that the model was trained with: its weights know no others. The
    head stays where the task asks for the same outputs, numbers in their own units included; otherwise it is
    fresh. `pretrained=False`: every weight is fresh, the columns are the model's.

    Raises InputError where the task's rows lack columns of the model, for `layers`, and for a network of one's own.
    """
    if model.architecture is None or model.architecture.name != "tabular":
        raise InputError(
            f"a model of {type(model.module).__name__}, a network of its author's own.",
            rule='a table goes on from a model that task.learner("tabular") made.',
            likely="a bundle of a network that was written by hand.", next="task.learner(model.module)",
        )  # fmt: skip
    if layers is not None:
        raise InputError(
            f"layers={layers!r:.60} with a model that was trained before.",
            rule="a model that was trained before has its layers.", likely="a call for a fresh network.",
            next="task.learner(model), without layers",
        )  # fmt: skip
    columns: Columns = model.preprocessing
    columns.prepare(task.train.x.frame.head(2))  # refuses a table without its columns
    widths = tuple(int(one) for one in model.architecture.kwargs["layers"].split(","))

    def build(outputs: int) -> nn.Module:
        from nbtune._fastai.rows import tabular_model

        return tabular_model(columns.sizes, len(columns.numbers), outputs, widths)

    made = _continued(task, model, build) if pretrained else build(len(task.vocab))
    params = sum(p.numel() for p in made.parameters())
    source = f"fastai's tabular model, layers {', '.join(map(str, widths))}, " + (
        f"weights of the model in {model.folder.name!r}." if pretrained else "fresh weights."
    )
    return TableBody("tabular", columns, params, source, build, widths), made


def _continued(task: Task, model: Any, build: Any) -> nn.Module:
    """The network with the model's weights; the head is kept where it answers the same question."""
    same = tuple(task.vocab) == tuple(model.vocab) and task.kind == model.card.get("kind", "single")
    if same:
        made: nn.Module = copy.deepcopy(model.module)
        if task.kind == "regression":
            _rescale(made, model.card["scale"], task)
        return made.train().requires_grad_(True)
    fresh: nn.Module = build(len(task.vocab))
    last = max(int(name.split(".")[1]) for name, _ in fresh.named_parameters() if name.startswith("layers."))
    kept = {name: one for name, one in model.module.state_dict().items() if not name.startswith(f"layers.{last}.")}
    fresh.load_state_dict(kept, strict=False)
    return fresh


def _rescale(network: nn.Module, scale: Any, task: Task) -> None:
    """Bring the last layer to the task's mean and spread: the numbers in their own units stay as they were."""
    from nbtune._fastai.targets import loss_of

    loss, linear = loss_of(task.kind, task.train.y), [m for m in network.modules() if isinstance(m, nn.Linear)][-1]
    mean, std, new_mean, new_std = (torch.tensor(one) for one in (*scale, loss.mean, loss.std))
    with torch.no_grad():
        linear.weight.mul_((std / new_std)[:, None])
        linear.bias.mul_(std / new_std).add_((mean - new_mean) / new_std)
