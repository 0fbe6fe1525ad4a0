"""Training on kept features is the same training, and what cannot be kept says why."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from fastai.callback.core import Callback
from fastai.callback.mixup import MixUp
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner
from fastai.losses import CrossEntropyLossFlat
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from torch import nn
from torchvision.models import DenseNet, VisionTransformer, convnext_tiny, mobilenet_v3_small, resnet18

import nbtune as nt
from nbtune._cut import Cut
from nbtune._fastai import fill
from nbtune._fastai.feed import feeding, kept_of
from nbtune.cache import Store, boundary, captured, replayed
from nbtune.errors import InputError
from nbtune.freeze import Hold
from nbtune.groups import split

DIGITS = load_digits()
# Real digits, enlarged by repetition to the smallest side that the networks below take.
X = torch.tensor(DIGITS.images / 16, dtype=torch.float32).repeat_interleave(4, 1).repeat_interleave(4, 2)
X = X[:96, None].expand(-1, 3, -1, -1).contiguous()
Y = torch.tensor(DIGITS.target[:96])


class Words(nn.Module):
    """A transformers classifier as fastai calls it: ids and mask in, scores out."""

    def __init__(self) -> None:
        super().__init__()
        from transformers import BertConfig, BertForSequenceClassification

        config = BertConfig(
            vocab_size=64,
            hidden_size=16,
            num_hidden_layers=3,
            num_attention_heads=2,
            intermediate_size=32,
            num_labels=10,
        )
        self.net = BertForSequenceClassification(config)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self.net(input_ids=ids, attention_mask=mask).logits  # type: ignore[no-any-return]


def words() -> list[Any]:
    """The pixels of real digits as a sentence of 16 words, of different lengths."""
    ids = torch.tensor(DIGITS.data[:96, 16:32], dtype=torch.long) + 1
    mask = (torch.arange(16) < 8 + (torch.arange(96) % 9)[:, None]).long()
    return list(zip(ids * mask, mask, Y, strict=True))


class Skipping(nn.Module):
    """A network whose last part reads an early layer around the boundary."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4))
        self.second = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU())
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        early = self.first(x)
        return self.head(self.second(early) + early)  # type: ignore[no-any-return]


MODELS: dict[str, Callable[[], nn.Module]] = {
    "resnet18": lambda: resnet18(num_classes=10),
    "densenet": lambda: DenseNet(growth_rate=4, block_config=(2, 2), num_init_features=8, num_classes=10),
    "convnext": lambda: convnext_tiny(num_classes=10, stochastic_depth_prob=0.1),
    "mobilenet": lambda: mobilenet_v3_small(num_classes=10),
    "vit": lambda: VisionTransformer(32, 8, 3, 2, 16, 32, num_classes=10, dropout=0.1),
    "bert": Words,
}


def learner(make: Callable[[], nn.Module], items: list[Any] | None = None, **options: Any) -> Any:
    torch.manual_seed(1)
    items = items if items is not None else list(zip(X, Y, strict=True))
    train = DataLoader(items[:64], bs=16, shuffle=True, drop_last=True, device="cpu")
    dls = DataLoaders(train, DataLoader(items[64:96], bs=16, device="cpu"))
    dls.n_inp = len(items[0]) - 1
    for loader in dls.loaders:
        loader.n_inp = dls.n_inp
    return Learner(dls, make(), loss_func=CrossEntropyLossFlat(), **options)


