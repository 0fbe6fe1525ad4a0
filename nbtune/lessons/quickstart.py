"""Exercise of 00_quickstart: one image a class."""

from __future__ import annotations

from nbtune.lessons.exercise import Exercise, a
from nbtune.tuner import Tuner

__all__ = ["one_shot"]

ENOUGH = 1.5  # validation loss; guessing among ten classes gives ln 10 = 2.3


def _one_shot(tuner: Tuner) -> str | None:
    items = len(tuner.learn.dls.train_ds)
    if items != tuner.learn.dls.c:
        classes = tuner.learn.dls.c
        return f"this Tuner trains on {items} images of {classes} classes. Which option of the task says how many?"
    if not len(tuner.history):
        return "the data are right; now train it."
    if tuner.plan.still != tuple(group.name for group in tuner.groups[:-1]):
        return "not the whole body is still. Which verb holds it, and when has it to be called?"
    lowest = tuner.history.frame()["valid_loss"].min()
    if not lowest < ENOUGH:
        return f"its validation loss came down to {lowest:.2f} so far: more epochs, or a higher rate, cost little here."
    return None


one_shot = Exercise(
    name="quickstart.one_shot",
    question="Train a linear probe on one labelled image of each digit, until its validation loss is below 1.5 "
    "(guessing gives 2.3). Give the Tuner.",
    takes=a("a Tuner", Tuner),
    look=_one_shot,
    right="ten images in all, and most digits are read: the fewer the labels, the more a pretrained body is worth.",
    hints=(
        "The task takes the number of images a class: shots.",
        "Make a learner and a Tuner of the new task; the ones above keep their data.",
        "Hold the body still before fit; twenty epochs at 5e-3 take less than a second.",
    ),
    code="""
import nbtune as nt

task = nt.tasks.digits(shots=1, seed=0)
answer = nt.Tuner(task.learner("letters", seed=0), seed=0)
answer.freeze()
answer.fit(40, 5e-3)
""",
)
