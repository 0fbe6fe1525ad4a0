"""Freezing that is true: still groups run in eval mode, without gradient, buffers included, and prove it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, cast

import torch
from torch import nn

from nbtune._cut import Cut, Grouping, grouping
from nbtune._fastai import CancelFitException, OwnCallback
from nbtune._fastai.feed import Stopped, Way, feeding
from nbtune.cache import Store
from nbtune.freeze.checks import cannot_keep, check_cache, check_views
from nbtune.freeze.hold import Hold, reinitialise
from nbtune.freeze.plan import FreezePlan, FreezeProof, groups_of, plan_of
from nbtune.groups import index_of

__all__ = ["FreezePlan", "FreezeProof", "Hold", "Still", "groups_of", "plan_of", "reinitialise"]


class Still(OwnCallback):
    """Hold the groups before `first` still: in a fastai fit as a callback, on a bare module by `apply`.

    `first`: the first group that trains, by name or by index (negative from the end, as in fastai).
    `norms`: `"still"`, `"stats"` or `"train"` (see `Cut`). `groups`: `"stage"`, `"block"`, `"learner"`, a
    callable or groups. `cache`: `"auto"` trains from what the still part computes, kept, whenever that is the
    same training; `"on"` insists, `"off"` never does; `"half"` keeps it in half precision, which is another
    training, as `.why` says. `views`: keep so many augmented views of a training item, taken in turn by epoch;
    that too is another training than live augmentation. `store`: a `Store` with other budgets or a folder.
    After a fit `.proof` says whether the still part stayed so (a false proof warns), `.cached` whether the fit
    was fed from kept features, `.why` why or why not.

    On a CPU a cached fit equals a live one to the bit where all batches have the nominal size. What the still
    part computes for a short last batch may differ in its last bits (1e-6 of the value), since it is kept as
    computed at the nominal size; `drop_last=True` leaves no short batch.

    Example:
        >>> import torch
        >>> model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
        >>> with Still("head").apply(model) as hold:  # in fastai: learn.fit(4, 1e-3, cbs=nt.Still("head"))
        ...     scores = model.train()(torch.ones(3, 4))
        ...     print(hold.proof())
        Still, proven: 7 frozen tensors and buffers unchanged to the bit.
    """

    order = 88  # after whatever else changes training modes
    run_valid = False
    takes_part = True
    prove = True  # False: no digests, where only the cost is asked
    seed: int | None = None  # of the views; None: torch's

    stopped: Callable[[], bool] | None = None  # asked between batches while features are computed

    def __init__(
        self,
        first: int | str = -1,
        norms: str = "still",
        *,
        groups: Grouping = "stage",
        cache: str = "auto",
        views: int = 1,
        store: Store | None = None,
    ) -> None:
        super().__init__()
        self.views = check_views(views)
        self.first, self.norms, self.grain, self.cache = first, norms, groups, check_cache(cache)
        self.store = Store() if store is None else store
        self.hold: Hold | None = None
        self.proof: FreezeProof | None = None
        self.cached, self.why, self.begun = False, "", False
        self.feed = ExitStack()

    def cut(self, model: nn.Module, splitter: Any = None) -> Cut:
        """Where this cuts `model`. Raises FreezeError for an unknown group or grain."""
        groups = grouping(model, self.grain, splitter)
        return Cut(groups, index_of(groups, self.first), self.norms)

    def apply(self, model: nn.Module) -> Hold:
        """Hold a bare module still until the returned Hold is released; `model.train()` cannot undo it."""
        return Hold(model, self.cut(model), hook=True)

    @property
    def learn(self) -> Any:
        return self.__dict__.get("_learn")

    @learn.setter
    def learn(self, learn: Any) -> None:
        # fastai sets this to None when it removes the callback, also after an interrupt: the one sure signal.
        if learn is None and "feed" in self.__dict__:
            self.feed.close()
            if self.hold is not None:
                self.hold.release()
            for other in self._others():  # whose part it may have given back
                other.enforce()
            self.__dict__["hold"] = None
        self.__dict__["_learn"] = learn

    def _others(self) -> list[Hold]:
        """What other callbacks of this kind hold on the same Learner."""
        stills = [cb for cb in getattr(self.learn, "cbs", []) if isinstance(cb, Still) and cb is not self]
        return [still.hold for still in stills if still.hold is not None]

    def before_fit(self) -> None:
        self.feed.close()  # of a fit that raised
        self.begun = False

    def before_train(self) -> None:
        # Not in before_fit: fastai runs that for validate, get_preds and predict too, on any data.
        if not self.begun:
            self._begin()
        cast(Hold, self.hold).enforce()

    def _begin(self) -> None:
        self.begun = True
        self.proof = None
        if self.hold is not None and self.hold.model is not self.learn.model:
            self.hold.release()
            self.hold = None
        if self.hold is None:
            self.hold = Hold(self.learn.model, self.cut(self.learn.model, self.learn.splitter), prove=self.prove)
            for other in self._others():
                self.hold.inherit(other)
        else:
            self.hold.prove = self.prove
            self.hold.renew()
        self.hold.watch()
        self.cached, self.why = False, 'The cache is "off".'
        if any(isinstance(other, Still) and other is not self for other in self.learn.cbs):
            self.why = "Two callbacks hold this model still, so it is trained live."
        elif self.cache != "off":
            self._feed(self.hold)
        if self.cache == "on" and not self.cached:
            raise cannot_keep(self.why)

    def _feed(self, hold: Hold) -> None:
        """Feed the fit from kept features where that may be done; a stop meanwhile ends it before its first step."""
        seed = torch.initial_seed() if self.seed is None else self.seed
        way = Way(self.views, self.cache == "half", seed, self.stopped or _never)
        try:
            self.cached, self.why = self.feed.enter_context(feeding(self.learn, hold.cut, self.store, hold.digest, way))
        except Stopped as stop:
            self.why = str(stop)
            raise CancelFitException from None

    def after_fit(self) -> None:
        self.feed.close()
        if not self.begun or self.hold is None:
            return
        self.hold.unwatch()
        self.proof = self.hold.proof()
        if not self.proof:
            if self.cached:
                self.why += " The still part was changed during the fit, which went on with what it computed before."
            warnings.warn(f"nbtune: {self.proof!r}", stacklevel=2)


def _never() -> bool:
    return False
