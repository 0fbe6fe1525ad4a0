"""Exercises of 05_freeze: cut lower; what the cache can save at most."""

from __future__ import annotations

from collections.abc import Callable

from nbtune.lessons.exercise import FINITE_NUMBER, FUNCTION, Exercise, a
from nbtune.tuner import Tuner

__all__ = ["cut_lower", "times_faster"]


def _cut_lower(tuner: Tuner) -> str | None:
    still = tuner.plan.still
    if not still:
        return "nothing of this model is still; cut it somewhere first."
    share = sum(group.params for group in tuner.groups if group.name in still) / tuner.plan.total
    if len(tuner.groups) - len(still) == 1:
        return f"only {tuner.plan.first} trains. Let one more group train: where does the ice line go then?"
    if share < 0.2:
        return f"only {share:.0%} of the parameters are still. tuner.groups says how many each group has; cut later."
    if not len(tuner.history):
        return "the cut is right; now train at least one epoch, so that the history can say whether the cache was used."
    last = tuner.history.phases[-1]
    trained = next(name for name, rate in last.rates.items() if rate)
    if trained != tuner.plan.first:
        return (
            f"the cut is right, but nothing was trained since it moved there: in the last fit {trained} was the first "
            "to train. Fit once more."
        )
    if not last.cached:
        return f"the cache was not used in the last fit, and the history says why: {last.why}"
    return None


cut_lower = Exercise(
    name="freeze.cut_lower",
    question="Let the last stage train with the head, hold at least a fifth of the parameters still, and train for "
    "one epoch or more with the cache in use. Give the Tuner.",
    takes=a("a Tuner", Tuner),
    look=_cut_lower,
    right="what is before layer4 was computed once, and both layer4 and the head train from there. An epoch costs more "
    "than with the head alone and less than a live one.",
    hints=(
        "tuner.groups lists the groups from input to head, with their parameters.",
        "freeze_to takes the name of the first group that trains.",
        "The last stage is layer4; call tuner.freeze_to with it, then tuner.fit.",
    ),
    code="""
import nbtune as nt

task = nt.tasks.digits(shots=10, seed=0)
answer = nt.Tuner(task.learner("letters", seed=0), seed=0)
answer.freeze_to("layer4")
answer.fit(2, 1e-3)
""",
)


def _times_faster(function: Callable[[int, float, float], float]) -> str | None:
    if abs(function(5, 0.0, 1.0) - 1) > 1e-6:
        return "with a body that costs nothing there is nothing to save; yours gives another answer than 1 then."
    if function(10, 9.0, 1.0) < 1:
        return "a gain is the live time divided by the cached one; yours is below 1 where the body costs most."
    if abs(function(1, 9.0, 1.0) - 1) > 1e-6:
        return (
            "with one epoch nothing is saved, since the body has to run once to fill the cache. Yours says otherwise."
        )
    if abs(function(10, 9.0, 1.0) - 100 / 19) > 0.01:
        return "one epoch is right and ten are not: how often does the body run in each case, and how often the head?"
    return None


times_faster = Exercise(
    name="freeze.times_faster",
    question="Write times_faster(epochs, body, head): how many times as fast training from the cache is, where the "
    "body takes `body` seconds an epoch and the head `head` seconds, the filling counted.",
    takes=FUNCTION,
    look=_times_faster,
    gives=FINITE_NUMBER,
    right="live, both run every epoch; cached, the body runs once. So the gain is at most the number of epochs, and at "
    "most (body + head) / head, whichever is less.",
    hints=(
        "How many seconds do ten epochs take live?",
        "From the cache, the body runs in the first epoch only; the head runs in all of them.",
        "Divide epochs * (body + head) by the cached seconds.",
    ),
    code="""
def answer(epochs, body, head):
    return epochs * (body + head) / (body + epochs * head)
""",
)
