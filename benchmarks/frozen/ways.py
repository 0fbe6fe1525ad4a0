"""fastai, plain PyTorch loops and nbtune on the same network, items, order and kind of optimizer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import torch
from fastai.callback.training import BnFreeze
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner
from fastai.metrics import accuracy
from torch import Tensor, nn

import nbtune as nt
from frozen.work import EPOCHS, RATE, Run, Work, between, now, parts, seeded
from nbtune._fastai import Callback
from nbtune._fastai.optimizer import layered_adamw

__all__ = ["FREEZE", "IDEAL", "WAYS", "learner"]

FREEZE, IDEAL = "fastai `freeze` + `fit`", "plain loop on precomputed features (the ideal)"


class Ends(Callback):  # type: ignore[misc]
    """The moments at which training batches and fits end."""

    order = 2000

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[list[float]] = []
        self.fits: list[float] = []

    def before_train(self) -> None:
        self.ends.append([])

    def after_batch(self) -> None:
        if self.learn.training:
            self.ends[-1].append(now())

    def after_fit(self) -> None:
        self.fits.append(now())


def learner(work: Work, **options: Any) -> Any:
    """An ordinary Learner on indexed fastai loaders of items in memory."""
    loaders = []
    for number, (inputs, labels) in enumerate(work.halves()):
        items = list(zip(*inputs, labels, strict=True))
        loaders.append(DataLoader(items, bs=work.bs, shuffle=not number, drop_last=not number, device="cpu"))
        loaders[-1].n_inp = len(inputs)
    dls = DataLoaders(*loaders, device=torch.device("cpu"))
    dls.n_inp = loaders[0].n_inp
    given = {"loss_func": nn.CrossEntropyLoss(), "metrics": accuracy, "splitter": _body_and_head, **options}
    return Learner(dls, work.model(), **given)


def _body_and_head(model: nn.Module) -> list[list[nn.Parameter]]:
    return [list(part.parameters()) for part in parts(model)]


def _fastai(work: Work, epochs: int, cbs: Any = (), **options: Any) -> Run:
    learn, clock = learner(work, **options), Ends()
    seeded()
    with learn.no_bar(), learn.no_logging():
        began = now()
        learn.freeze()
        learn.fit(epochs, RATE, cbs=[clock, *cbs])
    seconds = clock.fits[-1] - began
    return Run(seconds * EPOCHS / epochs, between(clock.ends), epochs, float(learn.recorder.values[-1][1]))


def fastai_freeze(work: Work, epochs: int) -> Run:
    """As it comes: its Adam, and norm layers of the frozen body that train."""
    return _fastai(work, epochs)


def fastai_expert(work: Work, epochs: int) -> Run:
    """By somebody who knows it well: norm layers fixed by `train_bn=False` and `BnFreeze`, and a fused AdamW."""
    return _fastai(work, epochs, [BnFreeze()], train_bn=False, opt_func=layered_adamw)


def fastai_fine_tune(work: Work, epochs: int) -> Run:
    """fastai's own recipe for as many epochs: one frozen, all others with every weight training."""
    learn, clock = learner(work), Ends()
    others = max(1, min(epochs, EPOCHS - 1))
    seeded()
    with learn.no_bar(), learn.no_logging():
        began = now()
        learn.fine_tune(others, RATE, cbs=clock)
    frozen, whole = clock.fits[0] - began, clock.fits[1] - clock.fits[0]
    seconds = frozen + whole * (EPOCHS - 1) / others
    steps = between(clock.ends[1:])
    return Run(seconds, steps, others + 1, float(learn.recorder.values[-1][1]))


def _train(
    work: Work, epochs: int, head: nn.Module, trains: nn.Module, forward: Callable[..., Tensor], data: Any
) -> tuple[list[float], float]:
    """A loop without a framework, with the running loss and accuracy that everybody shows; step times, last loss."""
    (inputs, labels), (others, truth) = data
    opt, loss_of = torch.optim.AdamW(head.parameters(), lr=RATE, fused=True), nn.CrossEntropyLoss()
    ends: list[list[float]] = []
    for _ in range(epochs):
        trains.train()
        ends.append([])
        running, right, wrong = 0.0, 0, 0.0
        for places in torch.randperm(len(labels)).split(work.bs):
            loss = loss_of(forward(*(x[places] for x in inputs)), labels[places])
            loss.backward()
            opt.step()
            opt.zero_grad()
            running += loss.item()
            ends[-1].append(now())
        trains.eval()
        with torch.no_grad():
            for places in torch.arange(len(truth)).split(work.bs):
                scores = forward(*(x[places] for x in others))
                wrong += loss_of(scores, truth[places]).item() * len(places)
                right += int((scores.argmax(1) == truth[places]).sum())
    return between(ends), wrong / len(truth)


