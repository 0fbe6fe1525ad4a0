"""Is the data fit to learn from? One look at a task's items, labels and splits before anything is trained."""

from __future__ import annotations

from nbtune.quality.asking import quality
from nbtune.quality.columns import Column
from nbtune.quality.curve import Curve
from nbtune.quality.domain import Domain
from nbtune.quality.shift import Shift
from nbtune.quality.value import Quality

__all__ = ["Column", "Curve", "Domain", "Quality", "Shift", "quality"]
