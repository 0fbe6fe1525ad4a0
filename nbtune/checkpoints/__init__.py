"""Checkpoints: a run's state as safetensors and JSON, in a folder that holds a complete one at every moment."""

from __future__ import annotations

from nbtune._files import write_file
from nbtune.checkpoints.folder import RunFolder, holds_run
from nbtune.checkpoints.values import copied, is_plain

__all__ = ["RunFolder", "copied", "holds_run", "is_plain", "write_file"]
