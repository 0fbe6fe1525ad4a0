"""Questions that are answered from kept features while one looks, each as a value with its uncertainty."""

from __future__ import annotations

from nbtune.questions.depth import Depth, depth
from nbtune.questions.gain import Gain
from nbtune.questions.losses import Losses, item_losses
from nbtune.questions.noise import Noise, noise
from nbtune.questions.probe import Probe, now, probe, right
from nbtune.questions.sweep import Sweep, sweep

__all__ = [
    "Depth",
    "Gain",
    "Losses",
    "Noise",
    "Probe",
    "Sweep",
    "depth",
    "item_losses",
    "noise",
    "now",
    "probe",
    "right",
    "sweep",
]
