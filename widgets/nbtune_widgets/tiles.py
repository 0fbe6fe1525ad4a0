"""An item as a small picture or a row of a table, or a word why it cannot be drawn."""

from __future__ import annotations

import base64
from collections.abc import Callable
from html import escape
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from nbtune.inputs import Inputs

__all__ = ["drawn", "of_array", "of_inputs", "sheet", "tile"]

SIDE = 112  # pixels: the longest side of a tile
_CELLS, _LONG = 40, 80  # columns of a row, characters of a cell
_CELL = 56  # pixels of an item on a sheet


def drawn(items: Any, at: int) -> dict[str, Any]:
    """The item as `src` (a picture in a text), as `row` ([name, value] pairs), or `cannot` with the reason."""
    return tile(lambda: items[at][0])


def tile(of: Callable[[], Any]) -> dict[str, Any]:
    """The same of whatever `of` gives."""
    try:
        content = of()
        if isinstance(content, Image.Image) or _is_picture(content):
            return {"src": of_array(content)}
        return {"row": _row(content)}
    except Exception as error:  # whatever a broken file raises: one tile says so, the others are drawn
        text = str(error).strip().partition("\n")[0] or "no reason given"
        return {"cannot": f"{type(error).__name__}: {text}"[:120]}


def of_inputs(batch: Inputs) -> list[dict[str, Any]]:
    """What the model gets, an entry an item: pictures, or the numbers in a row."""
    if batch.is_pictures:
        return [{"src": of_array(picture)} for picture in batch.pictures]
    return [{"row": _row(one)} for one in batch.x]


def of_array(content: Any) -> str:
    """A PIL image or a uint8 array [h, w] or [h, w, 3], not above 112 pixels a side, as an address that holds it."""
    return "data:image/" + _held(_small(content))


def _held(image: Image.Image) -> str:
    held, kind = BytesIO(), "png" if image.mode == "L" else "jpeg"
    image.save(held, kind, quality=88)
    return f"{kind};base64,{base64.b64encode(held.getvalue()).decode()}"


def sheet(found: list[tuple[str, str, dict[str, Any]]], columns: int = 8) -> str:
    """Items as HTML without scripts, each (name, caption, tile): pictures over their captions, rows as a table.

    What cannot be drawn has a line of its own.
    """
    pictures = [
        f"<td>{_thumbnail(name, one['src'])}<br>{escape(said)}</td>" for name, said, one in found if "src" in one
    ]
    lines = [pictures[at : at + columns] for at in range(0, len(pictures), columns)]
    rows = [
        f"<tr><th>{escape(name)}</th><td>{escape(said)}</td>{_cells(one['row'])}</tr>"
        for name, said, one in found if "row" in one
    ]  # fmt: skip
    absent = [
        f"<p>{escape(name)} cannot be drawn: {escape(one['cannot'])}</p>" for name, _, one in found if "cannot" in one
    ]
    table = "".join(f"<tr>{''.join(line)}</tr>" for line in lines) + "".join(rows)
    return (f"<table>{table}</table>" if table else "") + "".join(absent[:3])


def _cells(row: list[list[str]]) -> str:
    return "".join(f"<td>{escape(name)} {escape(value)}</td>" for name, value in row[:8])


def _thumbnail(name: str, src: str) -> str:
    """A picture of what is saved with the notebook: small, as there are many."""
    whole = Image.open(BytesIO(base64.b64decode(src.partition(",")[2])))
    scale = _CELL / max(whole.size)
    wide, high = (max(1, round(side * scale)) for side in whole.size)
    small = whole.resize((wide, high)) if scale < 1 else whole
    return f'<img src="data:image/{_held(small)}" width="{wide}" height="{high}" alt="{escape(name)}">'


def _is_picture(content: Any) -> bool:
    if not isinstance(content, np.ndarray) or content.dtype != np.uint8:
        return False
    return content.ndim == 2 or (content.ndim == 3 and content.shape[-1] == 3)


def _small(content: Any) -> Image.Image:
    image = content if isinstance(content, Image.Image) else Image.fromarray(content)
    image = image if image.mode in ("L", "RGB") else image.convert("RGB")
    if max(image.size) > SIDE:
        image = image.copy()
        image.thumbnail((SIDE, SIDE))
    return image


def _row(content: Any) -> list[list[str]]:
    if hasattr(content, "to_dict"):
        content = content.to_dict()
    if not hasattr(content, "items"):
        content = {str(number): value for number, value in enumerate(np.ravel(content)[:_CELLS])}
    return [[str(name)[:_LONG], _cell(value)] for name, value in list(content.items())[:_CELLS]]


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)[:_LONG]
