"""Bundles: equal to the bit after a round trip, refused when anything is off, whole or absent on disk."""

from __future__ import annotations

import ast
import json
import os
import pickle
import random
import shutil
import stat
import warnings
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

import nbtune
from nbtune import _files, bodies, bundle, groups
from nbtune.bundle import Architecture, Model, load, manifest, parts_of, safefiles, save
from nbtune.errors import BundleError, InputError, MissingFileError, NbtuneError
from nbtune.evaluate import Estimate, report

PACKAGE = Path(nbtune.__file__).parent
FILES = ("README.md", "bundle.json", "weights.safetensors")


def tiny(n_out: int = 3, width: int = 4) -> nn.Module:
    """8×8 grey images to scores, with batch norm (buffers, an integer among them) and dropout."""
    return nn.Sequential(
        nn.Conv2d(1, width, 3), nn.BatchNorm2d(width), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(),
        nn.Linear(width * 36, n_out),
    )  # fmt: skip


class Tied(nn.Module):
    """First and last layer share one weight, if `tie`."""

    def __init__(self, tie: bool = True) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(64, 3), nn.Linear(64, 3)
        if tie:
            self.last.weight = self.first.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = x.flatten(1)
        return self.first(flat) + self.last(flat)


MAKERS = {"tiny": tiny, "tied": Tied}
PIXELS = {"size": (8, 8), "channels": 1, "mean": [0.3], "std": (0.4,)}
CARD = {"name": "three", "objective": "Tell three kinds apart", "licence": "CC0", "sizes": {"train": 5}}
IMAGES = np.random.default_rng(0).integers(0, 256, (5, 8, 8), dtype=np.uint8)


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = make()
        model(torch.randn(8, 1, 8, 8))  # moves the running statistics
    return model


def write(folder: Path, **change: Any) -> Path:
    model = change.pop("model", None) or seeded(tiny)
    what: dict[str, Any] = {
        "architecture": Architecture("tiny", {"n_out": 3}), "groups": groups.split(model), "preprocessing": PIXELS,
        "vocab": ("a", "b", "c"), "task_card": CARD, "architectures": MAKERS,
    }  # fmt: skip
    return save(folder, model=model, **{**what, **change})


def read(folder: Path, **change: Any) -> Model:
    return load(folder, **{"architectures": MAKERS, **change})


def reseal(folder: Path, edit: Callable[[dict[str, Any]], Any]) -> None:
    """Edit bundle.json as a forger would: with a fresh seal."""
    data = json.loads((folder / "bundle.json").read_text())
    data.pop("sha256")
    edit(data)
    (folder / "bundle.json").write_bytes(manifest.render(data))


def replace_weights(folder: Path, raw: bytes) -> None:
    """Other weights, with their true digest."""
    (folder / "weights.safetensors").write_bytes(raw)
    entry = {"sha256": sha256(raw).hexdigest(), "bytes": len(raw)}
    reseal(folder, lambda data: data["files"].update({"weights.safetensors": entry}))


def state(model: nn.Module) -> dict[str, bytes]:
    return {name: tensor.numpy().tobytes() for name, tensor in model.state_dict().items()}


def four_parts(error: BaseException) -> str:
    text = str(error)
    assert all(f"\n  {part}: " in text for part in ("Rule", "Likely", "Next")), text
    return text


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


# Most networks here are no bodies of nbtune; the warning of it has its own test.
pytestmark = pytest.mark.filterwarnings("ignore:A bundle holds no code")


