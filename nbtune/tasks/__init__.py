"""What a network is tuned for: real and synthetic data with fixed splits."""

from __future__ import annotations

from nbtune.tasks.card import Card
from nbtune.tasks.digits import digits
from nbtune.tasks.items import Items
from nbtune.tasks.letters import letters
from nbtune.tasks.task import Origin, Task

__all__ = ["Card", "Items", "Origin", "Task", "digits", "letters"]
