"""Bodies of other libraries: their own numbers, their own loading from their own caches, and what is refused."""

from __future__ import annotations

import hashlib
import json
import pickle
import sys
from pathlib import Path
from typing import Any
from urllib.error import URLError

import jsonschema
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

import nbtune as nt
from families import small_task, whole_way
from nbtune import bodies
from nbtune.bodies import of_timm, of_torchvision
from nbtune.bodies._fetch import from_hub
from nbtune.bundle import Architecture, manifest
from nbtune.bundle.architectures import made
from nbtune.errors import BundleError, InputError, InputTypeError, MissingExtraError, MissingFileError, NbtuneError

PICTURES = [np.random.RandomState(at).randint(0, 256, (*size, 3)).astype(np.uint8)
            for at, size in enumerate([(300, 400), (400, 300), (256, 256), (64, 80), (231, 227)])]  # fmt: skip


def four_parts(error: pytest.ExceptionInfo[NbtuneError]) -> None:
    assert all(part in str(error.value) for part in ("Rule:", "Likely:", "Next:"))


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every download fails at once, as without a network."""
    from huggingface_hub import constants

    def fails(*_: Any, **__: Any) -> Any:
        raise URLError("Name or service not known")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fails)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


# Numbers


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "convnext_tiny", "vit_b_16", "efficientnet_b0", "swin_v2_t"])
def test_a_picture_becomes_what_torchvisions_own_transform_makes_of_it(name: str) -> None:
    body, steps = bodies.get(name), next(iter(of_torchvision.published(name).values())).transforms()
    for picture in PICTURES:
        ours = body.normalise(body.prepare(picture))[0]
        assert torch.equal(ours, steps(Image.fromarray(picture))) or torch.allclose(
            ours, steps(Image.fromarray(picture)), atol=1e-6
        )


def test_another_set_of_weights_has_its_own_transform() -> None:
    best, first = bodies.get("resnet50"), bodies.get("resnet50.IMAGENET1K_V1")
    assert (best.resize, first.resize) == (232, 256)
    assert bodies.get("vit_b_16.IMAGENET1K_SWAG_E2E_V1").size == (384, 384)
    assert "NC" in bodies.get("vit_b_16.IMAGENET1K_SWAG_E2E_V1").licence


@pytest.mark.parametrize(
    "name", ["resnet18", "vit_tiny_patch16_224", "convnext_atto", "beit_base_patch16_224", "eva02_tiny_patch14_336"]
)
def test_a_picture_becomes_what_timms_own_transform_makes_of_it(name: str) -> None:
    timm = pytest.importorskip("timm")
    body, config = bodies.get(f"timm:{name}"), timm.get_pretrained_cfg(name).to_dict()
    steps = timm.data.create_transform(**timm.data.resolve_data_config({}, pretrained_cfg=config))
    for picture in PICTURES:
        assert torch.allclose(body.normalise(body.prepare(picture))[0], steps(Image.fromarray(picture)), atol=1e-5)


def test_another_size_keeps_the_share_of_the_crop() -> None:
    body = bodies.get("resnet18", size=64)
    assert (body.size, body.resize) == ((64, 64), 73)  # 256 × 64 / 224
    assert body.prepare(PICTURES[0]).shape == (1, 3, 64, 64)


@pytest.mark.parametrize(
    ("name", "size", "says"),
    [
        ("letters", 64, "the size that it was trained at"), ("inception_v3", 32, "75 pixels or more"),
        ("resnet18", 4, "from 8 to 4,096"), ("resnet18", (64, 32), "a square"), ("resnet18", 0.5, "a square"),
    ],
)  # fmt: skip
def test_a_size_that_a_body_cannot_have(name: str, size: Any, says: str) -> None:
    with pytest.raises((InputError, InputTypeError)) as error:
        bodies.get(name, size=size)
    four_parts(error)
    assert says in error.value.rule


def test_a_size_that_is_no_multiple_of_the_patches_is_refused_when_the_network_is_made() -> None:
    with pytest.raises(InputError, match="size=40 for 'vit_b_16'"):
        bodies.get("vit_b_16", size=40).make(3, pretrained=False)


# torchvision's cache


def cached(folder: Path, monkeypatch: pytest.MonkeyPatch, change: Any = None) -> tuple[Path, nn.Module]:
    """resnet18's weights, made here, in torch.hub's cache under a name that holds their own digest."""
    import torchvision

    torch.manual_seed(3)
    net = torchvision.models.resnet18()
    place = folder / "hub" / "checkpoints" / "made.pth"
    place.parent.mkdir(parents=True)
    torch.save(net.state_dict() if change is None else change(net), place)
    digits = hashlib.sha256(place.read_bytes()).hexdigest()[:8]
    url = f"https://example.org/models/resnet18-{digits}.pth"
    monkeypatch.setattr(torchvision.models.ResNet18_Weights.DEFAULT.value, "url", url)
    monkeypatch.setenv("TORCH_HOME", str(folder))
    return place.rename(place.with_name(f"resnet18-{digits}.pth")), net


@pytest.mark.usefixtures("no_network")
def test_weights_are_read_from_the_cache_of_torch_and_the_head_is_fresh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, net = cached(tmp_path, monkeypatch)
    for n_out in (5, 1000):  # with 1,000 classes the published head would fit
        made, state = bodies.get("resnet18").make(n_out).state_dict(), net.state_dict()
        assert all(torch.equal(made[name], state[name]) for name in state if not name.startswith("fc."))
        assert made["fc.weight"].shape[0] == n_out
        assert n_out != 1000 or not torch.equal(made["fc.weight"], state["fc.weight"])


@pytest.mark.usefixtures("no_network")
def test_another_file_under_the_real_name_is_refused_by_its_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    place = tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth"  # the name in torchvision 0.29
    place.parent.mkdir(parents=True)
    torch.save({"fc.weight": torch.zeros(2)}, place)
    with pytest.raises(BundleError, match="its name says f37072fd") as error:
        bodies.get("resnet18").make(5)
    four_parts(error)
    assert str(place) in error.value.next


@pytest.mark.usefixtures("no_network")
def test_a_file_that_would_run_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached(tmp_path, monkeypatch, change=lambda net: net)  # the whole module, pickled
    with pytest.raises(BundleError, match="cannot be read"):
        bodies.get("resnet18").make(5)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("name", ["resnet18", "xresnet50"])
def test_without_a_network_the_file_and_its_place_are_named(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(MissingFileError) as error:
        small_task().learner(name, size=32)
    four_parts(error)
    file = {"resnet18": "resnet18-f37072fd.pth", "xresnet50": "xrn50_940.pth"}[name]
    assert str(tmp_path / "hub" / "checkpoints" / file) in error.value.next
    assert "no network" in error.value.likely


# The hub's cache


def in_hub(folder: Path, repo: str, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files of a repository as the hub's client keeps them: links to blobs by their sha256."""
    from huggingface_hub import constants

    home = folder / f"models--{repo.replace('/', '--')}"
    snapshot = home / "snapshots" / ("a" * 40)
    for path in (snapshot, home / "blobs", home / "refs"):
        path.mkdir(parents=True)
    (home / "refs" / "main").write_text("a" * 40)
    for name, content in files.items():
        blob = home / "blobs" / hashlib.sha256(content).hexdigest()
        blob.write_bytes(content)
        (snapshot / name).symlink_to(blob)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    return home


