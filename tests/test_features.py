"""The features of any model are the group's own output, and the model is left as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader as TorchLoader
from torchvision.models import resnet18

import nbtune as nt
from learners import FAMILIES, X, Y, cnn
from nbtune.errors import NbtuneError
from nbtune.groups import split

PAIRS = list(zip(X[:10], Y[:10], strict=True))


def own(model: nn.Module, path: str, x: torch.Tensor) -> torch.Tensor:
    """A module's output by a plain hook."""
    seen: list[torch.Tensor] = []
    handle = model.get_submodule(path).register_forward_hook(lambda _, __, out: seen.append(out.detach()))
    with torch.no_grad():
        model.eval()(x)
    handle.remove()
    return seen[0]


@pytest.mark.parametrize("dl", [TorchLoader(PAIRS, 4), [(X[:4], Y[:4]), (X[4:10], Y[4:10])]], ids=["torch", "list"])
@pytest.mark.parametrize("at", [0, 1, -2, -1])
def test_they_are_the_groups_own_output_for_any_iterable_of_batches(dl: Any, at: int) -> None:
    model = cnn()
    path = split(model)[at].modules[-1]
    expected = torch.cat([own(model, path, x) for x, _ in dl])
    found, y = nt.features(model.train(), upto=at, dl=dl)
    assert torch.equal(found, expected)
    assert torch.equal(y, Y[:10])


def test_a_name_inputs_without_targets_and_dicts() -> None:
    torch.manual_seed(0)
    model = resnet18()
    x = X[:4].expand(-1, 3, -1, -1).repeat(1, 1, 4, 4)
    found, y = nt.features(model, upto="layer4", dl=[x])
    assert found.shape == (4, 512, 1, 1)
    assert y is None

    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = nn.Linear(4, 3), nn.Linear(3, 2)

        def forward(self, pixels: torch.Tensor) -> Any:
            return self.head(self.body(pixels))

    batch = {"pixels": torch.ones(2, 4), "labels": torch.tensor([0, 1])}
    found, y = nt.features(Named(), upto=0, dl=[batch])
    assert found.shape == (2, 3)
    assert y.tolist() == [0, 1]


@pytest.mark.parametrize("family", ["cnn", "bert", "tabular"])
def test_a_fastai_loader_says_what_is_a_target(family: str) -> None:
    learn = FAMILIES[family]()
    loader = learn.dls.valid
    found, y = nt.features(learn.model, upto=-2, dl=loader)
    assert len(found) == len(y) == len(loader.dataset)


def everything(model: nn.Module) -> Any:
    tensors = [t.clone() for t in model.state_dict().values()]
    return tensors, [(m.training, len(m._forward_hooks)) for m in model.modules()]


@pytest.mark.parametrize("ends", [False, True])
def test_the_model_is_left_as_it_was_also_when_interrupted(ends: bool) -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("calls", torch.zeros(1))
            self.layer = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> Any:
            self.calls += 1
            return self.layer(x)

    model = nn.Sequential(Counting(), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2)).train()
    model[3].eval()
    before = everything(model)

    def batches() -> Any:
        yield torch.ones(3, 4)
        if ends:
            raise KeyboardInterrupt
        yield torch.ones(2, 4)

    if ends:
        with pytest.raises(KeyboardInterrupt):
            nt.features(model, upto=0, dl=batches())
    else:
        assert len(nt.features(model, upto=0, dl=batches())[0]) == 5
    after = everything(model)
    assert before[1] == after[1]
    assert all(torch.equal(a, b) for a, b in zip(before[0], after[0], strict=True))


class Crossed(nn.Module):
    """Its second layer runs after the third."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> Any:
        return self.b(self.c(self.a(x)))


BAD: list[tuple[Callable[[], Any], str]] = [
    (lambda: nt.features(resnet18(), upto="layer5", dl=[X]), "did you mean layer"),
    (lambda: nt.features(cnn(), upto=9, dl=[X]), "is the last"),
    (lambda: nt.features(cnn(), upto=nn.Linear(1, 1), dl=[X]), "its name"),  # type: ignore[arg-type]
    (lambda: nt.features(cnn(), upto=0, dl=X), "dl=[x]"),
    (lambda: nt.features(cnn(), upto=0, dl="digits"), "DataLoader"),
    (lambda: nt.features(cnn(), upto=0, dl=[]), "used up"),
    (lambda: nt.features(cnn(), upto=0, dl=[(X[:2], Y[:2]), (X[:2, :, :6], Y[:2])]), "6 x 8 x 8 in the first"),
    (lambda: nt.features(FAMILIES["cnn"](), upto=0, dl=[X]), "learn.model"),
    (lambda: nt.features(Crossed(), upto=1, dl=[X[:, 0, 0, :4]]), "runs after"),
]


@pytest.mark.parametrize(("call", "word"), BAD)
def test_what_does_not_fit_is_refused_in_four_parts(call: Callable[[], Any], word: str) -> None:
    with pytest.raises(NbtuneError) as raised:
        call()
    text = str(raised.value)
    assert word in text
    for part in ("Rule:", "Likely:", "Next:"):
        assert part in text


def test_the_name_is_the_function_whatever_is_imported() -> None:
    import nbtune.cache.features

    assert callable(nt.features)
    assert nt.features is nbtune.cache.features.features
