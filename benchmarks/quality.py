"""Does `task.quality` find what was planted? `python benchmarks/quality.py --seeds 5`.

Real handwritten digits with faults put in on purpose: 5 % of the labels of train and valid swapped; exact and near
copies of training items inside of train; exact and near copies of test items in train. A near copy is turned by up to
12°, made darker on a brighter ground, given noise, or re-encoded as JPEG; "all" does all four. Recall is the share of
planted faults that is listed; precision is the share of what is listed that was planted. Digits that really are near
duplicates of each other count against precision, and so do labels that were wrong before: both are lower bounds. The
thresholds were chosen on seeds from 100 on, without the test split; the table is of seeds from 0 on. The peer is
cleanlab's find_label_issues at its defaults, on probabilities by the same probe from the same features, read once.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
from PIL import Image

import nbtune as nt
from nbtune.tasks import Items

OUT = Path(__file__).with_name("QUALITY.md")
HEADER = "# Planted faults, found\n\nWritten by `python benchmarks/quality.py --seeds 5`."
SWAPPED, COPIES = 0.05, 30


def jpeg(picture: Any, draw: Any) -> Any:
    """Stored as JPEG of a quality of 50 to 80 and read again."""
    stored = BytesIO()
    Image.fromarray(picture).save(stored, "JPEG", quality=int(draw.randint(50, 81)))
    return np.asarray(Image.open(stored))


def turned(picture: Any, draw: Any) -> Any:
    """Turned by 4° to 12° either way."""
    degrees = draw.uniform(4, 12) * draw.choice([-1, 1])
    return np.asarray(Image.fromarray(picture).rotate(degrees, Image.Resampling.BILINEAR))


def brightness(picture: Any, draw: Any) -> Any:
    """Multiplied by 0.6 to 0.85, and 10 to 30 added: darker strokes on a brighter ground."""
    return np.clip(picture * draw.uniform(0.6, 0.85) + draw.uniform(10, 30), 0, 255).astype(np.uint8)


def noise(picture: Any, draw: Any) -> Any:
    """Gaussian noise of a standard deviation of 10 to 20 of 255."""
    return np.clip(picture + draw.normal(0, draw.uniform(10, 20), picture.shape), 0, 255).astype(np.uint8)


def every(picture: Any, draw: Any) -> Any:
    """All four after another."""
    return jpeg(noise(brightness(turned(picture, draw), draw), draw), draw)


def exact(picture: Any, draw: Any) -> Any:
    return picture


KINDS: dict[str, Callable[[Any, Any], Any]] = {
    "exact": exact, "turned": turned, "brightness": brightness, "noise": noise, "jpeg": jpeg, "all": every,
}  # fmt: skip


def swapped(task: nt.Task, share: float, seed: int) -> tuple[nt.Task, dict[str, int]]:
    """The task with a share of the labels of train and valid changed to another class, and their true classes."""
    draw, truth, parts = np.random.RandomState(seed), {}, {}
    for split in ("train", "valid"):
        items = getattr(task, split)
        y = items.y.copy()
        chosen = draw.choice(len(y), round(share * len(y)), replace=False)
        truth |= {items.ids[at]: int(y[at]) for at in chosen}
        y[chosen] = (y[chosen] + draw.randint(1, len(task.vocab), len(chosen))) % len(task.vocab)
        parts[split] = replace(items, y=y)
    return replace(task, **parts), truth


def copied(task: nt.Task, kind: str, n: int, seed: int) -> tuple[nt.Task, dict[str, str]]:
    """The task with copies of `n` training and `n` test items put into train: the new id of each original."""
    draw = np.random.RandomState(seed)
    x, y, ids, truth = [task.train.x], [task.train.y], list(task.train.ids), {}
    for split in ("train", "test"):
        items = getattr(task, split)
        for at in draw.choice(len(items), n, replace=False):
            x.append(KINDS[kind](items.x[at], draw)[None])
            y.append(items.y[at : at + 1])
            ids.append(f"{items.ids[at]} {kind}")
            truth[ids[-1]] = items.ids[at]
    return replace(task, train=Items(np.concatenate(x), np.concatenate(y), tuple(ids))), truth


def labels(task: nt.Task, body: Any, seed: int) -> dict[str, float]:
    """Recall, precision and how often the right class is named, of swapped labels."""
    faulty, truth = swapped(task, SWAPPED, seed)
    began = time.perf_counter()
    found = faulty.quality(body, seed=seed).wrong_labels
    spent = time.perf_counter() - began
    hits = [row for row in found.itertuples() if row.item in truth]
    named = fmean(int(row.label) == truth[row.item] for row in hits) if hits else 0.0
    return {"recall": len(hits) / len(truth), "precision": len(hits) / max(1, len(found)), "named": named,
            "seconds": spent}  # fmt: skip


def peer(task: nt.Task, seed: int) -> dict[str, float]:
    """The same of cleanlab, on the features of the letters' body."""
    from cleanlab.filter import find_label_issues  # type: ignore[import-not-found,import-untyped,unused-ignore]

    from nbtune.questions.linear import crossed
    from nbtune.questions.pooling import pooled

    faulty, truth = swapped(task, SWAPPED, seed)
    began, body = time.perf_counter(), nt.bodies.get("letters")
    x, y = (np.concatenate([getattr(faulty.train, name), getattr(faulty.valid, name)]) for name in ("x", "y"))
    ids = faulty.train.ids + faulty.valid.ids
    batches = [body.normalise(body.prepare(x[at : at + 64])) for at in range(0, len(x), 64)]
    vectors = pooled(nt.features(body.make(10), -2, batches)[0])[0].numpy()
    probs = crossed(vectors, y, seed, lambda: False, lambda: None).probs
    doubted = list(np.flatnonzero(find_label_issues(y, probs, n_jobs=1)))
    hits = [at for at in doubted if ids[at] in truth]
    named = fmean(int(probs[at].argmax()) == truth[ids[at]] for at in hits) if hits else 0.0
    return {"recall": len(hits) / len(truth), "precision": len(hits) / max(1, len(doubted)), "named": named,
            "seconds": time.perf_counter() - began}  # fmt: skip


