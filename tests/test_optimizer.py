"""The optimizer keeps fastai's word (freezing, schedules, slices) and spares norms and biases from decay."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from nbtune._fastai import CrossEntropyLossFlat, Learner, ParamScheduler, SchedLin
from nbtune._fastai.data import ArrayItems, build_loaders
from nbtune._fastai.optimizer import LayeredAdamW, layered_adamw, stages


def _model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)),
        nn.Sequential(nn.Conv2d(4, 4, 3, bias=False), nn.BatchNorm2d(4)),
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)),
    )


def _split(model: nn.Sequential) -> list[list[nn.Parameter]]:
    return [list(part.parameters()) for part in model]


def _learner(model: nn.Module, **options: object) -> object:
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (12, 1, 8, 8), generator=generator, dtype=torch.uint8)
    train, valid = (ArrayItems(x, torch.arange(12) % 3, [f"{s}{i}" for i in range(12)], s) for s in (0, 1))
    dls = build_loaders(train, valid, bs=4, drop_last=False, mean=[0.5], std=[0.5], augment=[], vocab="abc")
    defaults = {"loss_func": CrossEntropyLossFlat(), "opt_func": layered_adamw, "splitter": _split}
    return Learner(dls, model, **{**defaults, **options})


def _bits(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def _grads_of_zero(model: nn.Module) -> None:
    for p in model.parameters():
        p.grad = torch.zeros_like(p)


def test_decay_moves_kernels_and_leaves_norms_and_biases_to_the_bit() -> None:
    model = _model()
    opt = layered_adamw(_split(model), lr=0.1, wd=0.5)
    before = _bits(model)
    _grads_of_zero(model)
    opt.step()
    for name, p in model.named_parameters():
        if p.ndim > 1:
            # AdamW with no gradient: p * (1 - lr * wd) = p * 0.95
            assert torch.allclose(p, before[name] * 0.95), name
        else:
            assert torch.equal(p, before[name]), name


def test_decay_that_is_set_later_does_not_reach_norms_and_biases() -> None:
    model = _model()
    opt = layered_adamw(_split(model), lr=0.1)
    opt.set_hypers(wd=0.5, lr=slice(0.01, 0.1))
    before = _bits(model)
    _grads_of_zero(model)
    opt.step()
    same = {name for name, p in model.named_parameters() if torch.equal(p, before[name])}
    assert same == {name for name, p in model.named_parameters() if p.ndim == 1}


@pytest.mark.parametrize(
    ("given", "rates"),
    [
        (0.3, [0.3, 0.3, 0.3]),
        (slice(1e-4, 1e-2), [1e-4, 1e-3, 1e-2]),  # fastai: geometric
        (slice(0.5), [0.05, 0.05, 0.5]),  # fastai: a tenth for all but the last
        ([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]),
    ],
)
def test_rates_are_set_as_in_fastai(given: object, rates: list[float]) -> None:
    opt = layered_adamw(_split(_model()))
    opt.set_hyper("lr", given)
    assert np.allclose([h["lr"] for h in opt.hypers], rates)
    assert np.allclose([g["lr"] for g in opt.opt.param_groups], np.repeat(rates, 2))


def test_momentum_and_decay_show_as_set_and_reach_torch() -> None:
    opt = layered_adamw(_split(_model()))
    opt.set_hypers(mom=0.8, sqr_mom=0.9, wd=[0.1, 0.2, 0.3])
    assert [h["mom"] for h in opt.hypers] == [0.8] * 3
    assert [g["betas"] for g in opt.opt.param_groups] == [(0.8, 0.9)] * 6
    assert [g["weight_decay"] for g in opt.opt.param_groups] == [0.1, 0.0, 0.2, 0.0, 0.3, 0.0]


def test_a_wrong_number_of_rates_is_refused() -> None:
    opt = layered_adamw(_split(_model()))
    with pytest.raises(AssertionError, match="3 parameter groups"):
        opt.set_hyper("lr", [1.0, 2.0])


def test_it_presents_one_group_a_layer_group_in_the_given_order() -> None:
    model = _model()
    opt = layered_adamw(_split(model))
    assert len(opt.param_lists) == len(opt.hypers) == 3
    assert [id(p) for group in opt.param_lists for p in group] == [id(p) for p in model.parameters()]


def test_one_flat_list_is_one_group() -> None:
    model = _model()
    opt = layered_adamw(list(model.parameters()))
    assert len(opt.param_lists) == 1
    assert isinstance(opt, LayeredAdamW)


def test_freeze_to_freezes_layer_groups_but_norms_as_fastai_says() -> None:
    learn = _learner(_model(), train_bn=False)
    learn.freeze_to(1)
    assert [all(p.requires_grad for p in group) for group in learn.opt.param_lists] == [False, True, True]
    learn.freeze()
    before = _bits(learn.model)
    with learn.no_bar(), learn.no_logging():
        learn.fit(1, 0.01)
    moved = {name for name, p in learn.model.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {"2.2.weight", "2.2.bias"}


def test_norms_train_in_a_frozen_group_where_fastai_says_so() -> None:
    learn = _learner(_model())  # train_bn=True is fastai's default
    learn.freeze()
    trains = {name for name, p in learn.model.named_parameters() if p.requires_grad}
    assert trains == {"0.1.weight", "0.1.bias", "1.1.weight", "1.1.bias", "2.2.weight", "2.2.bias"}


def test_a_schedule_reaches_every_group() -> None:
    learn = _learner(_model())
    with learn.no_bar(), learn.no_logging():
        learn.fit(2, 0.1, cbs=ParamScheduler({"lr": SchedLin(0.1, 0.2)}))
    # 6 batches; the last one begins at 5/6 of the way
    assert np.allclose([g["lr"] for g in learn.opt.opt.param_groups], 0.1 + 0.1 * 5 / 6)


def test_state_goes_on_where_it_was() -> None:
    straight, broken = _model(), _model()
    first, second = (layered_adamw(_split(m), lr=0.01, wd=0.1) for m in (straight, broken))

    def step(opt: LayeredAdamW, model: nn.Module, seed: int) -> None:
        torch.manual_seed(seed)
        model(torch.randn(5, 1, 8, 8)).square().sum().backward()
        opt.step()
        opt.zero_grad()

    step(first, straight, 1)
    step(second, broken, 1)
    fresh = layered_adamw(_split(broken), lr=0.5)
    fresh.load_state_dict(copy.deepcopy(second.state_dict()))
    step(first, straight, 2)
    step(fresh, broken, 2)
    for name, p in straight.named_parameters():
        assert torch.equal(p, dict(broken.named_parameters())[name]), name
    assert [h["wd"] for h in fresh.hypers] == [0.1] * 3


def test_param_lists_can_be_replaced() -> None:
    opt = layered_adamw(_split(_model()))
    other = _model()
    opt.param_lists = _split(other)
    assert [id(p) for g in opt.opt.param_groups for p in g["params"]] != []
    kernels = [p for group in opt.opt.param_groups[::2] for p in group["params"]]
    assert {id(p) for p in kernels} == {id(p) for p in other.parameters() if p.ndim > 1}


def test_it_agrees_with_torch_without_decay() -> None:
    ours, theirs = _model(), _model()
    opt = layered_adamw(_split(ours), lr=0.01, wd=0.0)
    plain = torch.optim.AdamW(theirs.parameters(), lr=0.01, betas=(0.9, 0.99), eps=1e-5, weight_decay=0, fused=True)
    for seed in range(3):
        for model, stepper in ((ours, opt), (theirs, plain)):
            torch.manual_seed(seed)
            model(torch.randn(5, 1, 8, 8)).square().sum().backward()
            stepper.step()
            stepper.zero_grad()
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))


def test_the_splitter_gives_every_tensor_once_in_forward_order() -> None:
    from nbtune.bodies.letters import LetterNet

    model = LetterNet(10)
    lists = stages(model)
    assert len(lists) == 6
    assert [id(p) for group in lists for p in group] == [id(p) for p in model.parameters()]


def test_the_splitter_keeps_a_tied_tensor_in_its_first_group() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    model[2].weight = model[0].weight
    found = [id(p) for group in stages(model) for p in group]
    assert len(found) == len(set(found)) == 3
