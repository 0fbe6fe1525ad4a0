"""Each data set in two ways with one budget: through nbtune, from `from_…` to `nt.load(...).predict`, and plain."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cache
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

import pandas as pd
import torch
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.metrics import accuracy_score, mean_absolute_error, roc_auc_score
from torch import nn
from torch.utils.data import TensorDataset

import nbtune as nt
from nbtune.tasks import Task

from .sets import WEATHER, block_of, textures, weather

__all__ = ["WAYS", "Way"]

HEAD, BODY = 4, 6  # epochs of the head on a still body, then of all
ROWS, EPOCHS, RATE, BATCH = 4000, 5, 5e-3, 64
SMALL_EPOCHS, SMALL_RATE, SMALL_BATCH = 30, 5e-3, 32


@dataclass(frozen=True)
class Way:
    """A data set: `task(seed)`, and from a task and a seed what each way says of the task's test items."""

    name: str
    source: str
    metric: str
    peer: str
    task: Callable[[int], Task]
    nbtune: Callable[[Task, int], Any]
    plain: Callable[[Task, int], Any]
    score: Callable[[Task, Any], float]
    better: int  # 1: more is better; -1: less


def whole_way(learn: Any, task: Task, act: Callable[[Any], object], seed: int, items: Any) -> Any:
    """Train as `act` says, save, load, and predict `items` with what was loaded: a frame."""
    tuner = nt.Tuner(learn, seed=seed)
    with TemporaryDirectory() as folder, warnings.catch_warnings(), redirect_stdout(StringIO()):
        warnings.simplefilter("ignore")  # a bundle of a network of one's own says that it needs the network
        act(tuner)
        saved = tuner.save(Path(folder) / "model")
        named = learn.nbtune_origin.body.name in ("letters", "tabular")
        model = nt.load(saved, model=None if named else network(task.train.x.frame.shape[1], len(task.vocab)))
        return model.predict(items)


# A folder of pictures: nbtune's letters body, fine-tuned; fastai's fine_tune on the same body


@cache
def tiles() -> Path:
    return textures(Path(mkdtemp()) / "ground")


def tuned_pictures(task: Task, seed: int) -> Any:
    """Ten epochs: the head, then everything."""
    recipe = nt.recipes.probe_then_finetune(HEAD, BODY)
    found = whole_way(
        task.learner("letters", seed=seed), task, lambda tuner: tuner.run(recipe), seed, list(task.test.x.paths)
    )
    return found["label"].tolist()


def fastai_pictures(task: Task, seed: int) -> Any:
    """The same body, split, batch size and epochs in fastai: `fine_tune` with its defaults, `aug_transforms`."""
    from fastai.vision.all import (
        CategoryBlock,
        DataBlock,
        ImageBlock,
        IndexSplitter,
        Learner,
        Normalize,
        PILImageBW,
        aug_transforms,
        params,
        parent_label,
        set_seed,
    )  # fmt: skip

    set_seed(seed)
    body = nt.bodies.get("letters")
    paths = [*task.train.x.paths, *task.valid.x.paths]
    block = DataBlock(
        (ImageBlock(PILImageBW), CategoryBlock), get_y=parent_label, batch_tfms=[*aug_transforms(),
        Normalize.from_stats(body.mean, body.std, cuda=False)],
        splitter=IndexSplitter(range(len(task.train), len(paths))),
    )  # fmt: skip
    dls = block.dataloaders(paths, bs=nt.tasks.task.batch_size(len(task.train))[0], num_workers=0, device="cpu")
    learn = Learner(dls, body.make(len(dls.vocab)), splitter=lambda m: [
        [p for name, part in m.named_children() if name != "head" for p in params(part)], params(m.head)])  # fmt: skip
    with learn.no_bar(), learn.no_logging():
        learn.fine_tune(BODY, freeze_epochs=HEAD)
        probs = learn.get_preds(dl=dls.test_dl(list(task.test.x.paths)))[0]
    return [dls.vocab[at] for at in probs.argmax(1)]


def accuracy(task: Task, said: Any) -> float:
    """Share of test items named rightly."""
    return float(accuracy_score([task.vocab[c] for c in task.test.y], said))


# A table with gaps: fastai's tabular model both ways


@cache
def hours() -> pd.DataFrame:
    return weather()


def hour_task(seed: int) -> Task:
    """A draw of hours at all three airports."""
    drawn = hours().drop(columns="day").sample(ROWS, random_state=seed).reset_index(drop=True)
    return nt.tasks.from_frame(drawn, y="poor", seed=seed)


def tuned_table(task: Task, seed: int) -> Any:
    learn = task.learner("tabular", seed=seed, bs=BATCH)
    found = whole_way(learn, task, lambda tuner: tuner.fit(EPOCHS, RATE), seed, task.test.x.frame)
    return found["poor"].to_numpy()


def fastai_table(task: Task, seed: int) -> Any:
    """`TabularPandas` with fastai's own procs, `tabular_learner` as it comes, one cycle of the same length."""
    from fastai.tabular.all import (
        Categorify,
        CategoryBlock,
        FillMissing,
        Normalize,
        TabularDataLoaders,
        TabularPandas,
        set_seed,
        tabular_learner,
    )  # fmt: skip

    set_seed(seed)
    frames = [one.x.frame.assign(poor=[task.vocab[c] for c in one.y]) for one in (task.train, task.valid)]
    rows, places = pd.concat(frames, ignore_index=True), list(range(sum(map(len, frames))))
    splits = places[: len(frames[0])], places[len(frames[0]) :]
    made = TabularPandas(
        rows, [Categorify, FillMissing, Normalize], ["origin"], list(WEATHER), "poor", CategoryBlock(), splits
    )
    dls: TabularDataLoaders = made.dataloaders(bs=BATCH, device="cpu")
    learn = tabular_learner(dls, layers=[200, 100])
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(EPOCHS, RATE)
        probs = learn.get_preds(dl=dls.test_dl(task.test.x.frame))[0]
    return probs[:, list(dls.vocab).index("poor")].numpy()


