"""Exercises of 08_train: reading losses; a run that was stopped and resumed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nbtune.lessons.exercise import FUNCTION, Exercise, a
from nbtune.tuner import Tuner

__all__ = ["diagnose", "resumed"]

WORDS = ("underfitting", "overfitting", "fine")
# Training and validation losses by epoch, clear cut.
_UNDER = ([2.3, 2.28, 2.25, 2.22, 2.2, 2.17], [2.3, 2.29, 2.27, 2.24, 2.21, 2.19])
_OVER = ([2.0, 1.0, 0.5, 0.2, 0.05, 0.01], [2.0, 1.2, 0.9, 1.0, 1.2, 1.5])
_FINE = ([2.0, 1.0, 0.5, 0.3, 0.22, 0.2], [2.0, 1.1, 0.6, 0.4, 0.32, 0.31])
_HEART = ([2.2, 1.0, 0.2, 0.02, 0.003, 0.001], [2.2, 1.6, 1.1, 0.8, 0.72, 0.7])
_CASES = (("underfitting", _UNDER), ("overfitting", _OVER), ("fine", _FINE), ("by heart", _HEART))
_ADVICE = {
    "underfitting": "both losses still fall at the end and are nearly as high as at the start; yours calls that {!r}.",
    "overfitting": "the training loss goes to 0 while the validation loss has turned and risen by half; yours calls "
    "that {!r}.",
    "fine": "both have fallen far and levelled off together; yours calls that {!r}.",
    "by heart": "the training loss goes to 0 and the validation loss stays far above, but ends at its lowest: the "
    "items are known by heart, and it has not turned. That is fine by the rule asked for; yours calls it {!r}.",
}


def _diagnose(function: Callable[[Sequence[float], Sequence[float]], str]) -> str | None:
    for name, losses in _CASES:
        right = name if name in WORDS else "fine"
        for scale in (1.0, 10.0):  # a loss has a unit of its own
            said = function(*([scale * value for value in one] for one in losses))
            if said not in WORDS:
                return f"it gave {said!r}; the words are {', '.join(WORDS)}."
            if said != right:
                unit = "" if scale == 1 else " with ten times the loss"
                return f"one case{unit}: " + _ADVICE[name].format(said)
    return None


diagnose = Exercise(
    name="train.diagnose",
    question='Write diagnose(train, valid): "underfitting", "overfitting" or "fine" from two lists of '
    "losses, an entry an "
    "epoch.",
    takes=FUNCTION,
    look=_diagnose,
    right="compare with what was seen before, not with fixed numbers: a loss means something only beside another loss.",
    hints=(
        "Overfitting: is the last validation loss clearly above the lowest one?",
        "Underfitting: how much of its first value has the training loss lost?",
        "valid[-1] > 1.2 * min(valid), then train[-1] > 0.5 * train[0], else fine.",
    ),
    code="""
def answer(train, valid):
    if valid[-1] > 1.2 * min(valid):
        return "overfitting"
    return "underfitting" if train[-1] > 0.5 * train[0] else "fine"
""",
)


def _resumed(tuner: Tuner) -> str | None:
    if tuner.run_dir is not None and tuner.run_dir.parts[-2:] == ("runs", "killed"):
        return "this is the notebook's own, whose kernel was killed. Stop a training of yours, in a folder of its own."
    if tuner.resumed_at is None:
        return "this Tuner has a past of its own; one that nt.resume gives knows where the run stopped."
    if tuner.left:
        return "it is resumed, and something is left to train. Which verb goes on with what is left?"
    phase, epochs, _ = tuner.resumed_at
    if sum(row["phase"] == phase for row in tuner.history.rows) <= epochs:
        return "when it was resumed nothing was left: the run had come to its end. Stop it before."
    return None


resumed = Exercise(
    name="train.resumed",
    question="Train with a run folder, stop before the last epoch, then make a Tuner from the folder and a "
    "Learner made as before, and let it finish. Give that Tuner.",
    takes=a("a Tuner", Tuner),
    look=_resumed,
    right="it went on where the other stopped, with the same batches and the same random numbers.",
    hints=(
        "nt.Tuner(learn, run_dir=...) saves as it goes; tuner.stop() ends a fit after its batch.",
        "tuner.trace.watch(act) calls act() after every batch, so act may call tuner.stop().",
        "nt.resume(folder, learn), with a Learner made as before, then .run().",
    ),
    code="""
import tempfile

import nbtune as nt

task, folder = nt.tasks.digits(shots=2, seed=0), tempfile.mkdtemp()
tuner = nt.Tuner(task.learner("letters", seed=0), seed=0, run_dir=folder)
tuner.freeze()
tuner.trace.watch(lambda: tuner.stop() if len(tuner.trace.rows) >= 3 else None)
tuner.fit(6, 1e-3)
answer = nt.resume(folder, task.learner("letters", seed=0))
answer.run()
""",
)