class Losses(Callback):  # type: ignore[misc]
    """Every loss of a fit, training and validation."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[float] = []

    def after_loss(self) -> None:
        self.seen.append(self.learn.loss.item())


def trained(learn: Any, first: int, cache: str, cbs: Any = (), **how: Any) -> tuple[Any, ...]:
    """Losses, weights and random streams after two epochs from one seed; and the Still that held it."""
    random.seed(3)
    torch.manual_seed(3)
    np.random.seed(3)
    learn.dls.train.rng = random.Random(5)
    still, watch = nt.Still(first, cache=cache, **how), Losses()
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(2, 1e-2, cbs=[still, watch, *cbs])
    state = {name: tensor.clone() for name, tensor in learn.model.state_dict().items()}
    return watch.seen, state, torch.get_rng_state(), random.getstate(), still


def equal(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    same = all(torch.equal(one[1][name], other[1][name]) for name in one[1])
    return one[0] == other[0] and same and torch.equal(one[2], other[2]) and one[3] == other[3]


@pytest.fixture
def few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """However fast whole batches are: few items at a time wherever that gives their bits; the sizes taken."""
    usual, taken = fill._size, []

    def size(*given: Any) -> int:
        taken.append(usual(*given[:-1], float("inf")))
        return taken[-1]

    monkeypatch.setattr(fill, "_size", size)
    return taken


@pytest.mark.parametrize("name", MODELS)
def test_cached_training_is_live_training_to_the_bit_at_the_last_two_boundaries(
    name: str, few_at_a_time: list[int]
) -> None:
    items = words() if name == "bert" else None
    for first in (-1, -2):
        live = trained(learner(MODELS[name], items), first, "off")
        kept = trained(learner(MODELS[name], items), first, "on")
        assert kept[-1].cached
        assert not live[-1].cached
        assert equal(live, kept)


class Counting(nn.Module):
    """Scores that depend on how many items are run together, in the last bits."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 16)), nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x + 1e-6 * len(x)))  # type: ignore[no-any-return]


@pytest.mark.parametrize(("make", "size"), [(MODELS["resnet18"], 8), (Counting, 16)])
def test_few_items_at_a_time_only_where_that_gives_the_bits_of_whole_batches(
    make: Callable[[], nn.Module], size: int, few_at_a_time: list[int]
) -> None:
    learn = learner(make)
    cut = Cut(split(learn.model), 1)
    learn.dls.train.drop_last, learn.dls.train.dataset = False, learn.dls.train.dataset[:61]  # a short last batch
    learn.dls.train.n = 61
    with Hold(learn.model, cut) as hold:
        where, kept = kept_of(learn, cut, Store(), hold.digest)
    assert few_at_a_time == [size]
    model = learn.model.eval()
    for start in range(0, 61, 16):
        batch = torch.stack([X[at] if at < 61 else X[0] for at in range(start, start + 16)])
        count = min(16, 61 - start)
        found = kept[0].take(torch.arange(start, start + count))
        assert torch.equal(found, captured(model, where, batch)[:count])


@pytest.mark.parametrize("name", ["resnet18", "densenet", "vit", "bert"])
def test_the_rest_from_any_boundary_gives_the_outputs_of_the_whole(name: str) -> None:
    model = MODELS[name]().eval()
    items = words() if name == "bert" else list(zip(X, Y, strict=True))
    batches = [tuple(torch.stack(part) for part in zip(*items[at : at + 6], strict=True))[:-1] for at in (0, 40)]
    # within a dense block every layer reads all earlier ones: no single place divides it
    groups = split(model, "stage" if name == "densenet" else "block")
    for first in range(1, len(groups)):
        where = boundary(model, Cut(groups, first), *batches[0])
        with torch.no_grad():
            whole, kept = model(*batches[1]), captured(model, where, *batches[1])
            with replayed(model, where, lambda kept=kept: kept):
                assert torch.equal(model(*batches[1]), whole), groups[first].name
            assert torch.equal(model(*batches[1]), whole)


@settings(max_examples=8)
@given(
    first=st.integers(1, 5),
    bs=st.sampled_from([4, 16, 64]),
    drop=st.floats(0, 0.5),
    seed=st.integers(0, 99),
)
def test_any_plan_batch_size_and_dropout_train_the_same_from_kept_features(
    first: int, bs: int, drop: float, seed: int
) -> None:
    def make() -> nn.Module:
        torch.manual_seed(seed)
        parts = [nn.Sequential(nn.Conv2d(3 if not i else 4, 4, 3, 2), nn.BatchNorm2d(4), nn.ReLU()) for i in range(3)]
        tail = [nn.Sequential(nn.Flatten(), nn.Linear(36, 16)), nn.Sequential(nn.ReLU(), nn.Dropout(drop))]
        return nn.Sequential(*parts, *tail, nn.Linear(16, 10))

    ways: list[tuple[Any, ...]] = []
    for cache in ("off", "on"):
        learn = learner(make)
        learn.dls.train.bs = learn.dls.valid.bs = bs
        ways.append(trained(learn, min(first, len(split(learn.model)) - 1), cache))
    if bs == 64:  # 32 validation items: the features were made at 64, so the last bits of a loss may differ
        assert all(torch.equal(ways[0][1][name], ways[1][1][name]) for name in ways[0][1])
    else:
        assert equal(*ways)


