"""Cutting a model by its structure: the trunk is flattened, then divided where the resolution falls or blocks end.

A stage is what works at one resolution, the usual meaning since VGG (Simonyan and Zisserman 2015); blocks that keep
the resolution (transformers) are each a group, as layer-wise learning rates treat them (Howard and Ruder 2018).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field

from torch import nn

from nbtune.groups._tree import (
    CONTAINERS,
    Item,
    alike,
    blocks,
    children,
    has_parameters,
    is_convolution,
    is_leaf,
    is_norm,
    is_pool,
    is_strided,
    join,
    leaves,
    weight,
)

Cut = list[tuple[str, list[str]]]  # group name, paths of the subtrees that it holds

_EARLY = re.compile(r"(^|_)(embed|embeddings?|rotary|rope|rel|pos|position)(_|$)", re.IGNORECASE)
_RESIDUAL = {"BasicBlock", "Bottleneck", "ResBlock"}


@dataclass
class _Draft:
    """A group in the making."""

    items: list[Item] = field(default_factory=list)
    kind: str = "stem"  # stem, down (waits for its stage), stage, block, leaf, head
    closed: bool = False
    name: str = ""


def flatten(model: nn.Module, path: str = "") -> list[Item]:
    """The model's children, its trunk (the child that holds most of the weights) replaced by its own, and so on."""
    items = [Item(path, model)]
    while (at := _trunk(items)) is not None:
        inner = [Item(join(items[at].path, name), child) for name, child in children(items[at].module)]
        if isinstance(items[at].module, nn.ModuleList):
            inner = [Item(part.path, part.module) for part in inner]
        items[at : at + 1] = inner
    return items


def _trunk(items: list[Item]) -> int | None:
    if len(items) == 1:
        return None if is_leaf(items[0].module) else 0
    sizes = [_size(item.module) for item in items]
    at = max(range(len(items)), key=sizes.__getitem__)
    if 2 * sizes[at] <= sum(sizes) or is_leaf(items[at].module):
        return None
    rest = [item.module for i, item in enumerate(items) if i != at]
    alone = not any(alike(items[at].module, other) for other in rest)
    return at if alone and not _is_block(items, at) else None


def _size(module: nn.Module) -> int:
    return sum(has_parameters(leaf) for _, leaf in leaves("", module))


def _is_block(items: list[Item], at: int) -> bool:
    """The only block of a list is a block still: without a list inside it is not taken apart."""
    module = items[at].module
    if isinstance(module, CONTAINERS):
        return False
    return not any(isinstance(part, CONTAINERS) for part in module.modules()) and weight(module) > 1


def by_structure(items: list[Item], grain: str) -> Cut:
    """Groups of flattened items, in order: stem or embeddings, stages or blocks, head."""
    items = _early_first(items)
    body = _body(items)
    if not body:
        return _by_leaf(items)
    first, last = body[0], body[-1] + 1
    core = _core(items[first:last], grain)
    tail = _tail(items[last:], core[-1])
    stem = _Draft(items[:first])
    drafts = _named(core)
    stem.name = _stem_name(stem.items, drafts)
    return _cut([stem, *drafts, *tail])


def _early_first(items: list[Item]) -> list[Item]:
    """Position embeddings are often registered after the blocks that use them."""
    heavy = [i for i, item in enumerate(items) if weight(item.module) > 1]
    start = heavy[0] if heavy else len(items)
    early = [item for item in items[start:] if weight(item.module) < 2 and _EARLY.search(item.name)]
    homes = {item.path.rpartition(".")[0] for item in early if item.name == "rel_embeddings"}
    early += [i for i in items[start:] if i.name == "LayerNorm" and i.path.rpartition(".")[0] in homes]
    return items[:start] + early + [item for item in items[start:] if item not in early]


def _body(items: list[Item]) -> list[int]:
    """Indices of the stages and blocks: heavy items that are no head."""
    heavy = [i for i, item in enumerate(items) if weight(item.module) > 1 and not item.is_head]
    with_weights = [i for i, item in enumerate(items) if weight(item.module)]
    if heavy and heavy[-1] == with_weights[-1]:
        others = [items[i].module for i in heavy[:-1]]
        if not any(alike(items[heavy[-1]].module, other) for other in others):
            heavy.pop()
    return heavy


