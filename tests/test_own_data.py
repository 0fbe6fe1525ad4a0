"""Whole ways: from data of every kind to a Learner, training, a report, a bundle, and predictions that agree."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.vision.all import (
    CategoryBlock,
    ColReader,
    DataBlock,
    GrandparentSplitter,
    ImageBlock,
    MultiCategoryBlock,
    PILImageBW,
    RegressionBlock,
    Resize,
    TransformBlock,
    get_image_files,
    parent_label,
)
from PIL import Image
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import nbtune as nt
from nbtune.errors import InputError, InputTypeError
from nbtune.tasks import Task
from nbtune.tasks.stacks import Files, Rows


@cache
def digits() -> Any:
    return load_digits()


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """180 handwritten digits, three classes, as PNG files in class folders."""
    root = tmp_path_factory.mktemp("own") / "digits"
    for at in np.flatnonzero(digits().target < 3)[:180]:
        folder = root / ("zero", "one", "two")[digits().target[at]]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray((digits().images[at] * 15.9).astype(np.uint8)).save(folder / f"{at:04d}.png")
    return root


def named(root: Path) -> pd.DataFrame:
    """The same as a table: file, class, labels, number."""
    files = sorted(root.rglob("*.png"))
    df = pd.DataFrame({"file": [path.relative_to(root).as_posix() for path in files]})
    df["kind"] = [path.parent.name for path in files]
    df["labels"] = df.kind.map({"zero": "round", "one": "straight", "two": "round;straight"})
    df["ink"] = [float(np.asarray(Image.open(path)).mean()) for path in files]
    return df


def block(root: Path, label: str) -> tuple[DataBlock, Any]:
    if label == "kind":
        made = DataBlock((ImageBlock(PILImageBW), CategoryBlock), get_items=get_image_files, get_y=parent_label,
                         item_tfms=Resize(24))  # fmt: skip
        return made, root
    y = ColReader("labels", label_delim=";") if label == "labels" else ColReader(label)
    kind = MultiCategoryBlock if label == "labels" else RegressionBlock
    return DataBlock((ImageBlock, kind), get_x=ColReader("file", pref=f"{root}/"), get_y=y), named(root)


def arrays(n: int = 300) -> tuple[Any, Any]:
    return digits().images[:n] / 16, digits().target[:n]


def table(name: str) -> pd.DataFrame:
    loader = {"wine": load_wine, "iris": load_iris, "cancer": load_breast_cancer, "diabetes": load_diabetes}[name]
    df = loader(as_frame=True).frame
    if name == "cancer":
        df = df.assign(target=np.where(df.target > 0, "benign", "malignant"))
    if name == "diabetes":  # with gaps, and with a column of categories
        gaps = np.random.RandomState(0).rand(*df.shape) < 0.05
        gaps[:, -1] = False
        df = df.assign(sex=np.where(df.sex > 0, "f", "m")).mask(gaps)
    return df


WAYS: dict[str, tuple[Callable[[Path], Task], str, str, float]] = {
    # name: (task, body, first metric, the least that it must reach; chance is a third, a half or 0)
    "folder": (lambda root: nt.tasks.from_folder(root), "letters", "accuracy", 0.8),
    "frame of files": (
        lambda root: nt.tasks.from_frame(named(root), x="file", y="kind", folder=root), "letters", "accuracy", 0.8),
    "several labels": (
        lambda root: nt.tasks.from_frame(named(root), x="file", y="labels", label_delim=";", folder=root),
        "letters", "f1", 0.8),
    "numbers of files": (
        lambda root: nt.tasks.from_frame(named(root), x="file", y="ink", folder=root), "letters", "r2", 0.2),
    "arrays": (lambda root: nt.tasks.from_arrays(*arrays()), "letters", "accuracy", 0.7),
    "datablock": (lambda root: nt.tasks.from_datablock(*block(root, "kind")), "letters", "accuracy", 0.8),
    "datablock of labels": (lambda root: nt.tasks.from_datablock(*block(root, "labels")), "letters", "f1", 0.8),
    "torch": (
        lambda root: nt.tasks.from_torch(TensorDataset(torch.tensor(arrays()[0])[:, None].float(),
                                                       torch.tensor(arrays()[1]))), "letters", "accuracy", 0.7),
    "table": (lambda root: nt.tasks.from_frame(table("wine"), y="target"), "tabular", "accuracy", 0.85),
    "table of two classes": (lambda root: nt.tasks.from_frame(table("cancer"), y="target"), "tabular", "accuracy", 0.9),
    "table with gaps": (lambda root: nt.tasks.from_frame(table("diabetes"), y="target"), "tabular", "r2", 0.1),
    "rows": (lambda root: nt.tasks.from_arrays(load_iris().data, load_iris().target), "tabular", "accuracy", 0.85),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_the_whole_way(way: str, pictures: Path, tmp_path: Path) -> None:
    make, body, metric, least = WAYS[way]
    task = make(pictures)
    learn = task.learner(body, seed=0)
    tuner = nt.Tuner(learn, test=task.test, seed=0)
    tuner.freeze()
    assert tuner.verify()
    curve = tuner.lr_find(steps=20)
    assert len(curve.lrs)
    still = tuner.fit(2, lr=3e-3)
    assert still.cached, still.why
    tuner.unfreeze()
    history = tuner.fit(*((8, 1e-2) if body == "tabular" else (2, 3e-3)))
    assert len(history.metrics) == len(task.metrics)
    report = tuner.evaluate()
    assert report.metrics[metric].value >= least
    assert report.metrics[metric].low <= report.metrics[metric].value <= report.metrics[metric].high
    assert len(report) == len(task.test)
    for value in (task, task.card, report):
        assert value._repr_html_()
        assert repr(value)
    assert all(chart._repr_png_() for chart in (report.plot(), task.plot()))
    assert task.card.name in tuner.card()
    model = nt.load(tuner.save(tmp_path / "bundle"))
    check_predictions(model.predict(task.test), report)
    assert model._repr_html_()


def check_predictions(frame: pd.DataFrame, report: Any) -> None:
    """A loaded model says of the test items what the report was made of."""
    if hasattr(report, "names"):  # numbers
        assert np.allclose(frame.to_numpy(), report.predicted, rtol=1e-3, atol=1e-3)
    else:
        assert np.allclose(frame.iloc[:, 1:].to_numpy(dtype=float), report.probs, atol=1e-4)
    if hasattr(report, "per_label"):
        said = [[name for name, one in zip(report.vocab, row, strict=True) if one] for row in report.predicted]
        assert frame["labels"].tolist() == said


def test_a_folder_to_a_report_takes_five_lines(pictures: Path) -> None:
    path = pictures
    import nbtune as nt

    task = nt.tasks.from_folder(path)
    tuner = nt.Tuner(task.learner("letters"), test=task.test)
    tuner.run(nt.recipes.probe_then_finetune(4, 4))  # the defaults' 20 and 30 epochs, cut for the test
    report = tuner.evaluate()
    assert report.metrics["accuracy"].value > 0.9


def test_two_learners_of_a_seed_train_alike_and_paths_predict_as_the_task_does(pictures: Path, tmp_path: Path) -> None:
    task = nt.tasks.from_folder(pictures)
    tuners = [nt.Tuner(task.learner("letters", seed=3), test=task.test, seed=3) for _ in range(2)]
    rows = [tuner.fit(2, lr=3e-3).frame().drop(columns="seconds") for tuner in tuners]
    pd.testing.assert_frame_equal(*rows)
    model = nt.load(tuners[0].save(tmp_path / "b"))
    pd.testing.assert_frame_equal(model.predict(task.test), model.predict(list(task.test.x.paths)))


def test_worst_shows_pictures_that_are_files(pictures: Path) -> None:
    task = nt.tasks.from_folder(pictures)
    report = nt.Tuner(task.learner("letters", seed=0), test=task.test, seed=0).evaluate()
    worst = report.worst(3)
    assert len(worst.rows) == 3
    assert worst.plot()._repr_png_()


def test_train_valid_and_test_folders_are_kept(pictures: Path, tmp_path: Path) -> None:
    for at, path in enumerate(sorted(pictures.rglob("*.png"))):
        split = ("Train", "train", "val", "test")[at % 4].lower()
        place = tmp_path / split / path.parent.name / path.name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
    task = nt.tasks.from_folder(tmp_path)
    assert task.vocab == ("one", "two", "zero")
    assert {name.split("/")[0] for name in task.valid.ids} == {"val"}
    assert {name.split("/")[0] for name in task.test.ids} == {"test"}
    assert task.card.split == "As given."


def test_groups_by_a_function_of_the_path(pictures: Path) -> None:
    task = nt.tasks.from_folder(pictures, group=lambda path: int(path.stem) // 40)
    homes: dict[int, set[str]] = {}
    for split in ("train", "valid", "test"):
        for name in getattr(task, split).ids:
            homes.setdefault(int(Path(name).stem) // 40, set()).add(split)
    assert all(len(splits) == 1 for splits in homes.values())


@pytest.mark.parametrize("size", [24, (16, 24)])
def test_a_network_of_ones_own_is_given_the_size_that_is_asked_for(size: Any, pictures: Path) -> None:
    task = nt.tasks.from_folder(pictures)
    learn = task.learner(net, size=size, seed=0)
    high, wide = size if isinstance(size, tuple) else (size, size)
    assert learn.dls.one_batch()[0].shape[1:] == (1, high, wide)
    assert task.learner(net).dls.one_batch()[0].shape[1:] == (1, 8, 8)  # the size that all have


def net(n: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, n))


def test_a_torchvision_network_takes_folders_of_colour(pictures: Path, tmp_path: Path) -> None:
    import torchvision

    for path in pictures.rglob("*.png"):
        place = tmp_path / path.parent.name / f"{path.stem}.jpg"
        place.parent.mkdir(exist_ok=True)
        Image.open(path).convert("RGB").resize((30 + int(path.stem) % 5, 32)).save(place)
    task = nt.tasks.from_folder(tmp_path)
    with pytest.raises(InputError, match="pictures of 5 sizes") as error:
        task.learner(lambda n: torchvision.models.squeezenet1_1(num_classes=n))
    assert error.value.next == "task.learner(network, size=224)"
    learn = task.learner(lambda n: torchvision.models.squeezenet1_1(num_classes=n), size=32, seed=0)
    assert len(nt.Tuner(learn, test=task.test, seed=0).fit(1, lr=1e-3)) == 1
    assert learn.dls.one_batch()[0].shape[1:] == (3, 32, 32)


def test_own_networks_on_rows(tmp_path: Path) -> None:
    task = nt.tasks.from_frame(table("iris"), y="target")
    learn = task.learner(lambda n: nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, n)), seed=0)
    tuner = nt.Tuner(learn, test=task.test, seed=0)
    tuner.fit(15, lr=3e-2)
    assert tuner.evaluate().metrics["accuracy"].value > 0.8
    with pytest.warns(UserWarning, match="holds no code"):
        place = tuner.save(tmp_path / "b")
    check_predictions(nt.load(place, model=learn.model).predict(task.test.x.frame), tuner.evaluate())
    with pytest.raises(InputError, match="failed on two rows"):
        task.learner(nn.Sequential(nn.Linear(5, 3)))
    with pytest.raises(InputError, match=r"gives \[2, 4\] for two rows"):
        task.learner(nn.Sequential(nn.Linear(4, 4)))


def test_rows_are_prepared_from_training_alone_and_gaps_are_marked() -> None:
    df = table("diabetes")
    task = nt.tasks.from_frame(df, y="target")
    assert isinstance(task.train.x, Rows)
    columns = task.learner("tabular").nbtune_origin.body.columns
    train = task.train.x.frame
    assert columns.medians[0] == pytest.approx(train.age.median())
    assert columns.means[0] == pytest.approx(train.age.fillna(train.age.median()).mean())
    codes, numbers = columns.prepare(pd.DataFrame([{**dict.fromkeys(columns.numbers, np.nan), "sex": "unknown"}]))
    assert codes[0].tolist() == [0] + [2] * len(columns.gaps)
    assert numbers[0, 0].item() == pytest.approx((columns.medians[0] - columns.means[0]) / columns.stds[0], abs=1e-5)


def test_predicting_rows_asks_for_the_columns(tmp_path: Path) -> None:
    task = nt.tasks.from_frame(table("wine"), y="target")
    model = nt.load(nt.Tuner(task.learner("tabular", layers=[8], seed=0), seed=0).save(tmp_path / "b"))
    df = table("wine")
    pd.testing.assert_frame_equal(model.predict(df.drop(columns="target")[::-1].iloc[::-1]), model.predict(df))
    with pytest.raises(InputError, match="rows without 'alcohol'"):
        model.predict(df.drop(columns="alcohol"))
    with pytest.raises(InputTypeError, match="a pandas DataFrame"):
        model.predict(df.to_numpy())


@pytest.mark.parametrize(
    ("options", "given"),
    [({"layers": [8]}, "layers="), ({"size": 24}, "size=24 for the body 'letters'"), ({"layers": 5}, "layers=5")],
)
def test_keywords_of_another_kind_of_task_are_refused(options: dict[str, Any], given: str) -> None:
    with pytest.raises(InputError, match=given):
        nt.tasks.from_arrays(*arrays()).learner("letters", **options)
    with pytest.raises((InputError, InputTypeError)):
        nt.tasks.from_frame(table("iris"), y="target").learner("tabular", **{**options, "layers": "wide"})


def test_a_table_refuses_bodies_of_images() -> None:
    with pytest.raises(InputError, match='a table takes "tabular"'):
        nt.tasks.from_frame(table("iris"), y="target").learner("letters")


def test_datablocks_keep_their_splitter_and_others_are_refused(pictures: Path, tmp_path: Path) -> None:
    made, source = block(pictures, "kind")
    task = nt.tasks.from_datablock(made, source)
    assert isinstance(task.train.x, Files)
    assert len(task.valid) == len(made.datasets(source).valid)
    assert "transforms are left out" in task.card.note
    numbers = nt.tasks.from_datablock(*block(pictures, "ink"))
    assert (numbers.kind, numbers.metrics) == ("regression", ("mae", "r2"))
    with pytest.raises(InputTypeError, match="already"):
        nt.tasks.from_datablock(made.dataloaders(source), source)
    with pytest.raises(InputError, match="the DataBlock fails on this source"):
        nt.tasks.from_datablock(DataBlock((ImageBlock, CategoryBlock), get_items=get_image_files,
                                          splitter=GrandparentSplitter()), pictures)  # fmt: skip
    texts = DataBlock((TransformBlock, CategoryBlock), get_x=ColReader("t"), get_y=ColReader("k"))
    df = pd.DataFrame({"t": ["good film", "bad film"] * 20, "k": ["a", "b"] * 20})
    with pytest.raises(InputError, match="of blocks of pictures"):
        nt.tasks.from_datablock(texts, df)


def test_torch_datasets_that_change_or_are_normalised_or_are_no_pairs_are_refused() -> None:
    x, y = torch.rand(40, 1, 8, 8), torch.arange(40) % 2

    class Noise(TensorDataset):
        def __getitem__(self, at: Any) -> Any:
            image, label = super().__getitem__(at)
            return torch.rand_like(image), label

    for data, message in (
        (Noise(x, y), "change from one look to the next"), (TensorDataset(x * 4 - 2, y), "normalised already"),
        (TensorDataset(x, y, y), "item 0 of train is 3 values"), (DataLoader(TensorDataset(x, y)), "a DataLoader"),
    ):  # fmt: skip
        with pytest.raises((InputError, InputTypeError), match=message):
            nt.tasks.from_torch(data)
    task = nt.tasks.from_torch(TensorDataset(x, y), test=TensorDataset(torch.rand(10, 1, 8, 8), torch.arange(10) % 2))
    assert (len(task.train), len(task.valid), len(task.test)) == (32, 8, 10)


def test_arrays_that_do_not_fit_are_refused() -> None:
    x, y = arrays(60)
    for call, message in (
        (lambda: nt.tasks.from_arrays(x, y[:-1]), "59 in y"),
        (lambda: nt.tasks.from_arrays(x[:, 0, 0], y), "one column without its axis"),
        (lambda: nt.tasks.from_arrays(x * 255, y), "pixels of 0 to 255, kept as float"),
        (lambda: nt.tasks.from_arrays(x, y, vocab=["a", "b"]), "vocab of 2 names for labels from 0 to 9"),
        (lambda: nt.tasks.from_arrays(x, y + 1, vocab=list("0123456789")), "labels that count from 1"),
    ):  # fmt: skip
        with pytest.raises((InputError, InputTypeError), match=message):
            call()
    assert nt.tasks.from_arrays(x, y, vocab=list("abcdefghij")).vocab == tuple("abcdefghij")


# From one table to another


def sites() -> dict[str, pd.DataFrame]:
    """The wines in two halves, the second with a category that the first has not."""
    df = table("wine").sample(frac=1, random_state=0).assign(colour=lambda d: np.where(d.hue > 1, "dark", "light"))
    south = df.iloc[90:].assign(colour=lambda d: d.colour.where(np.arange(len(d)) % 5 > 0, "pink"))
    return {"north": df.iloc[:90], "south": south}


def trained(task: Task, folder: Path, epochs: int = 4) -> Any:
    tuner = nt.Tuner(task.learner("tabular", layers=[30, 20], seed=0), test=task.test, seed=0)
    tuner.fit(epochs, 1e-2)
    return nt.load(tuner.save(folder))


@pytest.mark.parametrize("y", ["target", "alcohol"])
def test_a_model_of_one_table_goes_on_with_another(y: str, tmp_path: Path) -> None:
    north, south = (nt.tasks.from_frame(df, y=y) for df in sites().values())
    model = trained(north, tmp_path / "north")
    weights = {name: one.clone() for name, one in model.module.state_dict().items()}
    tuner = nt.Tuner(south.learner(model, seed=0), test=south.test, seed=0)
    said, first = model.predict(south.test), tuner.evaluate()
    check_predictions(said, first)  # before a step it says what the model says, numbers in their own units
    tuner.freeze_to("head")
    assert tuner.verify()
    assert tuner.fit(3, 1e-2).cached
    assert all(torch.equal(one, weights[name]) for name, one in model.module.state_dict().items())
    again = nt.load(tuner.save(tmp_path / "south"))
    check_predictions(again.predict(south.test), tuner.evaluate())
    assert f"nt.load({str(tmp_path / 'north')!r})" in tuner.code()


def test_a_model_of_other_classes_keeps_all_but_the_head(tmp_path: Path) -> None:
    north, south = sites().values()
    model = trained(nt.tasks.from_frame(north, y="target"), tmp_path / "north")
    task = nt.tasks.from_frame(south.assign(target=south.target == 0), y="target")
    mine = task.learner(model, seed=0).model.state_dict()
    theirs = model.module.state_dict()
    moved = {name.rpartition(".")[0] for name, one in mine.items() if not torch.equal(one, theirs[name])}
    assert moved == {"layers.2.0"}
    fresh = task.learner(model, seed=0, pretrained=False)
    assert not torch.equal(fresh.model.state_dict()["layers.0.0.weight"], theirs["layers.0.0.weight"])
    assert fresh.nbtune_origin.body.columns == model.preprocessing


def test_a_model_goes_on_with_a_table_that_has_its_columns_only(tmp_path: Path) -> None:
    north, south = sites().values()
    model = trained(nt.tasks.from_frame(north, y="target"), tmp_path / "north", 1)
    with pytest.raises(InputError, match="rows without 'hue'"):
        nt.tasks.from_frame(south.drop(columns="hue"), y="target").learner(model)
    with pytest.raises(InputError, match="without layers"):
        nt.tasks.from_frame(south, y="target").learner(model, layers=[10])
