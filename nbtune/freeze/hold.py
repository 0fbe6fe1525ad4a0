"""Hold a model's still part still, whoever unfreezes it or switches its modes."""

from __future__ import annotations

import hashlib
from typing import Any, cast

import torch
from torch import nn

from nbtune._cut import Cut, digests
from nbtune.errors import FreezeError
from nbtune.freeze.plan import FreezeProof

__all__ = ["Hold", "reinitialise"]


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
            if parameter.grad is not None:
                parameter.grad = None
        if self.model.training:
            for module in self._held:
                if module.training:
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
        """Compare every frozen tensor with what it was when the hold began (with none where `prove` is False)."""
        if not self.prove:
            return FreezeProof(0, ())
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


@torch.no_grad()
def reinitialise(model: nn.Module) -> None:
    """Draw every weight anew by its module's own `reset_parameters`.

    Raises FreezeError if a module has parameters but no such method.
    """
    own = [m for m in model.modules() if next(iter(m.parameters(recurse=False)), None) is not None]
    without = sorted({type(m).__name__ for m in own if not hasattr(m, "reset_parameters")})
    if without:
        raise FreezeError(
            f"the model cannot be drawn anew: its modules of type {', '.join(without)} have no reset_parameters.",
            rule="every module that holds weights of its own draws them anew by reset_parameters.",
            likely="a token, a position embedding or a scale that a module keeps as a bare parameter.",
            next="build a Learner on an untrained model and give it nt.Recipe((nt.Phase(10, lr=1e-2),)).",
        )
    for module in own:
        cast(Any, module).reset_parameters()
