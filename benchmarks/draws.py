"""What the notebooks say of draws that they do not show: `python benchmarks/draws.py`, or some: `... patches films`.

Runs the notebooks' own cells with another draw, number of draws, rate or length put in, and prints what those cells
say. There is no peer here: the ratio to look at is that of a difference to its spread over draws.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

ROOT = Path(__file__).resolve().parents[1]
OUT = Path(__file__).with_name("DRAWS.md")
HEADER = """# Other draws than those in the notebooks

Written by `python benchmarks/draws.py`: the notebooks' own cells, with what stands in brackets put into them,
in one thread.
"""


@dataclass(frozen=True)
class Again:
    """Cells of a notebook run in their order, each with its changes [before, after]; what `shown` of them print."""

    notebook: str
    cells: str  # names of cells, with spaces between
    changes: tuple[tuple[str, str], ...]
    shown: str  # names of cells
    then: str = ""  # lines that ask for more of what was trained; what they print is shown

    def sources(self) -> list[tuple[str, str]]:
        """[name, changed text] of each cell. KeyError for a cell, ValueError for a text, that the notebook has not."""
        path = next((ROOT / "notebooks").glob(f"{self.notebook}_*.ipynb"))
        cells = {cell["id"]: "".join(cell["source"]) for cell in json.loads(path.read_text())["cells"]}
        left, found = dict(self.changes), []
        for name in self.cells.split():
            source = cells[name]
            for before in [before for before in left if before in source]:
                source = source.replace(before, left.pop(before))
            found.append((name, source))
        if left or not set(self.shown.split()) <= {name for name, _ in found}:
            raise ValueError(f"{path.name}: no cell that is run is, or has, {self.shown}, {', '.join(left)}")
        return found

    def run(self) -> Iterator[str]:
        """What the shown cells print."""
        space: dict[str, Any] = {}
        for name, source in [*self.sources(), ("", self.then)]:
            said = _run(source, space)
            if not name or name in self.shown.split():
                yield said

    def title(self) -> str:
        put = "; ".join(f"`{' '.join(after.split())}`" for _, after in self.changes if after)
        return f"{self.notebook} [{put or 'as it is'}]"


def _run(source: str, space: dict[str, Any]) -> str:
    """Run a cell; what it prints, and its last value as a notebook shows it."""
    parsed, printed = ast.parse(source), io.StringIO()
    last = parsed.body.pop() if parsed.body and isinstance(parsed.body[-1], ast.Expr) else None
    with redirect_stdout(printed):
        exec(compile(parsed, "<cell>", "exec"), space)
        value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), space) if last is not None else None
        if value is not None:
            print(value)
    return re.sub(r"[^\n]*\r", "", printed.getvalue())  # without bars of progress


# What is asked of notebooks beyond their cells.

TEMPERED = """  # validation losses at the best temperature, chosen on nine tenths of the items and measured on the rest
import numpy as np

def tempered(run):
    report = run.evaluate(run.learn.dls.valid)
    def loss(t, rows):
        p = report.probs[rows] ** (1 / t)
        return -np.log((p / p.sum(1, keepdims=True))[np.arange(len(rows)), report.targets[rows]])
    parts, losses = np.arange(len(report)) % 10, np.empty(len(report))
    for part in range(10):
        rest, held = np.flatnonzero(parts != part), np.flatnonzero(parts == part)
        best = min(np.geomspace(0.1, 10, 81), key=lambda t: loss(t, rest).mean())
        losses[held] = loss(best, held)
    return losses.mean()

def scaled(runs, base, column):
    rows = [{column: name, "draw": seed, "accuracy": 0.0, "valid_loss": tempered(run)}
            for (name, seed), run in runs.items()]
    print("At the best temperature:")
    print(beside(pd.DataFrame(rows), base).loc["valid_loss less " + base])
"""
MIXUP = (
    TEMPERED
    + """
scaled({key: run for key, (run, _) in trained.items() if key[0] in ("bare", "mixup")}, "bare", "brake")
"""
)
DROPOUT = (
    TEMPERED
    + """
scaled(kept, "dropout 0.0", "dropout")
"""
)
TEN = (
    TEMPERED
    + """
