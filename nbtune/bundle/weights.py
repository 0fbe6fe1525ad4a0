"""A model's tensors as safetensors and back: each stored once, ties kept, sizes checked before any allocation."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from nbtune.bundle.safefiles import file_size
from nbtune.errors import BundleError, InputError, InputTypeError

__all__ = ["as_bytes", "described", "fill", "mismatch", "read_header", "tensors_of", "ties_of"]

HEADER_LIMIT = 1 << 25  # 32 MiB of names and shapes: more than 100,000 tensors
TENSOR_LIMIT = 100_000
KINDS = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8,
    "BOOL": torch.bool,
}  # fmt: skip
Shape = tuple[int, ...]


def tensors_of(model: nn.Module) -> dict[str, Tensor]:
    """Every parameter and buffer by every name it has."""
    named: dict[str, Tensor] = dict(model.named_parameters(remove_duplicate=False))
    named.update(model.named_buffers(remove_duplicate=False))
    return named


def ties_of(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Names that share their memory with an earlier one: name -> that earlier name."""
    first: dict[Any, str] = {}
    ties = {}
    for name, tensor in tensors.items():
        # Empty tensors all lie at address 0.
        key = (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype) if tensor.numel() else id(tensor)
        if first.setdefault(key, name) != name:
            ties[name] = first[key]
    return ties


def described(model: nn.Module) -> tuple[dict[str, tuple[str, Shape]], dict[str, str]]:
    """What the weights file of this model would hold: (dtype, shape) by name, and the ties."""
    tensors = tensors_of(model)
    _check_storable(model, tensors)
    ties, kinds = ties_of(tensors), {dtype: name for name, dtype in KINDS.items()}
    return {n: (kinds[t.dtype], tuple(t.shape)) for n, t in tensors.items() if n not in ties}, ties


def as_bytes(model: nn.Module) -> tuple[bytes, dict[str, str]]:
    """All tensors in the safetensors format, and the ties. Raises InputError or InputTypeError."""
    tensors = tensors_of(model)
    _check_storable(model, tensors)
    ties = ties_of(tensors)
    kept = {name: _own(tensor) for name, tensor in tensors.items() if name not in ties}
    return to_bytes(kept), ties


def _own(tensor: Tensor) -> Tensor:
    tensor = tensor.detach().cpu().contiguous()
    whole = tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
    return tensor if whole else tensor.clone()


