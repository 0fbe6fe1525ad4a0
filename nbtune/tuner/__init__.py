"""The Tuner: one object that holds a Learner through all phases of its fine-tuning."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nbtune.tuner.card import card
from nbtune.tuner.checks import check_limits
from nbtune.tuner.questions import Questions
from nbtune.tuner.verbs import untold, verb

__all__ = ["Tuner"]


class Tuner(Questions):
    """Fine-tune any fastai Learner in phases, with freezing that is true and one history for all.

    `test`: held-out items for `evaluate` (a task's split, a DataLoader, or whatever `learn.dls.test_dl`
    takes). `run_dir`: a folder for best and last state and the history; None keeps them in memory.
    `seed`: every phase seeds all random streams from it; None draws one and records it. `groups`:
    `"stage"`, `"block"`, `"learner"` (the Learner's splitter) or a callable that splits the model.
    The Learner stays an ordinary one: nothing of it is changed that is not asked for.

    Raises InputTypeError for anything but a Learner, InputError for one without loss, data or batches.

    Example:
        >>> import nbtune as nt
        >>> task = nt.tasks.digits(shots=1)
        >>> tuner = nt.Tuner(task.learner("letters", seed=0), test=task.test, seed=0)
        >>> tuner.freeze().still
        ('stem', 'layer1', 'layer2', 'layer3', 'layer4')
        >>> tuner.fit(2).cached
        True
    """

    @verb
    def evaluate(self, dl: Any = None) -> Any:
        """A Report on the test set, with 95 % intervals; counts how often that set has been looked at.

        `dl`: other labelled data instead. Raises InputError without a test set.
        """
        result = self._outcomes.report(dl)
        self._script.say("evaluate", *([] if dl is None else [dl]))
        return result

    @untold
    def predict(self, items: Any, *, batch_size: int = 64) -> Any:
        """A row an item, as `Model.predict` gives it: label and probabilities, by the model as it is now.

        Gives what `nt.load` of `save` would give, without a file; nothing of the Learner is changed. For a Learner
        that task.learner did not make, images are resized to the size of its batches and normalised as they are;
        other transforms of its items are left out. Raises as `Model.predict`, InputError for scores that are no
        answer, and TrainingError while the Learner trains.
        """
        return self._outcomes.predict(items, batch_size)

    def unlike(self, items: Any) -> str:
        """Why the first of these pictures is unlike the training data, in a sentence; "" where nothing says so.

        As `Model.unlike`, and by its distance to the nearest training picture. Raises as `predict`.
        """
        return self._outcomes.unlike(items)

    @property
    def preprocessing(self) -> Any:
        """From what is given to what the network gets, as a bundle holds it: `.prepare(images)`. Raises InputError."""
        return self._outcomes.model().preprocessing

    @property
    def reports(self) -> tuple[Any, ...]:
        """The last report on each set of data that is of the model as it is now, the test set's first; no look."""
        return tuple(self._outcomes.of_now())

    @property
    def limits(self) -> dict[str, str]:
        """What no program can know of the model, for its card and bundle: `intended`, `not_for`, `untested`.

        Texts: what it is for, what it must not be used for, on what it was never tried (after Mitchell et al., 2019).
        Raises InputTypeError or InputError for anything else.

        Example:
            >>> import nbtune as nt
            >>> task = nt.tasks.digits(shots=1)
            >>> tuner = nt.Tuner(task.learner("letters", seed=0), seed=0)
            >>> tuner.limits = {"not_for": "Reading cheques."}
        """
        return dict(self._limits)

    @limits.setter
    def limits(self, limits: Mapping[str, str]) -> None:
        with self._verbs.doing("limits"):
            self._limits = check_limits(limits)
            self._script.put("limits", self._limits)

    @verb
    def save(self, folder: str | Path) -> Path:
        """Write the model as a folder (safetensors and JSON, no pickle) for `nt.load`; returns its path.

        A model that task.learner did not make is loaded by `nt.load(folder, model=...)`, which needs the
        network to fill. Raises BundleError if the folder cannot be written.
        """
        path = self._outcomes.save(folder, self._held.cut.groups, self.history, self.limits)
        self._script.say("save", str(folder))
        return path

    def code(self) -> str:
        """What was done, as a script."""
        return str(self._script)

    def card(self) -> str:
        """The model card as Markdown: limits, data, plan, training, results, how to do it again."""
        return card(self.learn, self.plan, self.history, self._outcomes.of_now(), self.code(), self.limits)

    def __repr__(self) -> str:
        return f"Tuner (seed {self.seed}): {self.plan!r} {self.history!r}"

    def _repr_html_(self) -> str:
        return self.plan._repr_html_() + (self.history._repr_html_() if len(self.history) else "")
