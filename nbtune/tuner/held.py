"""The freezing plan in force on a Learner: where it is cut, the callback that keeps it so, and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

from nbtune._cut import Cut, Grouping, grouping
from nbtune._fastai.steps import optimizer
from nbtune.cache import Store
from nbtune.costs import between, prices
from nbtune.freeze import FreezePlan, Hold, Still, plan_of
from nbtune.groups import index_of
from nbtune.interrupts import shielded
from nbtune.prices import Prices, Step, step_of

__all__ = ["Held"]

_MANY = 24  # groups: more are not measured one by one


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
        """What an epoch costs under `cut`, measured when it is first asked for.

        Of many groups a boundary between two measured ones is priced by them, at once: to train fewer groups does
        not cost more.
        """
        if found := self._known(cut.first, cut.norms):
            return found
        if len(cut.groups) > _MANY:
            at = [first for first in range(len(cut.groups)) if self._known(first, cut.norms)]
            before, after = [a for a in at if a < cut.first], [a for a in at if a > cut.first]
            if before and after:
                share = (cut.first - before[-1]) / (after[0] - before[-1])
                one, other = (self._known(first, cut.norms) for first in (before[-1], after[0]))
                return {name: between(one[name], other[name], share) for name in ("live", "kept")}
        return self._measure(cut)

    def _known(self, first: int, norms: str) -> dict[str, Any]:
        return self._measured.get((*self._key(), first, norms), {})

    def _measure(self, cut: Cut) -> dict[str, Any]:
        found = dict(zip(("live", "kept"), prices(self.learn, cut), strict=True))
        self._measured[(*self._key(), cut.first, cut.norms)] = found
        return found

    def prices(self, seconds: float, stopped: Callable[[], bool]) -> Prices:
        """What is known of all boundaries, after at most about `seconds` more of measuring, or until `stopped()`."""
        end, groups = perf_counter() + seconds, self.cut.groups
        if self._steps[0] != self._key():
            self._steps = (self._key(), step_of(self.learn, groups))
        known, order = dict[int, dict[str, Any]](), _spread(self.cut.first, len(groups))
        needed = {self.cut.first, 0, 1, len(groups) - 1} if len(groups) > _MANY else ()  # all others lie between
        for first in order:
            if found := self._known(first, self.cut.norms):
                known[first] = found
            elif (first in needed or perf_counter() < end) and not stopped():
                known[first] = self._measure(Cut(groups, first, self.cut.norms))
        usual = sorted(price["live"].seconds for price in known.values() if price["live"])[len(known) // 3 :][:1]
        for first, price in known.items():  # something else took the machine meanwhile: once more
            if usual and price["live"] and price["live"].seconds > 5 * usual[0]:
                known[first] = self._measure(Cut(groups, first, self.cut.norms))
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
    """All boundaries, the one in force first, then the ends and halves of what is between.

    Where nothing is still nothing can be kept, so the one after it is an end too.
    """
    order, gaps = [first, 0, count - 1, min(1, count - 1)], [(0, count - 1)]
    while gaps:
        low, high = gaps.pop(0)
        middle = (low + high) // 2
        if low < middle:
            order.append(middle)
            gaps += [(low, middle), (middle, high)]
    return list(dict.fromkeys(order))