def _check_storable(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        lazy = is_lazy(tensor)
        if not lazy and not tensor.is_meta and tensor.layout == torch.strided and tensor.dtype in KINDS.values():
            continue
        raise InputTypeError(
            f"{name} is " + ("not made yet." if lazy else f"a {tensor.layout} {tensor.dtype} on {tensor.device}."),
            rule=f"a bundle keeps dense tensors of {', '.join(str(kind)[6:] for kind in KINDS.values())}.",
            likely=(why := _unstorable(tensor, lazy))[0],
            next=why[1],
        )
    extra = [name for name in model.state_dict() if name not in tensors]
    if extra:
        raise InputError(
            f"the model keeps state that is no tensor: {', '.join(extra[:3])}.",
            rule="a bundle holds parameters and buffers only, so that nothing in it is executed.",
            likely="a layer with get_extra_state().",
            next="self.register_buffer(name, tensor) in that layer",
        )


def _unstorable(tensor: Tensor, lazy: bool) -> tuple[str, str]:
    """Why safetensors cannot hold it, and what to do."""
    if lazy:
        return "lazy layers of a model that has seen no batch.", "model(batch) once, then save"
    if tensor.is_meta:
        return "a model that was described and not loaded (meta device).", "load its weights, then save"
    if tensor.layout != torch.strided:
        return "a sparse layer.", "parameter.data = parameter.data.to_dense(), then save"
    if tensor.is_complex():
        return "a complex layer.", "torch.view_as_real(tensor) in the layer, then save"
    return "a quantised model.", "save the model as it was before it was quantised"


def read_header(file: BinaryIO) -> dict[str, tuple[str, Shape]]:
    """Names -> (dtype, shape) of an open safetensors file, checked against its size. Raises BundleError."""
    size = file_size(file)
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > min(size - 8, HEADER_LIMIT):
        raise _broken(f"its header claims {length:,} bytes of {size:,}")
    try:
        entries = json.loads(file.read(length).decode(), object_pairs_hook=_no_twins)
    except (ValueError, RecursionError) as error:
        raise _broken(f"its header is no JSON ({str(error)[:80]})") from error
    if not isinstance(entries, dict) or len(entries) > TENSOR_LIMIT:
        raise _broken("its header is no table of at most 100,000 tensors")
    entries.pop("__metadata__", None)
    spans = sorted(_span(name, entry) for name, entry in entries.items())
    ends = [0, *(end for _, end in spans)]
    if [begin for begin, _ in spans] != ends[:-1] or ends[-1] != size - 8 - length:
        raise _broken("its tensors overlap, leave gaps, or do not fill the file")
    return {name: (entry["dtype"], tuple(entry["shape"])) for name, entry in entries.items()}


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a name stands twice")
    return table


def _span(name: str, entry: Any) -> tuple[int, int]:
    """Where a tensor lies, if its dtype, shape and offsets agree."""
    good = isinstance(entry, dict) and set(entry) == {"dtype", "shape", "data_offsets"}
    if not good or not isinstance(entry["dtype"], str) or entry["dtype"] not in KINDS:
        raise _broken(f"tensor {name[:60]!r} has no known dtype")
    shape, span = entry["shape"], entry["data_offsets"]
    if not (_counts(shape) and _counts(span) and len(span) == 2 and len(shape) <= 16):
        raise _broken(f"tensor {name[:60]!r} has no valid shape or offsets")
    if math.prod(shape) * KINDS[entry["dtype"]].itemsize != span[1] - span[0]:
        raise _broken(f"tensor {name[:60]!r} of shape {shape} does not fit its {span[1] - span[0]:,} bytes")
    return span[0], span[1]


def _counts(values: Any) -> bool:
    return isinstance(values, list) and all(type(v) is int and 0 <= v < 1 << 48 for v in values)


def _broken(what: str) -> BundleError:
    return BundleError(
        f"weights.safetensors cannot be read: {what}.",
        rule="header and sizes of the weights file agree with each other.",
        likely="a file that another program made, or that was altered together with bundle.json.",
        next="copy the bundle again from where it was saved, or save the model once more",
    )


def mismatch(model: nn.Module, shapes: Mapping[str, tuple[str, Shape]], ties: Mapping[str, str]) -> str:
    """The first thing in which stored tensors and the model differ, in words; empty when they agree."""
    tensors = tensors_of(model)
    given = {**{name: shapes[name] for name in shapes}, **{n: shapes.get(to, ("", ())) for n, to in ties.items()}}
    for what, names in (("lacks", tensors.keys() - given.keys()), ("has unknown", given.keys() - tensors.keys())):
        if names:
            return f"it {what} {len(names)} tensor{'s' * (len(names) > 1)}: {', '.join(sorted(names)[:3])}"
    if any(to not in shapes or name in shapes for name, to in ties.items()):
        return "its ties name tensors that are not stored once"
    for name, tensor in tensors.items():
        dtype, shape = given[name]
        if shape != tuple(tensor.shape):
            return f"{name} has shape {list(shape)} and not {list(tensor.shape)}"
        if KINDS[dtype] != tensor.dtype and not (KINDS[dtype].is_floating_point and tensor.is_floating_point()):
            return f"{name} has dtype {dtype} and not {tensor.dtype}"
    wrong = [(a, b) for a, b in ties_of(tensors).items() if ties.get(a, a) != ties.get(b, b)]
    return f"{wrong[0][0]} and {wrong[0][1]} are one tensor in the model and two in the file" if wrong else ""


def fill(model: nn.Module, path: Path, ties: Mapping[str, str]) -> None:
    """Put the tensors of a checked file into the model, on its devices, and tie what was tied."""
    tensors = tensors_of(model)
    with safe_open(path, framework="pt") as stored, torch.no_grad():
        for name in stored.keys():  # noqa: SIM118 - a safe_open is no mapping
            tensors[name].data = stored.get_tensor(name).to(tensors[name].device)
    for name, to in ties.items():
        owner, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(owner), leaf, tensors[to])
