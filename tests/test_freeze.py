"""What is still stays still to the bit, whoever trains, unfreezes or interrupts; and what is said of it is true."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from fastai.callback.core import Callback
from fastai.callback.schedule import fine_tune, fit_one_cycle  # noqa: F401 - patches Learner
from fastai.optimizer import SGD, Adam, OptimWrapper
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import nbtune as nt
from learners import FAMILIES, bits, digits, loaders, quiet
from nbtune._cut import Cut
from nbtune.errors import FreezeError
from nbtune.freeze import Hold, groups_of, plan_of, reinitialise
from nbtune.freeze.plan import FreezePlan
from nbtune.groups import LayerGroup, split

LIVE = {"cache": "off"}  # the cache has tests of its own; here every step runs through the whole model


def frozen(model: nn.Module, first: int | str, norms: str = "still") -> dict[str, bytes]:
    groups = split(model)
    names = [group.name for group in groups]
    at = names.index(first) if isinstance(first, str) else first % len(names)
    held = Cut(groups, at, norms).frozen(model)
    return {name: value for name, value in bits(model).items() if name in held}


def at(model: nn.Module, first: int) -> int:
    return first % len(split(model))


@pytest.mark.parametrize("family", FAMILIES)
def test_frozen_tensors_and_buffers_are_unchanged_to_the_bit_after_real_fits(family: str) -> None:
    learn = FAMILIES[family]()
    if family != "collab":  # whose whole is three groups
        learn.fit(1, 1e-2)  # momentum from an earlier phase
    before, every = frozen(learn.model, -1), bits(learn.model)
    still = nt.Still(-1, **LIVE)
    learn.fit(2, 1e-2, wd=0.1, cbs=still)
    assert frozen(learn.model, -1) == before
    assert still.proof
    assert still.proof.checked == len(before) > 0
    assert bits(learn.model) != every, "nothing was trained"


@pytest.mark.parametrize("way", ["fit", "fit_one_cycle", "fine_tune", "frozen before", "sgd", "torch adamw"])
@pytest.mark.parametrize("first", ["part1", "head"])
def test_every_way_of_training_keeps_the_promise(way: str, first: str) -> None:
    kinds = {"sgd": partial(SGD, mom=0.9), "torch adamw": partial(OptimWrapper, opt=torch.optim.AdamW)}
    learn = digits(opt_func=kinds.get(way, Adam), train_bn=True)
    learn.fit(1, 1e-2)
    if way == "frozen before":
        learn.freeze()
    before, every = frozen(learn.model, first), bits(learn.model)
    fit = {"fit_one_cycle": learn.fit_one_cycle, "fine_tune": learn.fine_tune}.get(way, learn.fit)
    fit(2, 1e-2, cbs=nt.Still(first, **LIVE))
    assert frozen(learn.model, first) == before
    trained = [name for name, value in bits(learn.model).items() if value != every[name]]
    assert {name.split(".")[0] for name in trained} == {str(i) for i in range({"part1": 1, "head": 3}[first], 4)}


@given(first=st.integers(-4, 3), norms=st.sampled_from(["still", "stats", "train"]), epochs=st.integers(1, 2))
@settings(max_examples=15)
def test_any_cut_and_any_norms_mode_move_exactly_what_they_say(first: int, norms: str, epochs: int) -> None:
    learn = digits()
    before, index = bits(learn.model), at(learn.model, first)
    learn.fit(epochs, 1e-1, cbs=nt.Still(first, norms, **LIVE))
    after = bits(learn.model)
    for name in before:
        part, kind = int(name.split(".")[0]), name.split(".")[-1]
        is_norm = part < 3 and name.split(".")[1] == "1"
        statistic = kind.startswith(("running", "num_batches"))
        moves = part >= index or (is_norm and (norms == "train" or (norms == "stats" and statistic)))
        assert (after[name] != before[name]) == moves, name


def test_dropout_of_the_still_part_is_off_and_of_the_rest_on() -> None:
    learn, seen = digits(), []

    class Look(Callback):
        def after_pred(self) -> None:
            if self.training:
                seen.append([m.training for m in self.model.modules() if isinstance(m, nn.Dropout)])

    learn.fit(1, 1e-2, cbs=[nt.Still("part2", **LIVE), Look()])
    assert seen == [[False, False, True, True]] * 3  # three batches


class Meddler(Callback):
    """Does at an event what a user's callback may do."""

    def __init__(self, event: str, act: Any, order: int) -> None:
        self.event, self.act, self.order = event, act, order

    def __call__(self, event_name: str) -> None:
        if event_name == self.event:
            self.act(self.learn)