def duplicates(task: nt.Task, body: Any, kind: str, seed: int) -> dict[str, float]:
    """Recall and precision of copies of one kind, and recall of those across splits alone."""
    faulty, truth = copied(task, kind, COPIES, seed)
    began = time.perf_counter()
    found = faulty.quality(body, seed=seed).duplicates
    spent = time.perf_counter() - began
    pairs = {frozenset((row.item, row.twin)) for row in found.itertuples()}
    planted = {frozenset(pair) for pair in truth.items()}
    across = {frozenset(pair) for pair in truth.items() if pair[1] in set(task.test.ids)}
    return {"recall": len(pairs & planted) / len(planted), "precision": len(pairs & planted) / max(1, len(pairs)),
            "across": len(pairs & across) / len(across), "seconds": spent}  # fmt: skip


def spread(values: list[float]) -> str:
    """Mean and standard deviation over seeds."""
    return f"{fmean(values):.3f} ± {stdev(values):.3f}" if len(values) > 1 else f"{fmean(values):.3f}"


def row(planted: str, by: str, runs: list[dict[str, float]], more: str) -> str:
    """Print a line of the table, and give it back."""
    shown = [spread([run[name] for run in runs]) for name in ("recall", "precision")]
    seconds = fmean(run["seconds"] for run in runs)
    return said(f"| {planted} | {by} | {' | '.join(shown)} | {more} | {seconds:.1f} |")


def said(line: str) -> str:
    print(line, flush=True)
    return line


def main() -> None:
    """Print the table; a run of five seeds and every kind stores it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--only", nargs="*", choices=("labels", *KINDS), default=("labels", *KINDS))
    given = parser.parse_args()
    seeds, task = range(given.first, given.first + given.seeds), nt.tasks.digits()
    sizes = f"{len(task.train):,} training, {len(task.valid)} validation, {len(task.test)} test digits"
    lines = [said(f"{sizes}; seeds {list(seeds)}, mean ± standard deviation over them.\n")]
    lines += [said("| planted | by | recall | precision | more | seconds |\n|---|---|---|---|---|---|")]
    for name, way in (
        ("letters", lambda seed: labels(task, "letters", seed)),
        ("cleanlab", lambda seed: peer(task, seed)),
    ):
        if "labels" in given.only:
            runs = [way(seed) for seed in seeds]
            named = f"right class named {spread([run['named'] for run in runs])}"
            lines.append(row("labels swapped, 5 %", name, runs, named))
    for kind in KINDS:
        if kind in given.only:
            runs = [duplicates(task, "letters", kind, seed) for seed in seeds]
            across = f"recall across splits {spread([run['across'] for run in runs])}"
            lines.append(row(f"copies, {kind}", "letters", runs, across))
    if "exact" in given.only:
        clean = task.quality("letters")
        counts = f"{len(clean.duplicates)} duplicates and {len(clean.wrong_labels)} labels listed."
        lines.append(said(f"\nUntouched: {counts}"))
    if len(seeds) >= 5 and set(given.only) == {"labels", *KINDS}:
        from frozen.table import machine

        about = "\n".join((__doc__ or "").splitlines()[2:])
        OUT.write_text(f"{HEADER}\n{about}\n\n" + "\n".join(lines) + f"\n\n{machine()}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