@pytest.mark.usefixtures("no_network")
def test_timm_reads_the_cache_of_the_hub_and_a_damaged_blob_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timm = pytest.importorskip("timm")
    torch.manual_seed(4)
    net = timm.create_model("resnet10t")
    save_file(net.state_dict(), tmp_path / "w.safetensors")
    repo = timm.get_pretrained_cfg("resnet10t").hf_hub_id
    files = {"model.safetensors": (tmp_path / "w.safetensors").read_bytes()}
    home = in_hub(tmp_path / "hub", repo, files, monkeypatch)
    for n_out in (5, 1000):
        made, state = bodies.get("timm:resnet10t").make(n_out).state_dict(), net.state_dict()
        assert all(torch.equal(made[name], state[name]) for name in state if not name.startswith("fc."))
        assert n_out != 1000 or not torch.equal(made["fc.weight"], state["fc.weight"])
    blob = next((home / "blobs").iterdir())
    blob.write_bytes(blob.read_bytes()[:-1] + b"x")
    with pytest.raises(BundleError, match="has the sha256") as error:
        bodies.get("timm:resnet10t").make(5)
    four_parts(error)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("name", ["timm:resnet10t", "hf:somebody/some-model"])
def test_without_a_network_the_repository_and_its_place_are_named(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(MissingFileError) as error:
        bodies.get(name).make(5)
    four_parts(error)
    assert str(tmp_path) in error.value.next
    assert "hf download" in error.value.next


def test_timm_without_published_weights_is_no_silent_chance() -> None:
    timm = pytest.importorskip("timm")
    name = next(one for one in timm.list_models() if not timm.get_pretrained_cfg(one).has_weights)
    with pytest.raises(InputError, match="timm publishes none"):
        bodies.get(f"timm:{name}").make(5)


# Hugging Face


def folder_of(place: Path, kind: str) -> Any:
    """A small model of transformers with fresh weights and its image processor, saved as the hub has them."""
    transformers = pytest.importorskip("transformers")
    if kind == "vit":
        config = transformers.ViTConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=32,
                                        intermediate_size=64, patch_size=8)  # fmt: skip
        processor = transformers.ViTImageProcessor(size={"height": 32, "width": 32})
    else:
        config = transformers.ConvNextConfig(hidden_sizes=[8, 16, 16, 32], depths=[1, 1, 1, 1])
        processor = transformers.ConvNextImageProcessor(size={"shortest_edge": 64}, crop_pct=0.875)
    torch.manual_seed(5)
    net = transformers.AutoModelForImageClassification.from_config(config)
    net.save_pretrained(place)
    processor.save_pretrained(place)
    (place / "README.md").write_text("---\nlicense: apache-2.0\n---\n# small\n")
    return net


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("kind", ["vit", "convnext"])
def test_a_folder_of_hugging_face_goes_the_whole_way(kind: str, tmp_path: Path) -> None:
    net = folder_of(tmp_path, kind)
    body = bodies.get(f"hf:{tmp_path}")
    assert body.licence == "apache-2.0"
    assert (body.size, body.resize) == {"vit": ((32, 32), None), "convnext": ((64, 64), 73)}[kind]
    for n_out in (2, 3):  # a new config has two classes: that head would fit
        made, state = body.make(n_out).state_dict(), net.state_dict()
        heads = [name for name in state if name.startswith("classifier")]
        assert all(torch.equal(made[f"net.{name}"], value) for name, value in state.items() if name not in heads)
        assert not torch.equal(made["net.classifier.weight"][:2], state["classifier.weight"])
    way = whole_way(f"hf:{tmp_path}", None)
    assert way.whole, way
    assert way.stages > 2


