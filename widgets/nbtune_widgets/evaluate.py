"""Evaluation: what a model is worth, which items it takes for what, and what a threshold costs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import traitlets

from nbtune import Tuner
from nbtune.evaluate import Report
from nbtune.evaluate.labels import LabelsReport
from nbtune.evaluate.numbers import NumbersReport
from nbtune_widgets.panel import Panel, module, not_a, picture, style
from nbtune_widgets.tiles import tile

__all__ = ["Evaluation"]

MATRIX = 20  # classes drawn as a matrix at once
PAGE = 60  # items or confusions sent to the page at once
STEPS = 100  # thresholds
SHARES = {"accuracy", "precision", "recall", "f1", "f1_micro", "exact"}  # metrics that go from 0 to 1
_REPORTS = Report | LabelsReport | NumbersReport


class Evaluation(Panel):
    """Metrics, confusions with their items, worst errors, classes, a threshold, and another report beside it.

    A Tuner's test set is not looked at until Evaluate is asked for; a report of the model as it is now is shown
    at once. `other`: a second report on the same items, compared by a paired test. Raises InputTypeError.
    """

    _esm, _css = module("evaluate"), style("evaluate")
    quiet = frozenset({"cell", "worst", "page", "threshold"})
    facts = traitlets.Dict().tag(sync=True)  # of the report: sent once
    listed = traitlets.Dict().tag(sync=True)  # the items that are open, a page of them
    curve = traitlets.Dict().tag(sync=True)  # what each threshold on the chosen class does

    def __init__(self, report: Any, other: Any = None) -> None:
        super().__init__()
        if not isinstance(report, _REPORTS | Tuner):
            raise not_a("Evaluation", "a Report or a Tuner", report)
        if other is not None and not isinstance(other, _REPORTS):
            raise not_a("Evaluation", "a second Report as other", other)
        self.other: Any = other
        self._given: Any = None if isinstance(report, Tuner) else report
        self.report: Any = self._given
        self._name = "tuner.reports[0]" if self._given is None else "report"  # in the line of code
        self._open: tuple[str, str] | None = None  # the cell that is looked at; None: the worst errors
        self._page, self._at = 1, ("", 0.5)
        self._sentence = ""
        self._sent: tuple[Any, ...] = (None, None, None)  # what facts, items and curve are of
        self._static: tuple[Any, str] = (None, "")
        if isinstance(report, Tuner):
            self.follow(report)
        self.reread()
        if self.report is not None and other is not None:
            self._compared(self.report)  # other items are refused before anything is drawn
        self.refresh()

    def reread(self) -> None:
        if self._given is None:
            found = self.tuner.reports
            if self.report is not (found[0] if found else None):
                self._open, self._page = None, 1
            self.report = found[0] if found else None

    # What the page asks for

    def acts(self) -> dict[str, Callable[..., Any]]:
        return {
            "evaluate": lambda: self.aside(self._evaluate),
            "cell": self._of_report(self._cell),
            "worst": self._of_report(lambda: self._show(None, 1)),
            "page": self._of_report(lambda page: self._show(self._open, int(page))),
            "threshold": self._of_report(self._threshold),
        }

    def _of_report(self, act: Callable[..., None]) -> Callable[..., None]:
        """Nothing, where a training has made another model of it meanwhile: the sentence says that it has no report."""
        return lambda *values: act(*values) if self.report is not None else None

    def _evaluate(self) -> None:
        made = self.tuner.evaluate()
        self.tell("report = tuner.evaluate()", made)

    def _cell(self, true: int, predicted: int) -> None:
        self._show((self.report.vocab[int(true)], self.report.vocab[int(predicted)]), 1)

    def _show(self, cell: tuple[str, str] | None, page: int) -> None:
        total = self._total(cell)
        page = min(max(1, page), max(1, -(-total // PAGE)))
        self._open, self._page, first = cell, page, (page - 1) * PAGE
        if cell is None:
            code = f"worst({page * PAGE}).rows{f'[{first}:]' if first else ''}"
        else:
            code = f"cell({cell[0]!r}, {cell[1]!r})" + (f"[{first or ''}:{first + PAGE}]" if total > PAGE else "")
        self.tell(f"{self._name}.{code}", f"{_what(cell)}: {_count(total)}, page {page}")

    def _total(self, cell: tuple[str, str] | None) -> int:
        return len(self.report.cell(*cell)) if cell else int((self.report.predicted != self.report.targets).sum())

    def _threshold(self, index: int, at: float) -> None:
        name, at = self.report.vocab[int(index)], round(float(at), 2)
        self.tell(f"{self._name}.threshold({name!r}, {at})", self.report.threshold(name, at))
        self._at = name, at

    # What is so

    def look(self) -> dict[str, Any]:
        report = self.report
        if report is None:
            self.facts, self._sent = {}, (None, None, None)
            text = "No report of the model as it is now. Evaluate looks at the test set, and the look is counted."
            return {"title": "Evaluation", "sentence": text, "asks": True}
        if report is not self._sent[0]:
            self.facts, self._sent = self._facts(report), (report, None, None)
            self._sentence = f"{report.sentence} {_looks(report)}".strip()  # many tests where there are many classes
        shown: dict[str, Any] = {
            "title": f"Evaluation on {report.data}",
            "sentence": self._sentence,
            "asks": self._given is None,
        }
        return shown | self._drawn(report) if isinstance(report, Report) else shown

    def _drawn(self, report: Report) -> dict[str, Any]:
        """The choices in view; items and curve are sent when they are other ones."""
        if self._at[0] not in report.vocab:
            self._at = (report.vocab[-1], 0.5)
        items, (name, at) = (self._open, self._page), self._at
        if self._sent[1] != items:
            self.listed = self._listed(report)
        if self._sent[2] != name:
            self.curve = _curve(report, name)
        self._sent = (report, items, name)
        index = [report.vocab.index(one) for one in self._open or ()]
        return {"open": index, "threshold": {"class": report.vocab.index(name), "at": at}}

    def _facts(self, report: Any) -> dict[str, Any]:
        theirs = {} if self.other is None else self.other.metrics
        facts: dict[str, Any] = {
            "metrics": [[n, *_numbers(n, e), *(_numbers(n, theirs[n]) if n in theirs else ())]
                        for n, e in report.metrics.items()],
            "compared": None if self.other is None else self._compared(report),
        }  # fmt: skip
        if not isinstance(report, Report):
            return facts
        small = len(report.vocab) <= MATRIX
        return facts | {
            "vocab": list(report.vocab),
            "matrix": report.confusion.tolist() if small else [],
            "pairs": [] if small else _pairs(report),
            "classes": _classes(report),
        }

    def _compared(self, report: Any) -> dict[str, Any]:
        found = report.compare(self.other)
        said = repr(found) if isinstance(report, Report) else f"The first less the other: {found}."
        rows = found.frame().values.tolist() if isinstance(report, Report) else []
        return {
            "said": said,
            "differences": {name: f"{value:+.3f} [{low:+.3f}, {high:+.3f}]" for name, value, low, high in rows},
            "code": f"{self._name}.compare(other)",
        }

    def _listed(self, report: Report) -> dict[str, Any]:
        images, first, last, total = report.images, (self._page - 1) * PAGE, self._page * PAGE, self._total(self._open)
        rows = report.cell(*self._open) if self._open else report.worst(last).rows
        shown = rows[first:last]
        items = [
            [str(i), t, p, f"{said:.3f}", f"{loss:.2f}"]
            for i, t, p, said, loss in zip(*(shown[name] for name in shown), strict=True)
        ]
        return {
            "what": _what(self._open),
            "count": _count(total),
            "page": self._page,
            "pages": max(1, -(-total // PAGE)),
            "rows": items,
            "tiles": None if images is None else [tile(partial(_of, images, int(item[0]))) for item in items],
        }

    def static(self) -> str:
        report = self.report
        if report is None:
            return "<p>No report yet: the test set was not looked at.</p>"
        if self._static[0] is not report:  # a picture takes long, and a threshold does not change it
            compared = "" if self.other is None else f"<p>{self._compared(report)['said']}</p>"
            if isinstance(report, Report) and self.other is not None:
                compared = report.compare(self.other)._repr_html_()
            self._static = (report, picture(report.plot()) + report._repr_html_() + compared)
        return self._static[1]


def _what(cell: tuple[str, str] | None) -> str:
    return "Errors, the most confident first" if cell is None else f"'{cell[0]}' read as '{cell[1]}'"


def _count(n: int) -> str:
    return f"{n:,} item{'' if n == 1 else 's'}"


def _looks(report: Any) -> str:
    return "" if report.looks > 1 or report.data != "the test set" else "This was the first look at this test set."


def _numbers(name: str, estimate: Any) -> list[Any]:
    """Text, and value, low and high where it is a share."""
    ends = [float(end) for end in (estimate.value, estimate.low, estimate.high)]
    return [f"{estimate}", ends if name in SHARES else None]


def _pairs(report: Report) -> list[list[int]]:
    """The most frequent confusions: [true, predicted, count] by class index."""
    wrong = report.confusion - np.diag(np.diag(report.confusion))
    true, predicted = np.nonzero(wrong)
    order = np.argsort(-wrong[true, predicted], kind="stable")[:PAGE]
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


def _curve(report: Report, name: str) -> dict[str, Any]:
    """At each threshold: precision and recall with their ends, wrongly called, missed, and all of it in words."""
    steps = [report.threshold(name, step / STEPS) for step in range(STEPS + 1)]
    rows = []
    for t in steps:
        shares = [(t.precision, t.found + t.false_alarms), (t.recall, t.found + t.missed)]
        ends = [[e.value, e.low, e.high] if n else None for e, n in shares]
        rows.append([*ends, t.false_alarms, t.missed, *(f"{e}" if n else "none" for e, n in shares), t.sentence])
    return {"name": name, "rows": rows}


def _of(images: Any, at: int) -> Any:
    return np.asarray(images[at])
