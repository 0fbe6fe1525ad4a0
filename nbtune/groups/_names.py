"""Groups in the making, and the names that people know them by."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from torch import nn

from nbtune.groups._tree import Item, blocks, has_parameters, is_convolution, is_leaf, weight

_RESIDUAL = {"BasicBlock", "Bottleneck", "ResBlock"}


@dataclass
class Draft:
    """A group in the making."""

    items: list[Item] = field(default_factory=list)
    kind: str = "stem"  # stem, down (waits for its stage), stage, block, leaf, head
    closed: bool = False
    name: str = ""


def block_name(stage: str, part: Draft, number: int) -> str:
    """layer1.0; the child's own name where it is a word (denseblock1.denselayer1, inception4a)."""
    word = next(item.name for item in reversed(part.items) if weight(item.module) > 1)
    if word.isdigit():
        return f"{stage}.{number}"
    return word if word.startswith(stage) else f"{stage}.{word}"


def leaf_name(draft: Draft, number: int, pooled: bool) -> str:
    heads = [item for item in draft.items if has_parameters(item.module)]
    if pooled and any(is_convolution(item.module) for item in heads):
        return f"stage{number}"
    return _word(heads[0]) if heads else f"part{number}"


def _word(item: Item) -> str:
    if not item.name.isdigit():
        return item.name or "head"
    if is_leaf(item.module):
        return f"{type(item.module).__name__.lower()}{item.name}"
    return "stem" if item.name == "0" and is_convolution(item.module) else f"part{item.name}"


def last_name(draft: Draft) -> str:
    """ "head", or the child's own name where it is something else (a decoder, a final norm)."""
    owners = [item for item in draft.items if has_parameters(item.module)]
    other = not owners[0].is_head and not owners[0].name.isdigit()
    alone = len(owners) == 1 and other and weight(owners[0].module) != 1
    return owners[0].name if alone else "head"


def name_stages(drafts: list[Draft], staged: bool) -> None:
    """Give every stage or block its name: the child's own where it is a word, otherwise a number."""
    heavy = [[item for item in draft.items if weight(item.module) > 1] or draft.items[:1] for draft in drafts]
    staged = staged or any(len(items) > 1 or blocks(items[0]) for items in heavy)
    kind, number = ("stage", 1) if staged else ("block", 0)
    for draft, items in zip(drafts, heavy, strict=True):
        word = _common(items)
        draft.name = word if staged or not re.search(r"_layer_\d+$", word) else ""
        if not draft.name:
            draft.name = f"{_stage_word(items[0], kind)}{number}"
            number += 1


def _stage_word(item: Item, kind: str) -> str:
    inner = blocks(item)
    residual = bool(inner) and type(inner[0].module).__name__ in _RESIDUAL
    return "layer" if residual else kind


def _common(items: list[Item]) -> str:
    """A name of words that the items share (inception4a, inception4b: inception4), or nothing."""
    shared = _prefix([item.name for item in items]).rstrip("_.-")
    return "" if not shared or shared.isdigit() else shared


def stem_name(items: list[Item], drafts: list[Draft]) -> str:
    parts = [part for item in items for part in item.module.modules()]
    if any(isinstance(part, nn.Embedding) for part in parts) or drafts[0].name.startswith("block0"):
        return "embeddings"
    owners = [item for item in items if has_parameters(item.module)]
    lone = len(owners) == 1 and not owners[0].name.isdigit() and not is_convolution(owners[0].module)
    return owners[0].name if lone else "stem"


def _prefix(words: list[str]) -> str:
    same = [len(set(letters)) == 1 for letters in zip(*words, strict=False)]
    return words[0][: same.index(False) if False in same else len(same)]