def test_a_second_fit_uses_what_is_kept_and_a_changed_weight_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    learn, seen = learner(MODELS["resnet18"]), []
    block, store = learn.model.layer1[0].bn1, Store()
    forward = type(block).forward

    def counted(self: Any, x: Any) -> Any:
        seen.extend([1] if self is block else [])
        return forward(self, x)

    monkeypatch.setattr(nn.BatchNorm2d, "forward", counted)
    trained(learn, -1, "on", store=store)
    filled = len(seen)
    assert filled
    trained(learn, -1, "on", store=store)
    assert len(seen) - filled <= 5  # the trial of the boundary and eight items of each split, not all items
    with torch.no_grad():
        learn.model.layer1[0].conv1.weight[0, 0, 0, 0] += 1
    before = len(seen)
    trained(learn, -1, "on", store=store)
    assert len(seen) - before > 5  # more than a fit on kept features makes
    assert len(store) == 2, "features of other weights are dropped"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda learn: learn.add_cb(MixUp()), "MixUp"),
        (lambda learn: learn.model.layer4.register_forward_hook(lambda *_: None), "layer4"),
        (lambda learn: setattr(learn.dls.train, "after_batch", lambda b: (b[0] + torch.rand(1), b[1])), "change"),
    ],
)
def test_what_needs_or_changes_the_input_trains_live_and_is_named(change: Any, reason: str) -> None:
    learn = learner(MODELS["resnet18"])
    change(learn)
    still = trained(learn, -1, "auto")[-1]
    assert not still.cached
    assert reason in still.why


def test_a_skip_around_the_boundary_trains_live_and_on_insists() -> None:
    groups = [group.name for group in split(Skipping())]
    assert trained(learner(Skipping), groups.index("second"), "auto")[-1].cached, "one place hands over"
    around = groups.index("head")
    still = trained(learner(Skipping), around, "auto")[-1]
    assert not still.cached
    assert "depends on more" in still.why
    with pytest.raises(InputError) as raised:
        trained(learner(Skipping), around, "on")
    for part in ("Rule:", "Likely:", "Next:", "depends on more"):
        assert part in str(raised.value)


def test_norms_that_follow_the_data_train_live() -> None:
    still = trained(learner(MODELS["resnet18"]), -1, "auto", norms="stats")[-1]
    assert not still.cached
    assert "stats" in still.why


def test_too_little_room_trains_live_with_both_sizes() -> None:
    still = trained(learner(MODELS["resnet18"]), -1, "auto", store=Store(budget=1000))[-1]
    assert not still.cached
    for part in ("197 kB", "1 kB of memory", "run_dir"):  # 96 items of 512 float32 and an int64 target
        assert part in still.why


def test_after_a_fit_model_and_loaders_are_as_before() -> None:
    learn = learner(MODELS["resnet18"])
    trained(learn, -2, "off")  # fastai leaves the order of the last epoch on the loader
    before = [{**vars(loader)}.keys() for loader in learn.dls.loaders]
    trained(learn, -2, "on")
    assert before == [{**vars(loader)}.keys() for loader in learn.dls.loaders]
    assert not any("forward" in vars(module) for module in learn.model.modules())


def test_feeding_ends_cleanly_when_the_block_raises() -> None:
    learn = learner(MODELS["resnet18"])
    cut = Cut(split(learn.model), 5)
    with pytest.raises(ZeroDivisionError), feeding(learn, cut, Store(), "x"):  # noqa: PT012
        assert "create_batches" in vars(learn.dls.train)
        _ = 1 / 0
    assert not any("forward" in vars(module) for module in learn.model.modules())
    assert "create_batches" not in vars(learn.dls.train)


def test_a_sample_reaches_from_the_first_item_to_the_last() -> None:
    from nbtune._fastai.fetch import spread

    assert spread(16, 32) == list(range(16))
    assert spread(1, 32) == [0]
    places = spread(1000, 32)
    assert (places[0], places[-1], len(places)) == (0, 999, 32)
