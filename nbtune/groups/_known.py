"""Models whose own library says how they divide: timm's matcher, and fastai's text, tabular, collab and U-Net."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from typing import Any

from torch import nn

from nbtune.groups._stages import Cut, by_structure, flatten
from nbtune.groups._tree import HEAD_NAME, children, has_tensors, join, leaves


def find(model: nn.Module, grain: str) -> tuple[str, Cut] | None:
    """Path and groups of the outermost part that is known, or None."""
    for path, module in model.named_modules():
        for known, how in _KNOWN.items():
            if known in {kind.__name__ for kind in type(module).__mro__}:
                return path, how(path, module, grain)
        if type(module).__module__.startswith("timm.") and hasattr(module, "group_matcher"):
            cut = timm(path, module, grain)
            return (path, cut) if len(cut) > 1 else None
    return None


def around(model: nn.Module, path: str, cut: Cut) -> Cut:
    """Groups of the whole model: what stands before the known part goes first, what stands after it is the head."""
    before: list[str] = []
    after: list[str] = []
    at, module = "", model
    for step in path.split(".") if path else []:
        seen = False
        for name, child in children(module):
            seen = seen or name == step
            if name != step:
                (after if seen else before).append(join(at, name))
        at, module = join(at, step), module.get_submodule(step)
    out = [(name, list(paths)) for name, paths in cut]
    out[0] = (out[0][0], before + out[0][1])
    return _with_head(out, after)


def _with_head(cut: Cut, paths: list[str]) -> Cut:
    if not paths:
        return cut
    if cut[-1][0] == "head":
        return [*cut[:-1], ("head", cut[-1][1] + paths)]
    return [*cut, ("head", paths)]


def awd_lstm(path: str, module: nn.Module, grain: str) -> Cut:
    """Embeddings, each recurrent layer with its dropout (as fastai's own splitter)."""
    rnns = [name for name, _ in children(module.get_submodule("rnns"))]
    drops = [name for name, _ in children(module.get_submodule("hidden_dps"))]
    taken = {"rnns", "hidden_dps"}
    cut = [("embeddings", [join(path, name) for name, _ in children(module) if name not in taken])]
    for name in rnns:
        own = [join(path, f"rnns.{name}")] + [join(path, f"hidden_dps.{d}") for d in drops if d == name]
        cut.append((f"rnn{name}", own))
    return cut


def dot_bias(path: str, module: nn.Module, grain: str) -> Cut:
    """User factors, item factors, and the biases that are added last."""
    names = {"u_weight": "users", "i_weight": "items"}
    cut: dict[str, list[str]] = {"users": [], "items": [], "head": []}
    for name, _ in children(module):
        cut[names.get(name, "head")].append(join(path, name))
    return list(cut.items())


def tabular(path: str, module: nn.Module, grain: str) -> Cut:
    """Embeddings with the normalised continuous columns, each hidden layer, head."""
    first = [join(path, name) for name, _ in children(module) if name != "layers"]
    steps = [join(path, f"layers.{name}") for name, _ in children(module.get_submodule("layers"))]
    owners = [i for i, step in enumerate(steps) if any(True for _ in _sub(module, path, step).parameters())]
    last = owners[-1]
    hidden = [(f"layers.{i}", [steps[i]]) for i in range(last)]
    return [("embeds", first), *hidden, ("head", steps[last:])]


def unet(path: str, module: nn.Module, grain: str) -> Cut:
    """The encoder's stages; the decoder, which is never pretrained, is the head (as fastai's own splitter)."""
    encoder = join(path, "layers.0")
    cut = by_structure(flatten(module.get_submodule("layers.0"), encoder), grain)
    rest = [join(path, f"layers.{name}") for name, _ in children(module.get_submodule("layers"))[1:]]
    return [*cut, ("head", rest)]


def _sub(module: nn.Module, path: str, full: str) -> nn.Module:
    return module.get_submodule(full[len(path) + 1 :] if path else full)


_KNOWN: dict[str, Callable[[str, nn.Module, str], Cut]] = {
    "AWD_LSTM": awd_lstm,
    "EmbeddingDotBias": dot_bias,
    "TabularModel": tabular,
    "DynamicUnet": unet,
}


def timm(path: str, module: nn.Module, grain: str) -> Cut:
    """Groups by the model's own `group_matcher`; what has no weights goes with what stands before it."""
    matcher: Any = module.group_matcher(coarse=grain == "stage")  # type: ignore[operator]
    named = list(module.named_parameters(remove_duplicate=False))
    groups: dict[int, list[str]] = import_module("timm.models._manipulate").group_with_matcher(named, matcher)
    owner = {tensor.rpartition(".")[0]: group for group, tensors in groups.items() for tensor in tensors}
    paths: dict[int, list[str]] = {group: [] for group in groups}
    for leaf, group in _leaf_groups(module, owner, max(groups)).items():
        paths[group].append(join(path, leaf))
    names = _timm_names(groups, matcher)
    return [(names[group], paths[group]) for group in sorted(groups) if paths[group]]


def _leaf_groups(module: nn.Module, owner: dict[str, int], last: int) -> dict[str, int]:
    every = [(name, leaf) for name, leaf in leaves("", module)]
    known = [owner.get(name) if has_tensors(leaf) else _above(name, owner) for name, leaf in every]
    body = max((i for i, group in enumerate(known) if group is not None and group < last), default=-1)
    out, now = {}, 0
    for i, (name, _) in enumerate(every):
        group = known[i]
        if group is None:
            inside = i > 0 and name.partition(".")[0] == every[body][0].partition(".")[0]
            group = now if i < body or inside else last
        out[name] = now = group
    return out


def _above(name: str, owner: dict[str, int]) -> int | None:
    """The group of the nearest module above that owns tensors (an activation inside a norm, say)."""
    while name:
        name = name.rpartition(".")[0]
        if name in owner and name:
            return owner[name]
    return None


def _timm_names(groups: dict[int, list[str]], matcher: Any) -> dict[int, str]:
    specs = _patterns(matcher) if isinstance(matcher, dict) else []
    names: dict[int, str] = {}
    for group in sorted(groups):
        hits = Counter(_hit(tensor, specs) for tensor in groups[group])
        word = hits.most_common(1)[0][0].rpartition("features.")[2].strip("._")
        first, last = group == min(groups), group == max(groups)
        if first and not re.search(r"\d$", word):
            word = "stem"
        elif last and (not _any_hit(groups[group][-1], specs) or HEAD_NAME.search(word)):
            word = "head"
        names[group] = word
    return names


def _patterns(matcher: dict[str, Any]) -> list[re.Pattern[str]]:
    out: list[re.Pattern[str]] = []
    for spec in matcher.values():
        for one in spec if isinstance(spec, (list, tuple)) else [spec]:
            pattern = one[0] if isinstance(one, (list, tuple)) else one
            out += [re.compile(pattern)] if pattern is not None else []
    return out


def _any_hit(tensor: str, specs: list[re.Pattern[str]]) -> bool:
    return any(spec.match(tensor) for spec in specs)


def _hit(tensor: str, specs: list[re.Pattern[str]]) -> str:
    """The part of a tensor's name that put it into its group: "stages.0" of "stages.0.blocks.1.gamma"."""
    found = next((m for spec in specs if (m := spec.match(tensor))), None)
    if found:
        return found.group(0)
    numbered = re.match(r"^(.*?\d+)(\.|$)", tensor)
    return numbered.group(1) if numbered else tensor.partition(".")[0]
