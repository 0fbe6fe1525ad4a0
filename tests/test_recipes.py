"""Recipes are values: what they say is what their source says, and their code makes them again."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nbtune as nt
from nbtune.errors import InputError, InputTypeError, NbtuneError
from nbtune.rates import decay, resolve

R = nt.recipes


def test_fine_tune_has_the_figures_of_fastais() -> None:
    # fastai.callback.schedule.fine_tune: freeze; fit_one_cycle(freeze_epochs, slice(base_lr), pct_start=0.99);
    # base_lr /= 2; unfreeze; fit_one_cycle(epochs, slice(base_lr/lr_mult, base_lr), pct_start=0.3, div=5.0)
    head, body = nt.recipes.fine_tune(5, base_lr=2e-3, freeze_epochs=2).phases
    assert (head.epochs, head.first, head.lr, head.pct_start, head.div) == (2, -1, slice(2e-3), 0.99, 25.0)
    assert (body.epochs, body.first, body.pct_start, body.div) == (5, 0, 0.3, 5.0)
    assert (body.lr.start, body.lr.stop) == pytest.approx((1e-5, 1e-3))


@given(groups=st.integers(2, 8), factor=st.floats(1.1, 5))
def test_gradual_unfreezing_thaws_one_group_more_each_phase(groups: int, factor: float) -> None:
    recipe = nt.recipes.gradual_unfreezing(groups, 1, 3, lr=1e-2, factor=factor)
    assert [phase.first for phase in recipe.phases] == [*range(-1, -groups, -1), 0]
    assert recipe.epochs == groups - 1 + 3
    names = [str(i) for i in range(groups)]
    values = resolve(recipe.phases[-1].lr, names, [False] * groups).values
    assert [a / b for a, b in zip(values[1:], values, strict=False)] == pytest.approx([factor] * (groups - 1))


def test_probe_then_finetune_and_from_scratch() -> None:
    probe, body = nt.recipes.probe_then_finetune(3, 5).phases
    assert (probe.first, probe.augment, body.first, body.augment) == (-1, False, 0, None)
    scratch = nt.recipes.from_scratch(4, 1e-2, wd=0.1)
    assert scratch.fresh
    assert scratch.phases == (nt.Phase(4, lr=1e-2, wd=0.1),)


def test_what_is_no_recipe_is_refused() -> None:
    with pytest.raises(InputError, match="tuple of one or more Phase"):
        nt.Recipe(())
    with pytest.raises(InputTypeError):
        nt.Recipe(("head",))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="keep is"):
        nt.Recipe((nt.Phase(1),), keep="first")
    with pytest.raises(InputError, match="epochs"):
        nt.recipes.probe_then_finetune(0, 1)


def test_code_makes_it_again() -> None:
    recipe = nt.Recipe((nt.Phase(1, first="head", lr=slice(1e-4, 1e-3)), nt.Phase(2)), keep="last", fresh=True)
    assert eval(recipe.code, {"nt": nt}) == recipe
    assert "keeps the last state" in repr(recipe)
    assert "the head" in recipe._repr_html_()


RATE = st.floats(1e-6, 100) | st.floats(1e-6, 100).map(np.float64) | st.floats(2**-20, 100, width=32).map(np.float32)
LR = (
    RATE
    | st.none()
    | st.builds(slice, RATE)
    | st.builds(decay, RATE, st.floats(0.1, 1))
    | st.lists(RATE, min_size=1, max_size=3)
    | st.dictionaries(st.text(), RATE, min_size=1, max_size=3)
    | st.tuples(RATE, RATE).map(lambda pair: slice(*sorted(pair)))
)
N, KEEP, WD = st.integers(1, 50), st.sampled_from(["best", "last"]), st.none() | st.floats(0, 1)
BUILDERS: dict[str, tuple[list[Any], dict[str, Any]]] = {  # arguments by position and by name
    "probe_then_finetune": ([N, N], {"head_lr": LR, "body_lr": LR, "wd": WD, "keep": KEEP}),
    "linear_probe": ([N], {"lr": LR, "wd": WD, "keep": KEEP}),
    "fine_tune": (
        [N, RATE, N, st.floats(1, 1e4)],
        {"pct_start": st.floats(0, 1), "div": st.floats(1, 100), "keep": KEEP},
    ),
    "gradual_unfreezing": ([N, N, N], {"lr": RATE, "factor": st.floats(1, 5), "keep": KEEP}),
    "from_scratch": ([N, LR], {"wd": WD, "keep": KEEP}),
}


@given(st.data(), st.sampled_from(sorted(BUILDERS)))
def test_every_builders_code_makes_the_same_recipe(data: st.DataObject, name: str) -> None:
    positional, named = BUILDERS[name]
    count = data.draw(st.integers(name in ("fine_tune", "gradual_unfreezing"), len(positional)))
    args = [data.draw(strategy) for strategy in positional[:count]]
    options = {key: data.draw(strategy) for key, strategy in named.items() if data.draw(st.booleans())}
    recipe = getattr(R, name)(*args, **options)
    assert recipe.code.startswith(f"nt.recipes.{name}(")
    again = eval(recipe.code, {"nt": nt})
    assert (again, again.code) == (recipe, recipe.code)
    long = replace(recipe)
    assert long.code.startswith("nt.Recipe((")
    assert eval(long.code, {"nt": nt}) == recipe


@pytest.mark.parametrize(
    ("recipe", "call"),
    [
        (R.gradual_unfreezing(6, 1, 1), "gradual_unfreezing(6, 1, 1)"),
        (R.gradual_unfreezing(groups=6), "gradual_unfreezing(6)"),
        (R.gradual_unfreezing(6, lr=np.float64(1e-3), factor=2.6), "gradual_unfreezing(6, lr=0.001)"),
        (R.fine_tune(np.int64(5), freeze_epochs=2), "fine_tune(5, 0.002, 2)"),
        (R.probe_then_finetune(), "probe_then_finetune()"),
        (R.probe_then_finetune(20, 30, keep="last", wd=0.05), "probe_then_finetune(keep='last')"),
        (R.linear_probe(lr=decay(1e-3)), "linear_probe(lr=nt.rates.decay(0.001))"),
        (R.from_scratch(4, slice(1e-3)), "from_scratch(4, slice(0.001))"),
    ],
)
def test_the_call_is_the_shortest(recipe: nt.Recipe, call: str) -> None:
    assert recipe.call == call


def test_a_changed_copy_does_not_keep_the_call() -> None:
    changed = replace(R.gradual_unfreezing(2), keep="last")
    assert "keep='last'" in changed.code
    assert eval(changed.code, {"nt": nt}) == changed


def test_an_argument_that_can_be_read_only_once_leaves_the_phases_as_code() -> None:
    recipe = R.linear_probe(2, lr=(rate for rate in (0.0, 1e-3)))
    assert recipe.code.startswith("nt.Recipe(")
    assert eval(recipe.code, {"nt": nt}) == recipe


def test_a_list_of_phases_is_taken() -> None:
    assert nt.Recipe([nt.Phase(1), nt.Phase(2)]) == nt.Recipe((nt.Phase(1), nt.Phase(2)))  # type: ignore[arg-type]
    assert isinstance(nt.Recipe([nt.Phase(1)]).phases, tuple)  # type: ignore[arg-type]


WRONG: list[tuple[Any, str, str, str]] = [
    (lambda: R.fine_tune(1, "x"), "base_lr is 'x', a str.", "name where a number", "base_lr=0.001"),
    (lambda: R.fine_tune(1, -1.0), "base_lr is -1.", "sign", "base_lr=0.001"),
    (lambda: R.fine_tune(1, 1e30), "base_lr is 1e+30.", "exponent", "base_lr=0.001"),
    (lambda: R.fine_tune(1, lr_mult=0.01), "lr_mult=0.01.", "inverse", "lr_mult=100"),
    (lambda: R.fine_tune(1, freeze_epochs=0), "freeze_epochs=0.", "skipped", "freeze_epochs=1"),
    (lambda: R.gradual_unfreezing("6"), "groups='6', a str.", "as text", "groups=6"),
    (lambda: R.gradual_unfreezing(0), "groups=0.", "empty", "groups=6"),
    (lambda: R.gradual_unfreezing(2.5), "groups=2.5.", "fraction", "groups=2"),
    (lambda: R.gradual_unfreezing(6, factor=0.5), "factor=0.5.", "inverse", "factor=2"),
    (lambda: R.gradual_unfreezing(6, factor=0), "factor=0.", "another argument", "factor=2.6"),
    (lambda: R.probe_then_finetune(0), "head_epochs=0.", "skipped", "head_epochs=20"),
    (lambda: R.probe_then_finetune(head_lr=math.nan), "head_lr is nan.", "not a number", "head_lr=0.001"),
    (lambda: nt.Recipe(nt.Phase(1)), "phases=Phase(1), a Phase.", "without a list", "nt.Recipe([nt.Phase(1)])"),
    (lambda: nt.Recipe([]), "phases=[], without a phase.", "to be filled", "nt.Recipe([nt.Phase(4, first="),
    (lambda: nt.Recipe("abc"), "phases='abc', a str.", "a name", "nt.recipes.probe_then_finetune()"),
    (lambda: nt.Recipe(3), "phases=3.", "epochs", "nt.Recipe([nt.Phase(3)])"),
    (lambda: nt.Recipe([nt.Phase]), "phases[0]=", "brackets", "nt.Recipe([nt.Phase(4"),
    (lambda: nt.Recipe([nt.Phase(1)], nt.Phase(2)), "name=Phase(2)", "outside the list", "nt.Recipe([first, second])"),
    (lambda: nt.Recipe([nt.Phase(1)], keep="First"), "keep='First'", "another word", 'keep="'),
    (lambda: nt.Recipe([nt.Phase(1)], fresh="yes"), "fresh='yes'", "switch", "fresh=True"),
]


@pytest.mark.parametrize(("make", "given", "likely", "better"), WRONG, ids=[row[1] for row in WRONG])
def test_what_makes_no_sense_is_refused_when_made(make: Any, given: str, likely: str, better: str) -> None:
    with pytest.raises(NbtuneError) as error:
        make()
    assert error.value.given.startswith(given)
    assert likely in error.value.likely
    assert error.value.next.startswith(better)
    if better.startswith("nt.") and "first, second" not in better:
        assert isinstance(eval(error.value.next, {"nt": nt}), nt.Recipe)


def test_it_shows_itself_in_words() -> None:
    assert repr(R.fine_tune(1)) == (
        "fine_tune: 1 epoch of the head at 0.002 (head; a tenth below), then 1 epoch of all groups at "
        "1e-05 (first group) to 0.001 (head); keeps the last state."
    )
    text = repr(nt.Recipe((nt.Phase(1, -3, decay(1e-3)), nt.Phase(2, 1, {"head": 1.0}), nt.Phase(1, "layer4"))))
    assert "1 epoch of the last 3 groups at 0.001 (head; times 0.8 for each group below)" in text
    assert "2 epochs of all groups but the first at 1 (head)" in text
    assert "1 epoch of all groups from layer4 on at the default rate" in text
    assert "1 epoch in all" in R.linear_probe(1)._repr_html_()
    assert "42 more phases" in repr(R.gradual_unfreezing(48))
    for recipe in (R.fine_tune(1), R.from_scratch(1), R.gradual_unfreezing(3)):
        assert not any(word in repr(recipe) + recipe._repr_html_() for word in ("slice(", "Decay(", "None", "1 epochs"))