@pytest.mark.parametrize("order", [-50, 200])
@pytest.mark.parametrize("event", ["before_epoch", "before_train", "before_batch", "after_batch", "after_backward"])
@pytest.mark.parametrize("act", ["unfreeze", "train", "grads"])
def test_no_callback_can_thaw_it(event: str, act: str, order: int) -> None:
    def grads(learn: Any) -> None:
        for parameter in learn.model.parameters():
            parameter.requires_grad_(True)

    acts = {"unfreeze": lambda learn: learn.unfreeze(), "train": lambda learn: learn.model.train(), "grads": grads}
    learn = digits()
    learn.fit(1, 1e-2)
    before = frozen(learn.model, "head")
    learn.fit(2, 1e-1, wd=0.1, cbs=[nt.Still("head", **LIVE), Meddler(event, acts[act], order)])
    assert frozen(learn.model, "head") == before


def test_a_frozen_weight_that_somebody_changes_makes_the_proof_false_and_warns() -> None:
    def meddle(learn: Any) -> None:
        with torch.no_grad():
            learn.model[0][0].weight[0, 0, 0, 0] += 1e-6

    learn, still = digits(), nt.Still("head", **LIVE)
    with pytest.warns(UserWarning, match="NOT still: 1 of"):
        learn.fit(1, 1e-2, cbs=[still, Meddler("after_batch", meddle, 0)])
    assert not still.proof
    assert still.proof.changed == ("0.0.weight",)
    assert "NOT still" in repr(still.proof)


def flags(learn: Any) -> list[bool]:
    return [p.requires_grad for p in learn.model.parameters()]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("event", ["before_fit", "before_batch", "after_backward", "before_validate", "after_epoch"])
def test_what_it_changed_is_given_back_however_the_fit_ends(event: str, error: type[BaseException]) -> None:
    def fail(learn: Any) -> None:
        raise error("on purpose")

    learn = digits()
    learn.freeze()
    learn.model[3][3].weight.requires_grad_(False)
    before = flags(learn)
    with pytest.raises(error):
        learn.fit(1, 1e-2, cbs=[nt.Still("part1", **LIVE), Meddler(event, fail, 90)])
    assert flags(learn) == before
    assert not any(m._forward_pre_hooks for m in learn.model.modules())
    if learn.model.training:
        assert all(m.training for m in learn.model.modules())
    learn.fit(1, 1e-2, cbs=nt.Still("part1", **LIVE))
    assert flags(learn) == before
    assert not any(m._forward_pre_hooks for m in learn.model.modules())


def test_predictions_on_other_data_are_the_models_own() -> None:
    learn, still = digits(), nt.Still("head")
    learn.add_cb(still)
    learn.fit(1, 1e-2)
    assert still.cached
    assert still.proof
    other = loaders(items=40)[1]
    with torch.no_grad():
        expected = learn.model.eval()(torch.stack([x for x, _ in other.dataset]))
    assert torch.allclose(learn.get_preds(dl=other, act=lambda x: x)[0], expected, atol=1e-6)
    learn.validate()
    assert still.proof, "a look at the model is no new fit"


