"""Learning rates of a Tuner: the table of a plan, and the range test that finds one."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from nbtune._cut import Cut
from nbtune._fastai.borrow import without_augmentation
from nbtune.finder import Fingerprint, LRCurve, range_test
from nbtune.phases import Phase
from nbtune.rates import Rates, resolve
from nbtune.recipes import DEFAULT_BODY, DEFAULT_HEAD
from nbtune.tuner.freezing import Freezing
from nbtune.tuner.train import augments
from nbtune.tuner.verbs import stoppable

__all__ = ["Rating", "of_curve", "rates_of"]


class Rating(Freezing):
    """The part of a Tuner that says how fast."""

    @property
    def lr(self) -> Any:
        """The rate that `fit` and `rates` take where none is given; None: their own default.

        May be set to all that `rates` takes; raises InputError or InputTypeError for what does not fit the plan.
        """
        return self._lr

    @lr.setter
    def lr(self, lr: Any) -> None:
        with self._verbs.doing("lr"):
            if lr is not None:
                self.rates(lr)
            self._lr = lr
            self._script.put("lr", lr)

    def stale(self, curve: LRCurve) -> str:
        """Why `curve` is not of the plan and the weights as they are now, in words; "" if it is."""
        now = Fingerprint.of(self.learn.model, self._held.cut)
        return curve.stale(now) or ("trained since" if curve.trained_since(now) else "")

    def rates(self, lr: Any = None) -> Rates:
        """The table group × learning rate that `lr` means under the present plan.

        `lr`: a number, `slice(lo, hi)`, `nbtune.rates.decay(top, factor)`, one per group, a dict by group
        name, or an LRCurve. None: `tuner.lr` if set, or 5e-3 for the head on a still body, else `slice(1e-4, 1e-3)`.
        Raises InputError or InputTypeError for anything that does not fit the groups.
        """
        given = self.lr if lr is None else lr
        return rates_of(of_curve(given, self._held.cut, self.learn.model), self._held.cut)

    @stoppable
    def lr_find(
        self,
        start: float = 1e-7,
        end: float = 10,
        steps: int = 100,
        seeds: int = 1,
        lr: Any = 1.0,
        on_step: Callable[[int, int], None] | None = None,
    ) -> LRCurve:
        """Learning rate range test (Smith, 2015) that leaves everything as it was, to the bit.

        `lr` gives the proportions between the groups: `slice(1/100, 1)` tests discriminative rates together.
        `on_step(done, total)` is called after each step; `stop()` ends the test early.
        """
        ratios = self.rates(lr).ratios
        self._held.install()
        with self._as_in_fit():
            curve = range_test(
                self.learn,
                make_opt=self._held.optimizer,
                start=start,
                end=end,
                steps=steps,
                seeds=seeds,
                ratios=ratios,
                seed=self.seed,
                on_step=on_step,
                should_stop=self._stop.is_set,
                measured_for=Fingerprint.of(self.learn.model, self._held.cut),
            )
        ranged = {"start": (start, 1e-7), "end": (end, 10), "steps": (steps, 100), "seeds": (seeds, 1)}
        self._script.curve(curve, **ranged, lr=(lr, 1.0))
        self.curve = curve
        return curve

    def _as_in_fit(self) -> AbstractContextManager[None]:
        """Batches as a fit of the present plan would see them by default."""
        augmented = augments(self.learn, self._held.cut, Phase(1))
        return nullcontext() if augmented else without_augmentation(self.learn)


def of_curve(lr: Any, cut: Cut, model: Any) -> Any:
    """A curve as the rates that it stands for: where groups were tested at other rates, in these proportions."""
    if not isinstance(lr, LRCurve) or lr.suggestion is None:
        return lr
    if stale := lr.measured_for and lr.stale(Fingerprint.of(model, cut)):
        warnings.warn(
            f"nbtune: the curve is of another plan: {stale}. tuner.lr_find() measures this one.", stacklevel=4
        )
    if lr.ratios is None or len(lr.ratios) != len(cut.training):
        return lr
    return [lr.suggestion * ratio for ratio in lr.ratios]


def rates_of(lr: Any, cut: Cut) -> Rates:
    if lr is None:
        lr = DEFAULT_HEAD if cut.first == len(cut.groups) - 1 else DEFAULT_BODY
    names = [group.name for group in cut.groups]
    return resolve(lr, names, [index < cut.first for index in range(len(names))])
