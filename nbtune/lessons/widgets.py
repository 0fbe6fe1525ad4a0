"""Exercises of 16_widgets, done by hand: move the ice line and take a rate; find the wrong labels among odd ones."""

from __future__ import annotations

from typing import Any

from nbtune.lessons.exercise import Exercise, Kind, a
from nbtune.tasks import digits
from nbtune.tasks.task import Task
from nbtune.tuner import Tuner

__all__ = ["relabel", "steer"]

# Items of `puzzle` with a wrong label: what stands there, and what the picture shows.
_WRONG = {
    "digits/1534": ("7", "9"),
    "digits/1259": ("9", "5"),
    "digits/1338": ("3", "2"),
    "digits/0036": ("6", "0"),
    "digits/0814": ("3", "8"),  # behind three right ones in the order by loss: the model agrees with the wrong label
}
_COLUMNS = {"split", "item", "what", "label"}


def puzzle() -> Task:
    """The digits, ten training images a class, with five training labels set to a wrong class."""
    marks = [["train", item, "label", wrong] for item, (wrong, _) in _WRONG.items()]
    return digits(shots=10, seed=0).edited(marks)


def _untouched(tuner: Tuner) -> bool:
    return not tuner.plan.still and tuner.curve is None and tuner.lr is None and not len(tuner.history)


def _steer(tuner: Tuner) -> str | None:
    names, first = [group.name for group in tuner.groups], tuner.plan.first
    if first != names[-2]:
        way = "right" if names.index(first) < len(names) - 2 else "left"
        return f"{first} is the first group that trains. Move the ice line to the {way}: one group joins the head."
    curve = tuner.curve
    if curve is None:
        return "the ice line is right. No range test was made of it yet: which button makes one?"
    if (why := tuner.stale(curve)) and why != "trained since":
        return f"the curve is stale: {why}. What has to be done again after the line was moved?"
    if tuner.lr is None:
        return "the curve is there, and the next training would still take its default rate. Which button sets it?"
    return _fast(max(tuner.rates().training.values()), curve.suggestion)


def _fast(rate: float, suggestion: float | None) -> str | None:
    """A rate well off the one that the test gives."""
    if suggestion is None:
        return "this test suggests no rate, and says why: run it again with more seeds."
    if rate > 2 * suggestion:
        return f"the rate {rate:.2g} lies where the loss no longer falls: move the marker to the left."
    if rate < suggestion / 10:
        return f"at the rate {rate:.2g} the loss has hardly begun to fall: move the marker to the right."
    return None


steer = Exercise(
    name="widgets.steer",
    question="By hand, in the panels: let the last group of the body train with the head, measure how fast these two "
    "may learn, and make that the rate of the next training. Give the Tuner.",
    takes=a("a Tuner", Tuner),
    look=_steer,
    right="the panels wrote it into the Tuner, where code finds it: its plan, its curve and its rate. The order "
    "counts, since a curve is of the plan that it was measured for.",
    hints=(
        "First the ice line: in the freeze panel, click the last group before the head.",
        "Then press Find in the learning-rate panel. A curve from before the line was moved is grey.",
        "Use takes the rate at the marker over, as tuner.lr.",
    ),
    code="""
import nbtune as nt

task = nt.tasks.digits(shots=10, seed=0)
answer = nt.Tuner(task.learner("letters", seed=0), seed=0)
answer.freeze_to("layer4")
answer.lr = answer.lr_find().suggestion
""",
    unchanged=_untouched,
)


def _marks(answer: Any) -> bool:
    return set(getattr(answer, "columns", ())) >= _COLUMNS


def _relabel(marks: Any) -> str | None:
    task, mended = puzzle(), set()
    now = {
        name: task.vocab[y] for split in (task.train, task.valid) for name, y in zip(split.ids, split.y, strict=True)
    }
    rows = list(marks[["item", "what", "label"]].itertuples(index=False, name=None))
    for item, what, label in rows:  # all of them first: another task of the digits has many of the same items
        if item not in now:
            return f"{item!r} is no item that can be marked in this task: these are the marks of another one."
        if what == "label" and label == now[item]:  # a browser makes no mark of it
            return f"{item} has the label {label!r} in this task already: these are the marks of another one."
    for item, what, label in rows:
        if item not in _WRONG:
            return (
                f"{item} is marked, and its label was right: what the model reads is only a proposal. Look again, "
                "and leave what can be read in two ways as it is."
            )
        if what == "exclude":
            return f"{item} is left out. Its label is wrong, but what it shows can be read: then say what it is."
        if label != _WRONG[item][1]:
            return f"{item} had a wrong label, and {label!r} is not what it shows either."
        mended.add(item)
    if len(mended) < len(_WRONG):
        return f"{len(mended)} of the {len(_WRONG)} are found and mended. By loss, look at each of the first ten tiles."
    return None


relabel = Exercise(
    name="widgets.relabel",
    question="Five training labels of this task are wrong. Find them in the browser, give each the class that its "
    "picture shows, and touch none that is right. Give browser.marks.",
    takes=Kind("the marks of a browser, a frame with the columns split, item, what and label", _marks),
    look=_relabel,
    right="the loss put four wrong labels first, then right ones that are hard to read, and only then the fifth, which "
    "the model reads as its label says. An order tells where to look, and no more.",
    hints=(
        "In the panel, choose the order by loss: the doubtful come first.",
        "A tile says its label, and what the model reads instead. Look: three of the first eight are right, and one "
        "that is wrong is read as its label says.",
        "Click a tile, then Is … with the class that you see. In code: browser.mark(item, label).",
    ),
    code="""
import nbtune as nt

browser = nt.widgets.DataBrowser(nt.lessons.widgets.puzzle(), "letters")
browser.show(by="loss")
for tile in browser.view["tiles"][:4]:
    browser.mark(tile["id"], tile["read"])
browser.mark("digits/0814", "8")      # two loops: no proposal says so, the picture does
answer = browser.marks
""",
    unchanged=lambda marks: len(marks) == 0,
)
