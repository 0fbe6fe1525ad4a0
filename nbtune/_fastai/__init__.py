"""All that nbtune knows of fastai: its names, its internals and its quirks (fastai 2.8)."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    # fastai scripts functions on import; torch 2.15 says that this is deprecated, which no reader can mend.
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    from fastai.callback.core import Callback as _Callback
    from fastai.callback.core import CancelFitException, CancelTrainException, CancelValidException
    from fastai.callback.schedule import ParamScheduler, SchedCos, SchedExp, SchedLin, SchedNo, combined_cos
    from fastai.learner import Learner, Recorder

from typing import Any

__all__ = [
    "Callback",
    "CancelFitException",
    "CancelTrainException",
    "CancelValidException",
    "Learner",
    "ParamScheduler",
    "Recorder",
    "SchedCos",
    "SchedExp",
    "SchedLin",
    "SchedNo",
    "combined_cos",
]

Callback: Any = _Callback
