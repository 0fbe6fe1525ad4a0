"""LRFinder: the range test as a curve, and the rates of the next training chosen on it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import traitlets

from nbtune import NbtuneError, Tuner
from nbtune_widgets.panel import Panel, escape, module, picture

__all__ = ["LRFinder"]

_SEEDS = (1, 3, 5)
_REDRAWS = 0.1  # seconds between two words on the progress


class LRFinder(Panel):
    """Measure a range test, choose base and top rate on its curve, and set them in the Tuner.

    Shows `tuner.curve` and `tuner.lr`, whoever made them. Raises InputTypeError for anything but a Tuner.
    """

    _esm = module("finder")
    progress = traitlets.List([0, 0]).tag(sync=True)  # steps done, of
    quiet = frozenset({"freeze", "freeze_to", "unfreeze", "lr", "choose", "use", "seeds"})

    def __init__(self, tuner: Tuner) -> None:
        super().__init__()
        self.base = self.top = 0.0
        self._seeds, self._stale, self._seen, self._set = 1, "", None, object()
        self.follow(tuner)
        self.reread()
        self.refresh()

    @property
    def lr(self) -> Any:
        """The chosen rates, as `fit` takes them."""
        alone = len(self.tuner.plan.groups) - len(self.tuner.plan.still) == 1
        return self.top if alone or self.base == self.top else slice(self.base, self.top)

    def acts(self) -> dict[str, Callable[..., Any]]:
        return {
            "find": lambda: self.aside(self._find),
            "stop": self.stop,
            "seeds": lambda count: setattr(self, "_seeds", int(count)),
            "choose": self._choose,
            "use": self._use,
        }

    def _find(self) -> None:
        seeds, last = self._seeds, 0.0

        def on_step(done: int, total: int) -> None:
            nonlocal last
            if time.monotonic() - last > _REDRAWS or done == total:
                self.progress, last = [done, total], time.monotonic()

        self.progress = [0, 0]
        curve = self.tuner.lr_find(seeds=seeds, on_step=on_step)
        self.tell(f"curve = tuner.lr_find({f'seeds={seeds}' if seeds > 1 else ''})", curve.verdict)

    def _choose(self, base: Any, top: Any, moved: str = "top") -> None:
        """Rates of two digits; the one that was moved takes the other along, so that base is never above top."""
        low, high = (_rate(value) for value in (base, top))
        self.tuner.rates(high), self.tuner.rates(low)  # refuses what is no rate, in four parts
        self.base, self.top = (min(low, high), high) if moved == "top" else (low, max(low, high))
        self.tell(f"tuner.rates({_source(self.lr)})", f"base {self.base:.2g}, top {self.top:.2g}")

    def _use(self) -> None:
        lr = self.lr
        self.tuner.lr = self._set = lr
        self.tell(f"tuner.lr = {_source(lr)}", _next(self.tuner))

    def reread(self) -> None:
        """The curve and the rate as the Tuner has them now: somebody may have set them in code."""
        tuner = self.tuner
        curve, lr = tuner.curve, tuner.lr
        self._stale = "" if curve is None or tuner.running else tuner.stale(curve)
        if lr is not self._set or not self.top:
            self._set = lr
            with suppress(NbtuneError):
                self._take(tuner.rates().training.values())
        if curve is not self._seen:
            self._seen = curve  # type: ignore[assignment]
            if curve is not None and curve.suggestion is not None:
                self._take([_rate(curve.suggestion * ratio) for ratio in curve.ratios or (1.0,)])

    def _take(self, rates: Any) -> None:
        known = list(rates)
        self.base, self.top = _rate(min(known)), _rate(max(known))

    def look(self) -> dict[str, Any]:
        curve, rates = self.tuner.curve, self.tuner.rates(self.lr)
        sentence = (
            "No range test yet: Find runs one and leaves the model as it was." if curve is None else curve.verdict
        )
        if self._stale:
            sentence = f"Stale: {self._stale}. Run it again for this plan. {sentence}"
        frame = None if curve is None else curve.frame()
        return {
            "title": "Learning rate range test",
            "sentence": f"{sentence} {_next(self.tuner)}",
            "curve": None if curve is None else _lines(curve),
            "readings": [] if curve is None else [[name, rate] for name, rate in curve.readings.items()],
            "suggestion": None if curve is None else curve.suggestion,
            "stale": self._stale,
            "base": self.base,
            "top": self.top,
            "used": self._set is not None and self._set == self.lr,
            "rates": list(rates.training.items()),
            "seeds": self._seeds,
            "choices": list(_SEEDS),
            "running": self.tuner.running == "lr_find",
            "head": ["seed", "rate", "loss", "smoothed"],
            "rows": [] if frame is None else [[f"{cell:.3g}" for cell in row] for row in frame.to_numpy().tolist()],
        }

    def static(self) -> str:
        curve, told = self.tuner.curve, f"<p>{escape(_next(self.tuner))}</p>"
        if curve is None:
            drawn = picture(self.tuner.rates().plot())
            return f"<strong>Learning rate range test</strong><p>No range test yet.</p>{drawn}{told}"
        drawn = picture(curve.plot())
        if self._stale:
            drawn = f'<p>Stale: {escape(self._stale)}.</p><div style="opacity:.5">{drawn}</div>'
        return drawn + curve._repr_html_() + told


def _next(tuner: Tuner) -> str:
    """What the next fit takes, in a sentence; a rate that was set may not fit a plan that came later."""
    try:
        rates = tuner.rates()
    except NbtuneError as error:
        return f"The rate that is set does not fit this plan: {error.given}"
    return f"The next fit takes {_words(min(rates.training.values()), rates.top)}."


def _rate(value: Any) -> float:
    """With two digits: more are noise. What is no number goes on, to be refused by the Tuner."""
    try:
        return float(f"{float(value):.1e}")
    except (TypeError, ValueError):
        return "" if value is None else value  # type: ignore[return-value]


def _source(lr: Any) -> str:
    return f"slice({lr.start!r}, {lr.stop!r})" if isinstance(lr, slice) else repr(lr)


def _words(base: float, top: float) -> str:
    if base == top:
        return f"{top:.2g} for all that trains"
    return f"{base:.2g} for the first group that trains to {top:.2g} for the last"


def _lines(curve: Any) -> dict[str, Any]:
    """The median over seeds and the band, without what was not measured, and the losses worth seeing."""
    middle = np.array(
        [np.median(col[np.isfinite(col)]) if np.isfinite(col).any() else math.nan for col in curve.smoothed.T]
    )
    here = np.isfinite(middle)
    if not here.any():
        return {"lrs": [], "middle": [], "low": [], "high": [], "limits": [0.0, 1.0]}
    low, high = curve.band
    first, least = float(middle[here][0]), float(np.nanmin(low))
    room = max(first - least, 0.1 * abs(first), 1e-6)
    lines = {"lrs": curve.lrs, "middle": middle, "low": low, "high": high}
    return {
        **{name: [float(value) for value in line[here]] for name, line in lines.items()},
        "limits": [least - 0.3 * room, max(first, least) + 0.5 * room],
        "several": len(curve.losses) > 1,
    }
