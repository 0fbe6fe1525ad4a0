"""Freezing that is true: still groups run in eval mode, without gradient, buffers included, and prove it."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

from nbtune._cut import Cut, Grouping, digests, grouping
from nbtune._display import html_value, short
from nbtune._fastai import Callback
from nbtune._fastai.feed import feeding
from nbtune._kept import Store
from nbtune.errors import FreezeError, InputError
from nbtune.groups import LayerGroup, LayerGroups, index_of, read

__all__ = ["FreezePlan", "FreezeProof", "Hold", "Still"]


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
    epoch: Any = None  # Cost: seconds an epoch under this plan, estimated
    full: Any = None  # Cost: seconds an epoch with every group training

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
        if self.epoch is not None:
            text += f"; about {self.epoch} an epoch"
            if self.full is not None and self.still:
                text += f", {self.full} with every group training"
        if self.tied:
            text += f"; still because shared with a still group: {', '.join(self.tied)}"
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
        return html_value("What trains, what is still", self.sentence, self.frame().to_html(index=False))


class Hold:
    """A model whose groups before the cut are held still, until `release()`; also a context manager.

    Raises FreezeError if nothing would be left to train.
    """

    def __init__(self, model: nn.Module, cut: Cut, *, hook: bool = False) -> None:
        self.model, self.cut = model, cut
        self._wanted = [(p, p.requires_grad) for p in model.parameters()]
        self._held, self._following = cut.modules(model)
        self.renew()
        self._hook = model.register_forward_pre_hook(self._enforce) if hook else None

    def renew(self) -> None:
        """Enforce the cut again (somebody may have unfrozen or loaded weights) and begin a new proof."""
        live = {id(p) for _, named in self.cut.live(self.model) for _, p in named}
        if not live:
            raise FreezeError(
                f"with {self.cut.groups[self.cut.first].name!r} as the first group to train, no tensor would.",
                rule="at least one group with parameters trains.",
                likely="the groups that should train have no parameters, or share them with still groups.",
                next="freeze fewer groups.",
            )
        for parameter in self.model.parameters():
            if parameter.is_floating_point() or parameter.is_complex():
                parameter.requires_grad_(id(parameter) in live)
            if id(parameter) not in live:
                parameter.grad = None
        self._before = digests(self.cut.frozen(self.model))
        self.digest = hashlib.blake2b(repr(sorted(self._before.items())).encode(), digest_size=16).hexdigest()

    def modes(self) -> None:
        """Put the still part in eval mode (its following norms in training mode) if the model trains."""
        if not self.model.training:
            return
        for module in self._held:
            module.training = False
        for module in self._following:
            module.training = True

    def _enforce(self, *_: Any) -> None:
        self.modes()

    def proof(self) -> FreezeProof:
        """Compare every frozen tensor with what it was when the hold began."""
        now = digests(self.cut.frozen(self.model))
        changed = tuple(name for name, digest in self._before.items() if now.get(name) != digest)
        return FreezeProof(len(self._before), changed)

    def release(self) -> None:
        """Let go: `requires_grad` and hooks as they were."""
        for parameter, wanted in self._wanted:
            parameter.requires_grad_(wanted)
        if self._hook is not None:
            self._hook.remove()

    def __enter__(self) -> Hold:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class Still(Callback):  # type: ignore[misc]
    """Hold the groups before `first` still: in a fastai fit as a callback, on a bare module by `apply`.

    `first`: the first group that trains, by name or by index (negative from the end, as in fastai).
    `norms`: `"still"`, `"stats"` or `"train"` (see `Cut`). `groups`: `"stage"`, `"block"`, `"learner"`, a
    callable or groups. `cache`: `"auto"` trains from what the still part computes, kept, whenever that is the
    same training; `"on"` insists, `"off"` never does. After a fit `.proof` says whether the still part stayed
    so (a false proof warns), `.cached` whether the fit was fed from kept features, `.why` why or why not.

    Example:
        >>> learn.fit(4, 1e-3, cbs=nt.Still("head"))            # doctest: +SKIP
        >>> with nt.Still("layer4").apply(model): train(model)  # doctest: +SKIP
    """

    order = 88  # after whatever else changes training modes
    run_valid = False
    takes_part = True

    def __init__(
        self,
        first: int | str = -1,
        norms: str = "still",
        *,
        groups: Grouping = "stage",
        cache: str = "auto",
        store: Store | None = None,
    ) -> None:
        super().__init__()
        self.first, self.norms, self.grain, self.cache = first, norms, groups, check_cache(cache)
        self.store = Store() if store is None else store
        self.hold: Hold | None = None
        self.proof: FreezeProof | None = None
        self.cached, self.why = False, ""
        self.feed = ExitStack()

    def cut(self, model: nn.Module, splitter: Any = None) -> Cut:
        """Where this cuts `model`. Raises FreezeError for an unknown group or grain."""
        groups = grouping(model, self.grain, splitter)
        return Cut(groups, index_of(groups, self.first), self.norms)

    def apply(self, model: nn.Module) -> Hold:
        """Hold a bare module still until the returned Hold is released; `model.train()` cannot undo it."""
        return Hold(model, self.cut(model), hook=True)

    @property
    def learn(self) -> Any:
        return self.__dict__.get("_learn")

    @learn.setter
    def learn(self, learn: Any) -> None:
        # fastai sets this to None when it removes the callback, also after an interrupt: the one sure signal.
        if learn is None and "feed" in self.__dict__:
            self.feed.close()
            if self.hold is not None:
                self.hold.release()
            self.__dict__["hold"] = None
        self.__dict__["_learn"] = learn

    def before_fit(self) -> None:
        self.feed.close()  # of a fit that raised
        if self.hold is None:
            self.hold = Hold(self.learn.model, self.cut(self.learn.model, self.learn.splitter))
        else:
            self.hold.renew()
        self.why = 'The cache is "off".'
        if self.cache != "off":
            self.why = self.feed.enter_context(feeding(self.learn, self.hold.cut, self.store, self.hold.digest))
        self.cached = not self.why
        if self.cached:
            self.why = f"The still part ran once: {self.store!r}"
        elif self.cache == "on":
            raise _cannot_keep(self.why)

    def before_train(self) -> None:
        cast(Hold, self.hold).modes()

    def before_batch(self) -> None:
        cast(Hold, self.hold).modes()

    def after_fit(self) -> None:
        self.feed.close()
        self.proof = cast(Hold, self.hold).proof()
        if not self.proof:
            warnings.warn(f"nbtune: {self.proof!r}", stacklevel=2)


def check_cache(cache: Any) -> str:
    """`cache` if it is a known word. Raises InputError."""
    if cache not in ("auto", "on", "off"):
        raise InputError(
            f"cache={cache!r}.",
            rule='cache is "auto", "on" or "off".',
            likely="True or False instead of a word.",
            next='cache="auto" uses it whenever that is the same training.',
        )
    return str(cache)


def _cannot_keep(why: str) -> InputError:
    return InputError(
        f'cache="on" for a fit that cannot be fed from kept features: {why}',
        rule="the still part runs first, the items reach it unchanged, and nothing else needs the input.",
        likely="augmentation, mixup, or a cut in the middle of a skip connection.",
        next='cache="auto", which trains live where it must; or augment=False.',
    )


def plan_of(model: nn.Module, cut: Cut, *, epoch: Any = None, full: Any = None) -> FreezePlan:
    """The FreezePlan that is true of `model` now; `epoch` and `full` are its costs."""
    parameters = {id(p): p for p in model.parameters()}
    live = sum(p.numel() for p in parameters.values() if p.requires_grad)
    total = sum(p.numel() for p in parameters.values())
    groups = tuple(groups_of(model, cut))
    return FreezePlan(groups, cut.groups[cut.first].name, cut.norms, live, total, cut.tied(model), epoch, full)


def groups_of(model: nn.Module, cut: Cut, lrs: Sequence[float] | None = None) -> LayerGroups:
    """The groups as they are in training: flags are put as a training batch would find them, read, put back."""
    flags = [(module, module.training) for module in model.modules()]
    model.train()
    held, following = cut.modules(model)
    for module in held:
        module.training = False
    for module in following:
        module.training = True
    try:
        return read(model, cut.groups, lrs)
    finally:
        for module, flag in flags:
            module.training = flag


@torch.no_grad()
def reinitialise(model: nn.Module) -> None:
    """Draw every weight anew by its module's own `reset_parameters`.

    Raises FreezeError if a module has parameters but no such method.
    """
    own = [m for m in model.modules() if next(iter(m.parameters(recurse=False)), None) is not None]
    without = [type(m).__name__ for m in own if not hasattr(m, "reset_parameters")]
    if without:
        raise FreezeError(
            f"the model cannot be drawn anew: {', '.join(sorted(set(without)))} have no reset_parameters.",
            rule="from_scratch needs a way to draw every weight.",
            likely="tokens or embeddings that are bare parameters.",
            next="build the Learner on an untrained model and use recipes.plain instead.",
        )
    for module in own:
        cast(Any, module).reset_parameters()
