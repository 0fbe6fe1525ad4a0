"""Evaluation: what a model is worth, which items it takes for what, and what a threshold costs."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from nbtune import Tuner
from nbtune.evaluate import Report
from nbtune_widgets.panel import Panel, module, not_a, picture

__all__ = ["Evaluation"]

MATRIX = 20  # classes drawn as a matrix at once
LISTED = 60  # items or confusions sent to the page at once


class Evaluation(Panel):
    """Metrics, confusions with their items, worst errors, classes, a threshold, and another report beside it.

    A Tuner's test set is not looked at until Evaluate is asked for; a report of the model as it is now is shown
    at once. `other`: a second Report on the same items, compared by a paired test. Raises InputTypeError.
    """

    _esm = module("evaluate")
    quiet = frozenset({"cell", "worst", "threshold"})

    def __init__(self, report: Report | Tuner, other: Report | None = None) -> None:
        super().__init__()
        if not isinstance(report, Report | Tuner):
            raise not_a("Evaluation", "a Report or a Tuner", report)
        if other is not None and not isinstance(other, Report):
            raise not_a("Evaluation", "a second Report as other", other)
        self.other, self._given = other, report if isinstance(report, Report) else None
        self.report = self._given
        self._name = "report" if self._given is not None else "tuner.reports[0]"  # in the line of code
        self._open: tuple[str, str] | None = None  # the cell that is looked at; None: the worst errors
        self._at: tuple[str, float] | None = None
        if isinstance(report, Tuner):
            self.follow(report)
        self.reread()
        if self.report is not None and other is not None:
            self.report.compare(other)  # other items are refused before anything is drawn
        self.refresh()

    def reread(self) -> None:
        if self._given is None:
            found = self.tuner.reports
            if self.report is not (found[0] if found else None):
                self._open = self._at = None
            self.report = found[0] if found else None

    def acts(self) -> dict[str, Callable[..., Any]]:
        return {
            "refresh": lambda: None,
            "evaluate": lambda: self.aside(self._evaluate),
            "cell": self._cell,
            "worst": self._worst,
            "threshold": self._threshold,
        }

    def _evaluate(self) -> None:
        made = self.tuner.evaluate()
        self.code, self.said = "report = tuner.evaluate()", repr(made)

    def _cell(self, true: int, predicted: int) -> None:
        assert self.report is not None
        names = self.report.vocab[int(true)], self.report.vocab[int(predicted)]
        count = len(self.report.cell(*names))
        self._open, self.code = names, f"{self._name}.cell({names[0]!r}, {names[1]!r})"
        self.said = f"{count} items of '{names[0]}' read as '{names[1]}'"

    def _worst(self) -> None:
        assert self.report is not None
        self._open, self.code = None, f"{self._name}.worst({LISTED}).rows"
        self.said = repr(self.report.worst(LISTED))

    def _threshold(self, index: int, at: float) -> None:
        assert self.report is not None
        name, at = self.report.vocab[int(index)], round(float(at), 2)
        self.said = repr(self.report.threshold(name, at))
        self._at, self.code = (name, at), f"{self._name}.threshold({name!r}, {at})"

    def look(self) -> dict[str, Any]:
        report = self.report
        if report is None:
            text = "No report of the model as it is now. Evaluate looks at the test set, and the look is counted."
            return {"title": "Evaluation", "sentence": text, "asks": True}
        return {
            "title": f"Evaluation on {report.data}",
            "sentence": f"{report.sentence} {_looks(report)}",
            "asks": self._given is None,
            "metrics": [[name, f"{estimate}"] for name, estimate in report.metrics.items()],
            "vocab": list(report.vocab),
            "matrix": _matrix(report),
            "pairs": _pairs(report),
            "open": list(self._open or ()),
            "listed": self._listed(report),
            "threshold": self._of_threshold(report),
            "classes": _classes(report),
            "compared": self._compared(report),
        }

    def _listed(self, report: Report) -> dict[str, Any]:
        rows = report.worst(LISTED).rows if self._open is None else report.cell(*self._open)
        total = len(rows) if self._open else int((report.predicted != report.targets).sum())
        shown = rows.head(LISTED)
        items = [
            [str(i), t, p, f"{said:.3f}", f"{loss:.2f}"]
            for i, t, p, said, loss in zip(*(shown[name] for name in shown), strict=True)
        ]
        pixels = None if report.images is None else [_png(report.images[int(row[0])]) for row in items]
        what = f"'{self._open[0]}' read as '{self._open[1]}'" if self._open else "Most confident errors"
        left = "" if len(items) == total else f", the {len(items)} most confident shown"
        return {"what": f"{what}: {total} {'item' if total == 1 else 'items'}{left}", "rows": items, "pixels": pixels}

    def _of_threshold(self, report: Report) -> dict[str, Any]:
        name, at = self._at or (report.vocab[-1], 0.5)
        steps = [(step / 20, report.threshold(name, step / 20)) for step in range(21)]
        rows = [[f"{x:.2f}", f"{t.precision}", f"{t.recall}", str(t.false_alarms), str(t.missed)] for x, t in steps]
        return {"class": report.vocab.index(name), "at": at, "said": repr(report.threshold(name, at)), "rows": rows}

    def _compared(self, report: Report) -> dict[str, Any] | None:
        if self.other is None:
            return None
        mine, theirs = report.metrics, self.other.metrics
        rows = [[name, f"{mine[name]}", f"{theirs[name]}"] for name in mine if name in theirs]
        return {"said": repr(report.compare(self.other)), "rows": rows, "code": f"{self._name}.compare(other)"}

    def static(self) -> str:
        if self.report is None:
            return "<p>No report yet: the test set was not looked at.</p>"
        compared = "" if self.other is None else self.report.compare(self.other)._repr_html_()
        return picture(self.report.plot()) + self.report._repr_html_() + compared


def _looks(report: Report) -> str:
    return "" if report.looks > 1 or report.data != "the test set" else "This was the first look at this test set."


def _matrix(report: Report) -> list[list[int]]:
    return report.confusion.tolist() if len(report.vocab) <= MATRIX else []


def _pairs(report: Report) -> list[list[Any]]:
    """The most frequent confusions: [true, predicted, count] by class index."""
    wrong = report.confusion - np.diag(np.diag(report.confusion))
    true, predicted = np.nonzero(wrong)
    order = np.argsort(-wrong[true, predicted], kind="stable")[:LISTED]
    return [[int(true[i]), int(predicted[i]), int(wrong[true[i], predicted[i]])] for i in order]


def _classes(report: Report) -> list[list[str]]:
    return [
        [
            str(row["class"]),
            *(f"{row[m]:.3f} [{row[m + '_low']:.3f}, {row[m + '_high']:.3f}]" for m in ("precision", "recall", "f1")),
            str(row["support"]),
            str(row["predicted"]),
        ]
        for row in report.per_class().to_dict("records")
    ]


def _png(pixels: Any) -> str:
    buffer = io.BytesIO()
    image = Image.fromarray(np.asarray(pixels))
    image.thumbnail((64, 64))
    image.save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()