def plain(work: Work, epochs: int) -> Run:
    """`requires_grad_(False)` on the body, and nothing else: its norm layers and dropout stay in training mode."""
    model = work.model()
    body, head = parts(model)
    seeded()
    began = now()
    body.requires_grad_(False)
    steps, loss = _train(work, epochs, head, model, model, work.halves())
    return Run((now() - began) * EPOCHS / epochs, steps, epochs, loss)


def plain_still(work: Work, epochs: int) -> Run:
    """The body in eval mode and without gradient: what a careful person writes."""
    body, head = parts(work.model())

    def forward(*inputs: Tensor) -> Tensor:
        with torch.no_grad():
            given = body(*inputs)
        return head(given)  # type: ignore[no-any-return]

    seeded()
    began = now()
    body.eval()
    steps, loss = _train(work, epochs, head, head, forward, work.halves())
    return Run((now() - began) * EPOCHS / epochs, steps, epochs, loss)


def ideal(work: Work, epochs: int) -> Run:
    """The body once over all items, then the head alone; the precomputation is counted."""
    body, head = parts(work.model())
    seeded()
    began = now()
    body.eval()
    halves = []
    with torch.no_grad():
        for inputs, labels in work.halves():
            places = torch.arange(len(labels)).split(work.bs)
            found = torch.cat([body(*(x[place] for x in inputs)) for place in places])
            halves.append(((found,), labels))
    computed = now()
    steps, loss = _train(work, EPOCHS, head, head, head, halves)
    note = f"features in {computed - began:.2f} s"
    return Run(now() - began, steps, EPOCHS, loss, note)


def _nbtune(work: Work, epochs: int, cache: str, **options: Any) -> Run:
    learn, clock = learner(work, **options), Ends()
    tuner = nt.Tuner(learn, seed=0)
    seeded()
    with redirect_stdout(StringIO()):
        began = now()
        tuner.freeze()
        planned = now()
        history = tuner.fit(epochs, RATE, cache=cache, cbs=clock)
        ended = now()
    if history.cached != (cache != "off"):
        raise RuntimeError(f"cache={cache!r}, but {history.why}")
    seconds = planned - began + (ended - planned) * EPOCHS / epochs
    note = f"`freeze()` with its estimates {planned - began:.2f} s"
    return Run(seconds, between(clock.ends), epochs, float(history.rows[-1]["valid_loss"]), note)


def nbtune_live(work: Work, epochs: int) -> Run:
    """`tuner.freeze()` and `tuner.fit` with the cache off."""
    return _nbtune(work, epochs, "off", opt_func=layered_adamw)


def nbtune_cached(work: Work, epochs: int) -> Run:
    """`tuner.freeze()` and `tuner.fit`, from an empty cache: the filling is counted."""
    return _nbtune(work, EPOCHS, "on", opt_func=layered_adamw)


def nbtune_adam(work: Work, epochs: int) -> Run:
    """The same with fastai's own Adam, as a Learner has it that nobody told otherwise."""
    return _nbtune(work, EPOCHS, "on")


WAYS: dict[str, Callable[[Work, int], Run]] = {
    FREEZE: fastai_freeze,
    "fastai `freeze` + `fit`, norms fixed, fused AdamW": fastai_expert,
    "fastai `fine_tune` (1 frozen epoch, then all weights)": fastai_fine_tune,
    "plain loop, `requires_grad_(False)`": plain,
    "plain loop, body in eval mode and no_grad": plain_still,
    "nbtune live (`cache=\"off\"`)": nbtune_live,
    "nbtune cached": nbtune_cached,
    "nbtune cached, fastai's Adam": nbtune_adam,
    IDEAL: ideal,
}  # fmt: skip