runs = {("five a class", seed): trained["bare", seed][0] for seed in DRAWS}
for seed in DRAWS:
    runs["ten a class", seed], _ = whole(draw(seed, shots=10), seed, **brakes["bare"])
scaled(runs, "five a class", "labels")
"""
)
HEADS = """
for shots in (1, 5, 10, 50):
    said = {1e-3: [], 5e-3: []}
    for seed in range(3):
        task = nt.tasks.digits(shots=shots, seed=seed)
        for lr in said:
            metrics = trained(nt.recipes.linear_probe(20, lr=lr), seed).evaluate(task.valid).metrics
            said[lr].append([metrics[name].value for name in ("log_loss", "accuracy")])
    (slow, right), (fast, as_right) = (np.mean(rows, axis=0) for rows in said.values())
    print(f"{shots} images a class: log loss {slow:.3f} at 0.001, {fast:.3f} at 0.005: {slow / fast:.1f} times; "
          f"accuracy {right:.3f} and {as_right:.3f}")
"""
PAIRED = """
found["draw"] = found.groupby(["airport", "labelled", "way"]).cumcount()
wide = found.pivot(index=["airport", "labelled", "draw"], columns="way", values="area")
print("Means of draws 3 to 8:")
print(wide.query("draw >= 3").groupby(["airport", "labelled"]).mean().T.round(3))
ways = ["logistic", "embeddings still", "all", "boosting, both sites"]
def above(less):
    return (less > 0).sum()
for base in ("Newark's network", "logistic"):
    less = wide[ways].drop(columns=base, errors="ignore").sub(wide[base], axis=0)
    print(f"Less {base}, nine draws: the mean, in how many it is above, and the lowest")
    print(less.groupby(["airport", "labelled"]).agg(["mean", above, "min"]).round(4).T)
"""
TREES = """
for labelled in (1000, 4000):
    tasks = [site("JFK", labelled, seed) for seed in range(3)]
    areas = [area(boosting([task], task, seed), task) for seed, task in enumerate(tasks)]
    print(f"Boosting from nothing at Kennedy, {labelled} hours, means of three draws: {np.mean(areas):.3f}")

from sklearn.compose import make_column_transformer
from sklearn.preprocessing import OneHotEncoder

def coded(tasks, test):
    filled = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    both = make_column_transformer((filled, numbers), (OneHotEncoder(handle_unknown="ignore"), categories))
    parts = [part for one in tasks for part in (one.train, one.valid)]
    made = make_pipeline(both, LogisticRegression(max_iter=2000))
    made.fit(pd.concat([part.x.frame for part in parts]), np.concatenate([part.y for part in parts]))
    return made.predict_proba(test.test.x.frame)[:, test.vocab.index("poor")]

for name, task in {"Newark": newark, "LaGuardia": laguardia}.items():
    both = area(logistic([newark], task), task), area(coded([newark], task), task)
    print(f"Newark's logistic regression at {name}: numbers {both[0]:.3f}, with categories {both[1]:.3f}")
"""

PATCHES = "import data inverted photos shuffled bodies finetune"
PROBED = "print(ranking.frame()[['name', 'accuracy']].round(3))"
LARGE = """\
    "resnet18, fresh": fresh("resnet18", 32),
    "mobilenet_v3_small, fresh": fresh("mobilenet_v3_small", 32),
    "vit_b_16, fresh": fresh("vit_b_16", 32),
