"""DataBrowser: the items of a task by split and class, what is doubtful among them, and marks for an edit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import traitlets

from nbtune import Task, Tuner
from nbtune.inputs import inputs
from nbtune.tasks.copies import Copies
from nbtune.tasks.edited import Edit, Mark
from nbtune_widgets import tiles
from nbtune_widgets.by_loss import ByLoss
from nbtune_widgets.data_checks import busy_model, check, check_page, check_task, need_model, never_on_test, no_mark
from nbtune_widgets.marks import Marks, changes, words
from nbtune_widgets.pages import BY, ONLY, PAGE, SPLITS, Places, Shown, on_page, order, pages
from nbtune_widgets.panel import Panel, escape, module, style

__all__ = ["DataBrowser"]


class DataBrowser(Panel):
    """Look at a task's items page by page, and mark wrong labels and items to leave out.

    `model`: a Tuner, a Learner or a body, which orders training and validation items by cross-validated loss and shows
    its real input. `marks` is a frame for `task.edited`; nothing is changed here. Raises InputTypeError otherwise.
    """

    _esm, _css = module("data"), style("data")
    quiet = frozenset({"show", "mark", "exclude", "clear", "undo", "redo"})
    classes = traitlets.Dict().tag(sync=True)  # names, and counts of each split: sent once
    pictures = traitlets.Dict().tag(sync=True)  # of the items on the page, by id

    def __init__(self, task: Task, model: Any = None) -> None:
        super().__init__()
        check_task(task)
        self.task, self._marks, self._now, self._input_said = task, Marks(), Shown(), ""
        self._at = {name: (split, i) for split in SPLITS for i, name in enumerate(getattr(task, split).ids)}
        self._copies: Copies | None = None
        self._twins: dict[str, Any] = {}  # the items with the same content, by id
        self._edit: Edit | None = None
        self._drawn: tuple[Places, bool] | None = None
        counts = {s: np.bincount(getattr(task, s).y, minlength=len(task.vocab)).tolist() for s in SPLITS}
        self.classes = {"names": [str(name) for name in task.vocab], "counts": counts}
        self.model = _tuner(task, model)
        self._by_loss = ByLoss(task, self.model)
        if self.model is not None:
            self.follow(self.model)
        self.refresh()

    # In code and in the page alike

    @property
    def marks(self) -> Any:
        """A frame with a row a mark: split, item, what, label."""
        return self._marks.frame()

    @property
    def copies(self) -> Copies:
        """Items with the same content, found once."""
        if self._copies is None:
            self._copies = self.task.copies()
            self._twins = {place.item: group for group in self._copies.groups for place in group}
        return self._copies

    def show(
        self, split: str = "train", label: str | None = None, only: str = "all", by: str = "split", page: int = 1,
        as_input: bool = False,
    ) -> None:  # fmt: skip
        """Show this page of the items of a split ("all": of every one), of a class, `only` those marked, with copies or
        with labels that conflict, `by` their place or by loss; `as_input` as the model gets them.

        Raises InputError for what there is not, for losses or inputs without a model, and for losses of the test split.
        """
        for name, value, known in (("split", split, (*SPLITS, "all")), ("only", only, ONLY), ("by", by, BY)):
            check(name, value, known)
        if label is not None:
            check("label", label, self.task.vocab)
        if by == "loss" or as_input:
            tuner = need_model(self.model, "by='loss'" if by == "loss" else "as_input=True")
            if as_input and tuner.running:
                raise busy_model(tuner.running)
            if by == "loss":
                never_on_test(split)
                if self._by_loss.wanting:
                    self._by_loss.measure(tuner)
        wanted = Shown(split, label, only, by, page, bool(as_input))
        every = self._order(wanted)
        check_page(page, pages(every))
        if as_input:  # may fail, and then nothing is changed
            self._draw(on_page(every, page), True)
        self._now = wanted
        given = {k: v for k, v in asdict(self._now).items() if v != getattr(Shown, k)}
        self._did(f"browser.show({', '.join(f'{name}={value!r}' for name, value in given.items())})")

    def mark(self, item: str, label: str) -> None:
        """Say which class an item is; the class that it has takes its mark away. Raises InputError for test items."""
        split, at = self._where(item)
        check("label", label, self.task.vocab)
        same = self.task.vocab[int(getattr(self.task, split).y[at])] == label
        self._marks.put(item, None if same else Mark(split, item, "label", label))
        self._did(f"browser.mark({item!r}, {label!r})", f"{item}: {words(self._marks.get(item))}")

    def exclude(self, item: str) -> None:
        """Mark an item to be left out. Raises InputError for test items."""
        self._marks.put(item, Mark(self._where(item)[0], item, "exclude", ""))
        self._did(f"browser.exclude({item!r})", f"{item}: left out")

    def clear(self, item: str) -> None:
        """Take an item's mark away."""
        self._where(item)
        self._marks.put(item, None)
        self._did(f"browser.clear({item!r})", f"{item}: no mark")

    def undo(self) -> None:
        """Take the last change of a mark back."""
        self._did("browser.undo()", self._marks.undo())

    def redo(self) -> None:
        """Make the change that was taken back last again."""
        self._did("browser.redo()", self._marks.redo())

    def preview(self) -> Any:
        """What the marks would change: an `Edit`; nothing is changed."""
        edit = self.task.edited(self.marks, dry_run=True)
        self._did("edit = task.edited(browser.marks, dry_run=True)", edit.sentence)
        self._edit = edit  # any other act takes it away
        self.refresh()
        return edit

    # What the page asks for

    def acts(self) -> dict[str, Callable[..., Any]]:
        return {
            "show": self._show_asked, "mark": self.mark, "exclude": self.exclude,
            "clear": self.clear, "undo": self.undo, "redo": self.redo, "preview": self.preview, "stop": self.stop,
        }  # fmt: skip

    def _show_asked(self, wanted: dict[str, Any]) -> None:
        slow = wanted.get("by") == "loss" and self._by_loss.wanting
        slow = slow or (wanted.get("only") in ("copies", "conflicts") and self._copies is None)
        self.aside(lambda: self.show(**wanted)) if slow else self.show(**wanted)

    def ready(self) -> None:
        """Copies are looked for when the panel is in the page: that takes a second for many large pictures."""
        _ = self.copies
        self.refresh()

    def _did(self, code: str, said: str = "") -> None:
        self._edit = None
        self.tell(code, said)
        self.error = {}
        if not self._answering:
            self.refresh()
            self._redraw_soon()

    # What is so

    def _where(self, item: str) -> tuple[str, int]:
        """Raises InputError for an item that is not there or must not be marked."""
        split, at = self._at.get(item, ("", 0))
        if split in ("", "test"):
            raise no_mark(item, split, self.task.train.ids[0])
        return split, at

    def _order(self, shown: Shown) -> Places:
        copies = self.copies if shown.only in ("copies", "conflicts") else self._copies
        return order(self.task, shown, self._marks.frame()["item"], copies, self._by_loss.losses)

    def look(self) -> dict[str, Any]:
        every = self._order(self._now)
        now = self._now = replace(self._now, page=min(self._now.page, pages(every)))  # the last one may be empty by now
        page = on_page(every, now.page)
        self._draw(page, now.as_input)
        shown, edit = [self._tile(*place) for place in page], self._edit
        return {
            "title": f"Items of {self.task.name}",
            "sentence": self._sentence(),
            "shown": {**asdict(now), "label": -1 if now.label is None else self.task.vocab.index(now.label)},
            "options": {"split": [*SPLITS, "all"], "only": ONLY, "by": BY},
            "pages": pages(every), "total": len(every), "each": PAGE, "tiles": shown, "input": self._input_said,
            "model": self.model is not None, "marks": len(self._marks), "steps": self._marks.steps,
            "edit": None if edit is None else {"sentence": edit.sentence, "rows": changes(edit)},
        }  # fmt: skip

    def _tile(self, split: str, at: int) -> dict[str, Any]:
        items = getattr(self.task, split)
        name, label = items.ids[at], str(self.task.vocab[int(items.y[at])])
        mark, (loss, read) = self._marks.get(name), self._by_loss.words((split, at))
        same = [f"{p.split} {p.item} ({p.label})" for p in self._twins.get(name, ()) if p.item != name]
        return {
            "id": name, "split": split, "label": label, "what": mark.what if mark else "",
            "told": words(mark) if mark else "", "loss": loss, "read": read,
            "same": ", ".join(same[:5]) + (" …" if len(same) > 5 else ""),
            "conflict": any(p.label != label for p in self._twins.get(name, ())),
        }  # fmt: skip

    def _saved(self, split: str, at: int) -> tuple[str, str, dict[str, Any]]:
        """The item's name, its label with what it is read as instead, and its picture."""
        one = self._tile(split, at)
        said = f"{one['label']}, read as {one['read']}" if one["read"] else one["label"]
        return one["id"], said, tiles.drawn(getattr(self.task, split), at)

    def _draw(self, page: Places, as_input: bool) -> None:
        """Send the pictures of a page when another page is in view."""
        if self._drawn == (page, as_input) or (as_input and self.model is not None and self.model.running):
            return
        self.pictures = self._as_input(page) if as_input else {
            getattr(self.task, split).ids[at]: tiles.drawn(getattr(self.task, split), at) for split, at in page
        }  # fmt: skip
        self._drawn = (page, as_input)

    def _as_input(self, page: Places) -> dict[str, Any]:
        """The page as the model gets it, a batch a split."""
        found: dict[str, Any] = {}
        said = []
        for split in dict.fromkeys(split for split, _ in page):
            places = [at for other, at in page if other == split]
            batch = inputs(need_model(self.model, "as_input=True").learn, self.task, split, places)
            names = (getattr(self.task, split).ids[at] for at in places)
            found |= dict(zip(names, tiles.of_inputs(batch), strict=True))
            said.append(batch.sentence)
        self._input_said = " ".join(dict.fromkeys(said))
        return found

    def _sentence(self) -> str:
        task, parts = self.task, [f"{len(getattr(self.task, split)):,} {split}" for split in SPLITS]
        counts = self.classes["counts"]["train"]
        spread = f"{min(counts):,}" if min(counts) == max(counts) else f"{min(counts):,} to {max(counts):,}"
        known = f"{', '.join(parts[:-1])} and {parts[-1]} items; {len(task.vocab):,} classes of {spread} in train."
        copies = "" if self._copies is None else self._copies.sentence
        return " ".join(filter(None, [known, copies, self._by_loss.sentence]))

    def static(self) -> str:
        marks = self.marks
        rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in marks.values[:20])
        said = f"{len(marks)} marks{', the first 20' * (len(marks) > 20)}:"
        table = f"<p>{said}</p><table>{rows}</table>" if len(marks) else "<p>No marks.</p>"
        items = tiles.sheet([self._saved(*place) for place in self._order(self._now)[:24]])
        return f"<strong>{escape(self.view.get('title'))}</strong><p>{escape(self._sentence())}</p>{items}{table}"


def _tuner(task: Task, model: Any) -> Tuner | None:
    """A Tuner on what was given: itself, a Learner, or a body with a fresh head."""
    if model is None or isinstance(model, Tuner):
        return model
    return Tuner(model if hasattr(model, "dls") else task.learner(model, seed=0), seed=0)