def test_one_callback_serves_many_fits_and_a_model_that_was_replaced() -> None:
    learn, still = digits(), nt.Still("head", **LIVE)
    learn.add_cb(still)
    learn.fit(1, 1e-2)
    learn.load_state = None
    other = digits().model
    learn.model, learn.opt = other, None
    before = frozen(other, "head")
    learn.fit(1, 1e-2)
    assert still.proof
    assert frozen(other, "head") == before
    with torch.no_grad():
        other[0][0].weight.zero_()  # between fits weights may be loaded
    learn.fit(1, 1e-2)
    assert still.proof


@pytest.mark.parametrize("order", [("head", "part1"), ("part1", "head")])
@pytest.mark.parametrize("norms", ["still", "stats", "train"])
def test_two_at_once_hold_what_either_holds(order: tuple[str, str], norms: str) -> None:
    learn = digits()
    stills = [nt.Still(first, norms if first == "part1" else "still", **LIVE) for first in order]
    before = frozen(learn.model, "head")
    learn.fit(1, 1e-1, cbs=stills)
    assert frozen(learn.model, "head") == before
    assert all(still.proof for still in stills)
    assert all(flags(learn))


def test_a_second_one_gives_back_to_the_first_that_stays() -> None:
    learn, stays = digits(), nt.Still("head", **LIVE)
    learn.add_cb(stays)
    learn.fit(1, 1e-2)
    learn.fit(1, 1e-2, cbs=nt.Still("part1", **LIVE))
    assert flags(learn) == [False] * 9 + [True] * 2  # three convolutions and norms; the head
    learn.remove_cb(stays)
    assert all(flags(learn))


def test_first_zero_holds_nothing() -> None:
    learn, still = digits(), nt.Still(0)
    learn.freeze()
    before = bits(learn.model)
    learn.fit(1, 1e-1, cbs=still)
    assert not any(value == before[name] for name, value in bits(learn.model).items())
    assert repr(still.proof) == "Nothing is frozen, so nothing had to stay still."


@pytest.mark.parametrize("norms", ["still", "stats", "train"])
def test_a_bare_module_is_held_in_a_loop_that_calls_train_each_epoch(norms: str) -> None:
    learn = digits()
    model = learn.model
    if norms == "still":
        model[2].eval()  # somebody's own
    flags_before = [m.training for m in model.modules()]
    before, every = frozen(model, "head", norms), bits(model)
    opt = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)
    with nt.Still("head", norms).apply(model) as hold:
        for _ in range(2):
            model.train()
            for x, y in learn.dls.train:
                opt.zero_grad(set_to_none=False)
                nn.functional.cross_entropy(model(x), y).backward()
                opt.step()
        assert hold.proof()
        assert [m.training for m in model.modules() if isinstance(m, nn.Dropout)] == [False] * 3 + [True]
    assert frozen(model, "head", norms) == before
    moved = {name for name, value in bits(model).items() if value != every[name]}
    assert {"3.3.weight", "3.3.bias"} <= moved
    assert ("0.1.running_mean" in moved) == (norms != "still")
    assert ("0.1.weight" in moved) == (norms == "train")
    assert all(p.requires_grad for p in model.parameters())
    assert [m.training for m in model.modules()] == flags_before
    assert not model._forward_pre_hooks


class Tied(nn.Module):
    """An encoder whose embedding the decoder shares, and a norm layer that both parts run."""

    def __init__(self) -> None:
        super().__init__()
        self.emb = nn.Embedding(20, 8)
        self.norm = nn.BatchNorm1d(8)
        self.mid = nn.Linear(8, 8)
        self.again = self.norm
        self.out = nn.Linear(8, 20)
        self.out.weight = self.emb.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.again(self.mid(self.norm(self.emb(x).mean(1)))))


