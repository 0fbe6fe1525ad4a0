"""Recipes are values: what they say is what their source says, and their code makes them again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nbtune as nt
from nbtune.errors import InputError, InputTypeError
from nbtune.rates import resolve


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
    with pytest.raises(InputTypeError, match="tuple of one or more Phase"):
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
    assert "from head" in recipe._repr_html_()
