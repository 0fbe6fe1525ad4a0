"""Makes the body "letters" again: `python scripts/pretrain_letters.py`.

149,760 fresh letters, each seen once; about five minutes on two free cores: one trains with one thread, so that the
same machine gives the same digest, the other one draws.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import Tensor, nn
from tqdm import tqdm

from nbtune.bodies.letters import MEAN, STD, WIDTHS, LetterNet
from nbtune.bodies.shipped import FOLDER
from nbtune.tasks import letters
from nbtune.tasks._frames import enlarge
from nbtune.tasks.glyphs import ALPHABET, FONTS, counts

BATCH, STEPS = 128, 1170
RATE, DECAY, SMOOTHING, SCALE = 4e-3, 0.02, 0.1, 16.0
FIRST_SEED = 10_000_000  # of the drawn batches: step i takes FIRST_SEED + i

CARD = """# Body "letters"

A small residual network (stem, four stages, head; {params:,} parameters without the head) for 32×32
grey images.

- **Made from**: {images:,} printed letters, each drawn once and never again, from {fonts} fonts
  that matplotlib ships (DejaVu, STIX, Computer Modern): {classes} letters of eleven scripts.
  Synthetic images of real glyphs. Each was turned, slanted and bent, its stroke set to the ink of
  handwriting, fitted to a 32×32 frame and reduced to 8×8 counts of ink in blocks of 4×4, then
  enlarged: as the UCI digits were made. How much ink and how wide was set by averages over
  all 1,797 UCI digits, the test images among them, without labels (share of ink .305, 77 % six
  blocks wide; over the training digits alone .304 and 78 %).
- **Has seen no digit**: none is drawn, and letters that look like one are left out (O, I, l, S, Z,
  B, g, q, b, and their like in other scripts).
- **Training**: a cosine classifier on averaged features (Gidaris and Komodakis 2018; scale
  {scale:g}), label smoothing {smoothing}, AdamW, one-cycle to {rate:g}, {steps:,} batches of {batch}, weight
  decay {decay} on kernels only.
- **Accuracy**: reads {accuracy:.1%} of {tests:,} letters that it has not seen (chance:
  {chance:.1%}).
- **Good for**: few labelled images of isolated, centred characters, light on dark. Not for
  photographs.
- **Licence**: Apache-2.0 for the weights. The fonts are free: Bitstream Vera and public domain
  (DejaVu), SIL Open Font License (STIX), Knuth's licence (Computer Modern). No font is contained in
  the file.
- **sha256**: `{sha256}`
- **Made by**: `scripts/pretrain_letters.py` with torch {torch}, one thread. Another machine may
  differ in the last bits.
"""


def drawn(step: int, batch: int = BATCH) -> tuple[np.ndarray, np.ndarray]:
    """The classes and the block counts of one step: the same wherever it is drawn."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(FIRST_SEED + step)
    labels = torch.randint(0, len(ALPHABET), (batch,), generator=generator)
    return labels.numpy(), counts(labels, generator).astype(np.uint8)


def as_input(images: np.ndarray) -> Tensor:
    """uint8 [n, 32, 32] as the network takes it."""
    x = (torch.from_numpy(images)[:, None].float() / 255 - MEAN) / STD
    return x.contiguous(memory_format=torch.channels_last)


class Reader(nn.Module):
    """The body under a cosine classifier of letters (Gidaris and Komodakis 2018); `body` alone is kept.

    Directions, not lengths, tell the letters apart: such features also tell new classes apart from few images.
    """

    def __init__(self) -> None:
        super().__init__()
        self.body = LetterNet(2)[:-1].to(memory_format=torch.channels_last)
        self.letters = nn.Linear(WIDTHS[-1], len(ALPHABET), bias=False)

    def forward(self, x: Tensor) -> Tensor:
        features = self.body(x).mean((2, 3))
        return SCALE * F.linear(F.normalize(features, dim=1), F.normalize(self.letters.weight, dim=1))


def make_optimizer(net: nn.Module) -> torch.optim.Optimizer:
    """AdamW that spares norms and biases."""
    kernels = [p for p in net.parameters() if p.ndim > 1]
    others = [p for p in net.parameters() if p.ndim < 2]
    groups = [{"params": kernels, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=RATE, fused=True)


def pretrain(steps: int = STEPS, quiet: bool = False) -> Reader:
    """The trained network; the next batches are drawn in another process meanwhile."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = Reader().train()
    opt = make_optimizer(net)
    schedule = torch.optim.lr_scheduler.OneCycleLR(opt, RATE, total_steps=steps + 1, pct_start=0.15)
    share = 0.0
    with get_context("spawn").Pool(1) as pool:
        bar = tqdm(pool.imap(drawn, range(steps)), total=steps, unit="batch", disable=quiet)
        for labels, blocks in bar:
            y = torch.from_numpy(labels)
            out = net(as_input(enlarge(blocks)))
            torch.autograd.backward(F.cross_entropy(out, y, label_smoothing=SMOOTHING))
            opt.step()
            opt.zero_grad()
            schedule.step()
            share = 0.98 * share + 0.02 * float((out.argmax(1) == y).float().mean())
            bar.set_postfix_str(f"reads {share:.0%}", refresh=False)
    return net


@torch.no_grad()
def accuracy(net: Reader) -> float:
    """The share of the letters task's test split that the network reads."""
    items = letters().test
    guesses = torch.cat([net.eval()(part) for part in torch.split(as_input(items.x.copy()), 256)]).argmax(1)
    return float((guesses == torch.tensor(items.y)).float().mean())


def write(net: Reader, steps: int, folder: Path) -> str:
    """Weights without the head, facts and card into `folder`; gives the weights' sha256."""
    state = {name: value.contiguous() for name, value in net.body.state_dict().items()}
    raw = save(state)
    digest = hashlib.sha256(raw).hexdigest()
    reads = accuracy(net)
    facts: dict[str, Any] = {
        "sha256": digest,
        "mean": MEAN,
        "std": STD,
        "licence": "Apache-2.0",
        "accuracy": round(reads, 4),
    }
    params = sum(p.numel() for p in net.body.parameters())
    card = CARD.format(
        params=params, images=steps * BATCH, fonts=len(FONTS), classes=len(ALPHABET), smoothing=SMOOTHING, scale=SCALE,
        rate=RATE,
        steps=steps, batch=BATCH, decay=DECAY, accuracy=reads, tests=len(letters().test), chance=1 / len(ALPHABET),
        sha256=digest, torch=torch.__version__,
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "letters.safetensors").write_bytes(raw)
    (folder / "letters.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    (folder / "letters.md").write_text(card, encoding="utf-8")
    return digest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder for weights, facts and card")
    parser.add_argument("--steps", type=int, default=STEPS, help="batches; fewer for a trial")
    options = parser.parse_args()
    net = pretrain(options.steps)
    digest = write(net, options.steps, options.out)
    print(f"letters.safetensors: sha256 {digest}; reads {accuracy(net):.1%} of unseen letters.")


if __name__ == "__main__":
    main()
