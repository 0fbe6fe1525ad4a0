"""What a cut means for a model, and whether it held: values that are read from the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from nbtune._cut import Cut
from nbtune._display import html_value, short
from nbtune.groups import LayerGroup, LayerGroups, read

__all__ = ["FreezePlan", "FreezeProof", "groups_of", "plan_of"]


@dataclass(frozen=True)
class FreezeProof:
    """Whether what should be still stayed so, by digest to the bit; true or false as a bool."""

    checked: int  # frozen tensors and buffers compared
    changed: tuple[str, ...]  # names of those that changed
    moved: tuple[str, ...] = ()  # names of training tensors that changed, where this was looked at

    def __bool__(self) -> bool:
        return not self.changed

    def __repr__(self) -> str:
        if self.changed:
            few = ", ".join(self.changed[:3]) + (", …" if len(self.changed) > 3 else "")
            return f"NOT still: {len(self.changed)} of {self.checked} frozen tensors changed ({few})."
        if not self.checked:
            return "Nothing is frozen, so nothing had to stay still."
        moved = f"; {len(self.moved)} training tensors moved" if self.moved else ""
        return f"Still, proven: {self.checked} frozen tensors and buffers unchanged to the bit{moved}."

    def _repr_html_(self) -> str:
        return html_value("✓ Proof" if self else "✗ Proof", repr(self))


@dataclass(frozen=True)
class FreezePlan:
    """What trains, what is still and what that costs; read from the model after the act."""

    groups: tuple[LayerGroup, ...]  # forward order
    first: str  # name of the first group that trains
    norms: str  # what the still part's norm layers do
    trainable: int  # parameters that train, tied ones counted once
    total: int
    tied: tuple[str, ...] = ()  # in training groups, but still since a still group shares them
    loose: tuple[str, ...] = ()  # should be still, but take a gradient now: somebody unfroze them since
    live: Any = None  # Cost: seconds an epoch under this plan without the cache, estimated
    kept: Any = None  # Cost: seconds an epoch from kept features, where that may be done; the filling not counted

    @property
    def still(self) -> tuple[str, ...]:
        """Names of the still groups."""
        names = [group.name for group in self.groups]
        return tuple(names[: names.index(self.first)])

    @property
    def sentence(self) -> str:
        """What trains of how many parameters, and the cost of an epoch with its range."""
        live = [group.name for group in self.groups][len(self.still) :]
        who = " + ".join(live) if len(live) <= 3 else f"{live[0]} … {live[-1]} ({len(live)} groups)"
        text = f"{who} train{'s' if len(live) == 1 else ''} ({short(self.trainable)} of {short(self.total)} parameters)"
        if self.still and self.norms != "still":
            text += f"; norm layers of the still part {'follow the data' if self.norms == 'stats' else 'train'}"
        if self.kept is not None and self.live is not None:
            text += f"; about {self.kept} an epoch, {self.live} without the cache"
        elif self.live is not None:
            text += f"; about {self.live} an epoch"
        if self.tied:
            text += f"; still because shared with a still group: {', '.join(self.tied)}"
        if self.loose:
            text += f"; somebody unfroze {len(self.loose)} still tensors since, which the next fit undoes"
        return text + "."

    def __repr__(self) -> str:
        return self.sentence

    def frame(self) -> Any:
        """A pandas frame, a row a group: group, state, parameters, norms, lr."""
        import pandas as pd

        still = set(self.still)
        return pd.DataFrame(
            {
                "group": [g.name for g in self.groups],
                "state": ["❄ still" if g.name in still else "▲ trains" for g in self.groups],
                "parameters": [g.params for g in self.groups],
                "norms": [g.norms or "" for g in self.groups],
            }
        )

    def _repr_html_(self) -> str:
        table = self.frame().to_html(index=False, formatters={"parameters": "{:,}".format})
        return html_value("What trains, what is still", self.sentence, table)


def plan_of(model: nn.Module, cut: Cut, *, live: Any = None, kept: Any = None) -> FreezePlan:
    """The FreezePlan that is true of `model` now; `live` and `kept` are its costs."""
    parameters = {id(p): p for p in model.parameters()}
    count = sum(p.numel() for p in parameters.values() if p.requires_grad)
    total = sum(p.numel() for p in parameters.values())
    groups = tuple(groups_of(model, cut))
    loose = tuple(name for name, tensor in cut.frozen(model).items() if tensor.requires_grad)
    return FreezePlan(groups, cut.groups[cut.first].name, cut.norms, count, total, cut.tied(model), loose, live, kept)


def groups_of(model: nn.Module, cut: Cut, lrs: Sequence[float] | None = None) -> LayerGroups:
    """The groups as a training batch finds them; nothing is touched, so that it may be asked while one runs."""
    return read(model, cut.groups, lrs, held=cut.modules(model)[0])
