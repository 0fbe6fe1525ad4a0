"""What a cut means for a model, and whether it held: values that are read from the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from nbtune._cut import Cut
from nbtune._display import Chart, html_table, html_value, seconds, short
from nbtune.freeze.drawing import draw
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
    took: float | None = None  # seconds an epoch of the last phase under this plan
    gain: Any = None  # what training under this plan brought over the probe, with its interval

    @property
    def still(self) -> tuple[str, ...]:
        """Names of the still groups."""
        names = [group.name for group in self.groups]
        return tuple(names[: names.index(self.first)])

    @property
    def sentence(self) -> str:
        """What trains of how many parameters, and the cost of an epoch with its range."""
        text = self._who()
        if self.still and self.norms != "still":
            text += f"; norm layers of the still part {'follow the data' if self.norms == 'stats' else 'train'}"
        if self.kept is not None and self.live is not None:
            text += f"; about {self.kept} an epoch, {self.live} without the cache"
        elif self.live is not None:
            text += f"; about {self.live} an epoch"
        if self.took is not None:
            text += f"; it took {seconds(self.took)} an epoch"
        if self.gain is not None:
            text += f"; {self.gain.over}"
        if self.tied:
            text += f"; still because shared with a still group: {', '.join(self.tied)}"
        if self.loose:
            tensors = "1 still tensor" if len(self.loose) == 1 else f"{len(self.loose)} still tensors"
            text += f"; somebody unfroze {tensors} since, which the next fit undoes"
        return text + "."

    def _who(self) -> str:
        """Which groups train, of how many parameters."""
        live = [group.name for group in self.groups][len(self.still) :]
        if not self.still and self.trainable == self.total:
            every = f"All {len(live)} groups train" if len(live) > 1 else f"{live[0]} trains, the only group"
            return f"{every} ({short(self.total)} parameters)"
        share = f"({short(self.trainable)} of {short(self.total)} parameters)"
        if len(live) == 1 and self.still:
            return f"Only {'the head' if live == ['head'] else repr(live[0])} trains {share}"
        if len(live) > 3:
            return f"{live[0]} … {live[-1]} ({len(live)} groups) train {share}"
        names = " and ".join(filter(None, (", ".join(live[:-1]), live[-1])))
        return f"{names} train{'s' if len(live) == 1 else ''} {share}"

    def __repr__(self) -> str:
        return self.sentence

    def _rows(self) -> list[tuple[Any, ...]]:
        still = set(self.still)
        return [
            (g.name, "❄ still" if g.name in still else "▲ trains", g.params, g.norms or "", g.lr) for g in self.groups
        ]

    def frame(self) -> Any:
        """A pandas frame, a row a group: group, state, parameters, norms, lr (of the last phase; NaN before one)."""
        import pandas as pd

        return pd.DataFrame(self._rows(), columns=["group", "state", "parameters", "norms", "lr"])

    def plot(self) -> Chart:
        """The groups from input to head, as wide as they have parameters; the ice line where training begins."""
        return draw(self.groups, len(self.still), self.sentence)

    def _repr_html_(self) -> str:
        rated = any(group.lr is not None for group in self.groups)
        head = ["group", "state", "parameters", "norm layers", *(["learning rate"] if rated else [])]
        rows = [[n, s, f"{c:,}", m, *([f"{lr:.2g}" if lr else ""] if rated else [])] for n, s, c, m, lr in self._rows()]
        return html_value("What trains, what is still", self.sentence, html_table(head, rows))


def plan_of(model: nn.Module, cut: Cut, *, lrs: Sequence[float] | None = None, **known: Any) -> FreezePlan:
    """The FreezePlan that is true of `model` now; `known`: its costs and what it brought."""
    parameters = {id(p): p for p in model.parameters()}
    count = sum(p.numel() for p in parameters.values() if p.requires_grad)
    total = sum(p.numel() for p in parameters.values())
    groups = tuple(groups_of(model, cut, lrs))
    frozen = cut.frozen(model)
    loose = tuple(name for name, tensor in frozen.items() if tensor.requires_grad)
    return FreezePlan(groups, cut.groups[cut.first].name, cut.norms, count, total, cut.tied(frozen), loose, **known)


def groups_of(model: nn.Module, cut: Cut, lrs: Sequence[float] | None = None) -> LayerGroups:
    """The groups as a training batch finds them; nothing is touched, so that it may be asked while one runs."""
    return read(model, cut.groups, lrs, held=cut.modules(model)[0])
