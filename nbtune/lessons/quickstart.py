"""Exercises of 00_quickstart: one image a class; first the head, then all at rates that fit their depth."""

from __future__ import annotations

from nbtune.lessons.exercise import Exercise, a
from nbtune.tuner import Tuner

__all__ = ["head_first", "one_shot"]

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
    moved = [phase for phase in tuner.history.phases if any(list(phase.rates.values())[:-1])]
    if moved:
        first = f"the body is still now, but training {moved[0].number} moved {moved[0].trains}."
        return f"{first} A probe reads a body that nothing has moved: begin with a new Tuner."
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


TIMES = 100  # the head's rate over the stem's


def _head_first(tuner: Tuner) -> str | None:
    if not len(tuner.history):
        return "it has not been trained yet."
    first, last = tuner.history.phases[0], tuner.history.phases[-1]
    if any(rate for rate in list(first.rates.values())[:-1]):
        return f"its first training moved {first.trains}. What should train alone first, and what has to be still then?"
    if not all(last.rates.values()):
        return f"in its last training only {last.trains} learned. Which verb lets every group train?"
    slow, fast = last.rates[tuner.groups[0].name], last.rates[tuner.groups[-1].name]
    if slow == fast:
        return f"all groups learned at {fast:.2g}. A slice gives the first group one rate and the head another."
    if slow > fast:
        return "the stem learned faster than the head. Which of them has more to unlearn?"
    if not 0.9 * TIMES < fast / slow < 1.1 * TIMES:
        return f"the head learned {fast / slow:.3g} times as fast as the stem."
    return None


head_first = Exercise(
    name="quickstart.head_first",
    question="Train the head on a still body; then everything, the head a hundred times as fast as the stem. Give the "
    "Tuner.",
    takes=a("a Tuner", Tuner),
    look=_head_first,
    right="the new head already knows something when the body begins to move, and what serves letters and digits alike "
    "hardly moves at all.",
    hints=(
        "Two trainings of one Tuner: the history keeps both.",
        "freeze, fit, unfreeze, fit.",
        "The second fit takes lr=slice(low, high): low is the stem's, high the head's.",
    ),
    code="""
import nbtune as nt

task = nt.tasks.digits(shots=5, seed=0)
answer = nt.Tuner(task.learner("letters", seed=0), seed=0)
answer.freeze()
answer.fit(10, 5e-3)
answer.unfreeze()
answer.fit(2, slice(1e-5, 1e-3))
""",
)
