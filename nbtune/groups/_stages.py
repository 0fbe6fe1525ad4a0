"""Cutting a model by its structure: the trunk is flattened, then divided where the resolution falls.

A stage is what works at one resolution, the usual meaning since VGG (Simonyan and Zisserman 2015). Blocks
that keep the resolution (transformers) are each a group, for discriminative rates (Howard and Ruder 2018).
"""

from __future__ import annotations

import re

from torch import nn

from nbtune.groups._names import Draft, block_name, last_name, leaf_name, name_stages, stem_name
from nbtune.groups._tree import (
    CONTAINERS,
    EARLY_NAME,
    Item,
    alike,
    blocks,
    children,
    divisible,
    has_parameters,
    is_convolution,
    is_pool,
    is_strided,
    join,
    leaves,
    size,
    starts_with_pooling,
    weight,
)

Cut = list[tuple[str, list[str]]]  # group name, paths of the subtrees that it holds

_STAGE_NAME = re.compile(r"(layer|stage)_?\d+$")
_STACKS = {"encoder", "decoder"}


def flatten(model: nn.Module, path: str = "") -> list[Item]:
    """The model's children; its trunk, the child that holds most of the weights, replaced by its own."""
    items = [Item(path, model)]
    while (at := _trunk(items)) is not None:
        inner = [Item(join(items[at].path, name), child) for name, child in children(items[at].module)]
        items[at : at + 1] = inner
    return items


def _trunk(items: list[Item]) -> int | None:
    if len(items) == 1:
        return 0 if divisible(items[0].module) else None
    sizes = [size(item.module) for item in items]
    at = max(range(len(items)), key=sizes.__getitem__)
    if 2 * sizes[at] <= sum(sizes) or not divisible(items[at].module) or starts_with_pooling(items[at].module):
        return None
    rest = [item.module for i, item in enumerate(items) if i != at]
    alone = not any(alike(items[at].module, other) for other in rest)
    if items[at].name in _STACKS and any(item.name in _STACKS - {items[at].name} for item in items):
        return None
    return at if alone and not _is_block(items, at) else None


def _is_block(items: list[Item], at: int) -> bool:
    """The only block of a list is a block still: without a list inside it is not taken apart."""
    module = items[at].module
    if isinstance(module, CONTAINERS):
        return False
    return not any(isinstance(part, CONTAINERS) for part in module.modules()) and weight(module) > 1


def by_structure(items: list[Item], grain: str) -> Cut:
    """Groups of flattened items, in order: stem or embeddings, stages or blocks, head."""
    items = [i for i in items if not i.is_auxiliary] + [i for i in items if i.is_auxiliary]
    body = _body(items)
    if not body:
        return _by_leaf(items, grain)
    first, last = body[0], body[-1] + 1
    early = _early(items[first:])
    drafts = _core([item for item in items[first:last] if item not in early])
    taken = early + _late(items[last:])
    tail = _tail([item for item in items[last:] if item not in taken], drafts[-1])
    name_stages(drafts, _is_staged(items[first:last]))
    drafts[0].items += _late(items[last:])
    stem = Draft(items[:first] + early)
    stem.name = stem_name(stem.items, drafts)
    fine = [part for draft in drafts for part in (_finer(draft) if _divides(draft, grain) else [draft])]
    return _cut([stem, *fine, *tail])


def _divides(draft: Draft, grain: str) -> bool:
    """Stacks of an encoder-decoder model are divided at both grains: their blocks keep the resolution."""
    return grain == "block" or draft.name in _STACKS


def _early(items: list[Item]) -> list[Item]:
    """Position embeddings are often registered after the blocks that use them."""
    early = [item for item in items if weight(item.module) < 2 and EARLY_NAME.search(item.name)]
    return early + [item for item in items if item.name == "LayerNorm" and item.home in _relative(items)]


def _late(items: list[Item]) -> list[Item]:
    """DeBERTa-v2's convolution works after the first block and is registered after the last."""
    return [item for item in items if item.name == "conv" and item.home in _relative(items)]


def _relative(items: list[Item]) -> set[str]:
    return {item.home for item in items if item.name == "rel_embeddings"}


def _body(items: list[Item]) -> list[int]:
    """Indices of the stages and blocks: heavy items that are neither embeddings nor head."""
    heavy = [i for i, item in enumerate(items) if weight(item.module) > 1 and not item.is_head]
    with_weights = [i for i, item in enumerate(items) if weight(item.module)]
    stack = bool(heavy) and items[heavy[-1]].name in _STACKS and bool(blocks(items[heavy[-1]]))
    if heavy and heavy[-1] == with_weights[-1] and not stack and not _has_kin(items, heavy[-1], heavy):
        heavy.pop()
    while len(heavy) > 1 and _is_first(items, heavy):
        heavy.pop(0)
    return heavy


def _has_kin(items: list[Item], at: int, among: list[int]) -> bool:
    return any(alike(items[at].module, items[i].module) for i in among if i != at)


def _is_first(items: list[Item], heavy: list[int]) -> bool:
    """Whether the first heavy item is a stem or embeddings: unlike all that follow, and named so."""
    name = items[heavy[0]].name
    return bool(EARLY_NAME.search(name)) and not _has_kin(items, heavy[0], heavy)


def _core(items: list[Item]) -> list[Draft]:
    staged = _is_staged(items)
    drafts: list[Draft] = []
    for item in items:
        _place(item, drafts, staged)
    return _without_loose_end(drafts)