"""
GENTLE = tuple((f"{name}.fit(5, 4e-3)", f"{name}.fit(5, 1e-3)") for name in ("photos", "shuffled"))
UNCLEANED = (("clean = faulty.edited(quality.marks)", ""), ('("cleaned", clean), ', ""))
BRAKES, SIX = "import data brakes paired", ("range(3)", "range(6)")
KEPT = (
    ("rows = []\nfor seed in DRAWS:\n    for share", "rows, kept = [], {}\nfor seed in DRAWS:\n    for share"),
    ("run = nt.Tuner(learn, seed=seed)", "run = kept[f'dropout {share}', seed] = nt.Tuner(learn, seed=seed)"),
)
AS_MANY_STEPS = ("run.fit(EPOCHS,", "run.fit(8 if len(drawn.train) > 50 else EPOCHS,")
TABLE = "table mend task first first-fit first-save as-it-is ways"
RECIPES = "import data noise recipes"
OTHER = (("in range(3):", "in range(3, 8):"), ("(scores.draw < 3)", "scores.draw.between(3, 7)"))


def put(before: str, *afters: object) -> list[tuple[str, str]]:
    """A text with each of `afters` in the place of its last number."""
    return [(before, re.sub(r"\d+(?=\D*$)", str(after), before)) for after in afters]


AGAIN: dict[str, list[Again]] = {
    "patches": [
        Again("02", PATCHES, ((LARGE, ""), seed, *rates), "finetune", PROBED)
        for rates, seeds in (((), (1, 2)), (GENTLE, (0, 1)))
        for seed in put("default_rng(0)", *seeds)
    ],
    "films": [
        Again("03", "import data plant clean films", (*UNCLEANED, seed), "films")
        for seed in put("digits(shots=8, seed=0", 1, 2, 3, 4)
    ],
    "new": [
        Again("03", "import data plant normalising new-data", (seed,), "new-data")
        for seed in put("digits(shots=40, seed=9", *range(9, 15))
    ],
    "forget": [
        Again("07", "import data forms reader forget forget-plot forget-cost", (seed,), "forget-cost")
        for seed in put("task = draw(0", 1, 2)
    ],
    "brakes": [
        Again("09", BRAKES, (SIX,), "paired", MIXUP),
        Again("09", BRAKES, (SIX, *put("DRAWS = 12", 20)), "paired"),
        Again("09", f"{BRAKES} scratch", (SIX,), "scratch"),
        Again("09", f"{BRAKES} dropout", KEPT, "dropout", DROPOUT),
        Again("09", f"{BRAKES} labels", (SIX,), "labels", TEN),
        Again("09", f"{BRAKES} labels", (SIX, AS_MANY_STEPS), "labels", TEN),
    ],
    "evaluate": [
        Again("10", "import data models after losses seeds", (seed,), "seeds")
        for seed in put("digits(shots=5, seed=0", 1, 2, 3)
    ],
    "heads": [Again("10", "import data models", (), "", HEADS)],
    "recipes": [
        Again("11", "import data noise recipes recipes-paired", (("head_lr=5e-3", "head_lr=1e-3"),), "recipes-paired")
    ],
    "few": [Again("13", "import data features methods draws train ways paired", OTHER, "paired")],
    "table": [
        Again("15", f"{TABLE} runs", (("range(3)", "range(9)"),), "", PAIRED),
        Again("15", TABLE, (), "", TREES),
    ],
}

ASKED = {
    "patches": "is a body of turned patches of photographs worse than a fresh one?",
    "films": "what do frames at random promise too much?",
    "new": "are new digits of the same hands told apart?",
    "forget": "which way has the lowest loss, scaled, and what does a rate by depth keep of the letters?",
    "brakes": "what do six draws say of augmentation, mixup, dropout and labels?",
    "evaluate": "fine-tuned less probe",
    "heads": "log loss of a head by its rate",
    "recipes": "and if the head trains at a fifth of the rate before all?",
    "few": "how many images more does fine-tuning read?",
    "table": "weather, more draws and more labels",
}


def sections() -> dict[str, str]:
    """What OUT holds, by name."""
    text = OUT.read_text(encoding="utf-8") if OUT.exists() else ""
    return {part.split(":")[0]: f"## {part.strip()}\n" for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", nargs="*", choices=[[], *AGAIN], help="all, if none is named; the others are kept")
    which = parser.parse_args().which or list(AGAIN)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # for what the cells save
        for name in which:
            found = []
            for again in AGAIN[name]:
                said = "".join(again.run()).strip("\n")
                found.append(f"{again.title()}\n\n```\n{said}\n```\n")
                print(found[-1], flush=True)
            all_found = {**sections(), name: "\n".join([f"## {name}: {ASKED[name]}\n", *found])}
            OUT.write_text(
                "\n".join([HEADER, *(all_found[one] for one in AGAIN if one in all_found)]), encoding="utf-8"
            )
    print(f"{time.perf_counter() - began:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    pd.set_option("display.width", 120, "display.max_columns", 20)
    torch.set_num_threads(1)  # long trainings at high rates end elsewhere with another number
    main()
