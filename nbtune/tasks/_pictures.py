"""Picture files as items: looked at first, named by their place below a folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from nbtune._display import short
from nbtune.tasks._scan import scan
from nbtune.tasks.stacks import Files

__all__ = ["looked_at"]


def looked_at(paths: Sequence[Path], ids: Sequence[str]) -> tuple[Files, dict[str, str], list[str]]:
    """The files, what is wrong with some of them by id, and what will be done to others, in sentences."""
    looks = scan(paths)
    offenders = {name: look.problem for name, look in zip(ids, looks, strict=True) if look.problem}
    treated = Counter(word for look in looks if not look.problem for word in look.treated)
    size = sum(look.stamp[0] for look in looks)
    notes = [f"{len(looks):,} files of {short(size)}B were read and looked at."]
    if treated:
        notes.append("; ".join(f"{n:,} × {word}" for word, n in treated.items()) + ".")
    return Files(tuple(looks)), offenders, notes
