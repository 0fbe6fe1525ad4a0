"""FreezePanel: the model as a row of groups, and the ice line between what is still and what trains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import traitlets

from nbtune import Tuner
from nbtune_widgets.panel import Panel, escape, module, picture
from nbtune_widgets.words import rate, short

__all__ = ["FreezePanel"]

_BY = ("parameters", "time", "equal")
_HEAD = ("group", "state", "parameters", "norm layers", "rate", "step", "hands on an item", "gradient, last step",
         "last phase")  # fmt: skip
_LEAST = 0.03  # of the row: the narrowest group
_PATIENT = 60.0  # seconds of measuring at most, when somebody asks for it


class FreezePanel(Panel):
    """Choose what trains: click a group, drag the ice line, or move it with the arrow keys.

    Shows what the Tuner's plan says, read from the model. `seconds`: how long to measure prices at most when it is
    first shown; each boundary is measured once. Raises InputTypeError for anything but a Tuner.
    """

    _esm = module("freeze")
    by = traitlets.Enum(_BY, "parameters")
    quiet = frozenset({"freeze", "freeze_to", "unfreeze", "lr", "norms", "by"})

    def __init__(self, tuner: Tuner, seconds: float = 2.0) -> None:
        super().__init__()
        self._seconds, self._proof = seconds, ""
        self._prices: Any = None
        self._depth: Any = None
        self.follow(tuner)
        self.refresh()

    def ready(self) -> None:
        if self._seconds and not self.tuner.running:
            self._measure(self._seconds)

    def _measure(self, seconds: float) -> None:
        self._prices = self.tuner.prices(seconds)
        self.refresh()

    def acts(self) -> dict[str, Callable[..., Any]]:
        return {
            "freeze_to": self._to,
            "freeze": lambda: self._do("tuner.freeze()", self.tuner.freeze),
            "unfreeze": lambda: self._do("tuner.unfreeze()", self.tuner.unfreeze),
            "verify": lambda: self._do("tuner.verify()", self.tuner.verify),
            "norms": self._norms,
            "by": lambda name: setattr(self, "by", name),
            "measure": lambda: self.aside(self._all_prices),
            "depth": lambda: self.aside(self._probe),
            "stop": self.stop,
        }

    def _to(self, index: int) -> None:
        plan = self.tuner.plan
        name = plan.groups[int(index)].name
        if int(index) == 0:
            self._do("tuner.unfreeze()", self.tuner.unfreeze)
        else:
            norms = plan.norms if plan.still else "still"
            self._do(f"tuner.freeze_to({name!r}{_norms(norms)})", lambda: self.tuner.freeze_to(name, norms))

    def _norms(self, norms: str) -> None:
        first = self.tuner.plan.first
        self._do(f"tuner.freeze_to({first!r}{_norms(norms)})", lambda: self.tuner.freeze_to(first, norms))

    def _all_prices(self) -> None:
        self._measure(_PATIENT)
        self.tell(f"tuner.prices({_PATIENT})", self._prices)

    def _probe(self) -> None:
        self._depth = self.tuner.depth()
        self.tell("tuner.depth()", self._depth)

    def _do(self, code: str, verb: Callable[[], Any]) -> None:
        result = verb()
        self._proof = repr(result) if code == "tuner.verify()" else ""
        self.tell(code, result)

    def look(self) -> dict[str, Any]:
        tuner = self.tuner
        plan, rates = tuner.plan, _rates(tuner)
        depths = self._depths([group.name for group in plan.groups])
        first, norms, probes = len(plan.still), plan.norms, {place["at"]: place for place in depths}
        slopes = tuner.trace.slopes  # of the last step that was trained
        groups = [self._group(at, group, at < first, rates.get(group.name)) for at, group in enumerate(plan.groups)]
        for group, width in zip(groups, self._widths(plan), strict=True):
            group["width"] = width
        for group in groups:
            if (slope := slopes.get(group["name"])) is not None:
                group["slope"] = f"{slope:.2g}"
        share = plan.trainable / max(1, plan.total)
        return {
            "title": "What trains, what is still",
            "sentence": " ".join(filter(None, [repr(plan), self._proof])),
            "groups": groups,
            "first": first,
            "spoken": f"{plan.first} is the first group that trains; {first} of {len(groups)} groups are still",
            "share": f"{share:.3g} %" if (share := 100 * share) < 10 else f"{share:.0f} %",
            "norms": norms,
            "by": self.by,
            "measures": [name for name in _BY if name != "time" or any(group["ms"] for group in groups)],
            "unmeasured": self._prices is None or None in self._prices.live,
            "depth": depths,
            "depth_said": "" if self._depth is None else repr(self._depth),
            "probed": "linear probe" if self._depth is None else self._depth.named("linear probe"),
            "head": [*_HEAD, *([self._depth.named("linear probe before it")] if probes else [])],
            "rows": [_row(group, probes, at) for at, group in enumerate(groups)],
        }

    def _group(self, at: int, group: Any, still: bool, planned: float | None) -> dict[str, Any]:
        step = None if self._prices is None else self._prices.steps[at]
        spent = None if step is None else 1e3 * (step.forward + (0.0 if still else step.backward))
        rates = [f"{rate(lr)} {when}" for lr, when in ((group.lr, "last"), (planned, "next")) if lr]
        return {
            "name": group.name,
            "count": short(group.params),
            "still": still,
            "norms": group.norms or "",
            "lr": "" if still or not rates else rates[0],
            "ms": spent,
            "out": "" if step is None else f"{short(step.out)}{'' if step.out >= 1000 else ' '}B",
            "slope": "",
            "held": self._held(group, still),
            "odd": "takes no gradient now" if not still and group.params and not group.trainable else "",
        }

    def _held(self, group: Any, still: bool) -> str:
        """Whether it stayed unchanged in the last phase, by that phase's digests."""
        phases = self.tuner.history.phases
        if not phases or not still or phases[-1].proof is None or phases[-1].rates.get(group.name, 1.0):
            return ""
        if not phases[-1].proof:
            return "✗ not proven still"
        moved = group.norms not in (None, "still")  # its norm layers follow the data, or learn: no part of the proof
        return "✓ unchanged but for norms" if moved else "✓ unchanged"

    def _widths(self, plan: Any) -> list[float]:
        sizes = [float(group.params) for group in plan.groups]
        if self.by == "time" and self._prices is not None and all(self._prices.steps):
            sizes = [step.forward + step.backward for step in self._prices.steps]
        if self.by == "equal" or not sum(sizes):
            return [1.0] * len(sizes)
        return [max(_LEAST, size / sum(sizes)) for size in sizes]

    def _depths(self, names: list[str]) -> list[dict[str, Any]]:
        places = [] if self._depth is None else self._depth.places
        return [
            {
                "at": names.index(p.first),
                "value": p.score.value,
                "low": p.score.low,
                "high": p.score.high,
                "text": p.brief,
                "whole": p.whole,
            }
            for p in places
            if p.first in names
        ]

    def static(self) -> str:
        plan = self.tuner.plan
        depth = "" if self._depth is None else picture(self._depth.plot())
        told = [_told_rates(self.tuner), self._proof, repr(self._depth) if depth else ""]
        return picture(plan.plot()) + plan._repr_html_() + depth + "".join(f"<p>{escape(t)}</p>" for t in told if t)


def _rates(tuner: Tuner) -> dict[str, float]:
    """What the next fit would take by group; nothing where the rate that is set does not fit this plan."""
    try:
        return tuner.rates().training
    except Exception:
        return {}


def _told_rates(tuner: Tuner) -> str:
    return repr(tuner.rates()) if _rates(tuner) else ""


def _row(group: dict[str, Any], probes: dict[int, dict[str, Any]], at: int) -> list[str]:
    state = "❄ still" if group["still"] else "▲ trains"
    spent = "" if group["ms"] is None else f"{group['ms']:.{1 if group['ms'] < 10 else 0}f} ms"
    probe = probes.get(at)
    read = "" if probe is None else probe["whole"]
    return [group["name"], state, group["count"], group["norms"], group["lr"], spent, group["out"], group["slope"],
            group["held"] or group["odd"], *([read] if probes else [])]  # fmt: skip


def _norms(norms: str) -> str:
    return "" if norms == "still" else f", norms={norms!r}"
