"""Bodies whose weights lie in this package: read as safetensors, their digest checked first."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from safetensors.torch import load as read_tensors
from torch import Tensor, nn

from nbtune.bodies.body import Body
from nbtune.bodies.letters import LetterNet
from nbtune.errors import BundleError, MissingFileError

__all__ = ["FOLDER", "letters", "read"]

FOLDER = Path(__file__).parent


def read(name: str, folder: Path = FOLDER) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the facts of `<name>.safetensors` and `<name>.json`.

    Raises:
        MissingFileError: one of the two is not there.
        BundleError: the weights' sha256 is not the one in the facts.
    """
    weights, facts = folder / f"{name}.safetensors", folder / f"{name}.json"
    for path in (weights, facts):
        if not path.is_file():
            raise MissingFileError(
                f"{path.name} is not in {folder}.", rule="a shipped body has its weights and facts beside the code.",
                likely="an incomplete installation.", next="pip install --force-reinstall nbtune",
            )  # fmt: skip
    known: dict[str, Any] = json.loads(facts.read_text(encoding="utf-8"))
    raw = weights.read_bytes()
    digest = hashlib.sha256(raw).hexdigest()
    if digest != known["sha256"]:
        raise BundleError(
            f"{weights.name} has sha256 {digest[:12]}….", rule=f"its sha256 is {known['sha256'][:12]}….",
            likely="the file was changed, or only half of a new pair was copied.",
            next="pip install --force-reinstall nbtune",
        )  # fmt: skip
    return read_tensors(raw), known


@cache
def _letters_file() -> tuple[dict[str, Tensor], dict[str, Any]]:
    return read("letters")


@dataclass(frozen=True)
class _Letters:
    """Makes the network of "letters"."""

    def __call__(self, n_out: int, pretrained: bool) -> nn.Module:
        net = LetterNet(n_out)
        if pretrained:
            state = {name: value.float() for name, value in _letters_file()[0].items()}
            missing = net.load_state_dict(state, strict=False).missing_keys
            assert all(name.startswith("head.") for name in missing), missing
        return net

    def architecture(self, n_out: int) -> tuple[str, dict[str, Any]]:
        return "letters", {"n_out": n_out}


def letters() -> Body:
    """The body "letters": pretrained on printed letters that were made to look as the UCI digits were made."""
    tensors, facts = _letters_file()
    trained = [
        t for name, t in tensors.items() if not name.endswith(("running_mean", "running_var", "num_batches_tracked"))
    ]
    return Body(
        name="letters", size=(32, 32), channels=1, mean=(facts["mean"],), std=(facts["std"],),
        params=sum(t.numel() for t in trained), licence=facts["licence"],
        source="A small residual network, pretrained on printed letters; it has seen no digit.",
        build=_Letters(), card=(FOLDER / "letters.md").read_text(encoding="utf-8"), family="residual (printed letters)",
    )  # fmt: skip
