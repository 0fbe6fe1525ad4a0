"""The widgets of nbtune, reached as `nbtune.widgets`."""

from nbtune_widgets.evaluate import Evaluation
from nbtune_widgets.finder import LRFinder
from nbtune_widgets.freeze import FreezePanel

__all__ = ["Evaluation", "FreezePanel", "LRFinder"]
