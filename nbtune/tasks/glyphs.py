"""Printed letters as the UCI digits were made: warped, fitted to a 32×32 frame, reduced to block counts.

Every array here depends on the generator only, so the same seed gives the same letters on the same machine.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from matplotlib.ft2font import FT2Font
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from nbtune.tasks._frames import BLOCK, SIDE, enlarge

__all__ = ["ALPHABET", "FONTS", "bank", "draw"]

# Letters of eleven scripts with one connected stroke. Those whose outline is near a printed digit's (O, I, l, S,
# Z, B, g, q, b, and their like in other scripts) or near an earlier letter's (most capitals with a like small
# letter) are left out, so that no network trained on these has seen a digit.
ALPHABET = (
    "ACDFHKLMNRUVWXYdefhkmnpΔΦΨΩηλμπτφωДЖИЛУЦШЩЮЯгЂЉЊЋЏђћԳԴԵԶԷԸԹԺԻԽԾԿՀՄՆՊՌՐՒՔՖադէթիխմպռտփֆאדטלמעפצרשת"
    "დთკლორფⴳⴴⴼⴽⴿⵃⵄⵋⵌⵐⵕⵖⵛⵜⵣຄຈຊຍດຕຖທນຜຝພມລສອߎߏߒߘߝߟߤᐁᐅᐊᐳᐸᓀᓂᓄᓇᓗᓚᔐᔑᔓᔕᔦᔨᔪᕃᕄᕆᕋᕍᕒᕓᕕᕗᕙᖠᖢᖤᗡɕɚɮɱɲɶɼʁʇʉʍʞ"
    "EGJatΣανкըაიⴲᑭᕂᕈᖊᖋᕴᕷᕹɐɣɧɹʂʦʨʪꓕꓤ"
)
_DEJAVU = [
    f"DejaVu{family}{style}"
    for family, slant in (("Sans", "Oblique"), ("SansMono", "Oblique"), ("Serif", "Italic"))
    for style in ("", "-Bold", f"-{slant}", f"-Bold{slant}")
]
FONTS = (*_DEJAVU, "STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta",
         "cmr10", "cmb10", "cmss10", "cmtt10", "cmmi10", "cmti10")  # fmt: skip
_CELL = 48  # pixels on a side of a glyph in the bank
_FIT = 32  # the longer side of its ink: leaves room to turn


def _glyph(font: ImageFont.FreeTypeFont, letter: str) -> npt.NDArray[np.uint8]:
    """One letter, its longer side `_FIT` pixels, centred in a cell."""
    canvas = Image.new("L", (256, 256))
    ImageDraw.Draw(canvas).text((64, 64), letter, fill=255, font=font)
    ink = canvas.crop(canvas.getbbox())
    ratio = _FIT / max(ink.size)
    size = max(4, round(ink.width * ratio)), max(4, round(ink.height * ratio))
    cell = Image.new("L", (_CELL, _CELL))
    cell.paste(ink.resize(size, Image.Resampling.BOX), ((_CELL - size[0]) // 2, (_CELL - size[1]) // 2))
    return np.asarray(cell)


@cache
def bank(alphabet: str = ALPHABET) -> tuple[Tensor, Tensor, Tensor]:
    """Every glyph that the fonts hold: cells [g, 48, 48] uint8, first glyph and count of each letter [letters]."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    paths = [folder / f"{name}.ttf" for name in FONTS]
    fonts = [(set(FT2Font(str(p)).get_charmap()), ImageFont.truetype(str(p), 96)) for p in paths]
    cells, many = [], []
    for letter in alphabet:
        found = [_glyph(font, letter) for known, font in fonts if ord(letter) in known]
        cells += found
        many.append(len(found))
    count = torch.tensor(many)
    return torch.from_numpy(np.stack(cells)), count.cumsum(0) - count, count


def _uniform(n: int, low: float, high: float, g: torch.Generator) -> Tensor:
    return torch.rand(n, generator=g) * (high - low) + low


def _affine(n: int, g: torch.Generator) -> Tensor:
    """Random turn, slant and stretch as sampling matrices [n, 2, 3]."""
    turn, slant = _uniform(n, -0.22, 0.22, g), _uniform(n, -0.45, 0.45, g)
    stretch = torch.exp(_uniform(n, -0.3, 0.3, g))
    cos, sin, zero = torch.cos(turn), torch.sin(turn), torch.zeros(n)
    return torch.stack([cos * stretch, cos * slant - sin, zero, sin * stretch, sin * slant + cos, zero], 1).view(
        n, 2, 3
    )


