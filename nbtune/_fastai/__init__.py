"""All that nbtune knows of fastai: its names, its internals and its quirks (fastai 2.8)."""

from __future__ import annotations

import warnings
from typing import Any

with warnings.catch_warnings():
    # fastai scripts functions on import; torch 2.15 says that this is deprecated, which no reader can mend.
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    from fastai.callback.core import Callback as _Callback
    from fastai.callback.core import CancelEpochException, CancelFitException, CancelValidException
    from fastai.callback.schedule import ParamScheduler, SchedCos, SchedLin, SchedNo, combined_cos
    from fastai.data.core import DataLoaders as _DataLoaders
    from fastai.data.core import TfmdDL as _TfmdDL
    from fastai.data.load import DataLoader as _FastaiLoader
    from fastai.data.transforms import IntToFloatTensor, Normalize
    from fastai.learner import Learner as _Learner
    from fastai.learner import Recorder
    from fastai.losses import CrossEntropyLossFlat
    from fastai.metrics import F1Score, Precision, Recall, accuracy, error_rate
    from fastai.optimizer import OptimWrapper as _OptimWrapper
    from fastai.torch_core import TensorBase, TensorCategory, TensorImage, TensorImageBW, TensorMultiCategory
    from fastai.vision.augment import RandTransform as _RandTransform
    from fastcore.foundation import L as _L

__all__ = [
    "Callback",
    "CancelEpochException",
    "CancelFitException",
    "CancelValidException",
    "CrossEntropyLossFlat",
    "DataLoaders",
    "F1Score",
    "FastaiLoader",
    "IntToFloatTensor",
    "L",
    "Learner",
    "Normalize",
    "OptimWrapper",
    "OwnCallback",
    "ParamScheduler",
    "Precision",
    "RandTransform",
    "Recall",
    "Recorder",
    "SchedCos",
    "SchedLin",
    "SchedNo",
    "TensorBase",
    "TensorCategory",
    "TensorImage",
    "TensorImageBW",
    "TensorMultiCategory",
    "TfmdDL",
    "accuracy",
    "combined_cos",
    "error_rate",
]


class OwnCallback(_Callback):  # type: ignore[misc]
    """fastai's own looks for an event that it does not know through all the Learner: 9 µs an event."""

    def __call__(self, event: str) -> Any:
        if hasattr(type(self), event):
            return super().__call__(event)
        if event == "after_fit":
            self.run = True
        return None


# fastai is untyped: a class to inherit from or to annotate with is Any.
Callback: Any = _Callback
DataLoaders: Any = _DataLoaders
FastaiLoader: Any = _FastaiLoader
L: Any = _L
Learner: Any = _Learner
OptimWrapper: Any = _OptimWrapper
RandTransform: Any = _RandTransform
TfmdDL: Any = _TfmdDL
