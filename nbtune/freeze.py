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
        return html_value("What trains, what is still", self.sentence, self.frame().to_html(index=False))


class Hold:
    """A model whose groups before the cut are held still, until `release()`; also a context manager.

    Raises FreezeError if nothing would be left to train.
    """

    def __init__(self, model: nn.Module, cut: Cut, *, hook: bool = False, prove: bool = True) -> None:
        self.model, self.cut, self.prove = model, cut, prove
        wanted = [(p, p.requires_grad) for p in model.parameters()]
        flags, mode = [(m, m.training) for m in model.modules()], model.training
        self._wanted, self._flags, self._mode = wanted, flags, mode
        self._hook: Any = None
        self.renew()
        if hook:
            self.watch()

    def inherit(self, other: Hold) -> None:
        """Give back what `other` found, not what it made: it may be released first."""
        if other.model is self.model:
            self._wanted, self._flags, self._mode = other._wanted, other._flags, other._mode

    def renew(self) -> None:
        """Enforce the cut again (somebody may have unfrozen or loaded weights) and begin a new proof."""
        self.cut.check(self.model)
        live = {id(parameter) for group in self.cut.lists(self.model) for parameter in group}
        self._held, _ = self.cut.modules(self.model)
        self._fixed = [p for p in self.model.parameters() if id(p) not in live]
        for parameter in self.model.parameters():
            if id(parameter) in live:
                parameter.requires_grad_(True)
        self.enforce()
        self._before = digests(self.cut.frozen(self.model)) if self.prove else {}
        self.digest = hashlib.blake2b(repr(sorted(self._before.items())).encode(), digest_size=16).hexdigest()

    def enforce(self, *_: Any) -> None:
        """The still part takes no gradient and, while the model trains, is in eval mode; whoever changed that."""
        for parameter in self._fixed:
            if parameter.requires_grad:
                parameter.requires_grad_(False)
            parameter.grad = None
        if self.model.training:
            for module in self._held:
                module.training = False

    def watch(self) -> None:
        """Enforce before every forward pass, until `release` or `unwatch`."""
        self.unwatch()
        self._hook = self.model.register_forward_pre_hook(self.enforce)

    def unwatch(self) -> None:
        if self._hook is not None:
            self._hook.remove()
            self._hook = None

    def proof(self) -> FreezeProof:
        """Compare every frozen tensor with what it was when the hold began."""
        now = digests(self.cut.frozen(self.model))
        changed = tuple(name for name, digest in self._before.items() if now.get(name) != digest)
        return FreezeProof(len(self._before), changed)

    def release(self) -> None:
        """Let go: `requires_grad`, training flags and hooks as they would be without the hold."""
        self.unwatch()
        for parameter, wanted in self._wanted:
            parameter.requires_grad_(wanted)
        same, held = self.model.training == self._mode, {id(module) for module in self._held}
        for module, flag in self._flags:
            if id(module) in held:
                module.training = flag if same else self.model.training

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
    prove = True  # False: no digests, where only the cost is asked

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
        self.cached, self.why, self.begun = False, "", False
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
            for other in self._others():  # whose part it may have given back
                other.enforce()
            self.__dict__["hold"] = None
        self.__dict__["_learn"] = learn

    def _others(self) -> list[Hold]:
        """What other callbacks of this kind hold on the same Learner."""
        stills = [cb for cb in getattr(self.learn, "cbs", []) if isinstance(cb, Still) and cb is not self]
        return [still.hold for still in stills if still.hold is not None]

    def before_fit(self) -> None:
        self.feed.close()  # of a fit that raised
        self.begun = False

    def before_train(self) -> None:
        # Not in before_fit: fastai runs that for validate, get_preds and predict too, on any data.
        if not self.begun:
            self._begin()
        cast(Hold, self.hold).enforce()

    def _begin(self) -> None:
        self.begun = True
        self.proof = None
        if self.hold is not None and self.hold.model is not self.learn.model:
            self.hold.release()
            self.hold = None
        if self.hold is None:
            self.hold = Hold(self.learn.model, self.cut(self.learn.model, self.learn.splitter), prove=self.prove)
            for other in self._others():
                self.hold.inherit(other)
        else:
            self.hold.renew()
        self.hold.watch()
        self.why = 'The cache is "off".'
        if any(isinstance(other, Still) and other is not self for other in self.learn.cbs):
            self.why = "Two callbacks hold this model still, so it is trained live."
        elif self.cache != "off":
            self.why = self.feed.enter_context(feeding(self.learn, self.hold.cut, self.store, self.hold.digest))
        self.cached = not self.why
        if self.cached:
            self.why = f"The still part ran once: {self.store!r}"
        elif self.cache == "on":
            raise _cannot_keep(self.why)

    def after_fit(self) -> None:
        self.feed.close()
        if not self.begun or self.hold is None:
            return
        self.hold.unwatch()
        self.proof = self.hold.proof()
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


def plan_of(model: nn.Module, cut: Cut, *, live: Any = None, kept: Any = None) -> FreezePlan:
    """The FreezePlan that is true of `model` now; `live` and `kept` are its costs."""
    parameters = {id(p): p for p in model.parameters()}
    count = sum(p.numel() for p in parameters.values() if p.requires_grad)
    total = sum(p.numel() for p in parameters.values())
    groups = tuple(groups_of(model, cut))
    loose = tuple(name for name, tensor in cut.frozen(model).items() if tensor.requires_grad)
    return FreezePlan(groups, cut.groups[cut.first].name, cut.norms, count, total, cut.tied(model), loose, live, kept)


def groups_of(model: nn.Module, cut: Cut, lrs: Sequence[float] | None = None) -> LayerGroups:
    """The groups as they are in training: flags are put as a training batch would find them, read, put back."""
    flags = [(module, module.training) for module in model.modules()]
    model.train()
    for module in cut.modules(model)[0]:
        module.training = False
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
            next="build a Learner on an untrained model and give it nt.Recipe((nt.Phase(10, lr=1e-2),)).",
        )
    for module in own:
        cast(Any, module).reset_parameters()
