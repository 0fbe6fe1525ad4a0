"""Questions that are answered from kept features while one looks, each as a value with its uncertainty."""

from __future__ import annotations

from nbtune.questions.noise import Noise, noise
from nbtune.questions.sweep import Sweep, sweep

__all__ = ["Noise", "Sweep", "noise", "sweep"]