def test_a_hub_that_cannot_be_reached_is_not_called_a_wrong_name() -> None:
    from huggingface_hub.errors import LocalEntryNotFoundError

    def load() -> None:
        raise LocalEntryNotFoundError("Name or service not known")

    with pytest.raises(MissingFileError, match="Likely: no network here") as error:
        from_hub("timm/resnet10t", "timm:resnet10t", (), load)
    four_parts(error)


@pytest.mark.usefixtures("no_network")
def test_a_folder_that_does_not_fit_its_description(tmp_path: Path) -> None:
    folder_of(tmp_path, "vit")
    text = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(text.replace('"intermediate_size": 64', '"intermediate_size": 128'))
    with pytest.raises(InputError, match=r"mlp.fc1.weight is \[64, 32\] there") as error:
        bodies.get(f"hf:{tmp_path}").make(3)
    four_parts(error)
    (tmp_path / "preprocessor_config.json").unlink()
    with pytest.raises((MissingFileError, BundleError)) as absent:
        bodies.get(f"hf:{tmp_path}")
    four_parts(absent)


# A file of weights


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    import torchvision

    folder = tmp_path_factory.mktemp("files")
    torch.manual_seed(6)
    state = torchvision.models.resnet18(num_classes=3).state_dict()
    save_file(state, folder / "w.safetensors")
    torch.save({"epoch": 3, "state_dict": {f"module.{name}": value for name, value in state.items()}}, folder / "w.pth")
    save_file(torchvision.models.resnet34().state_dict(), folder / "deep.safetensors")
    save_file(torchvision.models.resnext50_32x4d().state_dict(), folder / "wide.safetensors")
    save_file({f"encoder.{name}": value for name, value in state.items()}, folder / "named.safetensors")
    (folder / "code.pth").write_bytes(pickle.dumps({"weight": Path("x")}))
    (folder / "cut.safetensors").write_bytes((folder / "w.safetensors").read_bytes()[:-100])
    torch.save({"lr": 3}, folder / "none.pth")
    return {path.name: path for path in folder.iterdir()}


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_weights_of_a_file_of_ones_own(name: str, files: dict[str, Path]) -> None:
    learn = small_task().learner("resnet18", size=32, weights=files[name])
    made, state = learn.model.state_dict(), bodies.read_weights(files["w.safetensors"])
    assert all(torch.equal(made[key], state[key]) for key in state if not key.startswith("fc."))


