"""Exercises of 15_your_table: what saying nothing reaches; embeddings that were trained elsewhere, held still."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from nbtune.lessons.exercise import FUNCTION, ONE_NUMBER, Exercise, a
from nbtune.tasks.task import Origin
from nbtune.tuner import Tuner

__all__ = ["held_embeddings", "said_without_looking"]


def _said_without_looking(function: Callable[[Sequence[str]], float]) -> str | None:
    # The most frequent is neither first nor last, and of three neither first nor last by the alphabet.
    even, rare, three = ["a", "b"] * 5, ["poor", *["clear"] * 8, "poor"], ["snow", "rain", "rain", "rain", "clear"]
    if function(rare) == 1 / len(set(rare)) and function(even) == 1 / 2:
        return "that is a fair coin. What does one say who always names the same class?"
    if not abs(function(rare) - 0.8) <= 1e-9:
        return "of eight clear hours and two poor ones, which answer is right most often, and how often?"
    if not abs(function(even) - 0.5) <= 1e-9:
        return "ten labels, five of each: what is right half of the time?"
    if not abs(function(three) - 0.6) <= 1e-9:
        return "of one hour of snow, three of rain and a clear one: how often is one right who always says rain?"
    return None


said_without_looking = Exercise(
    name="your_table.said_without_looking",
    question="Write said_without_looking(labels), where labels is a list of class names: the accuracy of always "
    "naming the most frequent class.",
    takes=FUNCTION,
    look=_said_without_looking,
    gives=ONE_NUMBER,
    right="where one class is frequent, this is high and worth nothing: report macro F1 or the area under the curve.",
    hints=(
        "Count how often each label occurs.",
        "collections.Counter(labels).most_common(1) gives the most frequent one and its count.",
        "Divide that count by the number of labels.",
    ),
    code="""
from collections import Counter


def answer(labels):
    return Counter(labels).most_common(1)[0][1] / len(labels)
""",
)


# Means at Newark's training rows and at Kennedy's test rows, by column: sites differ by more than draws of a site.
_NEWARK = {"temp": 55.7, "dewp": 42.0, "humid": 63.3}
_KENNEDY = {"temp": 54.0, "dewp": 41.0, "humid": 64.3}


def _near(means: Mapping[str, float], site: Mapping[str, float]) -> bool:
    return all(abs(means.get(name, float("inf")) - value) < 0.5 for name, value in site.items())


def _of_the_notebook(origin: Origin) -> bool:
    columns, rows = origin.body.columns, origin.task.test.x
    newark = dict(zip(columns.numbers, columns.means, strict=True))
    return _near(newark, _NEWARK) and _near(rows.frame[list(rows.conts)].mean().to_dict(), _KENNEDY)


def _held_embeddings(tuner: Tuner) -> str | None:
    origin = getattr(tuner.learn, "nbtune_origin", None)
    columns = getattr(getattr(origin, "body", None), "columns", None)
    if origin is None or columns is None or not columns.sizes:
        return "this network has no embeddings: take a table with categories, and the body tabular."
    if "weights of the model" not in origin.body.source:
        return "its embeddings are fresh: still noise teaches nothing. Begin with a model that was trained and saved."
    if _of_the_notebook(origin):
        return "this is the notebook's own pair, Newark then Kennedy. Take another, or go from Kennedy to Newark."
    if tuner.plan.still != ("embeds",):
        still = ", ".join(tuner.plan.still) or "nothing"
        return f"{still} is still. Hold the embeddings, and let every layer after them train."
    for phase in tuner.history.phases:
        if phase.steps and phase.rates["embeds"]:
            return (
                f"the embeddings are still now, and trained in phase {phase.number}: they are no longer what was "
                "learnt before. Begin again from the saved model, and cut before the first training."
            )
    if not len(tuner.history):
        return "the cut is right; now train at least one epoch."
    return None


held_embeddings = Exercise(
    name="your_table.held_embeddings",
    question="Train a table's model, save it, and go on with it on other rows: the embeddings still, all layers "
    "after them training. Give the Tuner of the second training.",
    takes=a("a Tuner", Tuner),
    look=_held_embeddings,
    right="what the categories mean was learnt where labels were many; the few labels here train the layers alone.",
    hints=(
        "task.learner takes what nt.load gives, where the table has the same columns.",
        "freeze_to takes the first group that trains; tuner.groups has their names.",
        "The embeddings are the first group, so freeze_to(1) lets all but them train.",
    ),
    code="""
import tempfile

import nbtune as nt
from sklearn.datasets import load_wine

wine = load_wine(as_frame=True).frame.assign(colour=lambda df: (df.hue > 1).map({True: "dark", False: "light"}))
wine = wine.sample(frac=1, random_state=0)
task = nt.tasks.from_frame(wine[:110], y="target")
first = nt.Tuner(task.learner("tabular", seed=0), seed=0)
first.fit(3, 1e-2)
model = nt.load(first.save(tempfile.mkdtemp() + "/first"))

answer = nt.Tuner(nt.tasks.from_frame(wine[110:], y="target").learner(model, seed=0), seed=0)
answer.freeze_to(1)
answer.fit(3, 1e-2)
""",
)
