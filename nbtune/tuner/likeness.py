"""What a run depends on, as texts by name, so that a run is only gone on with where all of it is the same."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from hashlib import blake2b
from typing import Any

import numpy as np
import torch

from nbtune._fastai.borrow import takes_part
from nbtune._fastai.data import seeded
from nbtune.cache import key_of
from nbtune.tuner.card import versions
from nbtune.tuner.states import tensors_of

__all__ = ["LOOSE", "differences", "likeness"]

LOOSE = ("version", "device", "workers")  # kinds that change bits, but not what is trained
_ITEMS = 8  # of a split, that are looked at


def likeness(learn: Any) -> dict[str, str]:
    """`"kind: detail"` -> text; the kind is what a message names."""
    found = {f"model: {name}": f"{str(t.dtype)[6:]} {list(t.shape)}" for name, t in tensors_of(learn.model).items()}
    layers = re.sub(r" at 0x[0-9a-f]+", "", repr(learn.model)).splitlines()
    found |= {f"model: line {number} of its repr": line.strip() for number, line in enumerate(layers, 1)}
    for split, loader in zip(("training", "validation"), learn.dls.loaders, strict=False):
        found |= {f"{kind}: {split}": text for kind, text in _of_loader(loader).items()}
    found["optimizer: its function"] = _text(learn.opt_func)
    found |= {f"optimizer: {name}": str(getattr(learn, name)) for name in ("wd", "moms", "wd_bn_bias", "train_bn")}
    found["loss: its function"] = _text(learn.loss_func)
    found["metrics: their names"] = ", ".join(str(metric.name) for metric in learn.metrics)
    foreign = [cb for cb in learn.cbs if not type(cb).__module__.startswith("nbtune") and takes_part(cb)]
    found["callbacks: of the Learner"] = ", ".join(type(callback).__name__ for callback in foreign)
    parameter = next(learn.model.parameters())
    found["device: of the model"] = str(parameter.device)
    return found | {f"version: {name}": number for name, number in versions().items()}


def _of_loader(loader: Any) -> dict[str, str]:
    """What a loader gives, and how."""
    dataset, fake = getattr(loader, "dataset", None), getattr(loader, "fake_l", loader)
    pipelines = [str(getattr(loader, stage)) for stage in ("after_item", "before_batch", "after_batch")
                 if hasattr(getattr(loader, stage, None), "fs")]  # fmt: skip
    order = getattr(loader, "shuffle", type(getattr(loader, "sampler", None)).__name__)
    return {
        "data": _items(dataset),
        "batch size": str(getattr(loader, "bs", getattr(loader, "batch_size", None))),
        "order of the data": f"shuffle {order}, drop_last {getattr(loader, 'drop_last', None)}",
        "workers": str(getattr(fake, "num_workers", 0)),
        "transforms": re.sub(r" at 0x[0-9a-f]+", "", "; ".join(pipelines)),
    }


def _items(dataset: Any) -> str:
    """How many items, and a digest of all ids or of a few items, where these are the same at every look."""
    if not hasattr(dataset, "__len__"):
        return "a stream"
    count = len(dataset)
    whole = [getattr(dataset, name) for name in ("x", "y") if isinstance(getattr(dataset, name, None), torch.Tensor)]
    if whole:
        files = getattr(getattr(dataset, "x", None), "source", None)  # pictures that are decoded at need
        contents = "" if files is None else f" and {files.digest.hex()[:12]}"
        return f"{count} items, digest {key_of(whole)[:12]}{contents}"
    places = sorted({round(at * (count - 1) / max(1, _ITEMS - 1)) for at in range(min(_ITEMS, count))})
    try:
        digests = [_digest(dataset, places) for _ in range(2)]
    except Exception:  # what is wrong with an item shows when it is trained on
        return f"{count} items"
    return f"{count} items" + (f", digest {digests[0]}" if digests[0] == digests[1] else "")


def _digest(dataset: Any, places: Sequence[int]) -> str:
    total = blake2b(digest_size=6)
    with seeded(0):
        for place in places:
            _add(total, dataset[place])
    return total.hexdigest()


def _add(total: Any, value: Any) -> None:
    if isinstance(value, (tuple, list)):
        for item in value:
            _add(total, item)
    elif isinstance(value, dict):
        for key, item in value.items():
            _add(total, (str(key), item))
    elif isinstance(value, torch.Tensor):
        total.update(key_of([value]).encode())
    elif isinstance(value, np.ndarray) or hasattr(value, "__array__"):
        total.update(np.ascontiguousarray(np.asarray(value)).tobytes())
    else:
        total.update(_text(value).encode())


def _text(value: Any) -> str:
    """A value, or a function by its name, without addresses in memory."""
    if isinstance(value, partial):
        given = [*map(_text, value.args), *(f"{name}={_text(item)}" for name, item in value.keywords.items())]
        return f"partial({', '.join([_text(value.func), *given])})"
    if callable(value) and hasattr(value, "__qualname__"):
        return str(value.__qualname__)
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def differences(was: Mapping[str, str], now: Mapping[str, str], but: Sequence[str] = ()) -> list[str]:
    """What differs, two details of each kind at most, in words; kinds in `but` are left out."""
    found: dict[str, list[str]] = {}
    for name in [*was, *(name for name in now if name not in was)]:
        kind, _, detail = name.partition(": ")
        if kind not in but and was.get(name) != now.get(name):
            found.setdefault(kind, []).append(f"{detail}: {was.get(name, 'none')}, now {now.get(name, 'none')}")
    return [
        f"{kind} ({'; '.join(details[:2])}{f'; and {len(details) - 2} more' if len(details) > 2 else ''})"
        for kind, details in found.items()
    ]