def _bends(n: int, size: int, g: torch.Generator) -> Tensor:
    """Smooth displacements [n, size, size, 2]: a coarse field bends the whole, a finer one shakes the hand."""
    fields = []
    for knots, amount in ((4, 0.11), (7, 0.045)):
        knot = torch.randn(n, 2, knots, knots, generator=g) * amount * _uniform(n, 0.3, 1.3, g).view(n, 1, 1, 1)
        fields.append(F.interpolate(knot, size=(size, size), mode="bicubic", align_corners=True))
    return (fields[0] + fields[1]).permute(0, 2, 3, 1)


def _boxes(ink: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Left, right, top and bottom edges of the ink [n, s, s], each [n], in sampling coordinates of -1 to 1."""
    side = ink.shape[-1]
    on = ink > 0.5
    edges = []
    for axis in (1, 2):  # columns, then rows
        line = on.any(axis).float()
        first = line.argmax(1)
        last = side - line.flip(1).argmax(1)
        edges += [first * 2 / side - 1, last * 2 / side - 1]
    return edges[0], edges[1], edges[2], edges[3]


def _frame(ink: Tensor, g: torch.Generator) -> Tensor:
    """The ink's box stretched to the frame's height and to a written digit's width: [n, 32, 32]."""
    n = len(ink)
    left, right, top, bottom = _boxes(ink)
    # The digits fill the frame's height and six of its eight blocks in width (77 % of them; 4 to 7 blocks).
    shape = ((right - left) / (bottom - top).clamp_min(0.05)).clamp_min(0.05)
    width = (shape**0.3 * 19.5 / SIDE * torch.exp(0.08 * torch.randn(n, generator=g))).clamp(0.36, 0.66)
    scale_x = (right - left) / 2 / width
    scale_y = (bottom - top) / 2 * _uniform(n, 0.93, 1.0, g)
    shift_x = (left + right) / 2 + scale_x * _uniform(n, -0.03, 0.05, g)
    zero = torch.zeros(n)
    theta = torch.stack([scale_x, zero, shift_x, zero, scale_y, (top + bottom) / 2], 1).view(n, 2, 3)
    grid = F.affine_grid(theta, [n, 1, SIDE, SIDE], align_corners=False)
    return F.grid_sample(ink[:, None], grid, align_corners=False)[:, 0]


def _pen(frame: Tensor, g: torch.Generator) -> Tensor:
    """Ink or none [n, 32, 32]: blurred, then cut where the share of ink is that of handwriting."""
    n = len(frame)
    soft = frame[:, None]
    for _ in range(2):
        soft = F.avg_pool2d(F.pad(soft, (2, 2, 2, 2), mode="replicate"), 5, 1)
    soft = soft[:, 0] + 0.02 * torch.randn(n, SIDE, SIDE, generator=g) * (soft[:, 0] > 0.02)
    share = (0.305 + 0.045 * torch.randn(n, generator=g)).clamp(0.17, 0.45)
    ordered = soft.flatten(1).sort(1).values
    cut = ordered.gather(1, ((1 - share) * (SIDE**2 - 1)).long()[:, None])
    return (soft > cut.clamp_min(0.05)[:, :, None]).float()


def draw(labels: Tensor, g: torch.Generator, alphabet: str = ALPHABET) -> npt.NDArray[np.uint8]:
    """A fresh letter for each label [n] (index into `alphabet`): images [n, 32, 32] of 0 to 255."""
    return enlarge(counts(labels, g, alphabet))


def counts(labels: Tensor, g: torch.Generator, alphabet: str = ALPHABET) -> npt.NDArray[np.float32]:
    """A fresh letter for each label [n] as counts of ink [n, 8, 8], 0 to 16 in a block of 4×4."""
    cells, first, count = bank(alphabet)
    n = len(labels)
    choice = (torch.rand(n, generator=g) * count[labels]).long().clamp_max(count[labels] - 1)
    glyphs = cells[first[labels] + choice].float().div_(255)[:, None]
    grid = F.affine_grid(_affine(n, g), [n, 1, _CELL, _CELL], align_corners=False) + _bends(n, _CELL, g)
    warped = F.grid_sample(glyphs, grid, align_corners=False)[:, 0]
    blocks: Tensor = F.avg_pool2d(_pen(_frame(warped, g), g)[:, None], BLOCK)[:, 0] * BLOCK**2
    return blocks.round().numpy()
