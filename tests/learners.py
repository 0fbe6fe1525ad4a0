"""Small real Learners that tests share: handwritten digits, tables, ratings, texts, in several architectures."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from fastai.collab import CollabDataLoaders, collab_learner
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner
from fastai.losses import CrossEntropyLossFlat
from fastai.metrics import accuracy
from fastai.tabular.all import Categorify, FillMissing, Normalize, TabularDataLoaders, tabular_learner
from fastai.text.models import AWD_LSTM, get_language_model
from fastcore.foundation import L
from sklearn.datasets import load_digits, load_wine
from torch import nn

DIGITS = load_digits()
X = torch.tensor(DIGITS.images / 16, dtype=torch.float32)[:, None]  # [1797, 1, 8, 8], 16 is the largest count
Y = torch.tensor(DIGITS.target)


class Items(list[Any]):
    """Pairs that count how often one is fetched."""

    fetched = 0

    def __getitem__(self, index: Any) -> Any:
        self.fetched += 1
        return super().__getitem__(index)


def cnn(dropout: float = 0.2) -> nn.Sequential:
    """Three stages with what freezing must hold: running statistics, dropout, a counter of batches."""

    def stage(a: int, b: int, stride: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(a, b, 3, stride, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU(), nn.Dropout(dropout)
        )

    return nn.Sequential(
        stage(1, 6, 1), stage(6, 8, 2), stage(8, 10, 2),
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(10, 10)),
    )  # fmt: skip


def parts(model: nn.Module) -> list[list[nn.Parameter]]:
    """A splitter by the model's children."""
    return [list(part.parameters()) for part in model.children()]


def loaders(x: Any = None, items: int = 96, bs: int = 32, y: Any = None, **options: Any) -> Any:
    """fastai DataLoaders of `items` training and 32 validation images."""
    x, y = X if x is None else x, Y if y is None else y
    pairs = Items(zip(x[:items], y[:items], strict=True))
    held = Items(zip(x[-32:], y[-32:], strict=True))
    return DataLoaders(DataLoader(pairs, bs=bs, shuffle=True, drop_last=True, **options), DataLoader(held, bs=32))


def digits(model: nn.Module | None = None, items: int = 96, bs: int = 32, **options: Any) -> Any:
    """A Learner of a small CNN with batch norm and dropout on the digits, the same at every call."""
    seed(0)
    dls = loaders(items=items, bs=bs)
    made = cnn() if model is None else model
    kept = {"loss_func": CrossEntropyLossFlat(), "splitter": parts, "metrics": accuracy}
    learn = Learner(dls, made, **{**kept, **options})
    learn.logger, learn.create_mbar = silent, False
    learn.remove_cbs([cb for cb in learn.cbs if type(cb).__name__ == "ProgressCallback"])
    return learn


def resnet18() -> Any:
    from torchvision.models import resnet18 as make

    seed(0)
    x = nn.functional.interpolate(X[:64], 32).expand(-1, 3, -1, -1).contiguous()
    model = make(num_classes=10)
    return quiet(Learner(loaders(x, 16, 8, Y[:64]), model, loss_func=CrossEntropyLossFlat(), metrics=accuracy))


class _Bert(nn.Module):
    """Each image as a sentence of 16 words: its 2 x 2 blocks, as counts."""

    def __init__(self) -> None:
        super().__init__()
        from transformers import BertConfig, BertForSequenceClassification

        self.net = BertForSequenceClassification(
            BertConfig(vocab_size=70, hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32,
                       max_position_embeddings=20, num_labels=10)
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(input_ids=x).logits


def bert() -> Any:
    seed(0)
    words = (nn.functional.avg_pool2d(X[:96] * 16, 2) * 4).long().flatten(1)
    return quiet(Learner(loaders(words, 32, 16, Y[:96]), _Bert(), loss_func=CrossEntropyLossFlat(), metrics=accuracy))


def tabular() -> Any:
    seed(0)
    wine = load_wine(as_frame=True).frame
    wine["strong"] = (wine["alcohol"] > 13).astype(str)
    frame = wine.sample(frac=1, random_state=0).reset_index(drop=True)
    dls = TabularDataLoaders.from_df(
        frame, procs=[Categorify, FillMissing, Normalize], cat_names=["strong"], cont_names=["hue", "ash", "proline"],
        y_names="target", y_block=None, valid_idx=list(range(120, 178)), bs=32, num_workers=0,
    )  # fmt: skip
    return quiet(tabular_learner(dls, layers=[12, 8], metrics=accuracy, loss_func=CrossEntropyLossFlat(), n_out=3))


def collab() -> Any:
    seed(0)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"user": rng.integers(0, 12, 120), "item": rng.integers(0, 9, 120)})
    frame["rating"] = ((frame.user + frame.item) % 5).astype(float)  # synthetic
    return quiet(collab_learner(CollabDataLoaders.from_df(frame, bs=32, seed=0), n_factors=4, y_range=(0, 5)))


