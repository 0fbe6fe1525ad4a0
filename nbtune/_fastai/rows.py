"""Rows of a table as a fastai dataset and loaders, and fastai's tabular model for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from fastai.tabular.model import TabularModel
from torch import Tensor, nn

from nbtune._fastai import DataLoaders
from nbtune._fastai.data import ArrayItems, ArrayLoader

__all__ = ["RowItems", "row_loaders", "tabular_model"]


class RowItems(ArrayItems):
    """Codes [n, categories] int64 and numbers [n, columns] float32 with targets; a batch is (codes, numbers, targets).

    `joint=False`: a batch is (numbers, targets), for a network that takes one tensor.
    """

    def __init__(
        self,
        codes: Tensor,
        numbers: Tensor,
        y: Tensor,
        ids: Sequence[str],
        split_idx: int,
        wrap: Any,
        joint: bool = True,
    ) -> None:
        self.codes, self.numbers, self.joint = codes, numbers, joint
        self.x = torch.cat([codes.float(), numbers], 1)  # all of an item in one tensor, for digests
        self.y, self.ids, self.split_idx, self.wrap = y, tuple(ids), split_idx, wrap

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        return self._of(index)

    def batch(self, index: Sequence[int]) -> tuple[Any, ...]:
        """The rows of `index`, stacked."""
        return self._of(torch.as_tensor(index))

    def _of(self, where: Any) -> tuple[Any, ...]:
        inputs = (self.codes[where], self.numbers[where]) if self.joint else (self.numbers[where],)
        return (*inputs, self.wrap(self.y[where]))


def row_loaders(train: RowItems, valid: RowItems, *, bs: int, drop_last: bool, vocab: Sequence[str]) -> Any:
    """fastai DataLoaders of rows: shuffled training batches, valid in order."""
    first = ArrayLoader(train, bs=bs, shuffle=True, drop_last=drop_last, num_workers=0)
    second = ArrayLoader(valid, bs=max(bs, 128), num_workers=0)
    dls = DataLoaders(first, second, device=torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    for loader in dls.loaders:
        loader.vocab, loader._n_inp = list(vocab), 2 if train.joint else 1
    dls.vocab, dls.c = list(vocab), len(vocab)
    return dls


def tabular_model(sizes: Sequence[tuple[int, int]], numbers: int, n_out: int, layers: Sequence[int]) -> nn.Module:
    """fastai's tabular model: `sizes` are (categories, width) of each embedding; numbers come normalised."""
    made: nn.Module = TabularModel(list(sizes), numbers, n_out, list(layers))
    return made
