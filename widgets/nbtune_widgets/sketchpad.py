"""Sketchpad: draw or drop a picture, and see what the model takes it for, and what the model sees."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nbtune import NbtuneError, Tuner
from nbtune.bundle import Model, Preprocessing
from nbtune.errors import InputError, InputTypeError, TrainingError
from nbtune.tuner.verbs import at_work
from nbtune_widgets import paper
from nbtune_widgets.panel import Panel, escape, module, not_a, style
from nbtune_widgets.prediction import Prediction
from nbtune_widgets.tiles import of_array

__all__ = ["Sketchpad"]

MOST = 6 << 20  # bytes of a file: a notebook's server takes messages of 10 MB


class Sketchpad(Panel):
    """Draw, drop a picture, choose a file or `put` one; the prediction follows at once.

    `model`: a Model (`nt.load`) or a Tuner, of pictures. `image` is what the model is given; the paper is dark where
    its data are, and a drawing is cut out and centred where `fit` is on. Raises InputTypeError for anything else.
    """

    _esm, _css = module("sketchpad"), style("sketchpad")
    quiet = frozenset({"draw", "put", "clear", "cut", "invert", "save", "refuse"})

    def __init__(self, model: Model | Tuner) -> None:
        super().__init__()
        if not isinstance(model, Model | Tuner):
            raise not_a("Sketchpad", "a Model or a Tuner", model)
        steps = model.preprocessing
        if not isinstance(steps, Preprocessing):
            raise InputTypeError(
                "Sketchpad of a model of a table.", rule="Sketchpad takes a model of pictures.",
                likely="a Model or a Tuner of rows, which cannot be drawn.",
                next=f"{'tuner' if isinstance(model, Tuner) else 'model'}.predict(df)",
            )  # fmt: skip
        self.model, self.steps = model, steps
        self.fit, self._dark = True, sum(steps.mean) / len(steps.mean) < 0.5
        self._drawn: Image.Image | None = None  # on the paper, as it was drawn or put
        self._from, self._by, self._file = "", "", ""  # a file's name; the view that drew; where it was saved
        self._read = Prediction()
        if isinstance(model, Tuner):
            self.follow(model)
        self.refresh()

    @property
    def image(self) -> Image.Image | None:
        """What the model is given."""
        return self._read.image

    def put(self, image: Any) -> None:
        """Show a picture (array, PIL image or path) and predict. Raises as `Model.predict`; nothing is changed then."""
        self._put(paper.as_image(image), "")
        self.refresh()
        self._redraw_soon()

    # What the page asks for

    def acts(self) -> dict[str, Callable[..., Any]]:
        return {
            "draw": self._draw, "put": self._upload, "clear": self._clear, "cut": self._fit,
            "invert": self._invert, "save": self._save, "refuse": self._refuse,
        }  # fmt: skip

    def _draw(self, src: str, by: str, on: str) -> None:
        drawn = paper.decoded("the drawing", src).convert("L")
        if (on == "dark") != self._dark:  # drawn while the paper changed: the page has to be shown it again
            drawn, by = paper.inverted(drawn), ""
        blank = 0 if self._dark else 255
        if not (np.asarray(drawn) != blank).any():
            self._clear()
            self._by = by
            return
        self._from, self._by, self._drawn = "", by, drawn
        self._changed()

    def _upload(self, name: str, src: str) -> None:
        self._put(paper.decoded(repr(name), src), name)

    def _put(self, image: Image.Image, name: str) -> None:
        self._from, self._by, self._drawn = name or "a picture", "", image
        self._changed()

    def _clear(self) -> None:
        self._drawn = None
        self._from = self._by = self._file = ""
        self._read = Prediction()
        self.tell("", "Cleared.")
        self._redraw_soon()

    def _fit(self, on: bool) -> None:
        self.fit = bool(on)
        self._changed()

    def _invert(self) -> None:
        self._dark = not self._dark
        drawn = self._drawn
        if drawn is not None:
            self._drawn, self._by = paper.inverted(drawn), ""
        self._changed()

    def _save(self) -> None:
        image = self.image
        if image is None:
            return
        free = (n for n in range(1, 10_000) if not Path(paper.file_name(n)).exists())
        self._file = paper.file_name(next(free))
        image.save(self._file)
        self._say_code()
        self.said = f"Saved as {self._file}"

    def _refuse(self, name: str, size: int) -> None:
        raise InputError(
            f"{name!r} of {size / 1e6:.1f} MB.", rule=f"a file that goes through the page has {MOST >> 20} MB at most.",
            likely="a photograph in full size, or a scan.", next=f"pad.put({name!r}), for a file beside the notebook",
        )  # fmt: skip

    def _changed(self) -> None:
        """After another picture or another way to cut it."""
        self._file = ""
        drawn = self._drawn
        if drawn is not None:
            dark = 0 if self._dark else 255
            self._predict(paper.cut(drawn, dark, self.steps.size) if self.fit and not self._from else drawn)
            self._say_code()
            self._redraw_soon()

    def _say_code(self) -> None:
        name = "tuner" if isinstance(self.model, Tuner) else "model"
        self.code = f"{name}.predict({repr(self._file) if self._file else 'pad.image'})"

    def _predict(self, image: Image.Image) -> None:
        begun = self._read = Prediction(image)  # an older one is not of this picture, should the model refuse it
        if running := at_work():
            read = Prediction(image, waits=f"Not read yet: tuner.{running}() is running.")
        else:
            try:
                frame, unlike = self.model.predict(image), self.model.unlike(image)
                if unlike and not self.model.unlike(paper.inverted(image)):
                    unlike += " Inverted it would be like them."
                read = Prediction(image, frame, unlike)
            except TrainingError as error:  # the Learner trains: it is read when the panel is next looked at
                read = Prediction(image, waits=f"Not read yet: {error.given}")
        if self._read is begun:  # else another picture came meanwhile
            self._read = read
            self.said = read.sentence

    def reread(self) -> None:
        """The model may be another one by now."""
        image = self.image
        try:
            if image is not None:
                self._predict(image)
        except NbtuneError as error:
            self._failed(error)

    # What is so

    def look(self) -> dict[str, Any]:
        objective, note = self._about()
        read, drawn = self._read, self._drawn  # the page may draw while code asks
        return {
            "title": f"Sketchpad: {objective}" if objective else "Sketchpad",
            "sentence": read.sentence,
            "paper": "dark" if self._dark else "light",
            "wide": paper.sides(self.steps.size),
            "fit": self.fit,
            "drawing": not self._from,
            "picture": "" if drawn is None else paper.address(drawn),
            "by": self._by,
            "most": MOST,
            "file": self._file,
            "sees": "" if read.image is None else self._sees(read.image),
            "input": f"{self.steps.size[0]}×{self.steps.size[1]}, {'grey' if self.steps.channels == 1 else 'colour'}",
            "rows": read.rows,
            "left": read.left,
            "unlike": read.unlike,
            "note": note,
        }

    def _about(self) -> tuple[str, str]:
        """What the model is for, and what its data were like."""
        if isinstance(self.model, Tuner):
            origin = getattr(self.model.learn, "nbtune_origin", None)
            card = {} if origin is None else {"objective": origin.task.objective, **origin.task.card.as_dict()}
        else:
            card = self.model.card
        objective, note = (str(card.get(name) or "") for name in ("objective", "note"))
        note = note.partition("Edited:")[0]  # which labels were mended says nothing of what the pictures are like
        objective, note = (text.strip().rstrip(".") for text in (objective, note))
        data = f" ({note})" if note else ""
        return objective, (
            f"What is drawn or dropped here may be of another kind than the pictures it learnt from{data}: expect more "
            "errors than its test figures say. The percentages are the model's own, and no promise."
        )

    def _sees(self, image: Image.Image) -> str:
        """What the network gets, before mean and spread are removed."""
        seen = self.steps.prepare(image)[0].numpy()
        return paper.address(Image.fromarray(seen[0] if len(seen) == 1 else np.moveaxis(seen, 0, -1)))

    def static(self) -> str:
        read = self._read
        image = read.image
        if image is None:
            return f"<strong>{escape(self.view.get('title', 'Sketchpad'))}</strong><p>Nothing was drawn.</p>"
        pair = _image("The picture given", of_array(image)) + " → " + _image("What the model sees", self._sees(image))
        rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, _, text in read.rows)
        unlike = f"<p>Unlike its data: {escape(read.unlike)}</p>" if read.unlike else ""
        return (
            f"<strong>{escape(self.view.get('title'))}</strong><p>{escape(read.sentence)}</p><p>{pair}</p>"
            f"<table>{rows}</table>{unlike}<p>{escape(self._about()[1])}</p>"
        )


def _image(text: str, src: str) -> str:
    return f'<img width="96" style="image-rendering:pixelated;vertical-align:middle" alt="{text}" src="{src}">'
