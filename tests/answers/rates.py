"""What readers may answer in 07_rates."""

from __future__ import annotations

import torch

import nbtune as nt

NAMES = ("stem", "layer1", "layer2", "head")


def mixed(before, after, share):
    return {n: torch.lerp(before[n], t, share) if t.is_floating_point() else t for n, t in after.items()}


def in_place(before, after, share):
    for name, tensor in after.items():
        if tensor.is_floating_point():
            before[name].mul_(1 - share).add_(share * tensor)
    return {name: tensor.clone() for name, tensor in before.items()}


def floats(before, after, share):
    return {n: before[n] * (1 - share) + after[n] * share for n in after}


def old_counter(before, after, share):
    return {n: torch.lerp(t, after[n], share) if t.is_floating_point() else t.clone() for n, t in before.items()}


def mixed_counter(before, after, share):
    return {n: (t * (1 - share) + after[n] * share).to(t.dtype) for n, t in before.items()}


def squared(before, after, share):
    return mixed(before, after, share**2)


RIGHT = {
    "halving": [lambda: nt.rates.Rates(NAMES, (0.0, 0.0, 1e-3, 2e-3))],
    "blend": [lambda: mixed],
}
WRONG = {
    "halving": [
        (lambda: nt.rates.Rates(NAMES, (2.5e-4, 5e-4, 1e-3, 2e-3)), "still"),
        (lambda: nt.rates.Rates(NAMES, (0.0, 5e-4, 1e-3, 2e-3)), "stem"),
        (lambda: nt.rates.Rates(NAMES, (0.0, 0.0, 5e-4, 1e-3)), "0.001"),
        (lambda: nt.rates.Rates(NAMES, (0.0, 0.0, 2e-3, 2e-3)), "same rate"),
        (lambda: nt.rates.Rates(NAMES, (0.0, 0.0, 1e-4, 2e-3)), "20"),
        (lambda: [0, 0, 1e-3, 2e-3], "Rates"),
    ],
    "blend": [
        (lambda: lambda before, after, share: after["weight"], "dict"),
        (lambda: in_place, "new tensors"),
        (lambda: lambda before, after, share: mixed(after, before, share), "other way"),
        (lambda: lambda before, after, share: after, "exactly"),
        (lambda: squared, "straight"),
        (lambda: floats, "become a float"),
        (lambda: old_counter, "from before"),
        (lambda: mixed_counter, "from neither"),
        (dict, "function"),
    ],
}
