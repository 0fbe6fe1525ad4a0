"""What does a frozen phase cost in fastai, plain loops, other trainers and nbtune? `python benchmarks/frozen.py`.

Each way trains the same network on the same items, in batches of the same size, with Adam's decoupled kind, and
validates after every epoch. A phase counts all that it takes: for nbtune `freeze()` with its estimates of cost and the
filling of the cache, for the ideal the precomputation. `--quick` takes under three minutes, the whole about 25.
Lightning, Keras and transformers' Trainer are measured where they are installed: `pip install -e .[bench]`.
`--processor` counts processor seconds of one thread: for a machine that does other things too.
"""

from __future__ import annotations

import argparse
import gc
import warnings
from collections.abc import Callable
from dataclasses import replace

from frozen.peers import installed
from frozen.table import OUT, machine, store, table
from frozen.ways import FREEZE, IDEAL, WAYS
from frozen.work import EPOCHS, WORKS, Run, Work, on_one_thread

Ways = dict[str, Callable[[Work, int], Run]]

WITH_PEERS = "resnet18 @64"
HEADLINE = "resnet18 @128"  # here fastai's phase is always measured whole
MEANING = """- "times as fast" and "share of the ideal" are of whole phases: seconds of fastai's `freeze` + `fit`,
  or of the ideal, over the way's own.
- "scaled": measured over fewer epochs and multiplied; every epoch of these ways does the same work. `fine_tune` trains
  all weights after one frozen epoch: another training, of as many epochs.
- Norm layers and dropout of the frozen body stay in training mode in fastai, Lightning, the Trainer and the plain loop
  with `requires_grad_(False)`, as these come; in the other ways they are fixed.
- nbtune fills its cache on eight items at a time where that gives the bits of whole batches and is quicker; the ideal
  runs whole batches, as one would write it.
- A median, and in brackets the range over rounds."""


def measure(work: Work, ways: Ways, rounds: int, epochs: int, whole: set[str]) -> list[dict[str, Run]]:
    """Every way once a round, in rotated order; `whole`: ways that are measured over all epochs."""
    done = []
    names = list(ways)
    for number in range(rounds):
        found: dict[str, Run] = {}
        for name in names[number % len(names) :] + names[: number % len(names)]:
            found[name] = ways[name](work, EPOCHS if name in whole else epochs)
            print(f"{work.name}, round {number + 1}: {found[name].seconds:8.2f} s  {name}", flush=True)
            gc.collect()
        done.append({name: found[name] for name in names})
    return done


def quick() -> list[Work]:
    """Less of everything: two networks, one round, one epoch of the slow ways."""
    return [replace(WORKS[name], epochs=1, rounds=1) for name in (WITH_PEERS, HEADLINE)]


def main() -> None:
    """Print and, after a full run, store a table for each network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two networks, one round; nothing is stored")
    parser.add_argument("--only", nargs="*", choices=list(WORKS), help="these networks")
    parser.add_argument("--rounds", type=int, help="instead of each network's own number")
    parser.add_argument("--epochs", type=int, help="epochs measured of the slow ways, instead of each network's own")
    parser.add_argument("--ways", nargs="*", default=[], help="only ways whose name contains one of these words")
    parser.add_argument("--processor", action="store_true", help="processor seconds of one thread, named so")
    options = parser.parse_args()
    if options.processor:
        on_one_thread()
    warnings.simplefilter("ignore")
    works = [work for work in (quick() if options.quick else WORKS.values()) if work.name in (options.only or WORKS)]
    if not (options.quick or options.ways):
        store("Machine and how to read", f"{machine()}\n{MEANING}")
    for work in works:
        ways: Ways = {**WAYS, **(installed() if work.name == WITH_PEERS else {})}
        if options.ways:
            ways = {n: w for n, w in ways.items() if n in (FREEZE, IDEAL) or any(word in n for word in options.ways)}
        whole = {FREEZE} if work.name == HEADLINE and not (options.quick or options.epochs) else set()
        epochs, rounds = options.epochs or work.epochs, options.rounds or work.rounds
        text = table(work, measure(work, ways, rounds, epochs, whole), FREEZE, IDEAL)
        print(f"\n## {work.name}\n\n{text}\n", flush=True)
        if not (options.quick or options.ways):
            store(work.name, text)
            print(f"Written to {OUT.name}.", flush=True)


if __name__ == "__main__":
    main()
