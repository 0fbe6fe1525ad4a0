"""Every tensor is on one side of a cut, and digests tell a change of one bit."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from learners import FAMILIES, cnn, parts
from nbtune._cut import Cut, digests, from_lists, grouping
from nbtune.errors import FreezeError
from nbtune.groups import Group, split

MODELS = {name: make().model for name, make in FAMILIES.items()}


@given(family=st.sampled_from(sorted(MODELS)), at=st.integers(0, 9), norms=st.sampled_from(["still", "stats", "train"]))
def test_every_parameter_is_frozen_or_trains_in_one_group(family: str, at: int, norms: str) -> None:
    model = MODELS[family]
    groups = split(model)
    cut = Cut(groups, at % len(groups), norms)
    frozen, live = cut.frozen(model), [p for group in cut.lists(model) for p in group]
    assert len({id(p) for p in live}) == len(live), "twice in the optimizer"
    assert not {id(p) for p in live} & {id(tensor) for tensor in frozen.values()}
    assert {id(p) for p in model.parameters()} <= {id(p) for p in live} | {id(t) for t in frozen.values()}
    if norms == "still":
        held = {name for group in cut.still for name in group.tensors}
        assert held <= set(frozen)
        assert set(cut.tied(frozen)) == set(frozen) - held


@given(at=st.integers(0, 47), bit=st.integers(0, 31))
def test_a_digest_tells_any_single_bit(at: int, bit: int) -> None:
    tensor = torch.arange(48, dtype=torch.int32).reshape(6, 8)
    before = digests({"t": tensor})
    tensor.view(-1)[at] ^= torch.tensor(1 << bit if bit < 31 else -(1 << 31), dtype=torch.int32)
    assert digests({"t": tensor}) != before


def test_digests_tell_type_and_shape_but_not_memory_layout() -> None:
    zeros = torch.zeros(2, 3, 4, 4)
    same = zeros.to(memory_format=torch.channels_last)
    assert digests({"t": zeros}) == digests({"t": same})
    others = [zeros.reshape(3, 2, 4, 4), zeros.int(), torch.zeros(0), torch.tensor(0.0), torch.tensor(0.0).bfloat16()]
    assert len({digests({"t": t})["t"] for t in [zeros, *others]}) == 6


def test_groups_from_a_splitter_cover_every_tensor_and_module() -> None:
    model = cnn()
    groups = from_lists(model, parts(model))
    names = [name for group in groups for name in group.tensors]
    assert sorted(names) == sorted(dict([*model.named_parameters(), *model.named_buffers()]))
    assert [group.name for group in groups] == ["group0", "group1", "group2", "group3"]
    assert "1.1.running_mean" in groups[1].tensors
    held, _ = Cut(groups, 2).modules(model)
    assert {m for m in held if isinstance(m, nn.Dropout)} == {model[0][3], model[1][3]}


def test_groupings_a_person_may_name() -> None:
    model = cnn()
    assert grouping(model, "stage", None) == split(model)
    assert grouping(model, split(model), None) == split(model)
    assert len(grouping(model, "learner", parts)) == len(grouping(model, parts, None)) == 4
    for wrong in ("stages", 3, [], "learner"):
        with pytest.raises(FreezeError, match="Rule: groups is"):
            grouping(model, wrong, None)  # type: ignore[arg-type]


def test_groups_of_another_model_are_refused() -> None:
    with pytest.raises(FreezeError, match="no tensor"):
        Cut(split(cnn()), 1).lists(nn.Sequential(nn.Linear(2, 2)))


def test_a_layer_that_both_parts_run_is_still_whichever_path_comes_first() -> None:
    norm = nn.BatchNorm1d(4)
    model = nn.ModuleDict({"late": norm, "fc": nn.Linear(4, 4), "early": norm})
    names = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    still = Group("early", ("early",), tuple(f"early.{name}" for name in names))
    live = Group("late", ("late", "fc"), (*(f"late.{name}" for name in names), "fc.weight", "fc.bias"))
    cut = Cut((still, live), 1)
    assert norm in cut.modules(model)[0]
    assert cut.lists(model) == [[model["fc"].weight, model["fc"].bias]]


def test_a_whole_number_parameter_never_trains() -> None:
    model = cnn()
    model[3].register_parameter("steps", nn.Parameter(torch.tensor(3), requires_grad=False))
    assert all(p.is_floating_point() for group in Cut(split(model), 1).lists(model) for p in group)