def _is_staged(items: list[Item]) -> bool:
    """Whether single blocks are to be joined to stages: the resolution falls between them."""
    heavy = [item for item in items if weight(item.module) > 1]
    falls = any(is_strided(item.module) and not blocks(item) for item in heavy[1:])
    return falls or any(is_pool(item.module) for item in items)


def _without_loose_end(drafts: list[Draft]) -> list[Draft]:
    """A layer that lowers the resolution after the last block belongs to that block's group."""
    if len(drafts) > 1 and drafts[-1].kind == "down":
        drafts[-2].items += drafts.pop().items
    return drafts


def _place(item: Item, drafts: list[Draft], staged: bool) -> None:
    """Put `item` into the last group, or open one."""
    now = drafts[-1] if drafts else None
    load = weight(item.module)
    if now is None or _opens(item, load, now, staged):
        kind = "down" if load < 2 else "stage" if blocks(item) else "block"
        drafts.append(Draft([item], kind))
        return
    now.items.append(item)
    if load > 1:
        now.kind = "stage" if blocks(item) else "block"
    now.closed = now.closed or is_pool(item.module) or _ends_in_pool(item.module)


def _opens(item: Item, load: int, now: Draft, staged: bool) -> bool:
    if load == 0 or (item.is_head and load < 2):
        return False
    if load == 1:
        return now.closed or not (_ends_in_pool(item.module) or now.kind == "down")
    if now.kind == "down":
        return False
    named = bool(_STAGE_NAME.match(item.name))  # who calls a child layer3 means a stage, also at equal resolution
    return named or now.closed or bool(blocks(item)) or now.kind == "stage" or not staged or is_strided(item.module)


def _ends_in_pool(module: nn.Module) -> bool:
    last = [leaf for _, leaf in leaves("", module)][-1]
    return last is not module and is_pool(last)


def _finer(draft: Draft) -> list[Draft]:
    """The blocks of a stage as groups; what stands before its list goes with the first block."""
    flat = [part for item in draft.items for part in (blocks(item) or [item])]
    inner: list[Draft] = []
    for item in flat:
        _place(item, inner, False)
    inner = _without_loose_end(inner)
    if len(inner) == 1 and not any(blocks(item) for item in draft.items):
        return [draft]
    for number, part in enumerate(inner):
        part.name = block_name(draft.name, part, number)
    return inner


def _tail(items: list[Item], last: Draft) -> list[Draft]:
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
    draft = Draft(rest, "head")
    draft.name = last_name(draft)
    return [draft]


def _is_feature(item: Item) -> bool:
    if item.is_head or not has_parameters(item.module):
        return False
    return is_convolution(item.module) or isinstance(item.module, nn.modules.batchnorm._BatchNorm)


def _is_activation(module: nn.Module) -> bool:
    return type(module).__module__ == "torch.nn.modules.activation"


def _by_leaf(items: list[Item], grain: str) -> Cut:
    """Groups of a model without blocks: a layer each, or (for stages) what stands between two poolings."""
    pooled = sum(is_pool(item.module) for item in items) > 1
    drafts = _one_head(_runs(items, pooled))
    if len(drafts) > 1:
        _move_glue(drafts)
    for number, draft in enumerate(drafts, 1):
        draft.name = leaf_name(draft, number, pooled)
    drafts[-1].name = last_name(drafts[-1])
    if pooled and grain == "block":
        drafts = [fine for draft in drafts for fine in _convolutions(draft)]
    return _cut(drafts)


def _runs(items: list[Item], pooled: bool) -> list[Draft]:
    drafts = [Draft(kind="leaf")]
    begun = False
    for item in items:
        joins = pooled and is_convolution(item.module) and not drafts[-1].closed
        if weight(item.module) and begun and not joins:
            drafts.append(Draft(kind="leaf"))
        begun = begun or weight(item.module) > 0
        drafts[-1].items.append(item)
        drafts[-1].closed = drafts[-1].closed or is_pool(item.module)
    return drafts


def _convolutions(draft: Draft) -> list[Draft]:
    if not draft.name.startswith("stage"):
        return [draft]
    parts = _runs(draft.items, False)
    for number, part in enumerate(parts):
        part.name = f"{draft.name}.{number}"
    return parts


def _one_head(drafts: list[Draft]) -> list[Draft]:
    """An auxiliary or second head joins the last one."""
    heads = [any(item.is_head and weight(item.module) for item in draft.items) for draft in drafts]
    keep = next((i + 1 for i in reversed(range(len(heads))) if not heads[i]), 0)
    if keep in (0, len(drafts)):  # fc1, fc2, fc3: a network of its own, not three heads
        return drafts
    head = Draft([item for draft in drafts[keep:] for item in draft.items], "head")
    return [*drafts[:keep], head]


def _move_glue(drafts: list[Draft]) -> None:
    """Pooling to one number, flattening and dropout before the head belong to it."""
    before, head = drafts[-2].items, drafts[-1].items
    while before and not _stays(before[-1].module):
        head.insert(0, before.pop())


def _stays(module: nn.Module) -> bool:
    return has_parameters(module) or is_pool(module) or _is_activation(module)


def _cut(drafts: list[Draft]) -> Cut:
    return [(draft.name, [item.path for item in draft.items]) for draft in drafts if draft.items]
