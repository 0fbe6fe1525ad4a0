"""Bundles that were mutated in any way are refused or load as what they were; nothing crashes, nothing else is read."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch

from nbtune.bundle import manifest
from nbtune.errors import NbtuneError
from test_bundle import FILES, four_parts, read, state, tree, write

pytestmark = pytest.mark.filterwarnings("ignore:A bundle holds no code")

Draw = random.Random
NAMES = [
    "../x",
    "/etc/passwd",
    "a/../../b",
    "con",
    "\0",
    "ß" * 300,
    "__class__",
    "os.system",
    "",
    ".",
    "~",
    "file:///x",
]
VALUES = [None, True, -1, 0, 2**31, 2**63, 10**400, 1e308, float("1e-320"), "", "x" * 10_000, [], {}, [[[]]], *NAMES]


def flipped(raw: bytes, draw: Draw) -> bytes:
    new = bytearray(raw)
    for _ in range(draw.randint(1, 8)):
        new[draw.randrange(len(new))] ^= 1 << draw.randrange(8)
    return bytes(new)


def cut(raw: bytes, draw: Draw) -> bytes:
    return raw[: draw.randrange(len(raw))]


def spliced(raw: bytes, draw: Draw) -> bytes:
    a, b = sorted(draw.randrange(len(raw)) for _ in range(2))
    return raw[:a] + draw.randbytes(draw.randint(0, 40)) + raw[b:] * draw.randint(0, 2)


def edited(data: Any, draw: Draw) -> None:
    """Change one place anywhere in a JSON value."""
    here = data
    while True:
        keys = list(here) if isinstance(here, dict) else list(range(len(here)))
        if not keys:
            return
        key = draw.choice(keys)
        if isinstance(here[key], dict | list) and here[key] and draw.random() < 0.75:
            here = here[key]
            continue
        act = draw.randrange(4)
        if act == 0 and isinstance(here, dict):
            here[draw.choice(NAMES)] = here.pop(key)
        elif act == 1:
            del here[key]
        elif act == 2 and isinstance(here[key], int) and not isinstance(here[key], bool):
            here[key] += draw.choice([-1, 1, 2**20, 2**62, -(2**40)])
        else:
            here[key] = draw.choice(VALUES)
        return


def resealed(files: dict[str, bytes], draw: Draw) -> dict[str, bytes]:
    """bundle.json edited by somebody who can seal it."""
    data = json.loads(files["bundle.json"])
    data.pop("sha256")
    for _ in range(draw.randint(1, 3)):
        edited(data, draw)
    try:
        return {**files, "bundle.json": manifest.render(data)}
    except (ValueError, UnicodeEncodeError):  # what cannot be written as JSON
        return {**files, "bundle.json": b"{}"}


def reweighted(files: dict[str, bytes], draw: Draw) -> dict[str, bytes]:
    """Another header of the weights, with the digest that it has: overlaps, huge shapes, other names."""
    raw = files["weights.safetensors"]
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    for _ in range(draw.randint(1, 3)):
        edited(header, draw)
    text = json.dumps(header).encode("utf-8", "surrogatepass")
    stated = len(text) if draw.random() < 0.8 else draw.choice([0, 1, 2**25 + 1, 2**40, 2**63])
    return true_digest(files, stated.to_bytes(8, "little") + text + raw[8 + length :])


def true_digest(files: dict[str, bytes], weights: bytes) -> dict[str, bytes]:
    data = json.loads(files["bundle.json"])
    data.pop("sha256")
    data["files"]["weights.safetensors"] = {"sha256": sha256(weights).hexdigest(), "bytes": len(weights)}
    return {**files, "weights.safetensors": weights, "bundle.json": manifest.render(data)}


def bytewise(change: Callable[[bytes, Draw], bytes]) -> Callable[[dict[str, bytes], Draw], dict[str, bytes]]:
    def act(files: dict[str, bytes], draw: Draw) -> dict[str, bytes]:
        name = draw.choice(FILES)
        return {**files, name: change(files[name], draw)}

    return act


def forged(change: Callable[[bytes, Draw], bytes]) -> Callable[[dict[str, bytes], Draw], dict[str, bytes]]:
    return lambda files, draw: true_digest(files, change(files["weights.safetensors"], draw))


MUTATIONS: dict[str, Callable[[dict[str, bytes], Draw], dict[str, bytes]]] = {
    "bits flipped": bytewise(flipped), "truncated": bytewise(cut), "spliced": bytewise(spliced),
    "bundle.json edited and sealed": resealed, "tensors' header edited": reweighted,
    "weights flipped, true digest": forged(flipped), "weights cut, true digest": forged(cut),
    "weights spliced, true digest": forged(spliced),
}  # fmt: skip


def fuzz(folder: Path, seed: int, count: int, seconds: float) -> Counter[str]:
    """Load mutated bundles; how many were refused, and how many loaded."""
    place = write(folder / "bundle")
    files, shapes = tree(place), {n: len(v) for n, v in state(read(place).module).items()}
    found: Counter[str] = Counter()
    ends, outside = time.monotonic() + seconds, sorted(folder.iterdir())
    for number in range(count):
        if time.monotonic() > ends:
            break
        draw = random.Random(seed * 1_000_003 + number)
        kind = draw.choice(list(MUTATIONS))
        for name, content in MUTATIONS[kind](files, draw).items():
            (place / name).write_bytes(content)
        try:
            model = read(place)
        except NbtuneError as error:
            four_parts(error)
            found[f"{kind}: refused"] += 1
        else:
            assert {n: len(v) for n, v in state(model.module).items()} == shapes, (seed, number)
            found[f"{kind}: loaded"] += 1
        assert sorted(folder.iterdir()) == outside, (seed, number)
        assert sorted(path.name for path in place.iterdir()) == sorted(FILES), (seed, number)
    return found


def report(found: Counter[str]) -> None:
    print("\n".join(f"{n:6,}  {kind}" for kind, n in sorted(found.items())), f"\n{found.total():6,}  in all")


def must_be_refused(found: Counter[str]) -> None:
    """A change of bytes that no digest covers can be harmless; one that a digest covers cannot."""
    for kind in ("bits flipped", "truncated"):
        assert found[f"{kind}: loaded"] == 0, found


@pytest.mark.survives("mutated bundles for 8 s", "refused with a four-part error, or of the same shapes")
def test_mutated_bundles_are_refused_or_sound(tmp_path: Path) -> None:
    seed = 0 if os.environ.get("CI") else random.SystemRandom().randrange(2**20)
    found = fuzz(tmp_path, seed, 1_000_000, 8.0)
    must_be_refused(found)
    assert found.total() > 100, found


@pytest.mark.fuzz
@pytest.mark.survives("mutated bundles for a minute, in two processes", "the same")
@pytest.mark.parametrize("seed", [2, 3])
def test_mutated_bundles_are_refused_or_sound_for_a_minute(seed: int, tmp_path: Path) -> None:
    found = fuzz(tmp_path, seed, 1_000_000, 60.0)
    report(found)
    must_be_refused(found)
    assert found.total() > 1000, found


@pytest.mark.faults
@pytest.mark.survives("10,000 mutated bundles: bits, cuts, JSON, hostile names, headers, offsets, shapes",
                      "refused with a four-part error, or of the same shapes; no other file; no crash")  # fmt: skip
def test_ten_thousand_mutated_bundles(tmp_path: Path) -> None:
    found = fuzz(tmp_path, 1, 10_000, 3600.0)
    report(found)
    must_be_refused(found)
    assert found.total() == 10_000


MEMORY = """
import json, resource, sys, warnings
warnings.simplefilter("ignore")
sys.path[:0] = [{tests!r}]
from test_fuzz import large
import nbtune as nt
from nbtune.bundle import load
peaks = []
for place in {places!r}:  # a small one first: then everything is imported
    try:
        load(place, architectures={{"large": large}})
    except nt.NbtuneError as error:
        assert "sha256" in str(error)
    peaks.append(1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
print(json.dumps(peaks))
"""


def large(n_out: int = 3, width: int = 8) -> torch.nn.Module:
    """64 numbers in; `width` decides how large the file is."""
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, width), torch.nn.Linear(width, width),
                               torch.nn.Linear(width, n_out))  # fmt: skip


def saved(folder: Path, width: int) -> Path:
    from nbtune.bundle import Architecture

    return write(folder, model=large(width=width), architecture=Architecture("large", {"n_out": 3, "width": width}),
                 architectures={"large": large}, groups=())  # fmt: skip


@pytest.mark.survives("a bundle of 36 MB, sound or damaged", "loading takes at most twice the file's size of memory")
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is counted in other units")
def test_loading_takes_at_most_twice_the_files_size(tmp_path: Path) -> None:
    small, damaged, sound = (saved(tmp_path / name, width) for name, width in [("s", 8), ("d", 3000), ("x", 3000)])
    size = (sound / "weights.safetensors").stat().st_size
    assert size > 36e6
    with open(damaged / "weights.safetensors", "r+b") as file:
        file.seek(size // 2)
        file.write(b"\xff\xfe\xfd")
    code = MEMORY.format(tests=str(Path(__file__).parent), places=[str(small), str(damaged), str(sound)])
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    before, *peaks = json.loads(out.splitlines()[-1])
    print([f"{(peak - before) / size:.2f} times the file" for peak in peaks])
    assert max(peaks) - before <= 2 * size
