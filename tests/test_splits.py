"""Splits: stratified, grouped, by time, as given, in folds; the same on every machine, and said in the card."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nbtune as nt
from broken_files import class_folders, good
from nbtune.errors import InputError, InputTypeError, NbtuneError
from nbtune.tasks import Task
from nbtune.tasks.splits import Aside, plan_split
from nbtune.tasks.targets import Target, read_target

SPLITS = ("train", "valid", "test")


def frame(n: int = 120, classes: int = 3) -> pd.DataFrame:
    """A table with a class, a group of four rows, and a day."""
    draw = np.random.RandomState(0)
    return pd.DataFrame(
        {"x": draw.rand(n), "y": [f"k{i % classes}" for i in range(n)], "who": [f"p{i // 4}" for i in range(n)],
         "day": pd.date_range("2020-01-01", periods=n)[draw.permutation(n)]}
    )  # fmt: skip


def of(task: Task, column: str, df: pd.DataFrame) -> dict[str, set[Any]]:
    """The values of a column in each split."""
    return {s: set(df.loc[[int(name.split()[1]) for name in getattr(task, s).ids], column]) for s in SPLITS}


def disjoint(sets: dict[str, set[Any]]) -> bool:
    return len(set.union(*sets.values())) == sum(map(len, sets.values()))


@settings(max_examples=40, deadline=None)
@given(
    counts=st.lists(st.integers(3, 60), min_size=2, max_size=6), valid=st.floats(0.05, 0.4), test=st.floats(0.05, 0.4),
    seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_every_class_is_in_every_split_by_its_share(counts: list[int], valid: float, test: float, seed: int) -> None:
    y = np.repeat(np.arange(len(counts)), counts)
    target = Target("single", tuple(map(str, range(len(counts)))), y, "")
    plan = plan_split(target, Aside(), valid=valid, test=test, seed=seed)
    parts = [plan.train, plan.valid, plan.test]
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(len(y)))
    for c, n in enumerate(counts):
        found = [int((y[part] == c).sum()) for part in parts]
        assert min(found) >= 1
        assert abs(found[2] - test * n) <= 1
    again = plan_split(target, Aside(), valid=valid, test=test, seed=seed)
    assert all(np.array_equal(a, b) for a, b in zip(parts, [again.train, again.valid, again.test], strict=True))


def test_the_highest_seed_draws_too() -> None:
    assert "seed 4294967295 (" in nt.tasks.from_frame(frame(), x=["x"], y="y", seed=2**32 - 1).card.split


def test_the_seed_draws_and_the_card_says_so() -> None:
    df = frame()
    one, same, other = (nt.tasks.from_frame(df, x=["x"], y="y", seed=seed) for seed in (1, 1, 2))
    assert one.card.split_digest == same.card.split_digest != other.card.split_digest
    assert one.card.split == "Stratified by class, seed 1 (test: the same for every seed)."
    assert one.card.class_counts == {"k0": 24, "k1": 24, "k2": 24}


@given(st.integers(0, 2**32 - 1), st.sampled_from([{}, {"group": "who"}, {"time": "day"}]))
@settings(max_examples=20)
def test_a_test_split_is_the_same_for_every_seed(seed: int, by: dict[str, str]) -> None:
    df = frame()
    first, other = (nt.tasks.from_frame(df, x=["x"], y="y", seed=seed, **by) for seed in (0, seed))
    assert first.test.ids == other.test.ids
    assert not set(first.test.ids) & {*other.train.ids, *other.valid.ids}


@pytest.mark.parametrize("seed", range(5))
def test_groups_are_in_one_split_each(seed: int) -> None:
    df = frame()
    task = nt.tasks.from_frame(df, x=["x"], y="y", group="who", seed=seed)
    assert disjoint(of(task, "who", df))
    assert "the 30 groups stay together" in task.card.split
    assert 12 <= len(task.test) <= 36  # groups are whole, so the share of 24 is met roughly
    assert not disjoint(of(nt.tasks.from_frame(df, x=["x"], y="y", seed=seed), "who", df))


def test_the_latest_is_tested_and_one_moment_is_in_one_split() -> None:
    df = frame().assign(day=lambda d: d.day.dt.to_period("W").dt.start_time)
    task = nt.tasks.from_frame(df, x=["x"], y="y", time="day")
    days = of(task, "day", df)
    assert max(days["train"]) < min(days["valid"]) <= max(days["valid"]) < min(days["test"])
    assert task.card.split.startswith("By time: trained on before 2020-")


def test_a_given_split_is_kept_and_what_it_lacks_is_drawn_from_training() -> None:
    df = frame()
    df["part"] = np.where(np.arange(120) % 5 == 0, "Testing", "train")
    task = nt.tasks.from_frame(df, x=["x"], y="y", split="part")
    assert of(task, "part", df) == {"train": {"train"}, "valid": {"train"}, "test": {"Testing"}}
    assert task.card.split.startswith("As given; valid drawn from the training items.")
    is_valid = nt.tasks.from_frame(df.assign(v=df.part == "Testing"), x=["x"], y="y", split="v")
    assert of(is_valid, "part", df)["valid"] == {"Testing"}


def test_numbers_and_labels_are_spread_over_the_splits() -> None:
    df = frame(200).assign(price=lambda d: d.x**4)
    task = nt.tasks.from_frame(df, x=["who"], y="price")
    means = [getattr(task, split).y.mean() for split in SPLITS]
    assert max(means) - min(means) < 0.04  # of plain random splits of 40 the means differ by 0.1
    rare = np.zeros((200, 2), dtype=int)
    rare[:, 0], rare[::20, 1] = 1, 1
    several = nt.tasks.from_arrays(np.random.RandomState(0).rand(200, 3), rare)
    assert all(getattr(several, split).y[:, 1].sum() >= 1 for split in SPLITS)


def test_every_item_is_validated_on_once_and_the_test_set_stays() -> None:
    df = frame()
    for options in ({}, {"group": "who"}):
        task = nt.tasks.from_frame(df, x=["x"], y="y", **options)  # type: ignore[arg-type]
        folds = task.folds(4)
        assert len({fold.test.digest for fold in folds}) == 1
        ids = [name for fold in folds for name in fold.valid.ids]
        assert sorted(ids) == sorted([*task.train.ids, *task.valid.ids])
        if options:
            assert all(disjoint(of(fold, "who", df)) for fold in folds)
        else:
            assert all(max(fold.valid.counts(3)) - min(fold.valid.counts(3)) <= 1 for fold in folds)
        assert folds[0].card.split.startswith("Fold 1 of 4, seed 0.")
    early = nt.tasks.from_frame(df, x=["x"], y="y", time="day").folds(3)
    for fold in early:
        days = of(fold, "day", df)
        assert max(days["train"]) <= min(days["valid"])
        assert max(days["valid"]) <= min(days["test"])


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "groups straddle": ({"group": "who", "split": "part"}, "30 of 30 groups stand in several given splits"),
    "a class never trained": ({"split": "late"}, "1 classes of the test split have no training item: k2"),
    "no training items": ({"split": "only"}, "without training items"),
    "unknown names": ({"split": "who"}, "in splits called 'p0'"),
    "few groups": ({"group": "three"}, "3 groups for a split into 5 parts"),
    "two groups": ({"group": "two", "y": "x"}, "2 groups for 3 splits"),
    "groups that are classes": ({"group": "y"}, "3 of 3 classes lie in too few of them: 'k0' in 1"),
    "one group": ({"group": "only"}, "1 group for 3 splits"),
    "one moment": ({"time": "once"}, "1 different times"),
    "no group": ({"group": "gaps"}, "60 × no group"),
    "missing column": ({"group": "woh"}, "group='woh' is no column"),
}


@pytest.mark.parametrize("kind", BAD)
def test_splits_that_mislead_are_refused(kind: str) -> None:
    df = frame().assign(
        part=lambda d: np.where(np.arange(120) % 4 == 0, "test", "train"), only="test", once=1.0,
        late=lambda d: np.where(d.y == "k2", "test", "train"),
        gaps=lambda d: d.who.where(np.arange(120) % 2 == 0), two=np.arange(120) // 60, three=np.arange(120) // 40,
        number=range(120),
    )  # fmt: skip
    options, given = BAD[kind]
    with pytest.raises(NbtuneError) as error:
        nt.tasks.from_frame(df, **{"x": ["x"] if "y" not in options else ["number"], "y": "y", **options})
    assert given in error.value.given, error.value.given
    assert all((error.value.rule, error.value.likely, error.value.next))


def test_the_shares_that_few_groups_are_told_to_take_work() -> None:
    df = frame().assign(three=np.arange(120) // 40)
    with pytest.raises(InputError, match="3 groups for a split into 5 parts") as error:
        nt.tasks.from_frame(df, x=["x"], y="y", group="three")
    assert "valid=0.34, test=0.34" in error.value.next
    assert disjoint(of(nt.tasks.from_frame(df, x=["x"], y="y", group="three", valid=0.34, test=0.34), "three", df))


CONFINED: dict[str, tuple[Callable[[Path], object], str, str, str]] = {
    # name: (group of a path, given, likely, next)
    "a photograph a class": (
        lambda path: path.parent.name,
        "3 groups, and 3 of 3 classes lie in too few of them: 'a' in 1, 'b' in 1, 'c' in 1",
        "groups that are the classes themselves", "more photographs, patients or sites of 'a' and the others"),
    "two a class": (
        lambda path: path.parent.name + "xy"[int(path.stem) % 2], "'a' in 2, 'b' in 2, 'c' in 2", "few photographs",
        "or group= with another column or function"),
    "one class in one": (
        lambda path: "c" if path.parent.name == "c" else path.stem,
        "13 groups, and 1 of 3 classes lie in too few of them: 'c' in 1",
        "few photographs", "leave_out=('c',)"),
    "one group": (lambda path: "x", "group= is the same for all 36 items", "the whole collection", "without group="),
}  # fmt: skip


@pytest.mark.parametrize("kind", CONFINED)
def test_classes_that_lie_in_too_few_groups_are_named_and_no_shares_are_advised(kind: str, tmp_path: Path) -> None:
    group, given, likely, better = CONFINED[kind]
    with pytest.raises(InputError) as error:
        nt.tasks.from_folder(class_folders(tmp_path, "abc", 12), group=group)
    assert given in error.value.given
    assert likely in error.value.likely
    assert better in error.value.next
    assert "valid=" not in error.value.next


# Dates as text

DAYS = pd.date_range("2020-01-01", periods=400)


def timed(values: Any) -> pd.DataFrame:
    return pd.DataFrame({"x": np.arange(400.0), "y": ["a", "b"] * 200, "day": pd.Series(list(values), dtype=object)})


READY: dict[str, Any] = {
    "days": DAYS.strftime("%Y-%m-%d"), "minutes": DAYS.strftime("%Y-%m-%d %H:%M"),
    "utc": DAYS.strftime("%Y-%m-%dT%H:%MZ"),
    "zones": [f"{day:%Y-%m-%d}T12:00{'+02:00' if at % 2 else '-02:00'}" for at, day in enumerate(DAYS)],
    "no zeros": [f"{day.year}/{day.month}/{day.day}" for day in DAYS],
    "two ways": [f"{day:%Y-%m-%d}{'' if at % 2 else ' 10:00'}" for at, day in enumerate(DAYS)],
    "weeks": DAYS.strftime("%G-W%V"), "months": DAYS.strftime("%Y-%m"), "numbers": range(400), "datetimes": DAYS,
    "dates": DAYS.date, "zoned": DAYS.tz_localize("Europe/Berlin"),
}  # fmt: skip


@pytest.mark.parametrize("kind", READY)
def test_numbers_datetimes_and_text_with_the_year_first_sort_by_time(kind: str) -> None:
    shuffled = timed(READY[kind]).sample(frac=1, random_state=0)
    task = nt.tasks.from_frame(shuffled, x=["x"], y="y", time="day")
    order = [float(part.x.frame.x.max()) for part in (task.train, task.valid, task.test)]
    assert order == sorted(order)
    assert float(task.train.x.frame.x.max()) < float(task.valid.x.frame.x.min())
    assert float(task.valid.x.frame.x.max()) < float(task.test.x.frame.x.min())


UNREAD: dict[str, tuple[Any, str]] = {
    "day first": (DAYS.strftime("%d.%m.%Y"), "pd.to_datetime(df['day'], dayfirst=True)"),
    "month first": (DAYS.strftime("%m/%d/%Y"), "pd.to_datetime(df['day'], dayfirst=False)"),
    "short years": (DAYS.strftime("%d.%m.%y"), "pd.to_datetime(df['day'], format='mixed', dayfirst=True)"),
    "names": (DAYS.strftime("%d %b %Y"), "pd.to_datetime(df['day'])"),
    "some clocks": (
        [f"{day:%d.%m.%Y}{'' if at % 2 else ' 9:30'}" for at, day in enumerate(DAYS)],
        "pd.to_datetime(df['day'], format='mixed', dayfirst=True)"),
    "some zones": (
        [f"{day:%Y-%m-%dT%H:%M}{'' if at % 2 else 'Z'}" for at, day in enumerate(DAYS)],
        "pd.to_datetime(df['day'], format='ISO8601', utc=True)"),
    "numbers": ([str(at) for at in range(400)], "pd.to_numeric(df['day'])"),
}  # fmt: skip


@pytest.mark.parametrize("kind", UNREAD)
def test_dates_that_sort_by_their_letters_are_refused_with_a_line_that_reads_them(kind: str) -> None:
    values, better = UNREAD[kind]
    df = timed(values)
    with pytest.raises(InputError, match="time='day'") as error:
        nt.tasks.from_frame(df, x=["x"], y="y", time="day")
    assert error.value.next == f"df['day'] = {better}"
    exec(error.value.next, {"df": df, "pd": pd})
    task = nt.tasks.from_frame(df, x=["x"], y="y", time="day")
    assert float(task.train.x.frame.x.max()) < float(task.test.x.frame.x.min())


def test_text_that_is_no_date_words_among_dates_and_an_order_that_nobody_knows() -> None:
    cases: list[tuple[Any, str, str]] = [
        ([f"visit {at}" for at in range(337, 737)], "text that is no date, such as 'visit 337'", "the number 337"),
        (["unknown" if at % 40 == 0 else f"{day:%d.%m.%Y}" for at, day in enumerate(DAYS)], "no dates: 'unknown'",
         "errors='coerce'"),
        ([f"{1 + at % 12:02}/{1 + at % 7:02}/2020" for at in range(400)], "sort by their letters",
         "dayfirst=True) (dayfirst=False, if the month comes first)"),
        (["13/01/2020", "01/13/2020"] * 200, "sort by their letters", "format=..."),
        ([at if at % 9 else "soon" for at in range(400)], "45 texts (such as 'soon') among 400 values", "one type"),
    ]  # fmt: skip
    for values, said, better in cases:
        with pytest.raises(InputError) as error:
            nt.tasks.from_frame(timed(values), x=["x"], y="y", time="day")
        assert said in error.value.given
        assert better in error.value.next
        assert "text with the year first" in error.value.rule


def test_dates_as_text_are_refused_from_every_source(tmp_path: Path) -> None:
    root = class_folders(tmp_path, each=12)
    rows = "".join(f"{c}/{at}.png,{c},{1 + at}.1.2020\n" for c in "ab" for at in range(12))
    (root / "labels.csv").write_text(f"file,label,day\n{rows}")
    x, y, days = np.random.RandomState(0).rand(40, 8, 8), ["a", "b"] * 20, [f"{1 + at % 20}.1.2020" for at in range(40)]
    calls: list[tuple[Callable[[], object], str]] = [
        (lambda: nt.tasks.from_arrays(x, y, time=days), "time=pd.to_datetime(time, dayfirst=True)"),
        (lambda: nt.tasks.from_arrays(x[:, 0], y, time=days), "time=pd.to_datetime(time, dayfirst=True)"),
        (lambda: nt.tasks.from_folder(root, time=lambda path: f"{1 + int(path.stem)}.1.2020"),
         "return pd.to_datetime(text, dayfirst=True) in the function of time="),
        (lambda: nt.tasks.from_folder(root, labels="labels.csv", y="label", time="day"),
         "df['day'] = pd.to_datetime(df['day'], dayfirst=True); then nt.tasks.from_frame"),
    ]  # fmt: skip
    for call, better in calls:
        with pytest.raises(InputError, match="dates as text") as error:
            call()
        assert better in error.value.next
    read = pd.to_datetime(days, dayfirst=True)
    assert nt.tasks.from_arrays(x, y, time=read).card.split.startswith("By time: trained on before 2020-01-")


def test_a_gap_among_dates_is_a_row_without_a_date() -> None:
    df = timed([None if at % 40 == 0 else f"{day:%Y-%m-%d}" for at, day in enumerate(DAYS)])
    with pytest.raises(InputError, match="10 × no time: row 0") as error:
        nt.tasks.from_frame(df, x=["x"], y="y", time="day")
    assert error.value.likely == "rows without a date."
    with pytest.raises(InputError, match="10 × no group") as error:
        nt.tasks.from_frame(df, x=["x"], y="y", group="day")
    assert "never noted" in error.value.likely
    task = nt.tasks.from_frame(df, x=["x"], y="y", time="day", broken="skip")
    assert len(task.card.skipped) == 10


def test_groups_that_straddle_given_splits_are_refused_from_every_source(tmp_path: Path) -> None:
    root = tmp_path / "pics"
    class_folders(root / "train", each=4)
    for at in range(8):  # other pictures
        (root / "test" / "ab"[at % 2]).mkdir(parents=True, exist_ok=True)
        good(5000 + at).save(root / "test" / "ab"[at % 2] / f"{at}.png")
    x, split = np.arange(40.0)[:, None], ["train", "test"] * 20
    calls: list[Callable[[], object]] = [
        lambda: nt.tasks.from_folder(root, group=lambda path: int(path.stem) % 2),
        lambda: nt.tasks.from_arrays(x, ["a", "b", "b", "a"] * 10, group=np.arange(40) // 8, split=split),
    ]
    for call in calls:
        with pytest.raises(InputError, match="groups stand in several given splits") as error:
            call()
        assert "drawn item by item" in error.value.likely
        assert "leave split= out" in error.value.next


def test_a_class_that_is_never_tested_is_noted() -> None:
    tested = np.arange(120) // 3 % 3 == 0
    df = frame().assign(part=lambda d: np.where((d.y != "k2") & tested, "test", "train"))
    card = nt.tasks.from_frame(df, x=["x"], y="y", split="part").card
    assert "The test split has no item of k2: nothing is known of it there." in card.note


@pytest.mark.parametrize(("k", "kind"), [(1, InputError), (0, InputError), (33, InputError), (2.5, InputTypeError)])
def test_folds_that_cannot_be_made_are_refused(k: Any, kind: type[NbtuneError]) -> None:
    task = nt.tasks.from_frame(frame(), x=["x"], y="y")
    with pytest.raises(kind, match="k is a whole number of folds"):
        task.folds(k)


KINDS: list[tuple[Any, str, str]] = [
    (["a", "b"] * 30, "single", "names"), ([True, False] * 30, "single", "names"),
    ([0, 1, 2] * 20, "single", "classes"),
    ([0.5, 1.5] * 30, "regression", "fractions"), (list(range(60)), "regression", "60 different whole numbers"),
    ([1.0, 2.0] * 30, "single", "classes"), ([["a"], ["a", "b"]] * 30, "multi", "list of labels"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "kind", "why"), KINDS)
def test_the_kind_of_target_is_proposed_with_a_reason(values: Any, kind: str, why: str) -> None:
    target = read_target(pd.Series(values, name="y"), None, None, "from_frame")
    assert (target.kind, why in target.why) == (kind, True)


def test_uneven_classes_are_measured_by_macro_f1_and_even_ones_by_accuracy() -> None:
    df = frame(200)
    even = nt.tasks.from_frame(df, x=["x"], y="y")
    assert even.metrics == ("accuracy",)
    uneven = nt.tasks.from_frame(df.assign(y=np.where(np.arange(200) % 10 == 0, "rare", "common")), x=["x"], y="y")
    assert uneven.metrics == ("f1",)
    assert "macro F1, not accuracy, as the largest class has 180 items and 'rare' 20" in uneven.card.proposal
    assert nt.tasks.from_frame(df, x=["x"], y="y", metrics=["recall", "f1"]).metrics == ("recall", "f1")