def auc(task: Task, said: Any) -> float:
    """Area under the receiver operating characteristic of "poor"."""
    return float(roc_auc_score(task.test.y == task.vocab.index("poor"), said))


# Numbers, and torch tensors: a plain PyTorch loop


def network(inputs: int, outputs: int) -> nn.Module:
    """Two hidden layers with batch norm, as in fastai's tabular model."""
    parts: list[nn.Module] = []
    for a, b in ((inputs, 200), (200, 100)):
        parts += [nn.Linear(a, b, bias=False), nn.ReLU(), nn.BatchNorm1d(b)]
    return nn.Sequential(nn.BatchNorm1d(inputs), *parts, nn.Linear(100, outputs))


def loop(x: Any, y: Any, loss: Callable[..., Any], outputs: int, seed: int) -> Callable[[Any], Any]:
    """AdamW and one cycle on standardised rows, without a framework; gives the function that scores rows."""
    torch.manual_seed(seed)
    mean, std = x.mean(0), x.std(0)
    model, rows = network(x.shape[1], outputs), (x - mean) / std
    opt = torch.optim.AdamW(model.parameters(), lr=SMALL_RATE, weight_decay=0.01)
    each = len(rows) // SMALL_BATCH
    cycle = torch.optim.lr_scheduler.OneCycleLR(opt, SMALL_RATE, total_steps=each * SMALL_EPOCHS, pct_start=0.25)
    for _ in range(SMALL_EPOCHS):
        order = torch.randperm(len(rows))
        for at in range(each):
            batch = order[at * SMALL_BATCH : (at + 1) * SMALL_BATCH]
            opt.zero_grad()
            loss(model(rows[batch]), y[batch]).backward()
            opt.step()
            cycle.step()
    model.eval()
    return torch.no_grad()(lambda new: model((new - mean) / std))


def diabetes_task(seed: int) -> Task:
    return nt.tasks.from_frame(load_diabetes(as_frame=True, scaled=False).frame, y="target", seed=seed)


def tuned_numbers(task: Task, seed: int) -> Any:
    learn = task.learner("tabular", seed=seed, bs=SMALL_BATCH)
    act: Callable[[Any], object] = lambda tuner: tuner.fit(SMALL_EPOCHS, SMALL_RATE)  # noqa: E731
    return whole_way(learn, task, act, seed, task.test.x.frame)["target"].to_numpy()


def torch_numbers(task: Task, seed: int) -> Any:
    rows = [torch.tensor(one.x.frame.to_numpy(dtype="float32")) for one in (task.train, task.test)]
    y = torch.tensor(task.train.y).float().reshape(-1, 1)
    score = loop(rows[0], (y - y.mean()) / y.std(), nn.functional.mse_loss, 1, seed)
    return (score(rows[1]) * y.std() + y.mean()).numpy().ravel()


def mae(task: Task, said: Any) -> float:
    """Mean absolute error in the target's own units."""
    return float(mean_absolute_error(task.test.y.ravel(), said))


def cancer_task(seed: int) -> Task:
    data = load_breast_cancer()
    rows = TensorDataset(torch.tensor(data.data).float(), torch.tensor(data.target))
    return nt.tasks.from_torch(rows, vocab=list(data.target_names), seed=seed)


def tuned_tensors(task: Task, seed: int) -> Any:
    torch.manual_seed(seed)
    learn = task.learner(network(task.train.x.frame.shape[1], 2), seed=seed, bs=SMALL_BATCH)
    act: Callable[[Any], object] = lambda tuner: tuner.fit(SMALL_EPOCHS, SMALL_RATE)  # noqa: E731
    return whole_way(learn, task, act, seed, task.test.x.frame)["label"].tolist()


def torch_tensors(task: Task, seed: int) -> Any:
    rows = [torch.tensor(one.x.frame.to_numpy(dtype="float32")) for one in (task.train, task.test)]
    score = loop(rows[0], torch.tensor(task.train.y), nn.functional.cross_entropy, 2, seed)
    return [task.vocab[at] for at in score(rows[1]).argmax(1)]


WAYS = (
    Way("photographs of ground, 768 tiles", "from_folder", "accuracy", "fastai `fine_tune`",
        lambda seed: nt.tasks.from_folder(tiles(), group=block_of, seed=seed), tuned_pictures, fastai_pictures,
        accuracy, 1),
    Way(f"weather of three airports, {ROWS:,} hours with gaps", "from_frame", "ROC AUC",
        "fastai `tabular_learner`", hour_task, tuned_table, fastai_table, auc, 1),
    Way("diabetes, 442 patients", "from_frame", "mean absolute error", "PyTorch loop", diabetes_task, tuned_numbers,
        torch_numbers, mae, -1),
    Way("breast cancer, 569 biopsies", "from_torch", "accuracy", "PyTorch loop", cancer_task, tuned_tensors,
        torch_tensors, accuracy, 1),
)  # fmt: skip
