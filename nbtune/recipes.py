"""Recipes: whole fine-tunings as values, each with its source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nbtune._display import html_table, html_value
from nbtune.errors import InputError, InputTypeError
from nbtune.phases import Phase

__all__ = [
    "DEFAULT_BODY",
    "DEFAULT_HEAD",
    "Recipe",
    "fine_tune",
    "from_scratch",
    "gradual_unfreezing",
    "linear_probe",
    "probe_then_finetune",
]

# Rates where none is given: the head on a still body, and everything from the input to the head.
DEFAULT_HEAD: float = 1e-3
DEFAULT_BODY: slice = slice(1e-4, 1e-3)


@dataclass(frozen=True)
class Recipe:
    """Phases to run one after the other.

    Raises InputError or InputTypeError if there are none, one is no Phase, or `keep` is unknown.
    """

    phases: tuple[Phase, ...]
    name: str = "recipe"
    source: str = ""  # author and year of the method
    keep: str = "best"  # the state after the run: "best" by valid loss across all phases, or "last"
    fresh: bool = False  # draw every weight anew before the first phase
    call: str = ""  # the call that made it, for scripts

    def __post_init__(self) -> None:
        if not self.phases or not all(isinstance(phase, Phase) for phase in self.phases):
            raise InputTypeError(
                f"phases={self.phases!r}.",
                rule="a recipe is a tuple of one or more Phase values.",
                likely="one Phase without its comma: (phase) is no tuple.",
                next="Recipe((Phase(4, first='head'), Phase(6)))",
            )
        if self.keep not in ("best", "last"):
            raise InputError(
                f"keep={self.keep!r}.",
                rule='keep is "best" or "last".',
                likely="a misspelt word.",
                next='keep="best"',
            )

    @property
    def code(self) -> str:
        """The recipe as source."""
        parts = [
            f"({', '.join(f'nt.{phase!r}' for phase in self.phases)},)",
            f"keep={self.keep!r}",
            f"fresh={self.fresh!r}",
        ]
        return f"nt.recipes.{self.call}" if self.call else f"nt.Recipe({', '.join(parts)})"

    @property
    def epochs(self) -> int:
        """Passes over the training set in all."""
        return sum(phase.epochs for phase in self.phases)

    def __repr__(self) -> str:
        return f"{self.name}: {', then '.join(map(repr, self.phases))}; keeps the {self.keep} state."

    def _repr_html_(self) -> str:
        rows = [
            (number, phase.epochs, _trains(phase.first), _rate(phase.lr)) for number, phase in enumerate(self.phases, 1)
        ]
        sentence = f"{self.epochs} epochs in all; keeps the {self.keep} state. {self.source}".strip()
        return html_value(self.name, sentence, html_table(["phase", "epochs", "trains", "lr"], rows))


def _trains(first: int | str) -> str:
    """What trains, in words."""
    words = {0: "all groups", -1: "the head"}
    return words.get(first, f"from {first} on") if isinstance(first, int) else f"from {first} on"


def _rate(lr: Any) -> str:
    if isinstance(lr, slice) and lr.start is not None:
        return f"{lr.start:g} at the input to {lr.stop:g} at the head"
    return "the default" if lr is None else str(lr)


def probe_then_finetune(
    head_epochs: int = 20,
    body_epochs: int = 30,
    *,
    head_lr: Any = DEFAULT_HEAD,
    body_lr: Any = DEFAULT_BODY,
    wd: float | None = 0.05,
    keep: str = "best",
) -> Recipe:
    """The head on a still body first, then everything at discriminative rates.

    A head that starts from noise distorts the body's features when both train at once (Kumar et al., 2022,
    "Fine-Tuning can Distort Pretrained Features"). The still phase sees the items without augmentation, so
    that its many epochs cost about one. Rates and weight decay were chosen on the digits' validation split.
    """
    head = Phase(head_epochs, first=-1, lr=head_lr, wd=wd, augment=False)
    body = Phase(body_epochs, first=0, lr=body_lr, wd=wd)
    return Recipe((head, body), "probe_then_finetune", "Kumar et al. (2022).", keep)


def linear_probe(epochs: int = 20, *, lr: Any = DEFAULT_HEAD, wd: float | None = 0.05, keep: str = "last") -> Recipe:
    """The head alone on a still body: the baseline that every fine-tuning must beat (Kornblith et al., 2019)."""
    head = Phase(epochs, first=-1, lr=lr, wd=wd, augment=False)
    return Recipe((head,), "linear_probe", "Kornblith et al. (2019).", keep)


def fine_tune(
    epochs: int,
    base_lr: float = 2e-3,
    freeze_epochs: int = 1,
    lr_mult: float = 100,
    *,
    pct_start: float = 0.3,
    div: float = 5.0,
    keep: str = "last",
) -> Recipe:
    """fastai's `Learner.fine_tune`: the head at `base_lr`, then all at half of it over `lr_mult`.

    Howard & Ruder (2018); the figures are fastai's. Unlike fastai's, the frozen body is truly still.
    """
    half = base_lr / 2
    head = Phase(freeze_epochs, first=-1, lr=slice(base_lr), pct_start=0.99)
    body = Phase(epochs, first=0, lr=slice(half / lr_mult, half), pct_start=pct_start, div=div)
    return Recipe((head, body), "fine_tune", "Howard & Ruder (2018), as in fastai.", keep)


def gradual_unfreezing(
    groups: int,
    epochs: int = 1,
    last_epochs: int = 4,
    *,
    lr: float = 2e-3,
    factor: float = 2.6,
    keep: str = "best",
) -> Recipe:
    """One more group from the head down each phase, then all: `groups` is the number of groups.

    Rates fall by `factor` a group (Howard & Ruder, 2018, who give 2.6).
    """
    from nbtune.rates import decay

    rate = decay(lr, 1 / factor)
    parts = [Phase(epochs, first=-count, lr=rate) for count in range(1, groups)]
    return Recipe((*parts, Phase(last_epochs, lr=rate)), "gradual_unfreezing", "Howard & Ruder (2018).", keep)


def from_scratch(epochs: int = 45, lr: Any = 1e-3, *, wd: float | None = 0.05, keep: str = "best") -> Recipe:
    """The same network from random weights: the baseline that a pretrained body must beat."""
    return Recipe((Phase(epochs, lr=lr, wd=wd),), "from_scratch", "", keep, fresh=True)
