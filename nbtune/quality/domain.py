"""Do the pictures fit the body: colour, size, and what its layers give against what they gave in its training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from nbtune._display import COLD, GREY, WARM, Chart, chart, html_table, html_value
from nbtune.cache.boundary import resting
from nbtune.preflight.values import Finding
from nbtune.quality.words import percent
from nbtune.tasks.stacks import lazy

__all__ = ["Domain", "fit", "known_of", "said_of_domain"]

# Mean shift in standard deviations, set by the letters' body, for others a rule of thumb: real digits 0.10, the same
# with strokes of a third of the brightness 0.24, dark on bright 0.32, noise 0.38.
FAR, UNLIKE = 0.2, 0.3
_LEAST = 20  # pictures, fewer of which shift by chance
_SAMPLE = 256

# What a body was trained on, by the beginning of its name.
_TRAINED = (
    ("letters", "printed letters, grey, 32×32, strokes bright on dark"),
    ("torchvision:", "photographs in colour (ImageNet-1k, unless its weights say otherwise)"),
    ("timm:", "what its name says: in1k and in22k are photographs in colour (ImageNet)"),
    ("hf:", "what its model card says"),
    ("resnet", "photographs in colour (ImageNet-1k)"),
)


@dataclass(frozen=True, repr=False, eq=False)
class Domain:
    """How far a body's activations on these pictures lie from those of its own training, layer by layer.

    `shifts`: for each batch norm layer the median over channels of |mean here - running mean| in running standard
    deviations: 0 is as in training. Empty for a body without batch norm.
    """

    body: str
    trained_on: str  # "" where it is not known
    shifts: tuple[float, ...]
    layers: tuple[str, ...] = field(repr=False)
    n: int  # pictures looked at
    fresh: bool = False  # running statistics that were never moved: the weights are fresh

    @property
    def shift(self) -> float:
        """The mean over layers; nan where there is none."""
        return float(np.mean(self.shifts)) if self.shifts and not self.fresh else float("nan")

    @property
    def sentence(self) -> str:
        """How far, and what the body was trained on."""
        known = f" It was trained on {self.trained_on}." if self.trained_on else " What it was trained on is not known."
        if self.fresh:
            return f"{self.body} has fresh weights: it knows nothing that pictures could be compared with."
        if not self.shifts:
            return f"{self.body} has no batch norm, whose statistics would tell how far the pictures are.{known}"
        how = "much as in its training" if self.shift < FAR else "some way off" if self.shift < UNLIKE else "far off"
        return (
            f"What {self.body} computes of {self.n} training pictures is {how}: a mean shift of {self.shift:.2f} "
            f"standard deviations over {len(self.shifts)} layers.{known}"
        )

    def frame(self) -> Any:
        """A row a batch norm layer: layer, shift."""
        import pandas as pd

        return pd.DataFrame({"layer": self.layers, "shift": self.shifts})

    def plot(self) -> Chart:
        """The shift of each layer, from input to head."""
        figure, ax = chart(self.sentence, height=2.4)
        self.draw(ax)
        return figure

    def draw(self, ax: Any) -> None:
        """On axes of another chart."""
        ax.bar(range(len(self.shifts)), self.shifts, color=[WARM if s >= FAR else COLD for s in self.shifts])
        ax.axhline(UNLIKE, color=GREY, linestyle=":", label="far off, if the mean lies above")
        ax.legend(frameon=False, fontsize="small")
        ax.set_xlabel("batch norm layers, input to head")
        ax.set_ylabel("shift (SD)")

    def __repr__(self) -> str:
        return self.sentence

    def _repr_html_(self) -> str:
        rows = [("trained on", self.trained_on or "not known"), ("mean shift", f"{self.shift:.2f}")]
        return html_value("Domain", self.sentence, html_table(["", ""], rows))


def known_of(body: Any) -> str:
    """What a body was trained on, as far as is known: its own word, else by its name."""
    own = getattr(body, "trained_on", "")
    name = str(getattr(body, "name", ""))
    return str(own) if own else next((said for start, said in _TRAINED if name.startswith(start)), "")


def fit(model: nn.Module, body: Any, x: Any) -> Domain:
    """Compare batch norm inputs on a sample of `x` with the running statistics of the layers.

    Source of the idea: Li et al. (2017), Revisiting batch normalization for practical domain adaptation.
    """
    norms = {
        name: m for name, m in model.named_modules()
        if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.running_mean is not None
    }  # fmt: skip
    body_norms = {name: m for name, m in norms.items() if int(m.num_batches_tracked or 0) or _moved(m)}
    fresh = bool(norms) and not body_norms
    places = np.unique(np.linspace(0, len(x) - 1, min(len(x), _SAMPLE)).astype(int))
    found = _shifts(model, body, x, places, body_norms) if body_norms else {}
    return Domain(
        str(body.name), "" if fresh else known_of(body), tuple(found.values()), tuple(found), len(places), fresh
    )


def _moved(norm: Any) -> bool:
    return not (bool((norm.running_mean == 0).all()) and bool((norm.running_var == 1).all()))


def _shifts(model: nn.Module, body: Any, x: Any, places: Any, norms: dict[str, Any]) -> dict[str, float]:
    from nbtune.tasks._ready import Decoding

    sums: dict[str, list[Any]] = {}

    def watch(name: str) -> Any:
        def hook(module: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
            axes = [axis for axis in range(given[0].ndim) if axis != 1]
            sums.setdefault(name, []).append((given[0].mean(axes).double().cpu(), len(given[0])))

        return hook

    device = next(model.parameters()).device
    with resting(model):
        handles = [module.register_forward_pre_hook(watch(name)) for name, module in norms.items()]
        try:
            for start in range(0, len(places), 64):
                part = [int(at) for at in places[start : start + 64]]
                batch = Decoding(x, body)[part] if lazy(x) else body.prepare(x[np.array(part)])
                model(body.normalise(batch.to(device)))
        finally:
            for handle in handles:
                handle.remove()
    return {name: _shift(norms[name], parts) for name, parts in sums.items()}


def _shift(norm: Any, parts: list[Any]) -> float:
    mean = sum(one * n for one, n in parts) / sum(n for _, n in parts)
    spread = (norm.running_var.double().cpu() + norm.eps).sqrt()
    return float(((mean - norm.running_mean.double().cpu()).abs() / spread).median())


def said_of_domain(domain: Domain | None, body: Any, x: Any) -> Iterator[Finding]:
    """Colour, size and the shift of the layers."""
    grey, colour, sizes = _kinds(x)
    if body.channels == 1 and colour:
        yield Finding(
            "warn", "domain",
            f"{colour:,} of {grey + colour:,} pictures are in colour, and {body.name} sees grey only.",
            "What colour tells is lost.", "a body for colour",
        )  # fmt: skip
    if body.channels == 3 and grey and not colour:
        yield Finding(
            "note", "domain", f"all {grey:,} pictures are grey, and {body.name} takes colour.",
            "Grey is repeated for three channels, which works; filters for colour are idle.",
            "a body for grey pictures",
        )  # fmt: skip
    if grey and colour:
        yield Finding(
            "note", "domain", f"{grey:,} pictures are grey, {colour:,} in colour.",
            "Where one class is grey more often, grey gives it away.", "bring all to one form",
        )  # fmt: skip
    sides = [min(size) for size in sizes]
    if sides and np.median(sides) < 0.5 * min(body.size):
        yield Finding(
            "note", "domain", f"the shorter side is {np.median(sides):.0f} pixels (median), and {body.name} takes "
            f"{body.size[1]}×{body.size[0]}.", "Enlarging adds no detail, and costs time.",
            "a body for smaller pictures",
        )  # fmt: skip
    ratios = [max(size) / min(size) for size in sizes]
    if ratios and np.mean(np.array(ratios) > 2) > 0.05:
        yield Finding(
            "note", "domain", f"{percent(float(np.mean(np.array(ratios) > 2)))} of the pictures are more than twice as "
            "long as wide.", "Fitting them into a square distorts or cuts them.", "look at task.plot(); crop first",
        )  # fmt: skip
    if domain is not None and domain.n >= _LEAST and domain.shift >= FAR:
        yield Finding(
            "warn" if domain.shift >= UNLIKE else "note", "domain", domain.sentence,
            "Features of pictures unlike those of the training carry less.",
            'tuner.depth(), which tells how deep to train; or freeze(norms="stats")',
        )  # fmt: skip


def _kinds(x: Any) -> tuple[int, int, list[tuple[int, int]]]:
    """How many pictures are grey and in colour, and their sizes (height, width); what is not known is left out."""
    looks = getattr(x, "looks", None)
    if looks is not None:
        grey = sum(look.grey for look in looks)
        return grey, len(looks) - grey, [look.size for look in looks]
    if isinstance(x, np.ndarray):
        colour = 0
        if x.ndim == 4:
            colour = int((x.max(-1) != x.min(-1)).reshape(len(x), -1).any(1).sum())
        return len(x) - colour, colour, [(int(x.shape[1]), int(x.shape[2]))]
    return 0, 0, list(getattr(x, "sizes", ()))