def test_tied_tensors_and_shared_modules_are_still_everywhere_and_the_plan_says_so() -> None:
    torch.manual_seed(0)
    model = Tied()
    groups = split(model)
    names = [group.name for group in groups]
    first = next(i for i, g in enumerate(groups) if "mid.weight" in g.tensors)
    cut = Cut(groups, first)
    before = bits(model)
    with Hold(model, cut, hook=True):
        plan = plan_of(model, cut)
        opt = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        for _ in range(3):
            model.train()
            opt.zero_grad()
            model(torch.randint(0, 20, (16, 3))).sum().backward()
            opt.step()
    after = bits(model)
    assert [name for name in after if after[name] != before[name]] == ["mid.weight", "mid.bias", "out.bias"], names
    assert set(plan.tied) == {"out.weight", "again.weight", "again.bias", "again.running_mean", "again.running_var",
                              "again.num_batches_tracked"}  # fmt: skip
    assert "out.weight" in plan.sentence
    assert plan.trainable == 8 * 8 + 8 + 20


def test_plan_and_groups_are_read_from_the_model() -> None:
    learn = digits()
    groups = split(learn.model)
    cut = Cut(groups, 2, "stats")
    with Hold(learn.model, cut):
        plan, table = plan_of(learn.model, cut), groups_of(learn.model, cut)
        assert plan.still == ("stem", "part1")
        assert plan.trainable == sum(p.numel() for p in learn.model.parameters() if p.requires_grad)
        assert [g.norms for g in table] == ["stats", "stats", "train", None]
        assert [g.trainable for g in table] == [False, False, True, True]
        assert not plan.loose
        learn.model[0][0].weight.requires_grad_(True)
        plan = plan_of(learn.model, cut)
        assert plan.loose == ("0.0.weight",)
        assert "somebody unfroze 1 still tensor" in plan.sentence
    assert list(plan.frame()["state"]) == ["❄ still", "❄ still", "▲ trains", "▲ trains"]


def planned(names: list[str], still: int, **more: Any) -> FreezePlan:
    groups = tuple(LayerGroup(name, 1000 * (at + 1), at >= still, None, None) for at, name in enumerate(names))
    count = sum(group.params for group in groups[still:])
    return FreezePlan(groups, names[still], "still", count, sum(group.params for group in groups), **more)


RESNET = ["stem", "layer1", "layer2", "layer3", "layer4", "head"]


@pytest.mark.parametrize(
    ("names", "still", "said"),
    [
        (RESNET, 5, "Only the head trains (6 k of 21 k parameters)."),
        (RESNET, 3, "layer3, layer4 and head train (15 k of 21 k parameters)."),
        (RESNET, 4, "layer4 and head train (11 k of 21 k parameters)."),
        (RESNET, 2, "layer2 … head (4 groups) train (18 k of 21 k parameters)."),
        (RESNET, 0, "All 6 groups train (21 k parameters)."),
        (["a", "b"], 1, "Only 'b' trains (2 k of 3 k parameters)."),
        (["head"], 0, "head trains, the only group (1 k parameters)."),
    ],
)
def test_a_plan_says_who_trains(names: list[str], still: int, said: str) -> None:
    assert repr(planned(names, still)) == said


def test_a_plan_says_what_an_epoch_took_and_what_came_loose() -> None:
    assert "; it took 0.48 s an epoch." in repr(planned(RESNET, 5, took=0.48))
    assert "somebody unfroze 1 still tensor since" in repr(planned(RESNET, 5, loose=("a",)))
    assert "somebody unfroze 2 still tensors since" in repr(planned(RESNET, 5, loose=("a", "b")))


