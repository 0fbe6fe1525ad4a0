"""A run's folder: each checkpoint is a JSON file that names and seals its tensors' files; the rename of it counts.

`checkpoint-000007.json` refers to `state-000007.safetensors` (model, optimizer, random streams) and to
`best-2-5-1a2b3c4d.safetensors` (the best state, named by phase, epoch and digest), each with its SHA-256. The
newest two checkpoints are kept. A process that dies anywhere in between leaves the older one whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from safetensors import SafetensorError
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes
from torch import Tensor

from nbtune._files import lies_in, sync_folder, write_file, write_part
from nbtune.checkpoints.lock import Lock
from nbtune.checkpoints.values import pack, unpack
from nbtune.errors import BundleError, MissingFileError

__all__ = ["RunFolder", "holds_run"]

SCHEMA = 1
_LIMIT = 1 << 26  # bytes of a checkpoint's JSON: what is long in it lies with the tensors
_CHECKPOINT = re.compile(r"checkpoint-(\d{6,12})\.json")
_OURS = re.compile(r"(checkpoint-\d+\.json|(state-\d+|best-\d+-\d+-[0-9a-f]{8})\.safetensors)(\.[0-9a-f]{32}\.tmp)?")


def holds_run(folder: Path) -> bool:
    """Does the folder hold a checkpoint?"""
    return bool(_numbers(folder))


def _numbers(folder: Path) -> list[int]:
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return sorted(int(found[1]) for name in names if (found := _CHECKPOINT.fullmatch(name)))


class RunFolder:
    """Checkpoints of one run, one after the other."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._number = max(_numbers(path), default=0)
        self._best: tuple[Any, dict[str, str]] | None = None  # the best state, and its file's name and digest
        self._lock = Lock(path)

    def claim(self) -> None:
        """Be the process that writes here. Raises TrainingError, which names another that does, or OSError."""
        self._lock.take()
        self._number = max([self._number, *_numbers(self.path)])  # another Tuner may have written since

    def save(self, value: Mapping[str, Any], best: Mapping[str, Tensor] | None, position: tuple[int, int]) -> None:
        """Write `value` as the newest checkpoint; `best`: the best state, made at `position` (phase, epoch).

        Raises OSError; what was there before is whole then. TrainingError where another process has the folder now.
        """
        number = self._number + 1
        tensors: dict[str, Tensor] = {}
        packed = pack(value, tensors)
        state = to_bytes(tensors)
        files = {f"state-{number:06d}.safetensors": state}
        named = {"state": {"name": next(iter(files)), "sha256": hashlib.sha256(state).hexdigest()}}
        if best is not None:
            named["best"] = self._best_file(files, best, position)
        content = {"schema": SCHEMA, "files": named, "value": packed}
        self._write({**files, f"checkpoint-{number:06d}.json": _seal(content)})
        self._lock.take()
        self._number = number
        self._tidy()

    def _best_file(self, files: dict[str, bytes], best: Any, position: tuple[int, int]) -> dict[str, str]:
        """Name and digest of the best state's file, which is added to `files` where it is not there yet."""
        known = self._best is not None and self._best[0] is best
        if known and (self.path / cast(Any, self._best)[1]["name"]).exists():
            return cast(Any, self._best)[1]  # type: ignore[no-any-return]
        content = to_bytes(dict(best))
        digest = hashlib.sha256(content).hexdigest()
        entry = {"name": f"best-{position[0]}-{position[1]}-{digest[:8]}.safetensors", "sha256": digest}
        self._best = (best, entry)
        files[entry["name"]] = content
        return entry

    def _write(self, files: Mapping[str, bytes]) -> None:
        """The files, the last one last; a folder that is not there appears whole, by one rename."""
        if self.path.is_dir():
            for name, content in files.items():
                write_file(self.path / name, content)
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = write_part(self.path, files)
        try:
            os.replace(part, self.path)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        sync_folder(self.path.parent)

    def _tidy(self) -> None:
        """Remove what neither of the two newest checkpoints names, and what was left half written."""
        keep: set[str] = set()
        for number in _numbers(self.path)[-2:]:
            name = f"checkpoint-{number:06d}.json"
            named = _read_json(self.path / name) or {"files": {}}
            keep |= {name, *(entry["name"] for entry in named["files"].values())}
        for path in list(self.path.iterdir()):
            if path.name not in keep and _OURS.fullmatch(path.name):
                path.unlink(missing_ok=True)

    def load(self) -> tuple[dict[str, Any], dict[str, Tensor] | None]:
        """The newest complete checkpoint's value and its best state.

        Raises MissingFileError where there is none, BundleError where none is whole.
        """
        numbers = _numbers(self.path)
        if not numbers:
            raise _no_run(self.path)
        for number in reversed(numbers):
            content = _read_json(self.path / f"checkpoint-{number:06d}.json")
            if content is None or (found := self._files(content)) is None:
                continue
            if number != numbers[-1]:
                warnings.warn("nbtune: the newest checkpoint is damaged; the one before it is used.", stacklevel=3)
            state, best = found
            return unpack(content["value"], state), best
        raise BundleError(
            f"{str(self.path)!r}, of which no checkpoint is whole.",
            rule="a checkpoint and the files that it names have the digests that were written.",
            likely="the files were changed, or copied while they were written.",
            next="take the folder from a backup, or begin a run in another one.",
        )

    def _files(self, content: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Tensor] | None] | None:
        """State and best as the checkpoint names them; None where a digest does not fit."""
        found: dict[str, dict[str, Tensor] | None] = {"best": None}
        for kind, entry in content["files"].items():
            if not _OURS.fullmatch(entry["name"]) or not lies_in(self.path, entry["name"]):
                return None
            raw = (self.path / entry["name"]).read_bytes()
            if hashlib.sha256(raw).hexdigest() != entry["sha256"]:
                return None
            try:
                found[kind] = from_bytes(raw)
            except SafetensorError:
                return None
        return (found["state"], found["best"]) if found.get("state") is not None else None  # type: ignore[return-value]


def _seal(content: Any) -> bytes:
    text = json.dumps(content, allow_nan=False)
    return json.dumps({"sha256": hashlib.sha256(text.encode()).hexdigest(), "checkpoint": content}).encode()


def _read_json(path: Path) -> dict[str, Any] | None:
    """A checkpoint whose digest fits, else None. Raises BundleError for one of a later schema."""
    try:
        if not lies_in(path.parent, path.name) or path.stat().st_size > _LIMIT:
            return None
        whole = json.loads(path.read_bytes())
        content = whole["checkpoint"]
        good = hashlib.sha256(json.dumps(content).encode()).hexdigest() == whole["sha256"]
        schema = content["schema"]
        named = [entry["name"] + entry["sha256"] for entry in content["files"].values()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    if not good or not set(content["files"]) <= {"state", "best"} or not all(isinstance(n, str) for n in named):
        return None
    if schema != SCHEMA:
        raise BundleError(
            f"{path.name} has schema {content['schema']}.",
            rule=f"this nbtune reads checkpoints of schema {SCHEMA}.",
            likely="another version of nbtune wrote it.",
            next="pip install --upgrade nbtune",
        )
    return dict(content)


def _no_run(path: Path) -> MissingFileError:
    return MissingFileError(
        f"{str(path)!r}, which {'holds no run' if path.is_dir() else 'is no folder'}.",
        rule="a run's folder holds checkpoint-*.json and the files that they name.",
        likely="another path, or a run that was never begun.",
        next='begin one: nt.Tuner(learn, run_dir="...").fit(1)',
    )
