"""A task: three splits of labelled images, what is asked of them, and a Learner for them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, overload

from nbtune._display import Chart, html_table, html_value
from nbtune.interrupts import graceful, imports_whole
from nbtune.tasks._batch import batch_size
from nbtune.tasks._checks import check_disjoint, check_split
from nbtune.tasks.card import Card
from nbtune.tasks.items import Items
from nbtune.tasks.stacks import Rows

if TYPE_CHECKING:
    from torch import nn

    from nbtune.bodies import Body
    from nbtune.quality import Quality
    from nbtune.tasks.copies import Copies
    from nbtune.tasks.edited import Edit

__all__ = ["Origin", "Task", "batch_size", "digest_of", "make_task"]


@dataclass(frozen=True, eq=False)
class Origin:
    """What a Learner was made from, so that saving knows architecture, classes and preprocessing."""

    task: Task
    body: Any  # a Body, or a TableBody
    n_out: int
    bs: int = 0
    bs_asked: int | None = None
    code: str = ""  # the call of task.learner that made it
    scale: tuple[tuple[float, ...], tuple[float, ...]] | None = None  # mean and spread that numbers are learnt on

    def ready(self, items: Items) -> Any:
        """Items as the dataset that the Learner's loaders take, marked as not for training."""
        from nbtune.tasks._ready import dataset

        return dataset(self.task.kind, self.body, items, 1)


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
    kind: str = "single"  # classes; "multi": several labels an item; "regression": numbers

    def __post_init__(self) -> None:
        for split in ("train", "valid", "test"):
            check_split(split, getattr(self, split), self)
        check_disjoint(self)

    def learner(
        self, body: str | Body | nn.Module | Callable[[int], nn.Module], *, bs: int | None = None,
        augment: Sequence[Any] | str | bool | None = None, seed: int | None = None, pretrained: bool = True,
        **kw: Any,
    ) -> Any:  # fmt: skip
        """An ordinary fastai Learner: `body` with a fresh head, on this task's train and valid items.

        A table takes "tabular" (fastai's model; `layers=[200, 100]`), a model of a table that `nt.load` gives (its
        weights, categories, fillings and scale; a fresh head for another vocab), or a network of (codes, numbers), of
        numbers alone where there are no categories. `size`: the side of the input, where it is not to be the one that
        a body was trained at, and for a network of one's own where pictures differ. `weights`: a file of weights for
        a body by name, in the place of the published ones.
        `bs=None` chooses by the number of items (`batch_size`). `augment`: None for a mild deformation, False or
        "none" for none, or fastai batch transforms. `seed` fixes fresh weights and the order of batches, and
        leaves the global streams as they were; None takes both from them. `pretrained=False` gives the same
        network with fresh weights. `kw` goes to fastai's Learner. `bs=1` warns where batch norm would train on it.

        Raises:
            InputTypeError, InputError: an unknown keyword, bad `bs`, `augment`, `seed` or body, or `bs=1` for a
                network whose batch norm cannot train on one item; nothing was made then.
        """
        with graceful():  # fastai is imported here, and torch's compiler
            from nbtune.tasks._learner import make_learner

            return make_learner(self, body, bs=bs, augment=augment, seed=seed, pretrained=pretrained, options=kw)

    @imports_whole
    def folds(self, k: int = 5, seed: int = 0) -> tuple[Task, ...]:
        """`k` tasks on the same test set: training and validation items together, each validated on once.

        Stratified; groups stay together; with times, each fold trains on what came before what it validates on.

        Raises:
            InputTypeError, InputError: `k` is no whole number of 2 or more, or above the smallest class or the groups.
        """
        from nbtune.tasks.folds import folds

        return folds(self, k, seed)

    def few(self, shots: int, seed: int = 0) -> Task:
        """The same task with `shots` training items a class; more shots at the same seed hold the fewer.

        Validation and test stay as they are. Of a class with no training item there is none here either.

        Raises:
            InputTypeError, InputError: `shots` is no whole number from 1 to the smallest class, or targets are no
                classes.
        """
        from nbtune.tasks.few import few

        return few(self, shots, seed)

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

    @imports_whole
    def copies(self) -> Copies:
        """Items whose content is equal to the last bit: across splits, and with labels that differ."""
        from nbtune.tasks.copies import copies

        return copies(self)

    def quality(
        self, body: Any = None, *, new: Any = None, seed: int = 0, stopped: Callable[[], bool] = lambda: False
    ) -> Quality:
        """What is wrong with the data, as far as it shows: `.findings`, and `.wrong_labels` and `.duplicates` as marks.

        Asked are gaps, constant columns and columns that tell the label alone; exact and near duplicates, and groups
        or times that stand in two splits; labels that are likely wrong (Northcutt et al. 2021); class balance; broken
        files; whether validation items, and `new` ones (pictures or rows that the model will meet, without labels),
        can be told from training items; and whether more data would help. `body`: a name, a network or a Learner, by
        whose features pictures are compared, and which is asked whether it knows such pictures; None: by pixels. Rows
        are compared by their columns. `stopped()` is asked in between; what was found until then is given.

        Labels of the test split are counted and named beside duplicates, and judge nothing. The random streams
        and the network are as before, to the bit. Texts are not asked yet.

        Raises:
            InputTypeError, InputError: a body or `new` that do not fit the task, or a bad `seed`.
        """
        from nbtune.quality import quality

        return quality(self, body, new=new, seed=seed, stopped=stopped)

    @imports_whole
    def plot(self, each: int = 4) -> Chart:
        """The first `each` training images of at most 20 classes, a column a class; of a table the targets."""
        from nbtune.tasks._picture import picture

        return picture(self, each)

    @property
    def unit(self) -> str:
        """What an item is called: images or rows."""
        return "rows" if isinstance(self.train.x, Rows) else "images"

    def __repr__(self) -> str:
        sizes = f"{len(self.train):,} training, {len(self.valid):,} validation and {len(self.test):,} test {self.unit}"
        outputs = {"single": "classes", "multi": "labels", "regression": f"number{'s' * (len(self.vocab) > 1)}"}
        return f"Task {self.name}: {self.objective}. {sizes}, {len(self.vocab)} {outputs[self.kind]}."

    def _repr_html_(self) -> str:
        rows = [(name, f"{len(getattr(self, name)):,}") for name in ("train", "valid", "test")]
        about = f"{self.objective.capitalize()}. {self.card.labelled} {self.card.nature.capitalize()} data."
        about = " ".join(filter(None, (about, self.card.proposal, self.card.left_out)))
        return html_value(f"Task {self.name}", about, html_table(["split", self.unit], rows))


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
