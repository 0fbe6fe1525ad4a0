"""Other trainers, each used as its own guide says for a frozen body; installed for this benchmark only (`bench`)."""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from frozen.work import EPOCHS, RATE, Run, Work, between, now, parts, seeded

__all__ = ["installed"]


def _loaders(work: Work) -> list[Any]:
    return [
        DataLoader(TensorDataset(*inputs, labels), batch_size=work.bs, shuffle=not number)
        for number, (inputs, labels) in enumerate(work.halves())
    ]


def _lightning_module(work: Work) -> Any:
    """The network with its steps; it notes when batches end and the loss of validation batches."""
    import lightning.pytorch as pl

    class Module(pl.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.backbone, self.head = parts(work.model())
            self.ends: list[list[float]] = []
            self.valid: list[float] = []

        def training_step(self, batch: Any, _: int) -> Any:
            *inputs, labels = batch
            return nn.functional.cross_entropy(self.head(self.backbone(*inputs)), labels)

        def validation_step(self, batch: Any, _: int) -> None:
            *inputs, labels = batch
            scores = self.head(self.backbone(*inputs))
            self.valid.append(float(nn.functional.cross_entropy(scores, labels)))
            self.log("accuracy", (scores.argmax(1) == labels).float().mean())

        def on_train_epoch_start(self) -> None:
            self.ends.append([])

        def on_train_batch_end(self, *_: Any) -> None:
            self.ends[-1].append(now())

        def configure_optimizers(self) -> Any:
            return torch.optim.AdamW([p for p in self.parameters() if p.requires_grad], lr=RATE, fused=True)

    return Module()


def lightning(work: Work, epochs: int) -> Run:
    """Lightning with `BackboneFinetuning` as it comes, which lets norm layers of the frozen backbone train."""
    import lightning.pytorch as pl
    from lightning.pytorch.callbacks import BackboneFinetuning

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    module, (train, valid) = _lightning_module(work), _loaders(work)
    seeded()
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        began = now()
        frozen = BackboneFinetuning(unfreeze_backbone_at_epoch=EPOCHS + 1)
        trainer = pl.Trainer(
            accelerator="cpu", max_epochs=epochs, callbacks=[frozen], num_sanity_val_steps=0, default_root_dir=folder,
            **quiet,
        )  # fmt: skip
        trainer.fit(module, train, valid)
        seconds = now() - began
    batches = len(valid)
    loss = sum(module.valid[-batches:]) / batches
    return Run(seconds * EPOCHS / epochs, between(module.ends), epochs, loss)


def keras(work: Work, epochs: int) -> Run:
    """Keras 3 on torch: `trainable = False`, and the body called with `training=False`, as its guide says."""
    os.environ["KERAS_BACKEND"] = "torch"
    import keras as k

    class Both(k.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = (k.layers.TorchModuleWrapper(part) for part in parts(work.model()))
            self.body.trainable = False

        def call(self, inputs: Any, training: bool | None = None) -> Any:
            return self.head(self.body(inputs, training=False), training=training)

    class Ends(k.callbacks.Callback):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.ends: list[list[float]] = []

        def on_epoch_begin(self, *_: Any, **__: Any) -> None:
            self.ends.append([])

        def on_train_batch_end(self, *_: Any, **__: Any) -> None:
            self.ends[-1].append(now())

    ((x,), y), ((others,), truth) = work.halves()
    model, clock = Both(), Ends()
    seeded()
    began = now()
    loss_of = k.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(k.optimizers.AdamW(RATE), loss_of, metrics=["accuracy"])
    options = {"batch_size": work.bs, "epochs": epochs, "verbose": 0, "callbacks": [clock]}
    history = model.fit(x, y, validation_data=(others, truth), **options)
    seconds = now() - began
    return Run(seconds * EPOCHS / epochs, between(clock.ends), epochs, float(history.history["val_loss"][-1]))


class _Items(Dataset[dict[str, Any]]):
    def __init__(self, inputs: Any, labels: Any) -> None:
        self.inputs, self.labels = inputs, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"x": self.inputs[index], "labels": self.labels[index]}


class _Wrapped(nn.Module):
    """A network as the Trainer calls it."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Any, labels: Any) -> Any:
        scores = self.model(x)
        return {"loss": nn.functional.cross_entropy(scores, labels), "logits": scores}


def trainer(work: Work, epochs: int) -> Run:
    """transformers' Trainer with `requires_grad_(False)` on the body, on images by a wrapper."""
    from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

    class Ends(TrainerCallback):  # type: ignore[misc]
        def __init__(self) -> None:
            self.ends: list[list[float]] = []

        def on_epoch_begin(self, *_: Any, **__: Any) -> None:
            self.ends.append([])

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.ends[-1].append(now())

    def metrics(found: Any) -> dict[str, float]:
        return {"accuracy": float((found.predictions.argmax(1) == found.label_ids).mean())}

    model = work.model()
    parts(model)[0].requires_grad_(False)
    ((x,), y), ((others,), truth) = work.halves()
    clock = Ends()
    seeded()
    with tempfile.TemporaryDirectory() as folder:
        options = TrainingArguments(
            output_dir=folder, per_device_train_batch_size=work.bs, per_device_eval_batch_size=work.bs,
            num_train_epochs=epochs, learning_rate=RATE, optim="adamw_torch_fused", eval_strategy="epoch",
            save_strategy="no", logging_strategy="no", report_to="none", disable_tqdm=True, use_cpu=True,
            dataloader_pin_memory=False, seed=0, log_level="error",
        )  # fmt: skip
        given = {"train_dataset": _Items(x, y), "eval_dataset": _Items(others, truth), "compute_metrics": metrics}
        began = now()
        run = Trainer(_Wrapped(model), options, callbacks=[clock], **given)
        run.remove_callback(PrinterCallback)
        run.train()
        seconds = now() - began
    losses = [row["eval_loss"] for row in run.state.log_history if "eval_loss" in row]
    return Run(seconds * EPOCHS / epochs, between(clock.ends), epochs, float(losses[-1]))


_PEERS: dict[str, tuple[tuple[str, ...], Callable[[Work, int], Run]]] = {
    "Lightning, `BackboneFinetuning`": (("lightning",), lightning),
    "Keras 3 on torch, `trainable = False`": (("keras",), keras),
    "transformers `Trainer`, `requires_grad_(False)`": (("transformers", "accelerate"), trainer),
}


def installed() -> dict[str, Callable[[Work, int], Run]]:
    """The peers whose libraries are here."""
    return {name: way for name, (needs, way) in _PEERS.items() if all(find_spec(need) for need in needs)}