def _core(items: list[Item], grain: str) -> list[_Draft]:
    single = [item for item in items if weight(item.module) > 1 and not blocks(item)]
    staged = any(is_strided(item.module) for item in single) or any(is_pool(item.module) for item in items)
    drafts: list[_Draft] = []
    for item in items:
        _place(item, drafts, staged and grain == "stage")
    if grain == "stage":
        return drafts
    named = _named(drafts)
    return [fine for draft in named for fine in _finer(draft)]


def _place(item: Item, drafts: list[_Draft], staged: bool) -> None:
    """Put `item` into the last group, or open one."""
    now = drafts[-1] if drafts else None
    size = weight(item.module)
    if now is None or _opens(item, size, now, staged):
        kind = "down" if size == 1 else "stage" if blocks(item) else "block"
        drafts.append(_Draft([item], kind))
        return
    now.items.append(item)
    if size > 1:
        now.kind = "stage" if blocks(item) else "block"
    now.closed = now.closed or is_pool(item.module) or _ends_in_pool(item.module)


def _opens(item: Item, size: int, now: _Draft, staged: bool) -> bool:
    if size == 0 or (item.is_head and size < 2):
        return False
    if size == 1:
        return now.closed or not (_ends_in_pool(item.module) or now.kind == "down")
    if now.kind == "down":
        return False
    return now.closed or bool(blocks(item)) or now.kind == "stage" or not staged or is_strided(item.module)


def _ends_in_pool(module: nn.Module) -> bool:
    last = [leaf for _, leaf in leaves("", module)][-1]
    return last is not module and is_pool(last)


def _finer(draft: _Draft) -> list[_Draft]:
    """The blocks of a stage as groups; what stands before its list goes with the first block."""
    at = next((i for i, item in enumerate(draft.items) if blocks(item)), None)
    if at is None:
        return [draft]
    inner: list[_Draft] = []
    for item in blocks(draft.items[at]):
        _place(item, inner, False)
    inner[0].items[:0] = draft.items[:at]
    inner[-1].items += draft.items[at + 1 :]
    for number, part in enumerate(inner):
        heavy = next(item for item in part.items if weight(item.module)) if number else part.items[0]
        own = [item.name for item in part.items if weight(item.module) > 1]
        word = own[-1] if own and not own[-1].isdigit() else str(number)
        part.name = f"{draft.name}.{word if heavy else number}"
    return inner


def _tail(items: list[Item], last: _Draft) -> list[_Draft]:
    """The head; convolutions and batch norms that still belong to the features go to the last stage."""
    weighted = [i for i, item in enumerate(items) if weight(item.module)]
    stop = weighted[-1] if weighted else 0
    body = [i for i in range(stop) if _is_feature(items[i])]
    cut = body[-1] + 1 if body else 0
    while body and cut < stop and _is_activation(items[cut].module):
        cut += 1
    last.items += items[:cut]
    rest = items[cut:]
    if not any(has_parameters(item.module) for item in rest):
        last.items += rest
        return []
    only_norm = [item.name for item in rest if has_parameters(item.module)] if not weighted else []
    return [_Draft(rest, "head", name=only_norm[0] if only_norm and not only_norm[0].isdigit() else "head")]


def _is_feature(item: Item) -> bool:
    if item.is_head or not has_parameters(item.module):
        return False
    return is_convolution(item.module) or isinstance(item.module, nn.modules.batchnorm._BatchNorm)


def _is_activation(module: nn.Module) -> bool:
    return type(module).__module__ == "torch.nn.modules.activation"


