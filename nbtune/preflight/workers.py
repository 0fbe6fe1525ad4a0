"""Findings about the worker processes of loaders: whether they pay, whether they can work at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from time import perf_counter
from typing import Any

from nbtune._display import seconds
from nbtune._fastai import FastaiLoader
from nbtune._fastai.fetch import fetch, spread
from nbtune._nested import tensors
from nbtune.preflight.subject import Subject
from nbtune.preflight.values import Finding

__all__ = ["workers"]

_LONG = 5.0  # seconds an epoch for items, from which workers are worth a word
_ITEMS = 8  # that are fetched to know what one takes


def workers(subject: Subject) -> Iterator[Finding]:
    """Are there too many, do they take longer to start than all items take, do items lie on a GPU?"""
    loader = subject.loaders["training"]
    count, cores = getattr(getattr(loader, "fake_l", loader), "num_workers", 0), _cores()
    if count and (where := _device_of_item(loader)):
        yield Finding(
            "stop", "workers", f"{count} workers, and the items are on {where}.",
            "Workers begin as copies of this kernel, and cannot use a GPU that it has begun to use.",
            "num_workers=0, or items on the CPU: a batch is moved to the GPU anyway",
        )  # fmt: skip
        return
    if not (isinstance(loader, FastaiLoader) and loader.indexed and loader.n and loader.bs is not None):
        return
    here = _alone(loader)
    if not count:
        if here > _LONG and cores > 1:
            yield Finding("note", "workers", f"items take about {seconds(here)} an epoch, without workers.",
                          f"{cores} cores can share that.", f"num_workers={min(cores, 4)}")  # fmt: skip
    elif here < _LONG and (first := _first(loader)) > here:
        yield Finding(
            "warn", "workers",
            f"{count} workers give their first batch after {seconds(first)}, in every epoch; the kernel itself takes "
            f"{seconds(here)} for all items.",
            "Processes are started that are not needed.", "num_workers=0",
        )  # fmt: skip
    elif count > cores:
        yield Finding("warn", "workers", f"{count} workers share {cores} cores.",
                      "More of them take memory and time, and give nothing.", f"num_workers={cores}")  # fmt: skip


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _device_of_item(loader: Any) -> str:
    """Where the tensors of an item are before any batch is made; "" for the CPU."""
    dataset = getattr(loader, "dataset", None)
    found = tensors(dataset[0]) if hasattr(dataset, "__getitem__") else []  # type: ignore[index]
    return next((str(one.device) for one in found if one.device.type != "cpu"), "")


def _alone(loader: Any) -> float:
    """Seconds to fetch all items in this process, by a few of them."""
    places = spread(loader.n, _ITEMS)
    fetch(loader, places[:1])  # what is opened or imported once
    began = perf_counter()
    fetch(loader, places)
    return (perf_counter() - began) * float(loader.n) / len(places)


def _first(loader: Any) -> float:
    """Seconds until the first batch from workers, which fastai starts anew in every epoch."""
    began = perf_counter()
    with closing(iter(loader)) as batches:
        next(batches, None)
        return perf_counter() - began
