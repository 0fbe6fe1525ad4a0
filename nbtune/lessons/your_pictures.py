"""Exercises of 14_your_pictures: keep together what belongs together; how many test images a figure needs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from math import isfinite

from nbtune.lessons.exercise import FUNCTION, ONE_NUMBER, Exercise, a
from nbtune.tasks import Task

__all__ = ["enough_to_tell", "kept_together"]

_TILE = re.compile(r"(brick|grass|gravel)/(\d)_(\d)\.png")
_BESIDE = ((0, 1), (0, -1), (1, 0), (-1, 0))


def _kept_together(task: Task) -> str | None:
    if task.unit != "images":
        return "this is a table. Make a folder of pictures, and a task from it."
    if task.train.group is None:
        return "its items have no groups. Which keyword of from_folder says what belongs together?"
    group: dict[str, str] = {}
    for split in (task.train, task.valid, task.test):
        if split.group is not None:
            group.update(zip(split.ids, map(str, split.group), strict=True))
    if max(Counter(group.values()).values()) == 1:
        return "every picture is a group of its own, so nothing is kept together. What do several of them share?"
    return _of_tiles(group)


def _of_tiles(group: dict[str, str]) -> str | None:
    """Of the notebook's own tiles it is known which lie side by side; of other folders only their reader knows."""
    found = [(_TILE.fullmatch(name), one) for name, one in group.items()]
    at = {(match[1], int(match[2]), int(match[3])): one for match, one in found if match}
    if len(at) < len(group):
        return None
    strips = {(photo, row) for photo, row, _ in at}
    if len(strips) == len(set(at.values())) == len({(photo, row, one) for (photo, row, _), one in at.items()}):
        return "these are the strips of the notebook. Group the tiles in another way, or take a folder of yours."
    for (photo, row, column), one in at.items():
        if all(at.get((photo, row + down, column + right)) != one for down, right in _BESIDE):
            return (
                f"{photo}/{row}_{column}.png is in a group with none of the tiles beside it, so that it may be tested "
                "between tiles that were trained on. Which tiles of one photograph share a border?"
            )
    return None


kept_together = Exercise(
    name="your_pictures.kept_together",
    question="Make a task from a folder of pictures in which those that belong together (one photograph, one writer, "
    "one patient) stay in one split. Give the Task.",
    takes=a("a Task", Task),
    look=_kept_together,
    right="no group stands in two splits. Whether these groups are what will be new in use (a place, a writer, a "
    "patient), only you know.",
    hints=(
        "What do two pictures of your folder share besides their class? It often stands in the file's name.",
        "from_folder takes group=, a function from a path to the name of its group.",
        'Of names such as a_03.png, group=lambda path: path.stem.split("_")[0] takes what is before the line.',
    ),
    code="""
import tempfile
from pathlib import Path

import nbtune as nt
from PIL import Image
from sklearn.datasets import load_digits

digits, folder = load_digits(), Path(tempfile.mkdtemp())
for at in range(200):  # neighbours in this list were written by one hand
    place = folder / str(digits.target[at])
    place.mkdir(exist_ok=True)
    Image.fromarray((digits.images[at] * 15.9).astype("uint8")).save(place / f"{at:04d}.png")
answer = nt.tasks.from_folder(folder, group=lambda path: int(path.stem) // 20)
""",
)


def _enough_to_tell(function: Callable[[float, float], float]) -> str | None:
    for accuracy, width in ((0.9, 0.02), (0.9, 0.04), (0.9, 0.05), (0.5, 0.05), (0.95, 0.05)):
        if not isfinite(number := function(accuracy, width)):
            return f"an accuracy of {accuracy} to {width} each side takes {number} images in yours: what is divided?"
    if function(0.9, 0.02) < function(0.9, 0.05):
        return "a narrower interval needs more images, and yours needs fewer."
    halved = function(0.9, 0.02) / max(function(0.9, 0.04), 1e-9)
    if abs(halved - 2) < 0.2:
        return "half as wide takes more than twice as many images: the width falls with the root of their number."
    if function(0.5, 0.05) <= function(0.95, 0.05):
        return "coins that fall evenly are the hardest to be sure of: an accuracy of 0.5 needs more images than 0.95."
    if not abs(function(0.5, 0.05) - 384) <= 8:
        found = f"right in kind, and at 0.5 to 0.05 each side yours gives {function(0.5, 0.05):.0f}"
        return f"{found}. For 95 % that width is 1.96 standard errors, to one side: solve it for n, the square with it."
    return None if abs(function(0.9, 0.02) - 864) <= 20 else "0.5 is right and 0.9 is not: how large is p(1 - p)?"


enough_to_tell = Exercise(
    name="your_pictures.enough_to_tell",
    question="Write enough_to_tell(accuracy, width): how many test images make the 95 % interval of an accuracy reach "
    "`width` to each side (0.05 is five points), by the normal approximation.",
    takes=FUNCTION,
    look=_enough_to_tell,
    gives=ONE_NUMBER,
    right="n = 1.96² p (1 - p) / width². Four times the images halve the interval; a hundred leave about six points "
    "each way at an accuracy of 0.9.",
    hints=(
        "The standard error of a share p among n is the root of p (1 - p) / n.",
        "A 95 % interval reaches 1.96 standard errors to each side. Set that equal to the width.",
        "Solve 1.96 * (p * (1 - p) / n) ** 0.5 == width for n.",
    ),
    code="""
def answer(accuracy, width):
    return 1.96**2 * accuracy * (1 - accuracy) / width**2
""",
)
