"""Networks that fastai itself defines."""

from __future__ import annotations

from typing import Any

from fastai.vision.models import xresnet as models

__all__ = ["xresnet"]


def xresnet(name: str, n_out: int) -> Any:
    """One of fastai's XResNets with `n_out` scores and fresh weights."""
    return getattr(models, name)(n_out=n_out)
