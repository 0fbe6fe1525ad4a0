"""Verbs that say what trains and what is still."""

from __future__ import annotations

from nbtune.freeze import FreezePlan, FreezeProof
from nbtune.prices import Prices
from nbtune.tuner import checks
from nbtune.tuner.base import Base
from nbtune.tuner.proof import prove
from nbtune.tuner.verbs import stoppable, verb

__all__ = ["Freezing"]


class Freezing(Base):
    """The part of a Tuner that freezes."""

    @verb
    def freeze(self, norms: str = "still") -> FreezePlan:
        """Hold everything still but the last group (the head). Raises FreezeError where that is all there is."""
        checks.check_groups(self._held.cut.groups)
        plan = self._held.freeze(-1, norms)
        self._script.say("freeze", norms=(norms, "still"))
        return plan

    @verb
    def freeze_to(self, group: int | str, norms: str = "still") -> FreezePlan:
        """Hold everything before `group` still: a name, or an index as in fastai (negative from the end).

        Raises FreezeError for a group that does not exist or where nothing would train.
        """
        plan = self._held.freeze(group, norms)
        self._script.say("freeze_to", group, norms=(norms, "still"))
        return plan

    @verb
    def unfreeze(self) -> FreezePlan:
        """Let every group train."""
        plan = self._held.freeze(0)
        self._script.say("unfreeze")
        return plan

    @verb
    def verify(self) -> FreezeProof:
        """Digests of every frozen tensor and buffer before and after a real step that is rolled back."""
        checks.check_batches(self.learn)
        self._held.install()
        proof = prove(self.learn, self._held.cut)
        self._script.say("verify")
        return proof

    @stoppable
    def prices(self, seconds: float = 2.0) -> Prices:
        """What each group costs in a step, and an epoch at each boundary; each is measured once and then kept.

        `seconds`: how long to measure at most; boundaries that were not reached are None until they are.
        `stop()` ends it early. The Learner is left as it was, to the bit.
        """
        return self._held.prices(seconds, self._stop.is_set)
