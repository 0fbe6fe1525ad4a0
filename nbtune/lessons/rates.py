"""Exercises of 07_rates: a table of rates; old and new weights blended."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import isclose
from typing import Any

import torch

from nbtune.lessons.exercise import FUNCTION, Exercise, a
from nbtune.rates import Rates

__all__ = ["blend", "halving"]


def _halving(rates: Rates) -> str | None:
    still = [name for name, value in zip(rates.names, rates.values, strict=True) if not value]
    if not still:
        return "every group learns in this table. Which verb holds the first two still?"
    if len(still) != 2:
        return f"{len(still)} group(s) are still: {', '.join(still)}. The ice line belongs elsewhere."
    if not isclose(rates.values[-1], 2e-3):
        return f"the head learns at {rates.values[-1]:g}."
    live = list(rates.training.values())
    if len(set(live)) == 1:
        return "all that learns does so at the same rate. Which form of a rate falls from group to group?"
    if not all(isclose(low * 2, high) for low, high in pairwise(live)):
        return f"from group to group the rate grows by {live[-1] / live[-2]:.2g} here."
    return None


halving = Exercise(
    name="rates.halving",
    question="Make a table of rates in which the first two groups are still, the head learns at 0.002, "
    "and each group below "
    "at half the rate of the one above. Give the table (tuner.rates(...)).",
    takes=a("a Rates table, as tuner.rates gives it", Rates),
    look=_halving,
    right="layer-wise decay: the head's rate and one factor say it all, however many groups train.",
    hints=(
        "Say first what trains: freeze_to takes the name of a group.",
        "nt.rates.decay(top, factor) is the form that falls by a factor a group.",
        'tuner.freeze_to("layer2"), then tuner.rates(nt.rates.decay(...)).',
    ),
    code="""
import nbtune as nt

task = nt.tasks.digits(shots=10, seed=0)
tuner = nt.Tuner(task.learner("letters", seed=0), seed=0)
tuner.freeze_to("layer2")
answer = tuner.rates(nt.rates.decay(2e-3, 0.5))
""",
)


def _blend(function: Callable[[Any, Any, float], Any]) -> str | None:
    before = {"weight": torch.tensor([0.0, 2.0]), "num_batches_tracked": torch.tensor(3)}
    after = {"weight": torch.tensor([1.0, 4.0]), "num_batches_tracked": torch.tensor(9)}
    kept = {name: tensor.clone() for name, tensor in before.items()}
    none, whole, part = (function(before, after, share) for share in (0.0, 1.0, 0.25))
    if not isinstance(part, dict) or set(part) != set(before):
        return "a state is a dict with the same names as the two given."
    if not all(torch.equal(before[name], kept[name]) for name in kept):
        return "the weights from before were changed on the way; make new tensors."
    if torch.equal(none["weight"], after["weight"]) and torch.equal(whole["weight"], before["weight"]):
        return "share=0 gives the weights from after, and share=1 those from before: the other way round."
    if not torch.equal(none["weight"], before["weight"]) or not torch.equal(whole["weight"], after["weight"]):
        return "share=0 has to give the weights from before, and share=1 those from after, exactly."
    if not torch.allclose(part["weight"], torch.tensor([0.25, 2.5])):
        return "the ends are right; a quarter of the way is not. It goes straight from one to the other."
    if part["num_batches_tracked"].dtype != torch.int64:
        return (
            "the floats are right; a counter that was a whole number has become a float. Take such "
            "tensors from after as they are."
        )
    if (count := int(part["num_batches_tracked"])) != 9:
        of = "from before" if count == 3 else "from neither state"
        return f"the floats are right; the counter is {of}, and is to be taken from after."
    return None


blend = Exercise(
    name="rates.blend",
    question="Write blend(before, after, share): a state dict `share` of the way from one state to the "
    "other. Tensors that "
    "hold whole numbers (counters) are taken from `after`.",
    takes=FUNCTION,
    look=_blend,
    right="try it on the letters and the digits: some third of the way costs few letters, and brings most of what the "
    "digits' loss gains.",
    hints=(
        "Go through the names; both states have the same.",
        "(1 - share) * before + share * after, tensor by tensor, or torch.lerp.",
        "tensor.is_floating_point() tells weights from counters.",
    ),
    code="""
def answer(before, after, share):
    return {
        name: (1 - share) * before[name] + share * tensor if tensor.is_floating_point() else tensor.clone()
        for name, tensor in after.items()
    }
""",
)
