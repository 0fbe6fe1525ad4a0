"""FreezePanel: the model as a row of groups, and the ice line between what is still and what trains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import traitlets

from nbtune import Tuner
from nbtune_widgets.panel import Panel, module

__all__ = ["FreezePanel"]

_BY = ("parameters", "equal")
_LEAST = 0.03  # of the row: the narrowest group


class FreezePanel(Panel):
    """Choose what trains: click a group, drag the ice line, or move it with the arrow keys.

    Shows what the Tuner's plan says, read from the model. Raises InputTypeError for anything but a Tuner.
    """

    _esm = module("freeze")
    by = traitlets.Enum(_BY, "parameters")

    def __init__(self, tuner: Tuner) -> None:
        super().__init__()
        self.tuner = tuner
        self._proof = ""
        tuner.watch(self._told)
        self.refresh()

    def acts(self) -> dict[str, Callable[..., Any]]:
        return {
            "refresh": lambda: None,
            "freeze_to": self._to,
            "freeze": lambda: self._do("tuner.freeze()", self.tuner.freeze),
            "unfreeze": lambda: self._do("tuner.unfreeze()", self.tuner.unfreeze),
            "verify": lambda: self._do("tuner.verify()", self.tuner.verify),
            "norms": self._norms,
            "by": lambda name: setattr(self, "by", name),
        }

    def _to(self, index: int) -> None:
        plan = self.tuner.plan
        name = plan.groups[int(index)].name
        if int(index) == 0:
            self._do("tuner.unfreeze()", self.tuner.unfreeze)
        else:
            self._do(f"tuner.freeze_to({name!r}{_norms(plan.norms)})", lambda: self.tuner.freeze_to(name, plan.norms))

    def _norms(self, norms: str) -> None:
        first = self.tuner.plan.first
        self._do(f"tuner.freeze_to({first!r}{_norms(norms)})", lambda: self.tuner.freeze_to(first, norms))

    def _do(self, code: str, verb: Callable[[], Any]) -> None:
        result = verb()
        self.code, self.said = code, repr(result)
        self._proof = repr(result) if code == "tuner.verify()" else ""
        self.redraw()

    def _told(self) -> None:
        running = self.tuner.running
        self.busy = f"tuner.{running}() is running." if running not in ("", "freeze", "freeze_to", "unfreeze") else ""
        if not running:
            self.refresh()
            self.redraw()

    def look(self) -> dict[str, Any]:
        plan = self.tuner.plan
        still = set(plan.still)
        total = max(1, sum(group.params for group in plan.groups))
        groups = [
            {
                "name": group.name,
                "count": _short(group.params),
                "still": group.name in still,
                "norms": group.norms or "",
                "lr": "" if group.lr is None else f"{group.lr:.1e}",
                "width": 1 if self.by == "equal" else max(_LEAST, group.params / total),
                "ms": None,
                "held": "",
                "probe": None,
            }
            for group in plan.groups
        ]
        frame = plan.frame()
        return {
            "title": "What trains, what is still",
            "sentence": f"{plan!r} {self._proof}".strip(),
            "groups": groups,
            "first": len(still),
            "spoken": f"{plan.first} is the first group that trains; {len(still)} groups are still",
            "norms": plan.norms,
            "by": self.by,
            "measures": list(_BY),
            "head": list(frame.columns),
            "rows": [[str(cell) for cell in row] for row in frame.itertuples(index=False)],
        }

    def static(self) -> str:
        return self.tuner.plan._repr_html_()


def _norms(norms: str) -> str:
    return "" if norms == "still" else f", norms={norms!r}"


def _short(count: int) -> str:
    from nbtune._display import short

    return short(count)