def _by_leaf(items: list[Item]) -> Cut:
    """Groups of a model without blocks: a layer each, or what stands between two poolings."""
    pooled = sum(is_pool(item.module) for item in items) > 1
    drafts: list[_Draft] = [_Draft(kind="leaf")]
    begun = False
    for item in items:
        joins = pooled and is_convolution(item.module) and not drafts[-1].closed
        if weight(item.module) and begun and not joins:
            drafts.append(_Draft(kind="leaf"))
        begun = begun or weight(item.module) > 0
        drafts[-1].items.append(item)
        drafts[-1].closed = drafts[-1].closed or is_pool(item.module)
    drafts = _one_head(drafts)
    for number, draft in enumerate(drafts, 1):
        draft.name = _leaf_name(draft, number, pooled)
    if len(drafts) > 1:
        _move_glue(drafts)
        drafts[-1].name = _last_name(drafts[-1])
    return _cut(drafts)


def _one_head(drafts: list[_Draft]) -> list[_Draft]:
    """An auxiliary or second head joins the last one."""
    keep = len(drafts)
    while keep > 1 and any(item.is_head and weight(item.module) for item in drafts[keep - 1].items):
        keep -= 1
    keep = min(max(keep, 1), len(drafts) - 1)
    if keep < 1:
        return drafts
    head = _Draft([item for draft in drafts[keep:] for item in draft.items], "head")
    return [*drafts[:keep], head]


def _move_glue(drafts: list[_Draft]) -> None:
    """Pooling to one number, flattening and dropout before the head belong to it."""
    before, head = drafts[-2].items, drafts[-1].items
    while before and not _stays(before[-1].module):
        head.insert(0, before.pop())


def _stays(module: nn.Module) -> bool:
    return has_parameters(module) or is_pool(module) or _is_activation(module)


def _leaf_name(draft: _Draft, number: int, pooled: bool) -> str:
    heads = [item for item in draft.items if has_parameters(item.module)]
    if pooled and any(is_convolution(item.module) for item in heads):
        return f"stage{number}"
    return _word(heads[0]) if heads else f"part{number}"


def _word(item: Item) -> str:
    return f"{type(item.module).__name__.lower()}{item.name}" if item.name.isdigit() else item.name


def _last_name(draft: _Draft) -> str:
    heavy = [item for item in draft.items if weight(item.module)]
    own = [item for item in heavy if weight(item.module) > 1 and not item.name.isdigit() and not item.is_head]
    return own[0].name if len(heavy) == 1 and own else "head"


def _named(drafts: list[_Draft]) -> list[_Draft]:
    """Give every stage or block its name: the child's own where it is a word, otherwise a number."""
    numbers = {"stage": 0, "block": -1}
    for draft in drafts:
        if draft.name:
            continue
        heavy = [item for item in draft.items if weight(item.module) > 1] or draft.items[:1]
        shared = any(weight(item.module) > 1 and blocks(item) for item in heavy) or _is_staged(drafts)
        kind = "stage" if shared else "block"
        numbers[kind] += 1
        draft.name = _common(heavy) or f"{_stage_word(heavy[0], kind)}{numbers[kind]}"
    return drafts


def _is_staged(drafts: list[_Draft]) -> bool:
    return any(sum(weight(item.module) > 1 for item in draft.items) > 1 for draft in drafts)


def _stage_word(item: Item, kind: str) -> str:
    inner = blocks(item)
    residual = bool(inner) and type(inner[0].module).__name__ in _RESIDUAL
    return "layer" if residual else kind


def _common(items: list[Item]) -> str:
    """A name of words that the items share (inception4a, inception4b: inception4), or nothing."""
    shared = os.path.commonprefix([item.name for item in items]).rstrip("_.-")
    return "" if not shared or shared.isdigit() else shared


def _stem_name(items: list[Item], drafts: list[_Draft]) -> str:
    parts = [part for item in items for part in item.module.modules()]
    if any(isinstance(part, nn.Embedding) for part in parts) or drafts[0].name.startswith("block0"):
        return "embeddings"
    owners = [item for item in items if has_parameters(item.module)]
    lone = len(owners) == 1 and not owners[0].name.isdigit() and not is_convolution(owners[0].module)
    return owners[0].name if lone else "stem"


def _cut(drafts: list[_Draft]) -> Cut:
    return [(draft.name, [item.path for item in draft.items]) for draft in drafts if draft.items]


def is_plain_norm(item: Item) -> bool:
    return is_norm(item.module)
