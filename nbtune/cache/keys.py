"""Keys of kept features: a digest of all that they depend on."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import torch

from nbtune._cut import digests
from nbtune._nested import tensors

__all__ = ["key_of", "state_of"]


def key_of(*parts: Any) -> str:
    """A digest of all that the features depend on; tensors by their bits."""
    total = hashlib.sha256()
    for part in parts:
        found = tensors(part) if not isinstance(part, (str, int, bool)) else []
        bits = digests({str(number): tensor for number, tensor in enumerate(found)})
        total.update(repr(sorted(bits.items()) if found else part).encode())
    return total.hexdigest()[:32]


def state_of(dataset: Any) -> str | None:
    """A digest of all that `dataset` holds; None where it holds what cannot be told (an open file, a socket).

    Arrays and tables count by content, paths by name, size and time of change, functions by their code.
    """
    hashed = _Hashed()
    try:
        _State(hashed, protocol=5).dump(dataset)
    except Exception:  # pickling runs the dataset's own code, which may raise anything
        return None
    return hashed.total.hexdigest()[:32]


class _Hashed:
    """A file that keeps nothing but the digest of what is written to it."""

    def __init__(self) -> None:
        self.total = hashlib.sha256()

    def write(self, data: Any) -> int:
        self.total.update(data)
        return memoryview(data).nbytes


class _State(pickle.Pickler):
    """Pickles for the digest alone: nothing is ever read back."""

    def persistent_id(self, thing: Any) -> Any:
        if isinstance(thing, torch.Tensor):
            return "tensor", key_of([thing])
        if isinstance(thing, Path):
            found = thing.stat() if thing.is_file() else None
            return "path", str(thing), (found.st_size, found.st_mtime_ns) if found else None
        if isinstance(thing, CodeType):
            consts = [const if isinstance(const, CodeType) else repr(const) for const in thing.co_consts]
            return "code", thing.co_code, thing.co_names, consts
        return None

    def reducer_override(self, thing: Any) -> Any:
        # Local functions and lambdas, which pickle would refuse, with all that they close over.
        if isinstance(thing, FunctionType):
            outside = [_content(cell) for cell in thing.__closure__ or ()]
            if thing.__module__ == "__main__":  # a notebook's own: what it reads of the notebook's variables counts
                held = [thing.__globals__.get(name) for name in thing.__code__.co_names]
                outside += [value for value in held if not isinstance(value, ModuleType)]
            return str, (thing.__qualname__, thing.__code__, thing.__defaults__, thing.__kwdefaults__, outside)
        return NotImplemented


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not yet filled
        return None
