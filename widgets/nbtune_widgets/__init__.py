"""The widgets of nbtune, reached as `nbtune.widgets`."""

from nbtune_widgets.data import DataBrowser
from nbtune_widgets.evaluate import Evaluation
from nbtune_widgets.finder import LRFinder
from nbtune_widgets.freeze import FreezePanel
from nbtune_widgets.monitor import Monitor
from nbtune_widgets.sketchpad import Sketchpad

__all__ = ["DataBrowser", "Evaluation", "FreezePanel", "LRFinder", "Monitor", "Sketchpad"]