@pytest.mark.parametrize(
    ("names", "still"),
    [
        (RESNET, 5),
        (RESNET, 0),
        (["a", "b"], 1),
        (["only"], 0),
        ([f"encoder_block_{at}" for at in range(10)], 3),
        ([f"encoder_block_{at}" for at in range(14)], 7),
        ([f"linear{at}" for at in range(400)], 200),
        ([f"linear{at}" for at in range(400)], 399),
        ([f"a_very_long_name_of_a_layer_{at}" for at in range(40)], 1),
    ],
)
def test_the_picture_of_a_plan_is_legible_and_true(names: list[str], still: int) -> None:
    plan = planned(names, still)
    picture = plan.plot()
    picture._repr_png_()
    (ax,) = picture.axes
    assert ax.get_title("left").replace("\n", " ") == plan.sentence
    labels = [text for text in ax.texts if "|" not in text.get_text()]
    boxes = [patch.get_window_extent() for patch in ax.patches]
    assert len(labels) == len(boxes) == (len(names) if len(names) <= 10 else 2 if still else 1)
    for text, box in zip(labels, boxes, strict=True):
        extent = text.get_window_extent()
        assert box.x0 <= extent.x0 <= extent.x1 <= box.x1
        assert text.get_bbox_patch() is not None  # no hatch behind the letters
    widths = [patch.get_width() for patch in ax.patches]
    share = [group.params for group in plan.groups]
    if len(names) > 10:
        share = [sum(share[:still]), sum(share[still:])]
    by_size = [part / sum(share) for part in share]
    assert ("widened" in ax.get_xlabel()) == ([w / sum(widths) for w in widths] != pytest.approx(by_size))
    assert any("still | trains" in text.get_text() for text in ax.texts) == bool(still)


def test_many_groups_are_drawn_as_two_boxes() -> None:
    (ax,) = planned([f"linear{at}" for at in range(400)], 200).plot().axes
    assert "linear0 … linear199\n(200 groups)" in ax.texts[0].get_text()
    assert "linear200 … linear399\n(200 groups)" in ax.texts[1].get_text()


def test_reading_the_groups_changes_no_flag() -> None:
    model = digits().model
    model.eval()
    model[1].train()
    before = [m.training for m in model.modules()]
    groups_of(model, Cut(split(model), 2))
    assert [m.training for m in model.modules()] == before


def test_what_cannot_be_cut_is_refused_before_anything_is_changed() -> None:
    learn = digits()
    before = flags(learn), bits(learn.model)
    with pytest.raises(FreezeError, match="names no group"):
        learn.fit(1, cbs=nt.Still("layer9"))
    with pytest.raises(FreezeError, match="outside"):
        nt.Still(7).apply(learn.model)
    with pytest.raises(ValueError, match="Rule: norms is one of"):
        nt.Still(1, "frozen").apply(learn.model)
    silent = nn.Sequential(nn.Sequential(nn.Linear(4, 4)), nn.Sequential(nn.ReLU(), nn.Flatten()))
    groups = split(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)))
    with pytest.raises(FreezeError, match="no tensor"):
        nt.Still(1, groups=groups).apply(silent)
    assert (flags(learn), bits(learn.model)) == before


def test_reinitialise_draws_every_weight_anew_or_none() -> None:
    model = digits().model
    with torch.no_grad():
        for tensor in [*model.parameters(), *(b for b in model.buffers() if b.is_floating_point())]:
            tensor.fill_(7.0)
    torch.manual_seed(1)
    reinitialise(model)
    assert not any((p == 7).any() for p in [*model.parameters(), *model.buffers()])
    assert model[0][1].running_mean.abs().sum() == 0

    class Token(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token, self.fc = nn.Parameter(torch.zeros(4)), nn.Linear(4, 4)

    token = Token()
    before = bits(token)
    with pytest.raises(FreezeError, match="Token have no reset_parameters"):
        reinitialise(token)
    assert bits(token) == before


def test_it_is_quiet_for_the_learner_around_it() -> None:
    learn = quiet(digits())
    names = [type(cb).__name__ for cb in learn.cbs]
    learn.fit(1, 1e-3, cbs=nt.Still("head"))
    assert [type(cb).__name__ for cb in learn.cbs] == names
    assert not hasattr(learn, "still")
