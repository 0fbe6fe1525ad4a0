"""fastai's names for data and optimizers, imported without the warnings that no reader can mend."""

from __future__ import annotations

import warnings
from typing import Any

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    from fastai.data.core import DataLoaders as _DataLoaders
    from fastai.data.core import TfmdDL as _TfmdDL
    from fastai.data.load import DataLoader as _FastaiLoader
    from fastai.data.transforms import IntToFloatTensor, Normalize
    from fastai.learner import Learner as _Learner
    from fastai.losses import CrossEntropyLossFlat
    from fastai.metrics import F1Score, Precision, Recall, accuracy, error_rate
    from fastai.optimizer import OptimWrapper as _OptimWrapper
    from fastai.torch_core import TensorCategory, TensorImage, TensorImageBW
    from fastai.vision.augment import RandTransform as _RandTransform

__all__ = [
    "CrossEntropyLossFlat",
    "DataLoaders",
    "F1Score",
    "FastaiLoader",
    "IntToFloatTensor",
    "Learner",
    "Normalize",
    "OptimWrapper",
    "Precision",
    "RandTransform",
    "Recall",
    "TensorCategory",
    "TensorImage",
    "TensorImageBW",
    "TfmdDL",
    "accuracy",
    "error_rate",
]

DataLoaders: Any = _DataLoaders
FastaiLoader: Any = _FastaiLoader
Learner: Any = _Learner
OptimWrapper: Any = _OptimWrapper
RandTransform: Any = _RandTransform
TfmdDL: Any = _TfmdDL
