"""What a module is made of: children, weights, norms, and the items a trunk flattens to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.utils.parametrize import ParametrizationList

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
_CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
_NORM_NAME = re.compile(r"(Norm|Norm2d|NormAct2d|NormAct|GroupNorm1|GRN)$")
HEAD_NAME = re.compile(
    r"(^|_)(head|heads|classifier|classification|fc|pooler|score|cls|lm_head|logits|aux\w*|auxlogits|qa_outputs)\d*$",
    re.IGNORECASE,
)
EARLY_NAME = re.compile(r"(^|_)(stem|embed\w*|patch_embed|rotary|rope|rel|pos|position)(_|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Item:
    """A subtree of the model that is not taken apart: dotted path, module, and its group if that is known."""

    path: str
    module: nn.Module
    label: str | None = None

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]

    @property
    def home(self) -> str:
        return self.path.rpartition(".")[0]

    @property
    def is_head(self) -> bool:
        return HEAD_NAME.search(self.name) is not None or starts_with_pooling(self.module)

    @property
    def is_auxiliary(self) -> bool:
        """A second head that looks at an earlier stage (GoogLeNet): trained with the head."""
        return self.name.lower().startswith("aux") and has_parameters(self.module)


def is_norm(module: nn.Module) -> bool:
    """Whether `module` normalises: torch's norm layers, and those of timm and transformers by class name.

    Example:
        >>> is_norm(nn.BatchNorm2d(3)), is_norm(nn.Linear(3, 3))
        (True, False)
    """
    if isinstance(module, _NORMS):
        return True
    # A block called "ConvNorm" holds a convolution and a norm: it has children that carry weights.
    named = _NORM_NAME.search(type(module).__name__) is not None
    return named and not any(True for child in module.children() for _ in child.parameters())


def children(module: nn.Module) -> list[tuple[str, nn.Module]]:
    """Named children, one that stands under two names included under both."""
    return [(name, child) for name, child in module._modules.items() if child is not None]


def is_leaf(module: nn.Module) -> bool:
    return not children(module)


def join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix and name else prefix or name


def leaves(path: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Every leaf module below `path`, in the order of registration."""
    for name, child in module.named_modules(remove_duplicate=False):
        if is_leaf(child):
            yield join(path, name), child


def has_tensors(module: nn.Module) -> bool:
    """Whether the module itself, not its children, owns a parameter (a parametrization keeps it below)."""
    return "parametrizations" in module._modules or any(p is not None for p in module._parameters.values())


def weight(module: nn.Module) -> int:
    """How many modules of the subtree own parameters and are no norms."""
    return sum(has_tensors(part) and not is_norm(part) for part in _plain(module))


def size(module: nn.Module) -> int:
    """How many modules of the subtree own parameters."""
    return sum(has_tensors(part) for part in _plain(module))


def divisible(module: nn.Module) -> bool:
    """Whether a child has parameters that are not merely the module's own in another form."""
    return any(has_parameters(child) for name, child in children(module) if name != "parametrizations")


def _plain(module: nn.Module) -> Iterator[nn.Module]:
    return (part for part in module.modules() if not isinstance(part, ParametrizationList))


def has_parameters(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None


def is_pool(module: nn.Module) -> bool:
    """Pooling that lowers the resolution by a factor, not to one number."""
    name = type(module).__name__
    return "Pool" in name and "Adaptive" not in name and not has_parameters(module)


def starts_with_pooling(module: nn.Module) -> bool:
    """Whether the first thing below is flattening or pooling to one number, as in a head."""
    first = next(leaf for _, leaf in leaves("", module))
    name = type(first).__name__
    return first is not module and (name == "Flatten" or ("Adaptive" in name and "Pool" in name))


def is_strided(module: nn.Module) -> bool:
    """Whether a convolution inside lowers the resolution."""
    return any(isinstance(part, _CONVS) and max(part.stride) > 1 for part in module.modules())


def is_convolution(module: nn.Module) -> bool:
    return any(isinstance(part, _CONVS) for part in module.modules())


def blocks(item: Item) -> list[Item]:
    """The blocks of a stage: a list whose heavy members are of one class; empty if `item` is no stage."""
    if isinstance(item.module, CONTAINERS):
        return _list(item)
    for name, child in children(item.module):
        if isinstance(child, CONTAINERS):
            inner = _list(Item(join(item.path, name), child))
            if inner and all(weight(part.module) > 1 for part in inner):
                return _beside(item, name, inner)
    return []


def _beside(item: Item, name: str, inner: list[Item]) -> list[Item]:
    """The list's members in place of the list among its siblings (a downsampling layer before it, say)."""
    out: list[Item] = []
    for key, child in children(item.module):
        out += inner if key == name else [Item(join(item.path, key), child)]
    return out


def _list(item: Item) -> list[Item]:
    parts = [Item(join(item.path, name), child) for name, child in children(item.module)]
    heavy = {type(part.module) for part in parts if weight(part.module) > 1}
    good = len(heavy) == 1 and not any(kind in CONTAINERS for kind in heavy)
    return parts if good else []


def alike(one: nn.Module, other: nn.Module) -> bool:
    """Whether two modules are stages or blocks of one kind."""
    if type(one) is not type(other):
        return False
    if not isinstance(one, CONTAINERS):
        return True
    return bool(_heavy_kinds(one) & _heavy_kinds(other))


def _heavy_kinds(module: nn.Module) -> set[type]:
    return {type(child) for _, child in children(module) if weight(child) > 1}
