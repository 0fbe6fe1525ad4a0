"""The freezing plan in force on a Learner: where it is cut, the callback that keeps it so, and what it costs."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from nbtune._cut import Cut, Grouping, grouping
from nbtune._fastai.steps import optimizer
from nbtune.cache import Store
from nbtune.costs import prices
from nbtune.freeze import FreezePlan, Hold, Still, plan_of
from nbtune.groups import index_of
from nbtune.interrupts import shielded
from nbtune.prices import Prices, Step, step_of

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
        self._measured: dict[Any, dict[str, Any]] = {}  # prices by what they depend on
        self._steps: tuple[Any, tuple[Step | None, ...]] = (None, ())

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
        found = self._price(cut) if cost else {}
        with shielded():
            self._apply(cut)
        self._prices = found
        return self.plan

    def _key(self) -> tuple[Any, ...]:
        """What prices depend on besides the cut: another of these is another price."""
        learn = self.learn
        others = tuple(type(callback) for callback in learn.cbs if not isinstance(callback, Still))
        size = getattr(learn.dls.train, "bs", None)
        return id(learn.model), id(learn.dls), size, id(learn.opt_func), id(learn.loss_func), others

    def _price(self, cut: Cut) -> dict[str, Any]:
        """What an epoch costs under `cut`, measured when it is first asked for."""
        key = (*self._key(), cut.first, cut.norms)
        if key not in self._measured:
            self._measured[key] = dict(zip(("live", "kept"), prices(self.learn, cut), strict=True))
        return self._measured[key]

    def prices(self, seconds: float) -> Prices:
        """What is known of all boundaries, after at most about `seconds` more of measuring."""
        end, groups = perf_counter() + seconds, self.cut.groups
        if self._steps[0] != self._key():
            self._steps = (self._key(), step_of(self.learn, groups))
        known: dict[int, dict[str, Any]] = {}
        for first in _spread(self.cut.first, len(groups)):
            cut = Cut(groups, first, self.cut.norms)
            if (*self._key(), first, cut.norms) in self._measured or perf_counter() < end:
                known[first] = self._price(cut)
        usual = sorted(price["live"].seconds for price in known.values() if price["live"])[len(known) // 3 :][:1]
        for first, price in known.items():  # something else took the machine meanwhile: once more
            if usual and price["live"] and price["live"].seconds > 5 * usual[0]:
                cut = Cut(groups, first, self.cut.norms)
                del self._measured[(*self._key(), first, cut.norms)]
                known[first] = self._price(cut)
        live, kept = (tuple(known.get(at, {}).get(name) for at in range(len(groups))) for name in ("live", "kept"))
        if self.cut.first in known:
            self._prices = known[self.cut.first]
        return Prices(tuple(group.name for group in groups), self._steps[1], live, kept)

    def _apply(self, cut: Cut) -> None:
        if self.still is not None:
            self.learn.remove_cb(self.still)  # which gives `requires_grad` back as it was before the first freeze
        self.still, self.cut, self.rates, self.took, self.gain = None, cut, None, None, None
        if cut.first:
            self.still = Still(cut.first, cut.norms, groups=cut.groups, store=self.store)
            self.still.hold = Hold(self.learn.model, cut, prove=False)  # a fit proves it
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
            self.still.hold = hold or Hold(self.learn.model, self.cut, prove=False)

    def optimizer(self, learn: Any) -> Any:
        """A new optimizer of the Learner's own kind for what trains; state of tensors that it had goes on."""
        return optimizer(learn, self.cut.lists(learn.model))


def _spread(first: int, count: int) -> list[int]:
    """All boundaries, the one in force first, then the ends and halves of what is between."""
    order, gaps = [first, 0, count - 1], [(0, count - 1)]
    while gaps:
        low, high = gaps.pop(0)
        middle = (low + high) // 2
        if low < middle:
            order.append(middle)
            gaps += [(low, middle), (middle, high)]
    return list(dict.fromkeys(order))
