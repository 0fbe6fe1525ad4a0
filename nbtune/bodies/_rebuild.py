"""From the name in a bundle to what makes that network: no download, no code but that of installed libraries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

__all__ = ["Rebuild", "maker_of"]


# What a bundle states is no business of who loads it: one kind of error, whatever the library raised.
_WRONG = (ValueError, RuntimeError, AttributeError, KeyError, AssertionError)


@dataclass(frozen=True)
class Rebuild:
    """Makes one architecture with fresh weights; `find(**kwargs)` gives what makes it for a number of outputs."""

    find: Callable[..., Any]

    def __call__(self, n_out: int, **kwargs: Any) -> nn.Module:
        """The network. Raises TypeError for arguments that make none."""
        try:
            made: nn.Module = self.find(**kwargs)(n_out, False)
        except _WRONG as error:
            raise TypeError(str(error).splitlines()[0] if str(error) else type(error).__name__) from error
        return made

    def count(self, n_out: int, **kwargs: Any) -> int | None:
        """Parameters, without allocating them; None where the network cannot be described so."""
        try:
            with torch.device("meta"):
                model: nn.Module = self.find(**kwargs)(n_out, False)
                return sum(p.numel() for p in model.parameters())
        except _WRONG:
            return None


def maker_of(name: str) -> Rebuild | None:
    """What makes the architecture of this name; None where there is none here."""
    from nbtune.bodies import of_fastai, of_hub, of_timm, of_torchvision, shipped

    if name == "letters":
        return Rebuild(lambda: shipped.letters().build)
    if name in of_torchvision.tags():
        return Rebuild(lambda size=None: of_torchvision.maker(name, size))
    if name in of_fastai.NAMES:
        return Rebuild(lambda size=None: of_fastai.maker(name, size))
    if name.startswith("timm:"):
        return Rebuild(lambda size=None: of_timm.maker(name.removeprefix("timm:"), size))
    return Rebuild(of_hub.maker) if name == "hf" else None