@pytest.mark.parametrize(
    ("name", "kind", "given", "likely"),
    [
        ("deep.safetensors", InputError, "layer1.2.conv1.weight", "a larger network"),
        ("wide.safetensors", InputError, "layer1.0.conv1.weight is [128, 64, 1, 1] there", "another variant"),
        ("named.safetensors", InputError, "lacks ", "another library"),
        ("code.pth", BundleError, "code.pth", "pickled"),
        ("cut.safetensors", BundleError, "cannot be read", "broke off"),
        ("none.pth", BundleError, "no tensors by name", "checkpoint"),
    ],
)  # fmt: skip
def test_weights_that_do_not_fit_are_named(
    name: str, kind: type[NbtuneError], given: str, likely: str, files: dict[str, Path]
) -> None:
    with pytest.raises(kind) as error:
        bodies.get("resnet18", weights=files[name]).make(3)
    four_parts(error)
    assert given in error.value.given
    assert likely in error.value.likely


def test_weights_where_none_are_read(files: dict[str, Path], tmp_path: Path) -> None:
    task = small_task()
    with pytest.raises(InputError, match="a network of your own"):
        task.learner(nn.Sequential(nn.Flatten(), nn.Linear(4320, 2)), weights=files["w.pth"])
    with pytest.raises(InputError, match="fresh weights"):
        task.learner("resnet18", weights=files["w.pth"], pretrained=False)
    with pytest.raises(InputError, match="'letters'"):
        task.learner("letters", weights=files["w.pth"])
    with pytest.raises(MissingFileError) as error:
        bodies.get("resnet18", weights=files["w.pth"].with_name("v.safetensors"))
    assert error.value.next == f"weights={str(files['code.pth'])!r}"


# Extras that are not installed


