"""tests/FAMILIES.md: which families of networks go the whole way, with fresh weights on small pictures.

`python scripts/families.py write` tries them all, some minutes; `... NAME [SIZE]` tries one.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

import nbtune as nt
from nbtune import groups
from nbtune.bodies import get

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "tests" / "FAMILIES.md"

# The smallest that its library has of each family, at a side that its strides allow.
TORCHVISION = {
    "resnet18": 32, "resnext50_32x4d": 32, "densenet121": 32, "efficientnet_b0": 32, "mobilenet_v2": 32,
    "mobilenet_v3_small": 32, "convnext_tiny": 32, "swin_t": 32, "regnet_y_400mf": 32, "shufflenet_v2_x0_5": 32,
    "mnasnet0_5": 32, "squeezenet1_1": 32, "vit_b_16": 32, "alexnet": 64, "googlenet": 32, "inception_v3": 75,
    "vgg11": 32, "wide_resnet50_2": 32, "swin_v2_t": 32, "efficientnet_v2_s": 64, "maxvit_t": 224,
}  # fmt: skip
TIMM = {
    "timm:resnet10t": 32, "timm:convnext_atto": 32, "timm:vit_tiny_patch16_224": 32, "timm:deit_tiny_patch16_224": 32,
    "timm:resmlp_12_224": 32, "timm:mixer_s32_224": 64, "timm:mobilevit_xxs": 64, "timm:poolformerv2_s12": 32,
    "timm:regnetx_002": 32, "timm:efficientnet_lite0": 32, "timm:levit_128s": 64, "timm:ghostnet_050": 32,
    "timm:edgenext_xx_small": 64, "timm:swin_tiny_patch4_window7_224": 64, "timm:coatnet_pico_rw_224": 64,
    "timm:eva02_tiny_patch14_224": 28,
}  # fmt: skip
FASTAI = {"xresnet18": 32}
HEAD = """# Which families go the whole way

Made by `python scripts/families.py write`: fresh weights, {items} small pictures of synthetic noise. "still": freezing
was proven after a trial step; "cached": an epoch of a still body was trained on kept features; "recipe": the head,
then everything, with losses that are finite; "bundle": saved, loaded without the network being given and without any
download, with every tensor equal to the bit and answers equal to a millionth.

| body | side | groups by stage | by block | still | cached | recipe | bundle | what did not work |
|---|---|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Way:
    """How far one body went; empty texts are what was not reached."""

    name: str
    side: int
    stages: int = 0
    blocks: int = 0
    still: str = ""
    cached: str = ""
    recipe: str = ""
    bundle: str = ""
    trouble: str = ""

    @property
    def whole(self) -> bool:
        """Everything worked."""
        return not self.trouble and self.still == self.cached == self.recipe == self.bundle == "yes"

    @property
    def row(self) -> str:
        """A line of the table."""
        cells = [str(getattr(self, one.name)) for one in fields(self)]
        return f"| {' | '.join([f'`{cells[0]}`', *cells[1:]])} |"


def small_task() -> Any:
    """24 pictures of synthetic noise in two classes that differ in brightness."""
    rng = np.random.RandomState(0)
    y = np.arange(24) % 2
    x = rng.randint(0, 156, (24, 36, 40, 3)) + 100 * y[:, None, None, None]
    return nt.tasks.from_arrays(x.astype(np.uint8), y, name="noise", vocab=["dark", "bright"])


def whole_way(name: str, side: int | None) -> Way:
    """One body from its name to a loaded bundle; what goes wrong stands in `trouble`."""
    found: dict[str, Any] = {"name": name, "side": side or get(name).size[0]}
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        try:
            _go(found, name, side)
        except Exception as error:
            found["trouble"] = f"{type(error).__name__}: {str(error).splitlines()[0]:.120}".replace("|", "/")
    return Way(**found)


def _go(found: dict[str, Any], name: str, side: int | None) -> None:
    task = small_task()
    learn = task.learner(name, size=side, pretrained=False, seed=0, bs=6)
    tuner = nt.Tuner(learn, seed=0)
    found["stages"], found["blocks"] = len(tuner.groups), len(groups.split(learn.model, "block"))
    tuner.freeze()
    found["still"] = "yes" if tuner.verify() else "no"
    history = tuner.fit(1, lr=1e-3)
    found["cached"] = "yes" if history.cached else f"no: {history.why}"
    tuner.run(nt.recipes.probe_then_finetune(1, 1))
    losses = tuner.history.frame()["train_loss"]
    found["recipe"] = "yes" if np.isfinite(losses).all() else "no: a loss that is not finite"
    found["bundle"] = _bundle(tuner, task)


def _bundle(tuner: Any, task: Any) -> str:
    """Whether a saved and loaded model has the same tensors, and gives the same answers."""
    learn, body = tuner.learn, tuner.learn.nbtune_origin.body
    images = [task.valid.x[at] for at in range(4)]
    with torch.no_grad():
        expected = learn.model.eval()(body.normalise(body.prepare(images))).softmax(1).numpy()
    with tempfile.TemporaryDirectory() as folder:
        model = nt.load(tuner.save(Path(folder) / "bundle"))
        answers = model.predict(images)[list(task.vocab)].to_numpy()
        tensors = model.module.state_dict()
    if any(not torch.equal(tensor, tensors[name]) for name, tensor in learn.model.state_dict().items()):
        return "no: other tensors"
    apart = float(np.abs(answers - expected).max())
    return "yes" if apart < 1e-6 else f"no: answers differ by {apart:.1g}"


def table(ways: Iterable[Way]) -> str:
    """The whole file."""
    return HEAD.format(items=24) + "\n".join(way.row for way in ways) + "\n"


def main(words: list[str]) -> int:
    if words == ["write"]:
        ways = []
        for name, side in {**TORCHVISION, **TIMM, **FASTAI}.items():
            ways.append(whole_way(name, side))
            print(ways[-1].row, flush=True)
        TABLE.write_text(table(ways), encoding="utf-8")
        return 0 if all(way.whole for way in ways) else 1
    if 1 <= len(words) <= 2:
        print(whole_way(words[0], int(words[1]) if words[1:] else None).row)
        return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
