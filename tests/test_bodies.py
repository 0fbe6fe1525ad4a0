"""Bodies: found by name, one preprocessing for training and predicting, weights only by their digest."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from nbtune import bodies, tasks
from nbtune.bodies.images import as_batch
from nbtune.bodies.letters import LetterNet
from nbtune.bodies.own import own_body
from nbtune.bodies.shipped import FOLDER, read
from nbtune.errors import BundleError, InputError, InputTypeError, MissingFileError, NbtuneError

IMAGES = np.random.RandomState(0).randint(0, 256, (4, 32, 32)).astype(np.uint8)


def _four_parts(error: pytest.ExceptionInfo[NbtuneError]) -> None:
    assert all(part in str(error.value) for part in ("Rule:", "Likely:", "Next:"))


# By name


@pytest.mark.parametrize(
    ("name", "likely", "better"),
    [
        ("leters", "a misspelling", "did you mean letters?"), ("Letters ", "a capital letter or a space", "letters"),
        ("resnet81", "a misspelling", 'task.learner("resnet18")'), ("ResNet50", "a capital letter", "resnet50"),
        ("qwxyz", "another library", "task.learner(network)"), ("", "an empty text", 'task.learner("letters")'),
        ("resnet18.IMAGENET1K_V9", "a misspelling", 'task.learner("resnet18.IMAGENET1K_V1")'),
        ("resnet18.a1_in1k", "another network or library", "which takes the first"),
        ("convnext_atto", "of timm", 'task.learner("timm:convnext_atto")'),
        ("torchvision:resnet18", "another spelling", 'task.learner("resnet18")'),
        ("HF:microsoft/resnet-18", "another spelling", 'task.learner("hf:microsoft/resnet-18")'),
        ("microsoft/resnet-18", "Hugging Face", 'task.learner("hf:microsoft/resnet-18")'),
        ("net.pth", "a file of weights", "task.learner(\"resnet18\", weights='net.pth')"),
        ("net.safetensors", "a file of weights", "weights='net.safetensors'"),
        ("net.pkl", "fastai exported", "load_learner('net.pkl').model"),
        ("timm:convnext_ato", "a misspelling", 'task.learner("timm:convnext_atto")'),
        ("timm:resnet18.nope", "another version of timm", 'task.learner("timm:resnet18")'),
        ("tabular", "these are pictures", 'task.learner("letters")'),
        ("timm:timm/resnet18", "a repository", 'task.learner("hf:timm/resnet18")'),
    ],
)  # fmt: skip
def test_an_unknown_name(name: str, likely: str, better: str) -> None:
    with pytest.raises(InputError) as error:
        bodies.get(name)
    _four_parts(error)
    assert likely in error.value.likely
    assert better in error.value.next


@pytest.mark.parametrize(
    ("body", "likely", "better"),
    [
        (None, "never set", 'task.learner("letters")'), (3, "another argument's value", 'task.learner("letters")'),
        (["letters"], "several bodies", "for body in bodies"),
        ({"weight": 1}, "a table of weights", "network.load_state_dict(weights)"),
        (Path("net.pth"), "a file of weights", "weights='net.pth'"),
        (SimpleNamespace(model=nn.Linear(2, 2)), "a Learner", "task.learner(learn.model)"),
        (SimpleNamespace(module=nn.Linear(2, 2)), "a loaded bundle", "task.learner(model.module)"),
        (nn.Linear(2, 2), "needs no name", "task.learner(network)"),
    ],
)  # fmt: skip
def test_a_name_that_is_no_text(body: Any, likely: str, better: str) -> None:
    with pytest.raises(InputTypeError) as error:
        bodies.get(body)
    _four_parts(error)
    assert likely in error.value.likely
    assert better in error.value.next


def test_a_body_shows_itself() -> None:
    body = bodies.get("letters")
    assert "parameters, 32×32 grey input" in repr(body)
    assert "Apache-2.0" in body._repr_html_()
    assert "Has seen no digit" in body.card


# The weights


def test_the_file_is_small_and_its_card_holds_its_digest() -> None:
    _, facts = read("letters")
    assert (FOLDER / "letters.safetensors").stat().st_size < 3_000_000
    assert facts["sha256"] in (FOLDER / "letters.md").read_text(encoding="utf-8")


def test_the_body_is_the_file_and_the_head_starts_at_zero() -> None:
    stored = load_file(FOLDER / "letters.safetensors")
    for _ in range(2):
        model = bodies.get("letters").make(7)
        state = model.state_dict()
        assert all(torch.equal(state[name], value) for name, value in stored.items())
        assert {name for name in state if name not in stored} == {"head.4.weight", "head.4.bias"}
        assert model.head[-1].weight.abs().sum() == 0
        assert model.head[-1].bias.abs().sum() == 0


def test_two_bodies_share_no_weights() -> None:
    first, second = (bodies.get("letters").make(3) for _ in range(2))
    with torch.no_grad():
        first.stem[0].weight.zero_()
    assert second.stem[0].weight.abs().sum() > 0


def test_an_altered_file_is_refused(tmp_path: Path) -> None:
    for name in ("letters.safetensors", "letters.json"):
        shutil.copy(FOLDER / name, tmp_path)
    raw = bytearray((tmp_path / "letters.safetensors").read_bytes())
    raw[-1] ^= 1
    (tmp_path / "letters.safetensors").write_bytes(raw)
    with pytest.raises(BundleError, match="sha256") as error:
        read("letters", tmp_path)
    _four_parts(error)


@pytest.mark.parametrize("gone", ["letters.safetensors", "letters.json"])
def test_a_missing_file_is_named(tmp_path: Path, gone: str) -> None:
    for name in {"letters.safetensors", "letters.json"} - {gone}:
        shutil.copy(FOLDER / name, tmp_path)
    with pytest.raises(MissingFileError, match=gone):
        read("letters", tmp_path)


def test_facts_are_those_of_the_code() -> None:
    from nbtune.bodies.letters import MEAN, STD

    facts = json.loads((FOLDER / "letters.json").read_text())
    assert facts["mean"] == pytest.approx(MEAN)
    assert facts["std"] == pytest.approx(STD)


@pytest.mark.parametrize(
    ("n_out", "kind"), [(1, InputError), (0, InputError), (True, InputTypeError), (2.0, InputTypeError)]
)
def test_a_head_for_too_few_classes(n_out: object, kind: type[NbtuneError]) -> None:
    with pytest.raises(kind) as error:
        bodies.get("letters").make(n_out)  # type: ignore[arg-type]
    _four_parts(error)


def test_the_network_is_a_plain_chain_of_six_groups() -> None:
    model = LetterNet(5).eval()
    assert [name for name, _ in model.named_children()] == ["stem", "layer1", "layer2", "layer3", "layer4", "head"]
    x = torch.randn(3, 1, 32, 32)
    step = x
    for part in model.children():
        step = part(step)
    assert torch.equal(step, model(x))
    assert torch.equal(model[:3](x), model[2](model[1](model[0](x))))
    assert model(x).shape == (3, 5)


def test_features_of_black_and_white_images_have_finite_gradients() -> None:
    model = LetterNet(5)
    nn.init.normal_(model.head[-1].weight)
    model(torch.zeros(2, 1, 32, 32)).square().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


# Preparing images


def test_arrays_tensors_and_pictures_give_the_same_batch() -> None:
    want = torch.from_numpy(IMAGES)[:, None]
    pictures = [Image.fromarray(image) for image in IMAGES]
    body = bodies.get("letters")
    for given_ in (IMAGES, torch.tensor(IMAGES), list(IMAGES), pictures, IMAGES / 255.0, IMAGES.astype(np.int64)):
        assert torch.equal(body.prepare(given_), want)
    assert torch.equal(body.prepare(IMAGES[0]), want[:1])
    assert torch.equal(body.prepare(pictures[0]), want[:1])


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 50), st.integers(4, 60), st.sampled_from([1, 3]), st.booleans())
def test_any_size_becomes_the_bodys(high: int, wide: int, channels: int, colour: bool) -> None:
    shape = (2, high, wide, 3) if colour else (2, high, wide)
    out = as_batch(np.full(shape, 77, np.uint8), (32, 24), channels)
    assert out.shape == (2, channels, 32, 24)
    assert out.dtype == torch.uint8
    assert (out == 77).all()


def test_colour_becomes_grey_by_its_weights() -> None:
    red = np.zeros((1, 32, 32, 3), np.uint8)
    red[..., 0] = 255
    # ITU-R 601: 0.299 of 255
    assert bodies.get("letters").prepare(red).unique().tolist() == [76]


def test_no_images_are_an_empty_batch() -> None:
    for none in ([], (), np.array([]), IMAGES[:0]):
        assert bodies.get("letters").prepare(none).shape == (0, 1, 32, 32)


GREY = IMAGES[:, :, :, None]
MIXED = np.array([IMAGES[0], IMAGES[1, :8]], dtype=object)


@pytest.mark.parametrize(
    ("images", "likely"),
    [
        (IMAGES > 99, "a mask"), (torch.tensor(IMAGES > 99), "a mask"), (IMAGES * 1j, "Fourier"),
        (IMAGES.astype(int) + 45, "to 300"), (IMAGES.astype(int) - 1, "such as -1"),
        (IMAGES.astype(np.int8), "read as signed"), (IMAGES / 255 * 16, "scikit-learn"), (IMAGES * 1.0, "as float"),
        (IMAGES + 45.0, "16 bits"), (IMAGES / 127.5 - 1, "from -1 to 1"), (IMAGES - 60.0, "below 0"),
        (IMAGES / 254.5, "just above 1"), (IMAGES[0].ravel(), "flat pixels of one image"),
        (IMAGES.reshape(4, -1), "an image a row"), (IMAGES[:, None], "as torch has them"),
        (torch.tensor(IMAGES)[:, None].repeat(1, 3, 1, 1), "as torch has them"), (GREY, "one channel"),
        (GREY[0], "one channel"), (GREY.repeat(4, -1), "transparency"), (GREY[0].repeat(4, -1), "transparency"),
        (GREY.repeat(5, -1), "several bands"), (GREY[0].repeat(5, -1), "several bands"), (IMAGES[:, :0], "a crop"),
        (MIXED, "different sizes"), (IMAGES.astype(object), "as a table gives them"),
        (IMAGES.tolist(), "lists of numbers"), ({"a": IMAGES[0]}, "by name"), (tasks.digits(1), "three splits"),
        ([(IMAGES[0], 3)], "a list of items"), ([(IMAGES[0], "three")], "a list of items"),
        (torch.tensor(IMAGES).to_sparse(), "few entries"),
    ],
)  # fmt: skip
def test_what_is_said_of_bad_images_mends_them(images: Any, likely: str) -> None:
    prepare = bodies.get("letters").prepare
    with pytest.raises(NbtuneError) as error:
        prepare(images)
    _four_parts(error)
    assert likely in error.value.likely
    mended = eval(error.value.next.split(", or")[0], {"numpy": np, "images": images, "items": images, "task": images})
    assert prepare(getattr(mended, "x", mended)).shape[1:] == (1, 32, 32)


@pytest.mark.parametrize(
    ("images", "likely"),
    [
        (IMAGES / 50 - 2.5, "normalised already"), (np.full((2, 32, 32), -5.0), "normalised already"),
        (np.where(IMAGES > 99, np.nan, 0.5), "0 by 0"), (np.where(IMAGES > 99, np.inf, 0.5), "a division by 0, or"),
        (np.zeros(7), "labels"), (np.array(3), "one number"), (IMAGES[:, None, None, None], "6 axes"),
        (np.array(["a.png"]), "names of image files"), (np.array(["a.png"], object), "names of image files"),
        ("digit.png", "name of a file"), (Path("digit.png"), "name of a file"), (b"PNG", "content of an image file"),
        (3, "a label beside"), (None, "could not be read"), (print, "another library"),
    ],
)  # fmt: skip
def test_bad_images_that_no_line_mends(images: Any, likely: str) -> None:
    with pytest.raises(NbtuneError) as error:
        bodies.get("letters").prepare(images)
    _four_parts(error)
    assert likely in error.value.likely


def test_a_stack_of_narrow_images_is_no_image_with_channels() -> None:
    assert as_batch(np.zeros((4, 20, 5), np.uint8), (32, 32), 1).shape == (4, 1, 32, 32)
    assert as_batch(torch.zeros(2, 32, 32, dtype=torch.bfloat16), (32, 32), 1).shape == (2, 1, 32, 32)


def test_normalise_uses_the_bodys_statistics() -> None:
    body = bodies.get("letters")
    x = body.normalise(torch.tensor([[[[0, 255]]]], dtype=torch.uint8))
    want = torch.tensor([(0 - body.mean[0]) / body.std[0], (1 - body.mean[0]) / body.std[0]])
    assert torch.allclose(x.flatten(), want)


# A network of the user's own


def test_own_network_keeps_its_mode_weights_and_statistics() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3))
    net[1].eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    body = own_body(net, IMAGES, 3)
    assert body.make(3) is net
    assert [part.training for part in net] == [True, False, True, True, True]
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert body.mean == pytest.approx((IMAGES.mean() / 255,))


def test_a_callable_is_called_with_the_number_of_classes() -> None:
    body = own_body(lambda n: nn.Sequential(nn.Conv2d(3, n, 32), nn.Flatten()), IMAGES, 4)
    assert body.channels == 3
    assert body.prepare(IMAGES).shape == (4, 3, 32, 32)
    first, second = body.make(4), body.make(4)
    assert first is not second


@pytest.mark.parametrize(
    ("network", "kind", "words"),
    [
        (nn.Linear(5, 2), InputError, r"takes a batch of the task's images"),
        (nn.Linear(5, 2), InputError, r"images of another size(.|\n)*nn\.Linear\(1024, 2\)"),
        (nn.Conv2d(1, 2, 1), InputError, r"a network without a head(.|\n)*nn\.Linear\(2, n\)"),
        (nn.Flatten(), InputError, r"another number of classes(.|\n)*nn\.Linear\(1024, 2\)"),
        (nn.Sequential(nn.Flatten(), nn.LazyLinear(2)), InputError, r"torch\.zeros\(2, 1, 32, 32\)"),
        (lambda n: None, InputTypeError, r"gave nothing(.|\n)*a return that is missing"),
        (lambda n: (nn.Linear(2, n), 3), InputTypeError, r"inside another value(.|\n)*make\(n\)\[0\]"),
        (lambda n: 1 / 0, InputError, r"division by zero(.|\n)*an error in that function"),
        (nn.Linear, InputError, r"needs other arguments(.|\n)*Linear\(\.\.\., n\)"),
        (nn.Identity, InputError, "takes a batch|gives scores"),
        (nn.Sequential(nn.Flatten(), nn.Linear(1024, 7)), InputError, "a score for each class"),
        (lambda n: "net", InputTypeError, r"gives a torch\.nn\.Module"),
        ({"weight": 1}, InputTypeError, "a body is a name"),
    ],
)
def test_a_network_that_does_not_fit(network: object, kind: type[NbtuneError], words: str) -> None:
    with pytest.raises(kind, match=words) as error:
        own_body(network, IMAGES, 2)  # type: ignore[arg-type]
    _four_parts(error)
