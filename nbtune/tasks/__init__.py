"""What a network is tuned for: real and synthetic data with fixed splits."""

from __future__ import annotations

from nbtune.tasks.arrays import from_arrays
from nbtune.tasks.card import Card
from nbtune.tasks.datablock import from_datablock
from nbtune.tasks.digits import digits
from nbtune.tasks.folder import from_folder
from nbtune.tasks.frame import from_frame
from nbtune.tasks.items import Items
from nbtune.tasks.letters import letters
from nbtune.tasks.task import Origin, Task
from nbtune.tasks.torch_data import from_torch

__all__ = [
    "Card",
    "Items",
    "Origin",
    "Task",
    "digits",
    "from_arrays",
    "from_datablock",
    "from_folder",
    "from_frame",
    "from_torch",
    "letters",
]
