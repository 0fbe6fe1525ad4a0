"""A task: three splits of labelled images, what is asked of them, and a Learner for them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from nbtune._display import Chart, chart, html_table, html_value
from nbtune.errors import InputError
from nbtune.tasks._batch import batch_size
from nbtune.tasks.card import Card
from nbtune.tasks.items import Items

if TYPE_CHECKING:
    from torch import nn

    from nbtune.bodies import Body
    from nbtune.tasks.copies import Copies
    from nbtune.tasks.edited import Edit

__all__ = ["Origin", "Task", "batch_size", "digest_of", "make_task"]


@dataclass(frozen=True, eq=False)
class Origin:
    """What a Learner was made from, so that saving knows architecture, classes and preprocessing."""

    task: Task
    body: Body
    n_out: int
    bs: int = 0
    bs_asked: int | None = None
    code: str = ""  # the call of task.learner that made it


@dataclass(frozen=True, eq=False)
class Task:
    """Training, validation and test items with their classes; `metrics` are those that its Learners log.

    Raises:
        InputError: an empty split, a training split of one item, a class outside the vocab, sizes that differ, or
            an item that stands in two splits.
    """

    name: str
    objective: str
    metrics: tuple[str, ...]
    vocab: tuple[str, ...]
    card: Card = field(repr=False)
    train: Items
    valid: Items
    test: Items
    code: str = field(default="...  # your own task", repr=False)  # the call that makes it again

    def __post_init__(self) -> None:
        for split in ("train", "valid", "test"):
            _check_split(split, getattr(self, split), self)
        _check_disjoint(self)

    def learner(
        self, body: str | Body | nn.Module | Callable[[int], nn.Module], *, bs: int | None = None,
        augment: Sequence[Any] | str | bool | None = None, seed: int | None = None, pretrained: bool = True,
        **kw: Any,
    ) -> Any:  # fmt: skip
        """An ordinary fastai Learner: `body` with a fresh head, on this task's train and valid items.

        `bs=None` chooses by the number of items (`batch_size`). `augment`: None for a mild deformation, False or
        "none" for none, or fastai batch transforms. `seed` fixes fresh weights and the order of batches, and
        leaves the global streams as they were; None takes both from them. `pretrained=False` gives the same
        network with fresh weights. `kw` goes to fastai's Learner. `bs=1` warns where batch norm would train on it.

        Raises:
            InputTypeError, InputError: an unknown keyword, bad `bs`, `augment`, `seed` or body, or `bs=1` for a
                network whose batch norm cannot train on one item; nothing was made then.
        """
        from nbtune.tasks._learner import make_learner

        return make_learner(self, body, bs=bs, augment=augment, seed=seed, pretrained=pretrained, options=kw)

    @overload
    def edited(self, marks: Any, dry_run: Literal[False] = False, *, test: str | None = None) -> Task: ...
    @overload
    def edited(self, marks: Any, dry_run: Literal[True], *, test: str | None = None) -> Edit: ...
    def edited(self, marks: Any, dry_run: bool = False, *, test: str | None = None) -> Task | Edit:
        """A new Task with items relabelled or left out; `dry_run=True`: an `Edit`, which says what would change.

        `marks`: a frame with the columns split, item (its id), what ("label" or "exclude") and label, as a
        DataBrowser gives it. Files are never touched. The card says what was done, and the digest is another.
        `test`: why the test split may be edited; without a reason it is not.

        Raises:
            InputTypeError, InputError: no such frame, item, class or split; two marks on one item; marks in the
                test split without a reason.
        """
        from nbtune.tasks.edited import edit

        found = edit(self, marks, test)
        return found if dry_run else found.task

    def copies(self) -> Copies:
        """Items whose content is equal to the last bit: across splits, and with labels that differ."""
        from nbtune.tasks.copies import copies

        return copies(self)

    def plot(self, each: int = 4) -> Chart:
        """The first `each` training items of at most 20 classes, a column a class."""
        classes = list(range(len(self.vocab)))[:20]
        sentence = f"{self.name}: {each} training images of {len(classes)} classes, a column each."
        figure, axes = chart(sentence, 0.55 * len(classes), 0.6 * each, nrows=each, ncols=len(classes), squeeze=False)
        for column, c in enumerate(classes):
            places = np.flatnonzero(self.train.y == c)[:each]
            axes[0, column].set_title(self.vocab[c], fontsize=9)
            for row in range(each):
                axes[row, column].set_axis_off()
                if row < len(places):
                    axes[row, column].imshow(self.train.x[places[row]], cmap="gray", vmin=0, vmax=255)
        return figure

    def __repr__(self) -> str:
        sizes = f"{len(self.train):,} training, {len(self.valid):,} validation and {len(self.test):,} test images"
        return f"Task {self.name}: {self.objective}. {sizes}, {len(self.vocab)} classes."

    def _repr_html_(self) -> str:
        rows = [(name, f"{len(getattr(self, name)):,}") for name in ("train", "valid", "test")]
        about = f"{self.objective.capitalize()}. {self.card.labelled} {self.card.nature.capitalize()} data."
        return html_value(f"Task {self.name}", about, html_table(["split", "images"], rows))


def digest_of(*splits: Items) -> str:
    """sha256 over the splits' own digests."""
    return hashlib.sha256("".join(items.digest for items in splits).encode()).hexdigest()


def make_task(
    name: str, objective: str, vocab: tuple[str, ...], train: Items, valid: Items, test: Items, *, source: str,
    licence: str, nature: str, note: str = "", code: str = "...",
) -> Task:  # fmt: skip
    """A classification task with its card filled in from the splits."""
    splits = {"train": train, "valid": valid, "test": test}
    digest = digest_of(train, valid, test)
    counts = dict(zip(vocab, train.counts(len(vocab)), strict=False))
    sizes = {split: len(items) for split, items in splits.items()}
    card = Card(name, source, licence, nature, sizes, counts, digest, note)
    return Task(name, objective, ("accuracy",), vocab, card, train, valid, test, code)


def _check_split(split: str, items: Items, task: Task) -> None:
    least, words = (2, "two items") if split == "train" else (1, "an item")
    if len(items) < least:
        raise InputError(
            f"a {split} split of {len(items)} items.", rule=f"the {split} split has {words} or more.",
            likely="everything was given to another split.", next="split again with a smaller share for the others.",
        )  # fmt: skip
    if items.y.max() >= len(task.vocab):
        raise InputError(
            f"class {items.y.max()} in the {split} split.", rule=f"classes are 0 to {len(task.vocab) - 1}.",
            likely="a label is missing in the vocab.", next="make the vocab from all splits.",
        )  # fmt: skip
    if items.x.shape[1:] != task.train.x.shape[1:]:
        raise InputError(
            f"{split} images of {list(items.x.shape[1:])}.", rule=f"all have {list(task.train.x.shape[1:])}.",
            likely="one split was not resized.", next="prepare all splits in the same way.",
        )  # fmt: skip


def _check_disjoint(task: Task) -> None:
    seen: dict[str, str] = {}
    for split in ("train", "valid", "test"):
        for name in getattr(task, split).ids:
            if seen.setdefault(name, split) != split:
                raise InputError(
                    f"item {name!r} in {seen[name]} and {split}.", rule="an item stands in one split.",
                    likely="the splits were drawn independently.", next="draw them from one permutation.",
                )  # fmt: skip