@pytest.mark.parametrize(("package", "name"), [("timm", "timm:resnet18"), ("transformers", "hf:some/model")])
def test_a_library_that_is_absent_is_named_with_the_line_that_installs_it(
    package: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_timm.body.cache_clear()
    monkeypatch.setitem(sys.modules, package, None)  # type: ignore[arg-type]
    with pytest.raises(MissingExtraError, match=f"without {package}") as error:
        bodies.get(name)
    four_parts(error)
    assert error.value.next.startswith('pip install "nbtune[')
    assert isinstance(error.value, ImportError)


# In a bundle


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(
    ("name", "kwargs"),
    [
        ("timm:hf_hub:somebody/model", {}), ("timm:local-dir:/tmp", {}), ("timm:resnet10t", {"size": "32"}),
        ("vit_b_16", {"size": 40}), ("vit_b_16", {"size": 10**9}), ("resnet18", {"weights": "DEFAULT"}),
        ("hf", {"config": "{"}), ("hf", {"config": "[]"}), ("hf", {}), ("hf", {"config": '{"model_type": "bert_x"}'}),
        ("hf", {"config": '{"model_type": "timm_wrapper", "architecture": "hf-hub:somebody/model"}'}),
        ("hf:somebody/model", {}), ("os.system", {}),
    ],
)  # fmt: skip
def test_a_bundle_names_no_network_that_would_be_fetched_or_run(name: str, kwargs: dict[str, Any]) -> None:
    pytest.importorskip("timm")
    with pytest.raises(BundleError) as error:
        made(Architecture(name, {"n_out": 3, **kwargs}), None, BundleError)
    four_parts(error)


def test_a_bundle_of_another_size_than_it_states_is_refused_before_anything_is_allocated() -> None:
    pytest.importorskip("transformers")
    huge = '{"model_type": "vit", "hidden_size": 65536, "num_attention_heads": 8, "intermediate_size": 1048576}'
    for name, kwargs in (("hf", {"config": huge}), ("vit_h_14", {})):
        with pytest.raises(BundleError, match="parameters, and 1,000 are stated"):
            made(Architecture(name, {"n_out": 3, **kwargs}), None, BundleError, 1000)


def test_how_pictures_are_cut_is_in_the_bundle_and_in_its_schema(tmp_path: Path) -> None:
    tuner = nt.Tuner(small_task().learner("shufflenet_v2_x0_5", size=32, pretrained=False, seed=0))
    model = nt.load(tuner.save(tmp_path / "bundle"))
    assert (model.preprocessing.size, model.preprocessing.resize) == ((32, 32), 37)  # 256 × 32 / 224
    stated = json.loads((tmp_path / "bundle" / "bundle.json").read_text())
    schema = json.loads((Path(nt.__file__).parent / "bundle" / "bundle.schema.json").read_text())
    jsonschema.validate(stated, schema)
    for wrong in ({"resize": 0}, {"resize": [37]}, {"resize": "37"}, {"interpolation": "cubic"}, {"interpolation": []}):
        stated["preprocessing"] |= wrong
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(stated, schema)
        stated.pop("sha256", None)
        assert "preprocessing" in manifest.problem(stated)
        stated["preprocessing"] |= {"resize": 37, "interpolation": "bilinear"}
        stated["sha256"] = "0" * 64


# The catalogue


def test_the_table_is_what_the_libraries_state() -> None:
    table = bodies.table()
    assert list(table.columns) == ["name", "parameters", "input", "licence", "family", "library", "needs network"]
    assert set(table["name"]) == set(bodies.names())
    assert len(table) > 85
    rows = table.set_index("name")
    assert rows.loc["resnet18", "parameters"] == 11_689_512  # torchvision's own count
    assert rows.loc["vit_h_14", "licence"].startswith("CC-BY-NC")
    assert list(rows.loc[rows["needs network"], "library"].unique()) == ["torchvision", "fastai"]
    assert rows.loc[["resnet18", "wide_resnet50_2", "resnext50_32x4d", "swin_v2_t", "vit_b_16"], "family"].tolist() == [
        "resnet", "wide_resnet", "resnext", "swin_v2", "vit"]  # fmt: skip


def test_parameters_of_fastais_networks_are_counted() -> None:
    from nbtune.bodies.of_fastai import PARAMETERS, maker

    for name, said in PARAMETERS.items():
        with torch.device("meta"):
            assert sum(p.numel() for p in maker(name)._made(1000).parameters()) == said, name


def test_the_table_is_filtered() -> None:
    small = bodies.table(family="resnet", max_params=12e6)
    assert set(small["name"]) == {"resnet18", "xresnet18"}
    assert bodies.table(offline=True)["name"].tolist()[0] == "letters"
    assert bodies.table(licence="nc")["name"].tolist() == ["regnet_y_128gf", "vit_h_14"]
    assert bodies.table(max_size=32)["name"].tolist() == ["letters"]
    pytest.importorskip("timm")
    many = bodies.table(timm=True, family="convnext")
    assert {"convnext_tiny", "timm:convnext_atto"} <= set(many["name"])
    assert "timm:convnext_atto" not in set(bodies.table(timm=True, max_params=1e9)["name"])


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"family": "resnett"}, "a misspelling"), ({"family": ["resnet", "vit"]}, "several at once"),
        ({"licence": "zzz"}, "no body has"), ({"max_params": "30M"}, "with its unit"),
        ({"max_params": -1}, "subtraction"),
        ({"max_size": True}, "another argument's value"),
    ],
)  # fmt: skip
def test_a_filter_that_makes_no_sense(given: dict[str, Any], says: str) -> None:
    with pytest.raises((InputError, InputTypeError)) as error:
        bodies.table(**given)
    four_parts(error)
    assert says in error.value.likely


def test_the_page_of_a_body_says_how_pictures_are_cut() -> None:
    assert "the middle of shorter side 256 (bilinear)" in bodies.get("resnet18")._repr_html_()
    assert nt.bodies.get("resnet18").family == "resnet"
