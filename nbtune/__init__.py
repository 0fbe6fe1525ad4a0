"""Fine-tune pretrained models from a notebook: freezing that is true, and then cashed in.

Every public name is loaded when it is first used (SPEC 1), so that `import nbtune` costs next to nothing. In a
notebook's kernel the import loads all, held from interrupts: NumPy and PyTorch cannot be imported again in a process
in which their import was broken off. So a notebook imports nbtune first.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from nbtune._version import __version__
from nbtune.interrupts import shielded

if TYPE_CHECKING:
    import nbtune_widgets as widgets
    from nbtune import bodies, lessons, rates, recipes, tasks
    from nbtune._display import chart
    from nbtune.bundle import Model, load
    from nbtune.cache.features import features
    from nbtune.errors import NbtuneError
    from nbtune.evaluate import Estimate, Report
    from nbtune.finder import LRCurve
    from nbtune.freeze import FreezePlan, FreezeProof, Still
    from nbtune.groups import LayerGroup
    from nbtune.history import History
    from nbtune.phases import Phase
    from nbtune.preflight import Preflight
    from nbtune.quality import Quality
    from nbtune.recipes import Recipe
    from nbtune.tasks import Task
    from nbtune.tuner import Tuner
    from nbtune.tuner.resume import resume

_HOMES = {
    "Estimate": "evaluate",
    "FreezePlan": "freeze",
    "FreezeProof": "freeze",
    "History": "history",
    "LRCurve": "finder",
    "LayerGroup": "groups",
    "Model": "bundle",
    "NbtuneError": "errors",
    "Phase": "phases",
    "Preflight": "preflight",
    "Quality": "quality",
    "Recipe": "recipes",
    "Report": "evaluate",
    "Still": "freeze",
    "Task": "tasks",
    "Tuner": "tuner",
    "chart": "_display",
    "features": "cache.features",
    "load": "bundle",
    "resume": "tuner.resume",
}
_MODULES = {
    "bodies": "nbtune.bodies",
    "lessons": "nbtune.lessons",
    "rates": "nbtune.rates",
    "recipes": "nbtune.recipes",
    "tasks": "nbtune.tasks",
    "widgets": "nbtune_widgets",
}

__all__ = [
    "Estimate",
    "FreezePlan",
    "FreezeProof",
    "History",
    "LRCurve",
    "LayerGroup",
    "Model",
    "NbtuneError",
    "Phase",
    "Preflight",
    "Quality",
    "Recipe",
    "Report",
    "Still",
    "Task",
    "Tuner",
    "__version__",
    "bodies",
    "chart",
    "features",
    "lessons",
    "load",
    "rates",
    "recipes",
    "resume",
    "tasks",
    "widgets",
]


@contextmanager
def _patient() -> Iterator[None]:
    """PyTorch's threads, loaded within, soon sleep while they wait for each other, unless the environment says how to.

    They read it once. By default they spin for long, and beside a program that trains too the steps of a small network
    took about twice the time; on a free machine, sleeping costs them about a tenth (`benchmarks/busy.py`, two cores).
    """
    said = {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys()
    if not said:
        os.environ["GOMP_SPINCOUNT"] = "10000"
    try:
        yield
    finally:
        if not said:
            os.environ.pop("GOMP_SPINCOUNT", None)


def __getattr__(name: str) -> Any:
    if name not in _HOMES and name not in _MODULES:
        raise AttributeError(f"module 'nbtune' has no attribute {name!r}")
    with shielded(), _patient():
        if name in _HOMES:
            value = getattr(import_module(f"nbtune.{_HOMES[name]}"), name)
        else:
            value = import_module(_MODULES[name])
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


if "ipykernel" in sys.modules:
    with shielded(), _patient():
        for _home in sorted({*_HOMES.values()}):
            import_module(f"nbtune.{_home}")
