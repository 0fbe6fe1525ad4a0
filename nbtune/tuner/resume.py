"""Go on with a run that was stopped, cut off or killed."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from nbtune.checkpoints import RunFolder
from nbtune.errors import InputError, InputTypeError
from nbtune.freeze import Still
from nbtune.interrupts import shielded
from nbtune.tuner import Tuner, checks
from nbtune.tuner.likeness import LOOSE, differences, likeness
from nbtune.tuner.saving import check_value, groups_of_value
from nbtune.tuner.verbs import Verbs

__all__ = ["resume"]


def resume(run_dir: str | Path, learn: Any, test: Any = None, *, exact: bool = True, every: float = 60.0) -> Tuner:
    """The Tuner of a run's folder, where the run was when it was last saved; `tuner.run()` then goes on with it.

    `learn`: a Learner made by the same code as the one before; its weights are replaced. `.resumed_at` is (phase,
    whole epochs of it, batches of the next epoch). What follows equals the run that was never cut off, to the bit,
    on the same machine (CPU, one thread), with the same callbacks given to `run`. Not kept: streams of persistent
    workers, private generators in a dataset, and files and models that callbacks hold. `exact=False` also takes
    other versions, another device or number of workers, and warns: the same training, not the same bits.

    Raises MissingFileError without a run there, BundleError where no checkpoint is whole, InputError, which says
    what differs, for another model, data, batch size, optimizer or loss, TrainingError, which names the process that
    writes the folder now; before anything is touched.
    """
    if not isinstance(run_dir, str | Path):
        raise InputTypeError(
            f"resume({type(run_dir).__name__}).",
            rule="resume takes the run's folder first, then the Learner.",
            likely="the two were exchanged." if hasattr(run_dir, "dls") else "another object than a path.",
            next='nt.resume("runs/digits", learn)',
        )
    checks.check_learner(learn)
    folder = RunFolder(Path(run_dir))
    value, best = folder.load()
    check_value(value)
    _check_alike(value["likeness"], learn, exact)
    with suppress(OSError):  # one that may only be read is read; saving will say it
        folder.claim()
    with shielded(), Verbs().doing("resume"):
        # A Tuner of this kernel may still hold the Learner's layers.
        learn.remove_cbs([callback for callback in learn.cbs if isinstance(callback, Still)])
        tuner = Tuner(learn, test, seed=value["seed"], groups=groups_of_value(value), every=every)
        tuner._adopt(folder, value, best)
    return tuner


def _check_alike(was: Mapping[str, str], learn: Any, exact: bool) -> None:
    now = likeness(learn)
    if found := differences(was, now, but=LOOSE):
        raise InputError(
            f"a Learner that differs from the run's in {_listed(found)}.",
            rule="a run goes on with the model, data, batch size, optimizer and loss that it was begun with.",
            likely="the Learner was made by code that has been changed since, or the folder is another run's.",
            next='make the Learner as before, or begin a new run: nt.Tuner(learn, run_dir="another").',
        )
    if loose := differences(was, now, but=[name.partition(": ")[0] for name in was if not name.startswith(LOOSE)]):
        if exact:
            raise InputError(
                f"an environment that differs from the run's in {_listed(loose)}.",
                rule="equal bits need the same versions, device and number of workers.",
                likely="packages were updated, or this is another machine.",
                next="nt.resume(run_dir, learn, exact=False) goes on without that promise; or install them as before.",
            )
        warnings.warn(f"nbtune: the run goes on, but not with the same bits: {_listed(loose)}.", stacklevel=3)


def _listed(found: list[str]) -> str:
    return f"{len(found)} things: {', '.join(found)}" if len(found) > 1 else found[0]
