"""What a person sees of a group, read from the model as it is now."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from nbtune.groups._cover import Group
from nbtune.groups._tree import is_norm

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class LayerGroup:
    """A group of layers as the model has it now.

    `params`: scalars; a tied tensor is counted once, in the first group that holds it. `trainable`: whether
    any parameter requires a gradient (so a group that shares a tied tensor with a training one trains too).
    `norms`: "still" (statistics and affine parameters fixed), "stats" (running statistics follow the data),
    "train" (affine parameters learn), None without norm layers. `lr`: the learning rate, None when unknown.
    """

    name: str
    params: int
    trainable: bool
    norms: str | None
    lr: float | None

    def __repr__(self) -> str:
        rate = "" if self.lr is None or not self.trainable else f" at {self.lr:.3g}"
        state = "trains" if self.trainable else "still"
        norms = "" if self.norms is None else f", norms {self.norms}"
        return f"{self.name}: {self.params:,} parameters, {state}{rate}{norms}."


class LayerGroups(tuple[LayerGroup, ...]):
    """The groups of a model, input to head: a tuple that shows itself as a table."""

    __slots__ = ()

    def frame(self) -> pd.DataFrame:
        """A row a group: name, params, trainable, norms, lr."""
        import pandas as pd

        return pd.DataFrame([vars(group) for group in self], columns=list(LayerGroup.__dataclass_fields__))

    def __repr__(self) -> str:
        live = [group for group in self if group.trainable]
        count = sum(group.params for group in live)
        names = _short([group.name for group in self])
        return f"{len(live)} of {len(self)} groups train ({count:,} parameters): {names}."

    def _repr_html_(self) -> str:
        words = ["group", "parameters", "state", "norms", "rate"]
        shown = words if any(group.lr is not None for group in self) else words[:-1]
        head = "".join(f"<th scope='col'>{word}</th>" for word in shown)
        rows = "".join(_row(group, len(shown)) for group in self)
        caption = html.escape(repr(self))
        return f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _row(group: LayerGroup, columns: int) -> str:
    state = "▲ trains" if group.trainable else "❄ still"
    rate = "" if group.lr is None else f"{group.lr:.3g}"
    cells = (f"{group.params:,}", state, group.norms or "", rate)
    name = f"<th scope='row'>{html.escape(group.name)}</th>"
    return f"<tr>{name}{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells[: columns - 1])}</tr>"


def _short(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 8 else f"{', '.join(names[:4])}, ..., {', '.join(names[-2:])}"


def read(
    model: nn.Module,
    groups: Sequence[Group],
    lrs: Sequence[float] | None = None,
    held: Sequence[nn.Module] | None = None,
) -> LayerGroups:
    """The state of every group, read from the model: what requires gradients, what norm layers do.

    `lrs`: a learning rate for each group, in order. `held`: the modules that are in eval mode while the model
    trains; None takes the modes as they are now.

    Example:
        >>> from nbtune.groups import split
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2))
        >>> read(model, split(model))[1]
        head: 18 parameters, trains.
    """
    parameters = dict(model.named_parameters(remove_duplicate=False))
    still = None if held is None else {id(module) for module in held}
    seen: set[int] = set()
    out = []
    for index, group in enumerate(groups):
        own = [parameters[name] for name in group.tensors if name in parameters]
        fresh = {id(p): p for p in own if id(p) not in seen}
        seen |= set(fresh)
        count = sum(p.numel() for p in fresh.values())
        rate = None if lrs is None else float(lrs[index])
        norms = _norms(model, group, still)
        out.append(LayerGroup(group.name, count, any(p.requires_grad for p in own), norms, rate))
    return LayerGroups(out)


def _norms(model: nn.Module, group: Group, held: set[int] | None) -> str | None:
    layers = list(_norm_layers(model, group))
    if not layers:
        return None
    if any(p.requires_grad for layer in layers for p in layer.parameters(recurse=False)):
        return "train"
    moving = [layer for layer in layers if getattr(layer, "running_mean", None) is not None]
    trains = [layer.training if held is None else id(layer) not in held for layer in moving]
    return "stats" if any(trains) else "still"


def _norm_layers(model: nn.Module, group: Group) -> Iterator[nn.Module]:
    for path in group.modules:
        yield from (part for part in model.get_submodule(path).modules() if is_norm(part) and _has_state(part))


def _has_state(layer: nn.Module) -> bool:
    """Whether the layer holds anything that could be still or move: a norm without weights does not."""
    return next(layer.parameters(recurse=False), None) is not None or getattr(layer, "running_mean", None) is not None