@pytest.fixture(autouse=True)
def _nothing_is_unpickled(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("a bundle is never unpickled")

    for module, name in ((torch, "load"), (torch, "save"), (pickle, "load"), (pickle, "loads"), (pickle, "dump")):
        monkeypatch.setattr(module, name, never)


# Round trip


@pytest.fixture(scope="module")
def digits() -> SimpleNamespace:
    task = nbtune.tasks.digits(shots=5)
    return SimpleNamespace(task=task, learn=task.learner("letters", seed=0))


def test_letters_learner_round_trip(digits: SimpleNamespace, tmp_path: Path) -> None:
    learn, task = digits.learn, digits.task
    metrics = {"accuracy": Estimate(0.9, 0.87, 0.93), "log_loss": Estimate(0.3, 0.0, float("inf"))}
    parts = parts_of(learn.nbtune_origin)
    place = save(
        tmp_path / "out" / "digits", model=learn.model, groups=groups.split(learn.model), metrics=metrics,
        history=[{"epoch": 0, "loss": np.float32(0.5), "bad": float("nan")}], **parts,
    )  # fmt: skip
    assert sorted(p.name for p in place.iterdir()) == sorted(FILES)
    back = nbtune.load(place)
    assert state(back.module) == state(learn.model)
    assert back.vocab == task.vocab
    assert back.groups == groups.split(learn.model)
    assert back.card["split_digest"] == task.card.split_digest
    assert back.metrics["accuracy"] == metrics["accuracy"]
    assert back.history == ({"epoch": 0, "loss": 0.5, "bad": None},)
    assert back.versions["torch"] == torch.__version__.split("+")[0]
    assert "accuracy 0.900 [0.870, 0.930]" in repr(back)
    assert back.sha256 in back._repr_html_()
    body, test = learn.nbtune_origin.body, task.test.take(range(100))
    with torch.no_grad():
        learn.model.eval()
        batch = body.normalise(body.prepare(test.x))
        expected = torch.cat([learn.model(part) for part in batch.split(64)]).softmax(1).double().numpy()
    frame = back.predict(test)
    assert (frame[list(task.vocab)].to_numpy() == expected).all()
    assert frame["label"].tolist() == [task.vocab[c] for c in expected.argmax(1)]
    assert len(report(expected, test.y, task.vocab)) == len(frame)


def test_preprocessing_equals_the_body() -> None:
    body, images = bodies.get("letters"), np.random.default_rng(1).integers(0, 256, (3, 20, 24, 3), dtype=np.uint8)
    ours = bundle.Preprocessing(body.size, body.channels, body.mean, body.std)
    assert torch.equal(ours.normalise(ours.prepare(images)), body.normalise(body.prepare(images)))


def test_a_network_of_ones_own(digits: SimpleNamespace, tmp_path: Path) -> None:
    learn = digits.task.learner(lambda n: nn.Sequential(nn.Flatten(), nn.Linear(32 * 32, n)), seed=0)
    parts = parts_of(learn.nbtune_origin)
    assert parts["architecture"] is None
    place = save(tmp_path / "own", model=learn.model, groups=(), **parts)
    with pytest.raises(InputError, match="no network was given") as caught:
        load(place)
    four_parts(caught.value)
    fresh = nn.Sequential(nn.Flatten(), nn.Linear(32 * 32, 10))
    back = load(place, model=fresh)
    assert back.module is fresh
    assert state(fresh) == state(learn.model)
    assert "Sequential" in repr(back)


def test_tied_tensors_are_stored_once_and_tied_again(tmp_path: Path) -> None:
    model = seeded(Tied)
    place = write(tmp_path / "tied", model=model, architecture=Architecture("tied"))
    assert (place / "weights.safetensors").read_bytes().count(b".weight") == 1
    for back in (read(place).module, load(place, model=Tied(tie=False)).module):
        assert back.first.weight is back.last.weight
        assert state(back) == state(model)


def test_untied_weights_do_not_go_into_a_tied_network(tmp_path: Path) -> None:
    place = write(tmp_path / "untied", model=seeded(lambda: Tied(tie=False)), architecture=None)
    target = Tied()
    before = state(target)
    with pytest.raises(BundleError, match="one tensor in the model and two in the file") as caught:
        load(place, model=target)
    four_parts(caught.value)
    assert state(target) == before


@pytest.mark.parametrize("change", [
    lambda m: m.to(memory_format=torch.channels_last), lambda m: m.half(), lambda m: m.double(), lambda m: m.bfloat16(),
])  # fmt: skip
def test_layouts_and_precisions(change: Callable[[nn.Module], nn.Module], tmp_path: Path) -> None:
    model = change(seeded(tiny))
    back = read(write(tmp_path / "x", model=model)).module
    for name, tensor in model.state_dict().items():
        assert torch.equal(back.state_dict()[name], tensor)
        assert back.state_dict()[name].dtype == tensor.dtype
    assert len(read(tmp_path / "x").predict(IMAGES)) == 5


def test_the_same_model_gives_the_same_bundle(tmp_path: Path) -> None:
    assert tree(write(tmp_path / "a")) == tree(write(tmp_path / "b"))
    assert read(tmp_path / "a").sha256 == sha256((tmp_path / "a" / "bundle.json").read_bytes()).hexdigest()


def test_neither_save_nor_load_nor_predict_moves_a_random_stream(tmp_path: Path) -> None:
    def streams() -> tuple[Any, ...]:
        return random.getstate(), np.random.get_state()[1].tobytes(), torch.get_rng_state().numpy().tobytes()

    model = seeded(tiny).train()
    before, flags = streams(), [m.training for m in model.modules()]
    weights = state(model)
    back = read(write(tmp_path / "x", model=model))
    back.module.train()
    back.module[1].eval()
    modes = [m.training for m in back.module.modules()]
    first, again = back.predict(IMAGES), back.predict(IMAGES)
    assert streams() == before
    assert ([m.training for m in model.modules()], state(model)) == (flags, weights)
    assert ([m.training for m in back.module.modules()], state(back.module)) == (modes, weights)
    assert first.equals(again)


class Noisy(nn.Module):
    """Draws from torch's stream also in evaluation mode."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.layer(x.flatten(1))
        return scores + torch.rand_like(scores)


def test_a_network_that_draws_leaves_the_stream(tmp_path: Path) -> None:
    place = write(tmp_path / "x", model=Noisy(), architecture=None)
    model = load(place, model=Noisy())
    before = torch.get_rng_state()
    model.predict(IMAGES)
    assert torch.equal(torch.get_rng_state(), before)


# Prediction


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return read(write(tmp_path_factory.mktemp("m") / "tiny"))


def test_every_form_of_an_image_gives_the_same(model: Model, tmp_path: Path) -> None:
    expected = model.predict(IMAGES)
    assert list(expected.columns) == ["label", "a", "b", "c"]
    assert expected[["a", "b", "c"]].sum(axis=1).to_numpy() == pytest.approx(1)
    pictures = [Image.fromarray(image) for image in IMAGES]
    paths = [tmp_path / f"{i}.png" for i in range(5)]
    for picture, path in zip(pictures, paths, strict=True):
        picture.save(path)
    split = SimpleNamespace(x=IMAGES, ids=tuple("abcde"))
    forms = (
        list(IMAGES), IMAGES / 255, torch.tensor(IMAGES), pictures, paths, list(map(str, paths)), split,
        np.repeat(IMAGES[..., None], 3, -1), (p for p in pictures),
        [IMAGES[0], paths[1], pictures[2], *IMAGES[3:] / 255],
    )  # fmt: skip
    for form in forms:
        assert model.predict(form).equals(expected)
    for one in (IMAGES[0], pictures[0], paths[0], str(paths[0])):
        assert model.predict(one)["label"].tolist() == expected["label"].tolist()[:1]
    assert np.abs(model.predict(IMAGES, batch_size=2).iloc[:, 1:] - expected.iloc[:, 1:]).to_numpy().max() < 1e-6


def test_no_image_gives_no_row(model: Model) -> None:
    for none in ([], (), iter([]), np.array([]), IMAGES[:0]):
        frame = model.predict(none)
        assert list(frame.columns) == ["label", "a", "b", "c"]
        assert len(frame) == 0


def test_a_class_called_label(tmp_path: Path) -> None:
    frame = read(write(tmp_path / "x", vocab=("label", "b", "c"))).predict(IMAGES)
    assert list(frame.columns) == ["label_", "label", "b", "c"]


@pytest.mark.parametrize(("items", "what"), [
    (np.zeros((2, 3, 8, 8), np.uint8), "shape"), (np.zeros(64, np.uint8), "shape"), (np.zeros((8, 8)) + 7, "from 7"),
    (np.full((8, 8), np.nan), "finite"), (np.array([["a"]]), "dtype"), (7, "int"), (None, "None"),
    (["no/such/file.png"], "a folder that is not there: 'no/such'"), ("nowhere.png", "a misspelling"),
    (".", "Path('.').glob"), ({"a": 1}, "list(items.values())"), (pd.Series(["a"]), "list(column)"),
    (pd.DataFrame({"path": ["a"]}), 'list(frame["path"])'), (b"\x89PNG", "BytesIO(items)"),
    ([IMAGES[0], None], "None among the images"), ((IMAGES[0], 3), "Next: items[0]"),
    ([(IMAGES[0], 3)], "[image for image, label in items]"), (SimpleNamespace(dataset=1), "a DataLoader"),
    (np.zeros((2, 0, 8), np.uint8), "a crop"), (np.zeros((2, 8, 8, 5)), "several bands"),
    (np.full((2, 8, 8), -5.0), "normalised already"), (IMAGES.astype(object), "as a table gives them"),
])  # fmt: skip
def test_bad_items_are_refused_in_four_parts(model: Model, items: Any, what: str) -> None:
    with pytest.raises(NbtuneError) as caught:
        model.predict(items)
    assert what in four_parts(caught.value)


@pytest.mark.parametrize("kind", ["truncated", "text", "empty", "bomb"])
def test_broken_image_files_are_refused(model: Model, tmp_path: Path, kind: str, monkeypatch: Any) -> None:
    path = tmp_path / "x.png"
    Image.fromarray(IMAGES[0].repeat(40, 0).repeat(40, 1)).save(path)
    if kind == "bomb":
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 90_000)  # the file has 102,400: Pillow would only warn
    else:
        raw = path.read_bytes()
        path.write_bytes({"truncated": raw[: len(raw) // 2], "text": b"hello", "empty": b""}[kind])
    with pytest.raises(InputError, match="cannot be read") as caught:
        model.predict([IMAGES[0], path])
    four_parts(caught.value)


@pytest.mark.parametrize("size", [0, -3, 1.5, True])
def test_bad_batch_size(model: Model, size: Any) -> None:
    with pytest.raises(NbtuneError, match="batch_size") as caught:
        model.predict(IMAGES, batch_size=size)
    four_parts(caught.value)


def test_scores_that_are_not_finite_are_said(tmp_path: Path) -> None:
    broken = seeded(tiny)
    with torch.no_grad():
        broken[5].bias.fill_(float("nan"))
    back = read(write(tmp_path / "x", model=broken))
    with pytest.raises(BundleError, match="not finite") as caught:
        back.predict(IMAGES)
    four_parts(caught.value)


# Refusals


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return write(tmp_path / "bundle")


def refused(place: Path, kind: type[NbtuneError] = BundleError, **more: Any) -> str:
    with pytest.raises(kind) as caught:
        read(place, **more)
    return four_parts(caught.value)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file(place: Path, name: str) -> None:
    (place / name).unlink()
    assert name in refused(place, MissingFileError)


@pytest.mark.parametrize("name", FILES)
def test_every_flipped_byte_and_cut_is_found(place: Path, name: str) -> None:
    raw = (place / name).read_bytes()
    places = np.random.default_rng(0).integers(0, len(raw), 40).tolist()
    for at in {0, 7, 8, len(raw) - 1, *places}:
        (place / name).write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
        refused(place)
        (place / name).write_bytes(raw[:at])
        refused(place)
    (place / name).write_bytes(raw + b"\n")
    refused(place)
    (place / name).write_bytes(raw)
    read(place)


def test_a_folder_that_is_not_there_or_no_folder(place: Path, tmp_path: Path) -> None:
    assert "no bundle 'elsewhere'" in refused(tmp_path / "elsewhere", MissingFileError)
    assert "no bundle" in refused(place / "bundle.json", MissingFileError)
    for wrong in (None, 3, ""):
        with pytest.raises(NbtuneError) as caught:
            load(wrong)  # type: ignore[arg-type]
        four_parts(caught.value)


def test_the_expected_digest(place: Path) -> None:
    true = read(place).sha256
    assert read(place, sha256=true.upper()).sha256 == true
    forged = true.replace(true[0], "f" if true[0] != "f" else "e")
    assert "digest" in refused(place, sha256=forged)
    assert "no digest" in refused(place, InputError, sha256=true[:16])
    reseal(place, lambda data: data["versions"].update(nbtune="9"))  # a forgery that is sound in itself
    read(place)
    refused(place, sha256=true)


@pytest.mark.survives("a bundle that somebody forged and sealed, field by field", "refused, with the field")
@pytest.mark.parametrize(("edit", "what"), [
    (lambda d: d.update(schema=2), "schema"), (lambda d: d.update(schema=True), "schema"),
    (lambda d: d.update(format="other"), "no format of nbtune"), (lambda d: d.update(more=1), "'more'"),
    (lambda d: d.pop("ties"), "'ties'"),
    (lambda d: d["files"].update({"../x": d["files"]["README.md"]}), "'../x'"),
    (lambda d: d["files"].update({"/etc/passwd": d["files"].pop("README.md")}), "'/etc/passwd'"),
    (lambda d: d["files"]["README.md"].update(sha256="0"), "digest"),
    (lambda d: d["files"]["weights.safetensors"].update(bytes=-1), "size"),
    (lambda d: d["architecture"].update(name="os.system"), 'one of "letters"'),
    (lambda d: d.pop("network"), "'network'"), (lambda d: d["network"].update(parts=1), "network"),
    (lambda d: d["network"].update(parameters=-1), "network"),
    (lambda d: d["architecture"].update(kwargs={"n_out": 10**9}), "1000000000 outputs"),
    (lambda d: d["architecture"].update(kwargs={"n_out": [1]}), "simple"),
    (lambda d: d["architecture"].update(kwargs={"command": "ls"}), "does not take"),
    (lambda d: d.update(architecture="tiny"), "architecture"),
    (lambda d: d.update(classes=["a", "a", "c"]), "twice"), (lambda d: d.update(classes=["a", "b"]), "2 classes"),
    (lambda d: d.update(classes="abc"), "classes"), (lambda d: d.update(groups=[{}]), "groups"),
    (lambda d: d["preprocessing"].update(size=[8, 10**6]), "size"),
    (lambda d: d["preprocessing"].update(size=[8, 8.0]), "size"),
    (lambda d: d["preprocessing"].update(channels=2), "channels"),
    (lambda d: d["preprocessing"].update(std=[0]), "std"),
    (lambda d: d["preprocessing"].update(mean=[10**400]), "mean"),
    (lambda d: d["preprocessing"].update(code="1"), "preprocessing"),
    (lambda d: d.update(ties={"0.bias": "nowhere"}), "ties"), (lambda d: d.update(ties={"ghost": "0.bias"}), "ghost"),
    (lambda d: d.update(ties=[]), "ties"), (lambda d: d.update(versions={"torch": 2}), "versions"),
    (lambda d: d.update(metrics={"accuracy": 1}), "metrics"), (lambda d: d.update(history=[1]), "history"),
    (lambda d: d.update(task=None), "task"),
])  # fmt: skip
def test_a_sealed_forgery_is_checked_field_by_field(place: Path, edit: Any, what: str) -> None:
    reseal(place, edit)
    assert what in refused(place)


@pytest.mark.parametrize("raw", [
    b"", b"[]", b"null", b"{" * 100_000, b"[" * 100_000, b'{"format": NaN}', b'{"a": 1, "a": 2}', b"\xff\xfe",
    b'{"format": "nbtune-bundle", "schema": 1}', b'{"format": "nbtune-bundle", "schema": ' + b"9" * 5000 + b"}",
])  # fmt: skip
def test_json_of_others(place: Path, raw: bytes) -> None:
    (place / "bundle.json").write_bytes(raw)
    refused(place)


def test_a_huge_bundle_json_is_not_read(place: Path) -> None:
    with open(place / "bundle.json", "ab") as file:
        file.truncate(manifest.LIMIT + 1)  # a hole: takes no disk
    assert "at most" in refused(place)


@pytest.mark.survives("links out of a bundle's folder, and pipes in it", "refused")
@pytest.mark.skipif(os.name != "posix", reason="links and pipes of POSIX")
@pytest.mark.parametrize("name", FILES)
def test_links_out_of_the_folder_and_pipes(place: Path, tmp_path: Path, name: str) -> None:
    shutil.move(place / name, tmp_path / "outside")
    (place / name).symlink_to(tmp_path / "outside")
    assert "link out of the folder" in refused(place)
    (place / name).unlink()
    os.mkfifo(place / name)
    assert "no regular file" in refused(place)


def header(entries: Any, data: bytes = b"", length: int | None = None) -> bytes:
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


ONE = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.survives("hostile safetensors headers with true digests", "refused before anything is allocated")
@pytest.mark.parametrize(("raw", "what"), [
    (b"", "header"), (b"\0" * 7, "header"), (header({}, length=2**63), "claims"), (header({}, length=3), "claims"),
    (header(b"{"), "no JSON"), (header(b"[" * 50_000), "no JSON"), (header(b'{"a":1,"a":1}'), "twice"),
    (header([]), "no table"), (header({"a": 1}), "dtype"),
    (header({"a": {**ONE, "dtype": "PICKLE"}}, b"\0" * 8), "dtype"),
    (header({"a": {**ONE, "dtype": ["F32"]}}, b"\0" * 8), "dtype"),
    (header({"a": {**ONE, "shape": [2**40, 2**40]}}, b"\0" * 8), "does not fit"),
    (header({"a": {**ONE, "shape": [-2]}}, b"\0" * 8), "valid shape"),
    (header({"a": {**ONE, "shape": [2.0]}}, b"\0" * 8), "valid shape"),
    (header({"a": {**ONE, "data_offsets": [8, 0]}}, b"\0" * 8), "does not fit"),
    (header({"a": ONE, "b": ONE}, b"\0" * 8), "overlap"), (header({"a": ONE}, b"\0" * 9), "fill"),
    (header({"a": ONE}, b"\0" * 7), "fill"), (header({"a": ONE}, b"\0" * 8), "lacks"),
])  # fmt: skip
def test_hostile_weights_with_a_true_digest(place: Path, raw: bytes, what: str) -> None:
    replace_weights(place, raw)
    assert what in refused(place)


@pytest.mark.parametrize(("make", "what"), [
    (lambda: tiny(width=5), "has shape"), (lambda: nn.Sequential(*list(tiny())[:5]), "lacks 2 tensors"),
    (lambda: nn.Sequential(*tiny(), nn.Linear(3, 3)), "has unknown 2 tensors"),
])  # fmt: skip
def test_weights_of_another_network(place: Path, tmp_path: Path, make: Any, what: str) -> None:
    other = write(tmp_path / "other", model=make(), architecture=None)
    replace_weights(place, (other / "weights.safetensors").read_bytes())
    assert what in refused(place)
    mine = tiny()
    before = state(mine)
    assert what in refused(other, model=mine)
    assert state(mine) == before


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes], dict[str, bytes]]:
    place = write(tmp_path_factory.mktemp("fuzz") / "bundle")
    return place, tree(place), state(read(place).module)


@given(name=st.sampled_from(FILES), data=st.data())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_mutated_bytes_are_refused(sound: Any, name: str, data: Any) -> None:
    place, files, _ = sound
    raw = bytearray(files[name])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        cut = data.draw(st.integers(0, 3))
        raw[at : at + cut] = data.draw(st.binary(max_size=4))
        raw = raw or bytearray(b"0")
    (place / name).write_bytes(raw)
    try:
        if bytes(raw) == files[name]:
            read(place)
        else:
            refused(place)
    finally:
        (place / name).write_bytes(files[name])


@given(data=st.data())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_mutated_weights_with_true_digests_are_refused_or_of_the_same_shapes(sound: Any, data: Any) -> None:
    place, files, true = sound
    raw = bytearray(files["weights.safetensors"])
    length = 8 + int.from_bytes(raw[:8], "little")
    at = data.draw(st.integers(0, length - 1))
    raw[at] = data.draw(st.integers(0, 255))
    try:
        replace_weights(place, bytes(raw))
        try:
            found = state(read(place).module)
        except NbtuneError as error:
            four_parts(error)
        else:
            assert {n: len(v) for n, v in found.items()} == {n: len(v) for n, v in true.items()}
    finally:
        for name, content in files.items():
            (place / name).write_bytes(content)


def test_no_module_of_a_bundle_can_execute_anything() -> None:
    modules = sorted((PACKAGE / "bundle").glob("*.py"))
    assert len(modules) > 5
    for name in modules:
        text = name.read_text()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names] + [getattr(node, "module", "") or ""]
                assert not {"pickle", "marshal", "shelve", "importlib", "subprocess", "runpy"} & set(names), name
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"eval", "exec", "compile", "__import__"}, name


# Writing


def test_an_existing_bundle_is_replaced(tmp_path: Path) -> None:
    place = write(tmp_path / "x")
    other = nn.Sequential(*tiny())
    write(place, model=other)
    assert state(read(place).module) == state(other)
    assert [p.name for p in tmp_path.iterdir()] == ["x"]
    if os.name == "posix":
        (tmp_path / "plain").mkdir()
        assert stat.S_IMODE(place.stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    read(write(tmp_path / "x"))


@pytest.mark.parametrize("kind", ["file", "other folder", "bundle with notes", "json of another program"])
def test_anything_else_is_left_alone(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "x"
    if kind == "file":
        place.write_text("mine")
    elif kind == "other folder":
        place.mkdir()
        (place / "thesis.txt").write_text("mine")
    elif kind == "json of another program":
        place.mkdir()
        (place / "bundle.json").write_text("{}")
    else:
        write(place)
        (place / "notes.txt").write_text("mine")
    before = tree(tmp_path) if place.is_dir() else place.read_bytes()
    with pytest.raises(InputError, match="not a bundle") as caught:
        write(place)
    four_parts(caught.value)
    assert (tree(tmp_path) if place.is_dir() else place.read_bytes()) == before


def fail_at(monkeypatch: pytest.MonkeyPatch, n: int, error: BaseException, forever: bool = False) -> list[str]:
    """Let the nth of all mkdir, open, write, fsync and rename calls of a save raise; gives the calls made."""
    calls: list[str] = []

    def wrap(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            calls.append(name)
            if len(calls) == n or (forever and len(calls) > n):
                raise error
            return real(*args, **more)

        return call

    real_open = open

    class File:
        def __init__(self, *args: Any) -> None:
            self.file = real_open(*args)
            self.fileno, self.flush = self.file.fileno, self.file.flush

        def __enter__(self) -> File:
            return self

        def __exit__(self, *_: Any) -> None:
            self.file.close()

        def write(self, content: bytes) -> None:
            half = len(content) // 2
            self.file.write(content[:half])
            wrap("write", lambda: None)()
            self.file.write(content[half:])

    for module, name in ((os, "fsync"), (os, "replace")):
        monkeypatch.setattr(module, name, wrap(name, getattr(module, name)))
    monkeypatch.setattr(Path, "mkdir", wrap("mkdir", Path.mkdir))
    writer = lambda *args: wrap("open", File)(*args) if args[1:] == ("xb",) else real_open(*args)  # noqa: E731
    monkeypatch.setattr(_files, "open", writer, raising=False)
    return calls


@pytest.mark.survives("a failure or an interrupt at every call of a save", "the old bundle or the new one, whole")
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("existing", [False, True])
def test_a_failure_anywhere_leaves_old_or_new(existing: bool, error: BaseException, tmp_path: Path) -> None:
    target = tmp_path / "x"
    new = tree(write(tmp_path / "reference", vocab=("x", "y", "z")))
    shutil.rmtree(tmp_path / "reference")
    points = 0
    for n in range(1, 60):
        old = tree(write(target)) if existing else {}
        with pytest.MonkeyPatch.context() as patch:
            calls = fail_at(patch, n, error)
            ended: BaseException | None = None
            try:
                write(target, vocab=("x", "y", "z"))
            except (BundleError, KeyboardInterrupt) as caught:
                ended = caught
        if isinstance(error, OSError) and ended:
            assert "was not saved" in four_parts(ended)
        else:
            assert ended in (error, None)
        points = len(calls)
        found = tree(target) if target.exists() else {}
        assert found in (old, new), calls
        assert {p.name for p in tmp_path.iterdir()} <= {"x"}, calls
        if points < n:
            assert found == new
            break
        if found and not existing:
            shutil.rmtree(target)
    # Two mkdir, three times open, write and fsync, two folders synced, a rename or two.
    assert points == 14 + existing


def test_a_save_that_died_between_two_renames_is_found_and_healed(tmp_path: Path) -> None:
    old = tree(write(tmp_path / "x"))
    with pytest.MonkeyPatch.context() as patch:
        fail_at(patch, 14, OSError("gone"), forever=True)  # the roll-back fails too, as in a killed process
        with pytest.raises(BundleError):
            write(tmp_path / "x", vocab=("x", "y", "z"))
    assert not (tmp_path / "x").exists()
    back = read(tmp_path / "x")
    assert tree(back.folder) == old
    with pytest.MonkeyPatch.context() as patch:
        fail_at(patch, 3, OSError("full"))  # after the parent's mkdir and the healing rename
        with pytest.raises(BundleError):
            write(tmp_path / "x", vocab=("x", "y", "z"))
    assert tree(read(tmp_path / "x").folder) == old
    write(tmp_path / "x", vocab=("x", "y", "z"))
    assert read(tmp_path / "x").vocab == ("x", "y", "z")
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize(("change", "what"), [
    ({"architecture": Architecture("tinny")}, "tinny"), ({"architecture": Architecture("tiny", {"wide": 4})}, "wide"),
    ({"architecture": Architecture("tiny", {"n_out": 3, "width": 9})}, "shape"),
    ({"vocab": ("a", "b")}, "2 classes"), ({"vocab": ("a", "b", "b")}, "twice"),
    ({"preprocessing": {"size": (8, 8)}}, "preprocessing"), ({"preprocessing": {**PIXELS, "std": [0.0]}}, "std"),
    ({"task_card": {"x": object()}}, "object"), ({"task_card": {"x": "\ud800"}}, "Unicode"),
    ({"model": nn.Linear}, "type"), ({"history": [{"x": np.zeros(3)}]}, "ndarray"),
    ({"task_card": {"x": "a" * (1 << 24)}}, "bytes"),
    ({"model": tiny().to("meta")}, "meta"), ({"model": nn.LazyLinear(3)}, "seen no batch"),
    ({"model": nn.Linear(2, 2, dtype=torch.complex64)}, "complex64"),
])  # fmt: skip
def test_bad_input_writes_nothing(tmp_path: Path, change: dict[str, Any], what: str) -> None:
    groups_too = {"groups": ()} if "model" in change else {}
    with pytest.raises(NbtuneError) as caught:
        write(tmp_path / "x", **change, **groups_too)
    assert what in four_parts(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_state_that_is_no_tensor_is_refused(tmp_path: Path) -> None:
    class Extra(nn.Linear):
        def get_extra_state(self) -> Any:
            return {"code": print}

    with pytest.raises(InputError, match="no tensor: _extra_state") as caught:
        write(tmp_path / "x", model=Extra(2, 2), groups=(), architecture=None)
    four_parts(caught.value)


def test_the_readme_is_for_people(place: Path, tmp_path: Path) -> None:
    text = (place / "README.md").read_text()
    assert text.startswith(
        '# three: a trained "tiny" network\n\nTell three kinds apart: one of 3 classes (`a`, `b`, `c`).\n\n##'
    )
    assert "| licence | CC0 |" in text
    assert "| images | train 5 |" in text
    assert "grey images of 8 × 8 pixels" in text
    assert "Not measured on a test set" in text
    assert 'model = nt.load("this-folder")\nmodel.predict(images)' in text
    own = {
        "architecture": None,
        "task_card": {},
        "metrics": {"accuracy": Estimate(0.9, 0.8, 0.95)},
        "history": [{}] * 2,
    }
    with pytest.warns(UserWarning, match="holds no code"):
        text = (write(tmp_path / "own", **own) / "README.md").read_text()
    assert text.startswith("# A trained Sequential\n\nClassify an image: one of 3")
    assert "Accuracy on the test set: 0.900 (95 %: 0.800 to 0.950)." in text
    assert "| accuracy | 0.900 | 0.800 | 0.950 |" in text
    assert "model=network" in text
    assert "a Sequential of Conv2d, BatchNorm2d, ReLU, Dropout, Flatten, Linear with 483 parameters" in text
    assert "| training | 2 epochs" in text


def test_the_readme_is_sound_markdown_whatever_the_names(tmp_path: Path) -> None:
    limits = {"not_for": "a|b\n# c <b>"}
    card = {"name": "x\n# y", "objective": "<b>`|", "source": "a|b\n\n## c", "sizes": {"train": 1}, "limits": limits}
    text = (write(tmp_path / "x", vocab=("`", "# a\n", "|"), task_card=card) / "README.md").read_text()
    lines = text.split("\n")
    heads = [i for i, line in enumerate(lines) if line.startswith("#")]
    assert [lines[i] for i in heads[1:]] == [
        f"## {n}" for n in ("Use", "Network", "How good it is", "What it is for", "Data", "Versions")
    ]
    assert all(lines[i + 1] == "" and (i == 0 or lines[i - 1] == "") for i in heads)
    assert "\n\n\n" not in text
    assert text.endswith(".\n")
    assert text.count("```") == 2
    assert "<b>" not in text
    rows = [line for line in lines if line.startswith("|")]
    assert all(line.replace("\\|", "").count("|") == 3 for line in rows)


# A network of one's own


def test_saving_ones_own_network_warns_and_load_says_which(tmp_path: Path) -> None:
    learn = nbtune.Tuner(nbtune.tasks.digits(1).learner(lambda n: nn.Sequential(nn.Flatten(), nn.Linear(1024, n))))
    with pytest.warns(
        UserWarning, match=r"a Sequential of Flatten, Linear with 10,250 parameters .*model=network"
    ) as told:
        place = learn.save(tmp_path / "own")
    assert told[0].filename == __file__
    for give in (nn.Linear(2, 2), nn.Sequential(nn.Flatten(), nn.Linear(1024, 9))):
        with pytest.raises(BundleError, match="which was a Sequential of Flatten, Linear") as caught:
            load(place, model=give)
        four_parts(caught.value)
    with pytest.raises(InputError, match="for 10 classes, and no network was given") as missing:
        load(place)
    assert f"nt.load({str(place)!r}, model=Sequential(...))" in four_parts(missing.value)
    assert load(place, model=nn.Sequential(nn.Flatten(), nn.Linear(1024, 10))).vocab == tuple("0123456789")


def test_saving_a_body_by_name_does_not_warn(digits: SimpleNamespace, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save(tmp_path / "x", model=digits.learn.model, groups=(), **parts_of(digits.learn.nbtune_origin))


@pytest.mark.parametrize(("model", "words"), [
    (nn.Linear, "the class of the network"), (lambda n: tiny(n), "the function that makes"),
    ("letters", "name of a body"),
    (3, "another argument's value"),
    (SimpleNamespace(model=nn.Linear(1, 1)), "model=learn.model"),
])  # fmt: skip
def test_a_model_that_is_no_network(place: Path, model: Any, words: str) -> None:
    with pytest.raises(NbtuneError) as caught:
        load(place, model=model)
    assert words in four_parts(caught.value)


# Where a bundle is


@pytest.mark.parametrize(("name", "words"), [
    ("bundel", "a misspelling"), ("other", "another bundle"), ("none/x", "'none' is not there either"),
    ("bundle/weights.safetensors", "instead of its folder"), ("bundle/bundle.json", "instead of its folder"),
    (".", "the folder around the bundle"), ("empty", "not saved yet"), ("notes", "another folder than"),
    ("half", "a copy that is not complete"), ("hub", "another library"), ("x.pkl", "fastai exported"),
    ("x.pth", "torch or fastai saved"), ("x.safetensors", "weights alone"), ("x.zip", "packed"),
    ("x.txt", "another file"),
])  # fmt: skip
def test_what_is_no_bundle_says_what_it_likely_is(
    place: Path, monkeypatch: pytest.MonkeyPatch, name: str, words: str
) -> None:
    home = place.parent
    monkeypatch.chdir(home)
    for folder in ("empty", "notes", "half", "hub"):
        (home / folder).mkdir()
    for file in ("notes/a.txt", "hub/config.json", "x.pkl", "x.pth", "x.safetensors", "x.zip", "x.txt"):
        (home / file).write_text("x")
    for file in ("README.md", "weights.safetensors"):
        shutil.copy(place / file, home / "half")
    with pytest.raises(MissingFileError) as caught:
        load(name)
    assert words in four_parts(caught.value).replace(str(home), "").replace("/none", "none")
    if words in ("a misspelling", "instead of its folder", "the folder around the bundle", "another bundle"):
        assert f"nt.load({str(place)!r})" == caught.value.next


@pytest.mark.parametrize(("folder", "words"), [
    (None, "never set"), ("", "never filled in"), ("  ", "never filled in"), (3, "another argument's value"),
    (b"abc", "os.fsdecode"), ("a\0b", "a character that no name may have"), ("x" * 5000, "far too long"),
    ("~nobody-here/x", "a user who is not known"), (nn.Linear(1, 1), "the model itself"),
    (SimpleNamespace(module=nn.Linear(1, 1)), "loaded already"), (SimpleNamespace(learn=1, save=1), "the Tuner itself"),
])  # fmt: skip
def test_a_folder_that_is_no_path(folder: Any, words: str) -> None:
    for call in (lambda: load(folder), lambda: write(folder)):
        with pytest.raises(NbtuneError) as caught:
            call()
        assert words in four_parts(caught.value)


def test_a_file_that_may_not_be_read(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(safefiles, "open", refuse, raising=False)
    text = refused(place)
    assert "a file of another user" in text
    assert f"chmod -R u+rX {place}" in text


@pytest.mark.parametrize(("raw", "words"), [
    (b"", "an empty file"), (b"{", "cut off or altered"), (b"[]", "it is a list"), (b"3", "it is a number"),
    (b"{}", "another program"), (b'{"format": "nbtune-bundle", "schema": 9}', "pip install --upgrade nbtune"),
    (b'{"format": "nbtune-bundle", "schema": 0}', "an edit by hand"),
])  # fmt: skip
def test_what_is_wrong_with_bundle_json_is_said(place: Path, raw: bytes, words: str) -> None:
    (place / "bundle.json").write_bytes(raw)
    assert words in refused(place)


def test_what_is_wrong_with_the_weights_is_said(place: Path) -> None:
    path = place / "weights.safetensors"
    raw = path.read_bytes()
    path.write_bytes(raw[:100])
    assert f"it has 100 bytes and not {len(raw):,}" in (text := refused(place))
    assert "broke off" in text
    path.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    assert "its sha256 is another" in (text := refused(place))
    assert "a damaged disk" in text


@pytest.mark.parametrize(("given", "words"), [
    ("ab" * 16, "it has 32 characters"), ("g" * 64, "no hexadecimal digit"), (b"a" * 32, "raw bytes"),
    ("a" * 64 + "  bundle.json", "the whole line of sha256sum"), ("a" * 64 + "\n", "the end of a line"),
])  # fmt: skip
def test_a_digest_of_another_form(place: Path, given: Any, words: str) -> None:
    assert words in refused(place, InputError, sha256=given)


def test_other_files_beside_a_bundle_do_no_harm(place: Path) -> None:
    (place / "notes.txt").write_text("mine")
    assert read(place).vocab == ("a", "b", "c")
