"""Whether fastai trains a Learner at this moment, also where no verb of a Tuner began it."""

from __future__ import annotations

import sys
import threading
from types import FrameType
from typing import Any

from nbtune._fastai import Learner

__all__ = ["fitting"]


def fitting(learn: Any = None) -> bool:
    """Is another thread within `fit` of `learn` (of any Learner for None)?"""
    own = threading.get_ident()
    return any(_within(frame, learn) for thread, frame in sys._current_frames().items() if thread != own)


def _within(frame: FrameType | None, learn: Any) -> bool:
    while frame is not None:
        if frame.f_code.co_name == "_do_fit":
            found = frame.f_locals.get("self")
            if isinstance(found, Learner) and (learn is None or found is learn):
                return True
        frame = frame.f_back
    return False
