"""Fused AdamW for fastai, whose weight decay leaves norms and biases alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nbtune._fastai import OptimWrapper

__all__ = ["LayeredAdamW", "layered_adamw", "stages"]


def decays(tensor: Tensor) -> bool:
    """Whether weight decay applies: to matrices and kernels, not to norms and biases, which have one axis."""
    return tensor.ndim > 1


def _as_lists(params: Any) -> list[list[Tensor]]:
    """fastai's groups, or one flat sequence of tensors, as a list of lists."""
    groups = list(params)
    if groups and isinstance(groups[0], Tensor):
        return [groups]
    return [list(group) for group in groups]


class LayeredAdamW(OptimWrapper):  # type: ignore[misc]
    """One parameter group a layer group to fastai, two to torch: decayed tensors and the others.

    fastai marks norms and biases by `do_wd`, which its `OptimWrapper` never reads (fastai 2.8). `hypers` shows the
    decayed half; setting `wd` never reaches the other half, which stays at 0. (AdamW: Loshchilov and Hutter 2019.)
    """

    def __init__(
        self, params: Any, lr: float = 1e-3, mom: float = 0.9, sqr_mom: float = 0.99, eps: float = 1e-5,
        wd: float = 0.01, **options: Any,
    ) -> None:  # fmt: skip
        self.layers = _as_lists(params)
        options = {"fused": True, **options}
        halves = list(_halves(self.layers, wd))
        opt = torch.optim.AdamW(halves, lr=lr, betas=(mom, sqr_mom), eps=eps, **options)
        super().__init__(opt=opt)

    @property
    def hypers(self) -> list[dict[str, Any]]:
        """One dict of fastai's hyper-parameter names for each layer group."""
        names = ("lr", "mom", "sqr_mom", "eps", "wd")  # read directly: fastai's own builds every dict anew, both halves
        return [
            dict(zip(names, (group["lr"], *group["betas"], group["eps"], group["weight_decay"]), strict=True))
            for group in self.opt.param_groups[::2]
        ]

    def _set_hyper(self, k: str, v: Sequence[Any]) -> None:
        twice = [value for one in v for value in (one, 0.0 if k == "wd" else one)]
        super()._set_hyper(k, twice)

    @property
    def param_lists(self) -> list[list[Tensor]]:
        """The tensors of each layer group, in the order in which they were given."""
        return self.layers

    @param_lists.setter
    def param_lists(self, v: Iterable[Iterable[Tensor]]) -> None:
        self.layers = [list(group) for group in v]
        for group, half in zip(self.opt.param_groups, _halves(self.layers, 0.0), strict=True):
            group["params"] = half["params"]


def _halves(layers: list[list[Tensor]], wd: float) -> Iterator[dict[str, Any]]:
    for layer in layers:
        yield {"params": [p for p in layer if decays(p)], "weight_decay": wd}
        yield {"params": [p for p in layer if not decays(p)], "weight_decay": 0.0}


def layered_adamw(params: Any, lr: float = 1e-3, **options: Any) -> LayeredAdamW:
    """A fastai `opt_func`: AdamW in one fused kernel; `wd`, `mom`, `sqr_mom`, `eps` as in fastai's Adam.

    Example:
        >>> opt = layered_adamw([[nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2))]], wd=0.1)
        >>> len(opt.param_lists), opt.hypers[0]["wd"]
        (1, 0.1)
    """
    return LayeredAdamW(params, lr=lr, **options)


def stages(model: nn.Module) -> list[list[nn.Parameter]]:
    """A fastai splitter by nbtune's own groups: a list of parameters each, a tied one in its first group only."""
    from nbtune.groups import split

    by_name = dict(model.named_parameters(remove_duplicate=False))
    seen: set[int] = set()
    lists: list[list[nn.Parameter]] = []
    for group in split(model):
        found = [by_name[name] for name in group.tensors if name in by_name]
        lists.append([p for p in found if not (id(p) in seen or seen.add(id(p)))])  # type: ignore[func-returns-value]
    return lists


Splitter = Callable[[nn.Module], list[list[nn.Parameter]]]
