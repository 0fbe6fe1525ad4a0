"""What must hold before a Tuner touches anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from nbtune._cut import Cut
from nbtune._fastai import Callback, Learner, OptimWrapper
from nbtune._numbers import real
from nbtune.bundle.card import LIMITS
from nbtune.checkpoints import holds_run
from nbtune.errors import FreezeError, InputError, InputTypeError, TrainingError
from nbtune.phases import Phase
from nbtune.recipes import Recipe

__all__ = [
    "another_recipe",
    "callbacks",
    "check_batches",
    "check_every",
    "check_groups",
    "check_kept",
    "check_learner",
    "check_limits",
    "check_needed",
    "check_recipe",
    "check_run_dir",
    "check_seed",
    "no_recipe",
]


def check_learner(learn: Any) -> None:
    """Raise InputTypeError or InputError unless `learn` is a Learner with model, loss, and both splits."""
    if not isinstance(learn, Learner):
        raise InputTypeError(
            f"Tuner({type(learn).__name__}).",
            rule="a Tuner holds a fastai Learner.",
            likely=_not_a_learner(learn),
            next='nt.Tuner(task.learner("letters"), test=task.test), or nt.Still(...).apply(model) without fastai.',
        )
    if isinstance(learn.opt_func, OptimWrapper):
        raise InputError(
            "a Learner whose opt_func is an optimizer that is already built.",
            rule="an optimizer is made for the groups that train, so opt_func is a function that makes one.",
            likely="opt_func=OptimWrapper(opt=torch_optimizer).",
            next="opt_func=partial(OptimWrapper, opt=torch.optim.AdamW)",
        )
    if not callable(learn.loss_func):
        raise InputError(
            f"a Learner whose loss_func is {learn.loss_func!r}.",
            rule="training needs a loss: a function of outputs and targets.",
            likely="the data named none, or it was set to None.",
            next="learn.loss_func = nn.CrossEntropyLoss()",
        )
    for name, number in (("training", 0), ("validation", 1)):
        loaders = getattr(learn.dls, "loaders", [])
        if len(loaders) <= number or _items(loaders[number]) == 0:
            raise InputError(
                f"a Learner with an empty {name} split.",
                rule="both the training and the validation split have at least one item.",
                likely="the splitter gave everything to the other split."
                if len(loaders) > number
                else "the DataLoaders hold one loader only.",
                next="look at [len(dl.dataset) for dl in learn.dls.loaders].",
            )


def _not_a_learner(given: Any) -> str:
    if given is None:
        return "a function that makes the Learner returned nothing."
    if isinstance(given, nn.Module):
        return "the model without its Learner."
    if hasattr(given, "learner"):
        return "a task, whose learner() was not called."
    if isinstance(given, type) or callable(given):
        return "the function or class that makes the Learner was not called."
    return "another kind of trainer." if hasattr(given, "fit") else "the arguments stand in another order."


def _items(loader: Any) -> int:
    try:
        return len(loader.dataset)
    except (TypeError, AttributeError):
        return -1  # a stream: its length shows when it is read


def check_run_dir(run_dir: Any) -> None:
    """Raise InputError if the folder already holds a run, which this one would mix with or overwrite."""
    if run_dir is None:
        return
    found = holds_run(Path(run_dir)) or (Path(run_dir) / "history.jsonl").exists()
    if found or Path(run_dir).is_file():
        raise InputError(
            f"run_dir={str(run_dir)!r}, which {'holds an earlier run' if found else 'is a file'}.",
            rule="a run has a folder of its own.",
            likely="the notebook was run again." if found else "the name of a file.",
            next=f"nt.resume({str(run_dir)!r}, learn) to go on with it; or another name."
            if found
            else f"run_dir={f'{run_dir}-run'!r}",
        )


def check_every(every: Any) -> float:
    """The seconds between two checkpoints. Raises InputError or InputTypeError for less than 0."""
    return real(every, "every", "seconds between two checkpoints", low=0.0, good=60.0)


def check_needed(position: dict[str, Any] | None, cbs: Sequence[Any]) -> None:
    """Raise InputError if callbacks that a phase was begun with are missing now that it goes on."""
    if position is None:
        return
    names = {type(callback).__name__ for callback in cbs}
    missing = [name for name in position["needs"] if name not in names]
    if missing:
        raise InputError(
            f"run() without {', '.join(missing)}, with which this phase was begun.",
            rule="a phase goes on with the callbacks that change its training.",
            likely="the callbacks were given to the run that was cut off, and are not kept in its folder.",
            next=f"tuner.run(cbs=[{', '.join(f'{name}(...)' for name in missing)}])",
        )


def check_groups(groups: Sequence[Any]) -> None:
    """Raise FreezeError where freezing all but the last group would freeze nothing."""
    if len(groups) < 2:
        raise FreezeError(
            f"freeze() of a model with {len(groups)} group.",
            rule="all but the last group are held still, so there are two or more.",
            likely="the Learner's splitter puts everything in one group (fastai's default does).",
            next='nt.Tuner(learn, groups="stage")',
        )


def check_recipe(recipe: Any) -> None:
    """Raise InputTypeError for anything but a Recipe."""
    if not isinstance(recipe, Recipe):
        raise InputTypeError(
            f"run({type(recipe).__name__}).",
            rule="run takes a Recipe.",
            likely="a phase alone, or a recipe function without its brackets.",
            next="tuner.run(nt.recipes.probe_then_finetune())",
        )


def check_limits(limits: Any) -> dict[str, str]:
    """What a card says of its limits: texts by name. Raises InputTypeError or InputError."""
    rule = f"limits is a dictionary with texts under {', '.join(map(repr, LIMITS))}, or some of them."
    code = 'tuner.limits = {"intended": "...", "not_for": "...", "untested": "..."}'
    if not isinstance(limits, Mapping):
        likely = "one text for all three."
        raise InputTypeError(f"limits = {limits!r:.60}", rule=rule, likely=likely, next=code)
    for name, text in limits.items():
        if name not in LIMITS:
            raise InputError(
                f"limits with {name!r}.", rule=rule, likely="another name for one of the three.", next=code
            )
        if not isinstance(text, str) or not text.strip():
            likely = "a place that was left open: leave the name out, and the card says that it is not stated."
            raise InputError(f"limits[{name!r}] = {text!r:.60}", rule=rule, likely=likely, next=code)
    return dict(limits)


def check_kept(phase: Phase, cut: Cut) -> None:
    """Raise InputError where a phase asks for kept features, and nothing is still."""
    asked = f"views={phase.views}" if phase.views > 1 else f'cache="{phase.cache}"'
    if (phase.cache in ("on", "half") or phase.views > 1) and not cut.first:
        raise InputError(
            f"Nothing is still, and {asked} was asked.",
            rule="features are kept of what is still, and nothing is.",
            likely="a Tuner that was not frozen, or was unfrozen since.",
            next=f"tuner.freeze() first; or the fit without {asked}.",
        )


def no_recipe() -> TrainingError:
    """run() without a recipe, and none to go on with."""
    return TrainingError(
        "run() before any recipe.",
        rule="run() goes on with what is left of the last recipe, so there is one.",
        likely="a new Tuner, or training by fit() so far.",
        next="tuner.run(nt.recipes.probe_then_finetune())",
    )


def another_recipe(given: Recipe, known: Recipe) -> InputError:
    """run() with another recipe than the one that was resumed."""
    return InputError(
        f"run() with another recipe than the run's: {given!r:.120}",
        rule=f"a resumed run goes on with its own recipe: {known!r:.120}",
        likely="the recipe was changed since the run was begun.",
        next='tuner.run() goes on; another recipe has a run of its own: nt.Tuner(learn, run_dir="another").',
    )


def callbacks(cbs: Any) -> list[Any]:
    """`cbs` as a list of callbacks: one, several, or none; a class is called, as fastai does."""
    several = list(cbs) if isinstance(cbs, Iterable) else [] if cbs is None else [cbs]
    made = [cb() if isinstance(cb, type) else cb for cb in several]
    for callback in made:
        if not isinstance(callback, Callback):
            raise InputTypeError(
                f"cbs holds {callback!r:.80}, a {type(callback).__name__}.",
                rule="cbs is a fastai Callback, or a list of them.",
                likely="a function, or a callback's name.",
                next="cbs=SaveModelCallback()",
            )
    return made


def check_seed(seed: Any) -> None:
    """Raise unless `seed` is None or a whole number that numpy and torch take."""
    if seed is None:
        return
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise InputTypeError(
            f"seed={seed!r}.",
            rule="a seed is a whole number from 0 to 2**32 - 1, or None to draw one.",
            likely="a text or a float.",
            next="seed=0",
        )
    if not 0 <= seed < 2**32:
        raise InputError(
            f"seed={seed}.",
            rule="a seed is a whole number from 0 to 2**32 - 1, or None to draw one.",
            likely="a negative number or a hash.",
            next=f"seed={seed % 2**32}",
        )


def check_batches(learn: Any) -> None:
    """Raise TrainingError if an epoch would have no batch: fastai then "succeeds" with nan."""
    train = learn.dls.train
    if hasattr(train, "__len__") and len(train) == 0:
        size = getattr(train, "bs", None)
        raise TrainingError(
            f"{_items(train)} training items at a batch size of {size} give no batch.",
            rule="an epoch has at least one batch.",
            likely="the batch size is above the number of training items, and short batches are dropped.",
            next=f"build the DataLoaders with bs={max(1, _items(train))} or drop_last=False.",
        )
