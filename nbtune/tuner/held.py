"""The freezing plan in force on a Learner: where it is cut, the callback that keeps it so, and what it costs."""

from __future__ import annotations

from typing import Any

from nbtune._cut import Cut, Grouping, grouping
from nbtune._fastai.steps import optimizer
from nbtune.cache import Store
from nbtune.costs import prices
from nbtune.freeze import FreezePlan, Hold, Still, plan_of
from nbtune.groups import index_of
from nbtune.interrupts import shielded

__all__ = ["Held"]


class Held:
    """One Learner's plan, and the features that its still part gives."""

    def __init__(self, learn: Any, groups: Grouping, store: Store) -> None:
        self.learn, self.store = learn, store
        self.cut = Cut(grouping(learn.model, groups, learn.splitter), 0)
        self.still: Still | None = None
        self.rates: tuple[float, ...] | None = None  # of the last phase under this plan, one a group
        self.took: float | None = None  # seconds an epoch of that phase
        self.gain: Any = None  # over the probe, after it
        self._prices: dict[str, Any] = {}

    @property
    def plan(self) -> FreezePlan:
        """Read from the model as it is now."""
        return plan_of(self.learn.model, self.cut, lrs=self.rates, took=self.took, gain=self.gain, **self._prices)

    def at(self, group: int | str, norms: str = "still") -> Cut:
        """The cut before `group`. Raises FreezeError for an unknown one, or where nothing would train."""
        cut = Cut(self.cut.groups, index_of(self.cut.groups, group), norms)
        cut.check(self.learn.model)
        return cut

    def freeze(self, group: int | str, norms: str = "still", cost: bool = True) -> FreezePlan:
        """Hold everything before `group` still; all that can fail comes before anything is changed."""
        cut = self.at(group, norms)
        found = dict(zip(("live", "kept"), prices(self.learn, cut), strict=True)) if cost else {}
        with shielded():
            self._apply(cut)
        self._prices = found
        return self.plan

    def _apply(self, cut: Cut) -> None:
        if self.still is not None:
            self.learn.remove_cb(self.still)  # which gives `requires_grad` back as it was before the first freeze
        self.still, self.cut, self.rates, self.took, self.gain = None, cut, None, None, None
        if cut.first:
            self.still = Still(cut.first, cut.norms, groups=cut.groups, store=self.store)
            self.still.hold = Hold(self.learn.model, cut)
        else:
            self.store.clear()  # what nothing still computes is of no use
            for parameter in self.learn.model.parameters():
                parameter.requires_grad_(parameter.is_floating_point() or parameter.is_complex())
        self.install()
        if self.learn.opt is not None:  # or plain learn.fit would go on with the tensors of the old plan
            self.learn.opt = self.optimizer(self.learn)

    def install(self) -> None:
        """The plan is kept by a callback: put it back if somebody took it away."""
        if self.still is not None and self.still not in list(self.learn.cbs):
            hold = self.still.hold
            self.learn.add_cb(self.still)
            self.still.hold = hold or Hold(self.learn.model, self.cut)

    def optimizer(self, learn: Any) -> Any:
        """A new optimizer of the Learner's own kind for what trains; state of tensors that it had goes on."""
        return optimizer(learn, self.cut.lists(learn.model))
