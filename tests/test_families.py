"""Families of networks by name go the whole way: a few here, all of tests/FAMILIES.md in the long form."""

from __future__ import annotations

import pytest

from families import FASTAI, TABLE, TIMM, TORCHVISION, Way, table, whole_way


@pytest.mark.parametrize(
    "name", ["resnet18", "shufflenet_v2_x0_5", "timm:convnext_atto", "timm:vit_tiny_patch16_224", "xresnet18"]
)
def test_a_body_by_name_goes_from_freezing_to_a_bundle_with_equal_answers(name: str) -> None:
    pytest.importorskip("timm")
    way = whole_way(name, {**TORCHVISION, **TIMM, **FASTAI}[name])
    assert way.whole, way
    assert way.blocks >= way.stages > 2


def test_what_does_not_work_is_said() -> None:
    assert "size=40 for 'vit_b_16'" in whole_way("vit_b_16", 40).trouble
    assert not Way("a", 32, still="yes", cached="yes", recipe="yes", bundle="answers differ by 0.1").whole


def test_the_table_is_of_the_families_that_are_tried() -> None:
    names = [*TORCHVISION, *TIMM, *FASTAI]
    lines = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert [line.split("`")[1] for line in lines] == names
    assert len(TORCHVISION) >= 12
    assert len(TIMM) >= 12


@pytest.mark.faults
@pytest.mark.survives(
    "every family of torchvision and timm that tests/FAMILIES.md lists, with fresh weights",
    "still, cached, trained by a recipe, saved and loaded with equal answers, as the table says",
)
def test_every_family_is_as_the_table_says() -> None:
    ways = [whole_way(name, side) for name, side in {**TORCHVISION, **TIMM, **FASTAI}.items()]
    assert table(ways) == TABLE.read_text(encoding="utf-8"), "python scripts/families.py write"
