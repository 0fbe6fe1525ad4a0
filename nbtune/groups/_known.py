"""Models whose own library says how they divide: timm's matcher; fastai's text, tabular, collab, U-Net."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from typing import Any

from torch import nn

from nbtune.groups._stages import Cut, by_structure, flatten
from nbtune.groups._tree import HEAD_NAME, children, join, leaves

_BODY = re.compile(r"(blocks?|stages?|layers?|features)\W?\d|\d+$")


def find(model: nn.Module, grain: str) -> tuple[str, Cut] | None:
    """Path and groups of the outermost part that is known, or None."""
    for path, module in model.named_modules():
        kinds = {kind.__name__ for kind in type(module).__mro__}
        for known, (needs, how) in _KNOWN.items():
            if known in kinds and all(_has(module, name) for name in needs):
                return path, how(path, module, grain)
        if type(module).__module__.startswith("timm.") and hasattr(module, "group_matcher"):
            cut = timm(path, module, grain)
            # Numbers say nothing to a person (timm's VGG has a group a convolution): then by structure.
            return None if len(cut) < 2 or any(name.isdigit() for name, _ in cut) else (path, cut)
    return None


def around(model: nn.Module, path: str, cut: Cut) -> Cut:
    """The whole model: what stands before the known part goes first, what stands after it is the head."""
    before: list[str] = []
    after: list[str] = []
    at, module = "", model
    for step in path.split(".") if path else []:
        seen = False
        for name, _ in children(module):
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
    drops = [name for name, _ in children(dict(children(module)).get("hidden_dps", nn.Identity()))]
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
    """The encoder's stages; the decoder, never pretrained, is the head (as fastai's own splitter)."""
    encoder = join(path, "layers.0")
    cut = by_structure(flatten(module.get_submodule("layers.0"), encoder), grain)
    rest = [join(path, f"layers.{name}") for name, _ in children(module.get_submodule("layers"))[1:]]
    return [*cut, ("head", rest)]


def _sub(module: nn.Module, path: str, full: str) -> nn.Module:
    return module.get_submodule(full[len(path) + 1 :] if path else full)


def _has(module: nn.Module, name: str) -> bool:
    """Whether the child is there and has parameters: another library may use the same class name."""
    child = dict(children(module)).get(name)
    return child is not None and any(True for _ in child.parameters())


_KNOWN: dict[str, tuple[tuple[str, ...], Callable[[str, nn.Module, str], Cut]]] = {
    "AWD_LSTM": (("encoder", "rnns"), awd_lstm),
    "EmbeddingDotBias": (("u_weight", "i_weight"), dot_bias),
    "TabularModel": (("layers",), tabular),
    "DynamicUnet": (("layers",), unet),
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
    """Group of every leaf: its tensors' own, else that of the nearest module above, if that is one, else the
    group before; after the body, the last."""
    below: dict[str, set[int]] = {}
    for name, group in owner.items():
        for above in _ancestors(name):
            below.setdefault(above, set()).add(group)
    every = [name for name, _ in leaves("", module)]
    sure = {name: next(iter(found)) for name in every if len(found := _nearest(name, below)) == 1}
    body = max((i for i, name in enumerate(every) if sure.get(name, last) < last), default=-1)
    out: dict[str, int] = {}
    now = 0
    for i, name in enumerate(every):
        out[name] = now = sure.get(name, now if i < body else last)
    return out


def _ancestors(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:i]) for i in range(len(parts), 0, -1)]


def _nearest(name: str, below: dict[str, set[int]]) -> set[int]:
    return next((below[above] for above in _ancestors(name) if above in below), set())


def _timm_names(groups: dict[int, list[str]], matcher: Any) -> dict[int, str]:
    specs = _patterns(matcher) if isinstance(matcher, dict) else []
    names: dict[int, str] = {}
    for group in sorted(groups):
        hits = Counter(_hit(tensor, specs) for tensor in groups[group])
        word = hits.most_common(1)[0][0].rpartition("features.")[2].strip("._")
        matched = any(spec.match(groups[group][-1]) for spec in specs)
        if group == min(groups) and not _BODY.match(word):
            word = "stem"
        elif group == max(groups) and (not matched or HEAD_NAME.search(word)):
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


def _hit(tensor: str, specs: list[re.Pattern[str]]) -> str:
    """The part of a tensor's name that put it into its group: "stages.0" of "stages.0.blocks.1.gamma"."""
    found = next((m for spec in specs if (m := spec.match(tensor))), None)
    if found:
        return found.group(0)
    head, _, rest = tensor.partition(".")
    number = re.match(r"\d+(?=\.)", rest)
    return f"{head}.{number.group(0)}" if number else head