class _Words(nn.Module):
    """A language model whose output is one word: fastai's AWD-LSTM, decoder tied to the embedding."""

    def __init__(self) -> None:
        super().__init__()
        from fastai.text.models.awdlstm import awd_lstm_lm_config

        config = {**awd_lstm_lm_config, "emb_sz": 8, "n_hid": 10, "n_layers": 2}
        self.net = get_language_model(AWD_LSTM, 20, config=config)

    def reset(self) -> None:
        self.net.reset()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)[0][:, -1]


def awd_lstm() -> Any:
    seed(0)
    words = (X[:96, 0] * 16).long().flatten(1)[:, 10:22]
    return quiet(Learner(loaders(words, 32, 16, Y[:96]), _Words(), loss_func=CrossEntropyLossFlat(), metrics=accuracy))


def quiet(learn: Any) -> Any:
    learn.logger, learn.create_mbar = silent, False
    learn.remove_cbs([cb for cb in learn.cbs if type(cb).__name__ == "ProgressCallback"])
    return learn


def silent(*_: Any) -> None:
    pass


def seed(number: int) -> None:
    random.seed(number)
    np.random.seed(number)
    torch.manual_seed(number)


FAMILIES: dict[str, Callable[[], Any]] = {
    "cnn": digits, "resnet18": resnet18, "bert": bert, "tabular": tabular, "collab": collab, "awd_lstm": awd_lstm,
}  # fmt: skip


def bits(model: nn.Module) -> dict[str, bytes]:
    """Every parameter and buffer, persistent or not, as bytes."""
    named = [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
    return {name: tensor.detach().contiguous().numpy().tobytes() for name, tensor in named}


def plain(value: Any) -> Any:
    """Tensors and arrays as bytes, containers as lists: comparable to the bit."""
    if isinstance(value, torch.Tensor | np.ndarray):
        return np.asarray(torch.as_tensor(value).detach()).tobytes()
    if isinstance(value, dict):
        return [(key if isinstance(key, str | int) else id(key), plain(item)) for key, item in value.items()]
    return [plain(item) for item in value] if isinstance(value, list | tuple | L) else value


_PLAIN = (int, float, str, list, tuple, dict, torch.Tensor)


def state(learn: Any) -> dict[str, Any]:
    """All that a trial or a refused call could have changed, as comparable values."""
    model, train = learn.model, learn.dls.train
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return {
        "weights": bits(model),
        "grads": [None if p.grad is None else p.grad.numpy().tobytes() for p in model.parameters()],
        "flags": [m.training for m in model.modules()] + [p.requires_grad for p in model.parameters()],
        "hooks": [len(getattr(m, kind)) for m in model.modules() for kind in hooks],
        "tensor hooks": [len(p._backward_hooks or {}) for p in model.parameters()],
        "modules": [name for name, _ in model.named_modules()] + [sorted(vars(m)) for m in model.modules()],
        "opt is": id(learn.opt),
        "opt": None if learn.opt is None else (plain(learn.opt.state_dict()), plain(list(learn.opt.hypers))),
        "opt holds": None if learn.opt is None else [[id(p) for p in group] for group in learn.opt.param_lists],
        "python": random.getstate(),
        "numpy": plain(list(np.random.get_state())),
        "torch": torch.get_rng_state().numpy().tobytes(),
        "loader": (train.rng.getstate() if hasattr(train, "rng") else None, getattr(train, "bs", None)),
        "items": [id(item) for item in list(train.dataset)] if isinstance(train.dataset, list) else None,
        "cbs": [(id(cb), {k: plain(v) for k, v in vars(cb).items() if isinstance(v, _PLAIN)}) for cb in learn.cbs],
        "measures": [vars(metric).get("total") for metric in learn.metrics],
        "learner": {k: v for k, v in vars(learn).items() if isinstance(v, int | float | str | bool)},
        "attributes": sorted(vars(learn)),
        "calls": (id(learn.logger), id(learn.loss_func), id(learn.model), id(learn.dls), id(learn.splitter)),
        "autocast": (torch.is_autocast_enabled("cpu"), torch.is_autocast_enabled("cuda")),
    }  # fmt: skip


def differing(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Names of what differs: shorter to read than two states."""
    return [name for name in before if before[name] != after[name]]
