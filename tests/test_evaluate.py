"""Reports: metrics equal scikit-learn's, intervals hold what they promise, sentences say what is so."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from scipy.stats import binomtest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, log_loss, precision_score, recall_score

from nbtune._display import Chart
from nbtune.errors import InputError, InputTypeError, NbtuneError
from nbtune.evaluate import Estimate, Report, report
from nbtune.evaluate.intervals import wilson
from nbtune.evaluate.outcomes import whole
from nbtune.evaluate.reading import _macro

TEN = tuple(str(digit) for digit in range(10))


@pytest.fixture(scope="module")
def digits() -> SimpleNamespace:
    """600 real digits read by two logistic regressions: one from 1,000 labels, one from 40."""
    x, y = load_digits(return_X_y=True)
    x = x / 16
    good = LogisticRegression(max_iter=200).fit(x[:1000], y[:1000])
    poor = LogisticRegression(max_iter=200).fit(x[:40], y[:40])
    test = x[1000:1600]
    images = (test.reshape(-1, 8, 8) * 255).astype(np.uint8)
    return SimpleNamespace(y=y[1000:1600], images=images, good=good.predict_proba(test), poor=poor.predict_proba(test))


def certain(true: list[int], predicted: list[int], k: int, **more: Any) -> Report:
    """A report of sure predictions: probability 0.9 for the predicted class."""
    probs = np.full((len(true), k), 0.1 / (k - 1))
    probs[np.arange(len(true)), predicted] = 0.9
    return report(probs, np.array(true), [f"c{i}" for i in range(k)], **more)


def from_confusion(matrix: list[list[int]], vocab: list[str]) -> Report:
    cells = [(t, p) for t, row in enumerate(matrix) for p, count in enumerate(row) for _ in range(count)]
    true, predicted = map(list, zip(*cells, strict=True))
    probs = np.full((len(cells), len(vocab)), 0.1 / (len(vocab) - 1))
    probs[np.arange(len(cells)), predicted] = 0.9
    return report(probs, np.array(true), vocab)


def four_parts(error: NbtuneError) -> str:
    text = str(error)
    assert all(f"\n  {part}: " in text for part in ("Rule", "Likely", "Next")), text
    return text


# Estimate


def test_estimate_shows_value_and_limits() -> None:
    estimate = Estimate(0.953, 0.933, 0.967)
    assert repr(estimate) == str(estimate) == "0.953 [0.933, 0.967]"
    assert float(estimate) == 0.953
    assert f"{estimate:.1%}" == "95.3% [93.3%, 96.7%]"
    with pytest.raises(AttributeError):
        estimate.value = 1.0  # type: ignore[misc]


@given(n=st.integers(1, 5000), data=st.data())
@settings(max_examples=60, deadline=None)
def test_wilson_equals_scipy(n: int, data: Any) -> None:
    right = data.draw(st.integers(0, n))
    ours, theirs = wilson(right, n), binomtest(right, n).proportion_ci(method="wilson")
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert 0 <= ours.low <= ours.value <= ours.high <= 1


@pytest.mark.parametrize(("right", "n"), [(20, 10), (-1, 10), (1, 0)])
def test_more_right_than_there_are_is_refused(right: int, n: int) -> None:
    with pytest.raises(InputError, match=r"(?s)0 <= right <= n.*exchanged"):
        wilson(right, n)


# Metrics


@given(seed=st.integers(0, 10_000), n=st.integers(1, 80), k=st.integers(2, 7))
@settings(max_examples=60, deadline=None)
def test_values_equal_scikit_learn_and_lie_in_their_intervals(seed: int, n: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    probs, y = rng.dirichlet(np.full(k, 0.3), size=n), rng.integers(0, k, n)
    found = report(probs, y, range(k), n_boot=50)
    said, rest = probs.argmax(1), {"average": "macro", "zero_division": 0}
    expected = {
        "accuracy": (said == y).mean(),
        "precision": precision_score(y, said, **rest),
        "recall": recall_score(y, said, **rest),
        "f1": f1_score(y, said, **rest),
        "log_loss": log_loss(y, probs, labels=np.arange(k)),
    }
    assert list(found.metrics) == list(expected)
    for name, estimate in found.metrics.items():
        assert estimate.value == pytest.approx(expected[name], abs=1e-12), name
        assert estimate.low <= estimate.value <= estimate.high, name
    frame = found.per_class()
    each = f1_score(y, said, labels=np.arange(k), average=None, zero_division=0)
    assert frame["f1"].to_numpy() == pytest.approx(each)
    for metric in ("precision", "recall", "f1"):
        assert (frame[f"{metric}_low"] <= frame[metric] + 1e-12).all()
        assert (frame[metric] <= frame[f"{metric}_high"] + 1e-12).all()


def test_bootstrap_equals_resampling_items_one_by_one(digits: SimpleNamespace) -> None:
    found = report(digits.poor, digits.y, TEN, n_boot=2000)
    rng, said = np.random.default_rng(1), digits.poor.argmax(1)
    draws = rng.integers(0, 600, size=(400, 600))
    slow = [f1_score(digits.y[d], said[d], average="macro", zero_division=0) for d in draws]
    low, high = np.percentile(slow, (2.5, 97.5))
    f1 = found.metrics["f1"]
    # 400 draws know a limit to about a tenth of the interval.
    assert (f1.low, f1.high) == pytest.approx((low, high), abs=0.2 * (high - low))


def test_macro_f1_interval_covers_the_truth() -> None:
    """100 samples of 300 items at a known macro F1 of 0.9 (symmetric errors): 95 % should hold it."""
    held = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        y = rng.integers(0, 5, 300)
        said = np.where(rng.random(300) < 0.9, y, (y + rng.integers(1, 5, 300)) % 5)
        f1 = report(np.eye(5)[said], y, range(5), n_boot=200).metrics["f1"]
        held += f1.low <= 0.9 <= f1.high
    assert held >= 88  # binomial(100, 0.95) falls below 88 in 3 of 1,000 runs; the seeds are fixed


def test_no_error_is_no_certainty() -> None:
    found = certain([0, 1] * 10, [0, 1] * 10, 2)
    for name in ("accuracy", "precision", "recall", "f1"):
        assert found.metrics[name].value == found.metrics[name].high == 1.0
        assert 0.8 < found.metrics[name].low < 0.9  # Wilson, 20 of 20: 0.839
    assert found.per_class()["f1_low"].max() < 0.8
    assert "No error was seen on 20 items" in found.sentence


def test_one_item() -> None:
    right, wrong = certain([1], [1], 3), certain([1], [2], 3)
    assert right.metrics["f1"].low < 0.3
    assert wrong.metrics["f1"].high > 0.7
    assert right.metrics["log_loss"].high == float("inf")
    assert len(wrong.worst()) == 1
    assert "1 item is right" in right.sentence


def test_class_that_is_missing_or_only_predicted() -> None:
    found = certain([0, 0, 1, 1], [0, 3, 1, 1], 5)
    rows = found.per_class().set_index("class")
    assert rows.loc["c2", ["recall", "recall_low", "recall_high", "support"]].tolist() == [0, 0, 1, 0]
    assert rows.loc["c3", ["precision", "support", "predicted"]].tolist() == [0, 0, 1]
    assert found.metrics["recall"].value == pytest.approx((0.5 + 1 + 0) / 3)  # classes 0, 1 and 3 occur


def test_same_figures_again_and_no_global_stream_moves(digits: SimpleNamespace) -> None:
    before = np.random.get_state()[1].copy(), random.getstate()
    first, again = (report(digits.poor, digits.y, TEN) for _ in range(2))
    assert first.metrics == again.metrics
    assert first.compare(report(digits.good, digits.y, TEN)) == again.compare(report(digits.good, digits.y, TEN))
    assert (np.random.get_state()[1] == before[0]).all()
    assert random.getstate() == before[1]


def test_input_is_copied(digits: SimpleNamespace) -> None:
    probs = digits.good.copy()
    found = report(probs, digits.y, TEN)
    probs[:] = 0
    assert found.probs.sum() == pytest.approx(600)
    with pytest.raises(ValueError, match="read-only"):
        found.probs[0, 0] = 1


def test_single_precision_and_tensors(digits: SimpleNamespace) -> None:
    import torch

    exact = report(digits.good, digits.y, TEN).metrics
    rough = report(torch.tensor(digits.good).float(), torch.tensor(digits.y), TEN).metrics
    assert rough["accuracy"] == exact["accuracy"]
    assert rough["log_loss"].value == pytest.approx(exact["log_loss"].value, rel=1e-4)


# What is said


def test_sentence_names_the_missed_class() -> None:
    matrix = [[60, 0, 0], [0, 60, 0], [0, 9, 51]]
    said = from_confusion(matrix, ["0", "1", "8"]).sentence
    assert "'8' is missed more often than invented: 9 of 60 read as another class, 9 of them as '1'." in said
    assert "'1' is invented more often than missed: 9 of 69 read as '1' are others, 9 of them '8'." in said


GATHERED = [[300, 0, 0, 0, 40], [0, 300, 0, 0, 40], [0, 0, 300, 0, 40], [0, 0, 0, 300, 40], [0, 0, 0, 0, 30]]
SPREAD = [[20] + [8] * 10] + [[0] * i + [500] + [0] * (10 - i) for i in range(1, 11)]
SWALLOWED = [[500, 0, 0], [20, 30, 0], [20, 0, 30]]


@pytest.mark.parametrize(
    ("matrix", "said"),
    [
        (GATHERED, "'e' is predicted too often (190 times for 30 items): macro recall is above macro precision by"),
        (SPREAD, "'a' is predicted too rarely (20 times for 100 items): macro precision is above macro recall by"),
        (
            SWALLOWED,
            "Some classes are predicted too rarely, most 'b' (30 times for 50 items): macro precision is above",
        ),
        ([[400, 60, 50], [0, 30, 0], [0, 0, 30]], "Some classes are predicted too often, most 'b' (90 times for 30"),
    ],
)
def test_the_macro_sentence_names_who_is_predicted_too_often_or_too_rarely(matrix: list[list[int]], said: str) -> None:
    """Macro precision minus recall is the mean over classes of recall times (support / predicted - 1)."""
    assert said in from_confusion(matrix, list("abcdefghijk")[: len(matrix)]).sentence


@given(
    cells=st.integers(2, 5).flatmap(lambda k: st.lists(st.integers(0, 60), min_size=k * k, max_size=k * k)),
    sign=st.sampled_from([1, -1]),
)
@settings(max_examples=80, deadline=None)
def test_the_named_class_is_what_the_macro_sentence_says(cells: list[int], sign: int) -> None:
    k = round(len(cells) ** 0.5)
    matrix = np.array(cells).reshape(k, k)
    text = _macro(matrix, "abcde"[:k], Estimate(sign * 0.1, *sorted((sign * 0.05, sign * 0.2))))
    hits, support, called = matrix.diagonal(), matrix.sum(1), matrix.sum(0)
    part = sign * np.array([h / max(c, 1) - h / max(s, 1) for h, s, c in zip(hits, support, called, strict=True)])
    if part.sum() > 0:  # the gap of this matrix has the sign of the sentence
        c = int(part.argmax())
        assert f"'{'abcde'[c]}'" in text
        assert sign * (support[c] - called[c]) > 0
        assert f"({called[c]} time" in text
        if not text.startswith("'"):
            assert (sign * (support - called) > 0).sum() > 1


def test_many_classes_are_many_chances() -> None:
    """6 misses to 0 false alarms (p = 0.031) are enough for one class that could differ, not for ten."""
    alone = np.diag([50] * 20)
    alone[0, 1:7] = 1
    assert "'0' is missed more often" in from_confusion(alone.tolist(), [str(c) for c in range(20)]).sentence
    many = np.diag([50] * 20)
    many[0, 10:16] = 1
    for c in range(1, 10):  # symmetric pairs of errors, 6 a class
        many[c, 10 + c] = many[10 + c, c] = 3
    assert "often" not in from_confusion(many.tolist(), [str(c) for c in range(20)]).sentence


def test_unused_classes_change_nothing(digits: SimpleNamespace) -> None:
    wide = np.hstack([digits.poor, np.zeros((600, 3))])
    few, many = report(digits.poor, digits.y, TEN), report(wide, digits.y, (*TEN, "x", "y", "z"))
    for name, estimate in many.metrics.items():
        expected = few.metrics[name]
        assert (estimate.low, estimate.high) == pytest.approx((expected.low, expected.high)), name


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_sentence_calls_noise_noise(share: float) -> None:
    """Symmetric errors: in 40 samples at most 5 may be read as a pattern (5 % expected)."""
    read = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        y = rng.integers(0, 4, 200)
        said = np.where(rng.random(200) < share, y, (y + rng.integers(1, 4, 200)) % 4)
        read += "agree within the noise" not in report(np.eye(4)[said], y, range(4), n_boot=200).sentence
    assert read <= 5


def test_looks_are_kept_and_warned_of() -> None:
    assert "look 2" not in certain([0, 1], [0, 1], 2).sentence
    again = certain([0, 1], [0, 1], 2, looks=3)
    assert again.looks == 3
    assert "look 3 at this test set" in again.sentence
    assert "look 3 at this test set" in repr(again)


def test_shows_itself(digits: SimpleNamespace) -> None:
    found = report(digits.good, digits.y, TEN, items=digits.images, objective="Read <digits>.")
    assert repr(found).startswith("Accuracy 0.")
    html = found._repr_html_()
    assert "&lt;digits&gt;" in html
    assert "log_loss" in html
    assert found.frame()["metric"].tolist() == list(found.metrics)
    matrix = found.confusion_frame()
    assert matrix.to_numpy().sum() == 600
    assert (matrix.index.name, matrix.columns.name) == ("true", "predicted")


def test_worst_are_the_most_confident_errors(digits: SimpleNamespace) -> None:
    found = report(digits.poor, digits.y, TEN, items=digits.images)
    worst = found.worst(5)
    rows, said = worst.frame(), digits.poor.argmax(1)
    wrong = np.flatnonzero(said != digits.y)
    top = sorted(digits.poor[wrong].max(1))[::-1][:5]
    assert rows["probability"].tolist() == pytest.approx(top)
    assert all(said[i] != digits.y[i] for i in rows["index"])
    assert rows["loss"].to_numpy() == pytest.approx(-np.log(digits.poor[rows["index"], digits.y[rows["index"]]]))
    assert worst.images is not None
    assert (worst.images[0] == digits.images[rows["index"][0]]).all()
    assert len(found.worst(10_000)) == len(wrong)
    assert worst._repr_html_().count("<tr>") == 6
    assert worst.plot()._repr_png_().startswith(b"\x89PNG")


def test_worst_without_errors_or_images() -> None:
    right = certain([0, 1], [0, 1], 2, items=np.zeros((2, 4, 4, 3), dtype=np.uint8))
    assert len(right.worst()) == 0
    assert repr(right.worst()) == "No error on 2 items."
    assert isinstance(right.worst().plot(), Chart)
    with pytest.raises(InputError, match="no images") as caught:
        certain([0, 1], [1, 1], 2).worst().plot()
    four_parts(caught.value)


@pytest.mark.parametrize("k", [2, 10, 50])
def test_confusion_picture_shows_every_count(k: int) -> None:
    rng = np.random.default_rng(0)
    y, said = rng.integers(0, k, 400), rng.integers(0, k, 400)
    found = report(np.eye(k)[said], y, [f"$class {i}$ with a long name" for i in range(k)])
    picture = found.plot()
    (ax,) = picture.axes
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted", "true")
    shown = {text.get_position()[::-1]: int(text.get_text()) for text in ax.texts}
    if k <= 20:
        assert shown == {(t, p): c for (t, p), c in np.ndenumerate(found.confusion) if c}
    else:
        assert len(ax.get_xticks()) == 20
        assert "20 classes of 50" in picture.sentence
        assert "20 of 50 classes shown" in ax.get_title("left")
        picture._repr_png_()
        assert ax._left_title.get_window_extent().x1 <= picture.bbox.x1
    assert "errors" in repr(picture)
    assert picture._repr_png_().startswith(b"\x89PNG")


def test_a_matrix_without_errors_says_so() -> None:
    assert "no errors." in certain([0, 1], [0, 1], 2).plot().sentence
    assert "1 error; most often 1 × " in certain([0, 1], [0, 0], 2).plot().sentence


# Comparison


def test_compare_is_paired_and_exact(digits: SimpleNamespace) -> None:
    good, poor = (report(p, digits.y, TEN, items=digits.images) for p in (digits.good, digits.poor))
    found = good.compare(poor)
    a, b = digits.good.argmax(1) == digits.y, digits.poor.argmax(1) == digits.y
    assert (found.only_first, found.only_second) == ((a & ~b).sum(), (b & ~a).sum())
    assert found.p == pytest.approx(binomtest(found.only_first, found.only_first + found.only_second).pvalue)
    assert found.accuracy.value == pytest.approx(a.mean() - b.mean())
    assert found.accuracy.low > 0
    assert found.f1.low > 0
    assert found.verdict == "better"
    assert poor.compare(good).verdict == "worse"
    assert repr(found).startswith("The first is better: +")
    assert found.frame()["difference"].tolist() == [found.accuracy.value, found.f1.value]
    assert "macro F1" in found._repr_html_()


def test_compare_interval_is_the_paired_one(digits: SimpleNamespace) -> None:
    """The paired interval of the difference follows from the item-wise differences (normal, n = 600)."""
    found = report(digits.good, digits.y, TEN).compare(report(digits.poor, digits.y, TEN))
    each = (digits.good.argmax(1) == digits.y).astype(float) - (digits.poor.argmax(1) == digits.y)
    half = 1.96 * each.std() / np.sqrt(600)
    assert found.accuracy.high - found.accuracy.low == pytest.approx(2 * half, rel=0.12)


@settings(deadline=None, max_examples=60)
@given(first=st.integers(0, 12), second=st.integers(0, 12), both=st.integers(0, 60))
def test_what_the_exact_test_leaves_undecided_the_interval_does_too(first: int, second: int, both: int) -> None:
    n = max(first + second + both, 1)
    right = [[1] * first + [0] * (n - first), [0] * first + [1] * second + [0] * (n - first - second)]
    y = [1] * (first + second) + [0] * (n - first - second)
    a, b = (certain(y, one, 2) for one in right)
    found = a.compare(b)
    assert found.accuracy.low <= found.accuracy.value <= found.accuracy.high
    assert (found.verdict == "undecided") == (found.accuracy.low <= 0 <= found.accuracy.high)


def test_compare_with_itself_is_undecided(digits: SimpleNamespace) -> None:
    good = report(digits.good, digits.y, TEN)
    found = good.compare(good)
    assert (found.verdict, found.p, found.accuracy.value) == ("undecided", 1.0, 0.0)
    assert found.accuracy.low < 0 < found.accuracy.high < 0.01
    assert found.sentence == repr(found) == "Both give the same answer on all 600 items."
    assert "<table" not in found._repr_html_()


@pytest.mark.parametrize(("wrong", "said"), [([1, 1, 1, 1, 1], "5 wrong answers differ"), ([1, 2, 2, 2, 2], "1 wrong")])
def test_other_wrong_answers_are_no_other_accuracy_but_are_said(wrong: list[int], said: str) -> None:
    first, second = certain([0] * 10, [0] * 5 + [2] * 5, 3), certain([0] * 10, [0] * 5 + wrong, 3)
    found = first.compare(second)
    assert found.sentence.startswith(f"Both are right on the same items; {said}")
    assert "macro F1" in found._repr_html_()


@pytest.mark.parametrize(
    ("objective", "said"),
    [("read digits", "Read digits. 2 of 2"), ("Is it? ", "Is it? 2 of 2"), ("done.", "Done. 2 of 2"), ("", ">2 of 2")],
)
def test_the_objective_is_a_sentence_of_its_own(objective: str, said: str) -> None:
    assert said in certain([0, 1], [0, 1], 2, objective=objective)._repr_html_()


def test_up_to_five_errors_are_named() -> None:
    found = certain([0] * 8, [1] * 7 + [0], 3)
    assert repr(found.worst()).count("read as 'c1' (p = 0.90)") == 5
    assert repr(found.worst()).endswith("; …")
    assert repr(found.worst(2)) == (
        "2 of 7 errors on 8 items, the most confident first: "
        "item 0 is 'c0', read as 'c1' (p = 0.90); item 1 is 'c0', read as 'c1' (p = 0.90)."
    )
    assert (
        repr(certain([0, 1], [0, 0], 2).worst()) == "1 of 1 error on 2 items: item 1 is 'c1', read as 'c0' (p = 0.90)."
    )


@pytest.mark.parametrize("n", [1, 2, 9])
def test_the_picture_of_errors_says_what_its_titles_mean(n: int) -> None:
    items = np.zeros((9, 8, 8), dtype=np.uint8)
    picture = certain([0] * 9, [1] * 9, 2, items=items).worst(n).plot()
    picture._repr_png_()
    title = picture._suptitle
    assert title is not None
    assert "→ predicted" in title.get_text()
    assert "probability" in title.get_text()
    assert title.get_window_extent().x1 <= picture.bbox.x1
    assert title.get_window_extent().y0 >= picture.axes[0].title.get_window_extent().y1


@pytest.mark.parametrize("k", [3, 20])
def test_counts_have_contrast(k: int) -> None:
    """WCAG 2.1: 4.5 to 1 at least, on every shade."""

    def light(rgb: Any) -> float:
        parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    rng = np.random.default_rng(0)
    matrix = rng.integers(0, 9, (k, k)) + np.diag(rng.integers(0, 60, k))
    (ax,) = from_confusion(matrix.tolist(), [f"{c}" for c in range(k)]).plot().axes
    pixels = ax.images[0].get_array()
    for text in ax.texts:
        column, row = map(int, text.get_position())
        low, high = sorted((light(pixels[row, column]), light(to_rgb(text.get_color()))))
        assert (high + 0.05) / (low + 0.05) >= 4.5


def test_on_other_data_it_is_called_so_and_looks_do_not_matter(digits: SimpleNamespace) -> None:
    found = report(digits.good, digits.y, TEN, looks=4, data="the validation items")
    assert "on the validation items (600 items)" in repr(found)
    assert "test set" not in repr(found) + found.sentence + found._repr_html_()


@pytest.mark.parametrize("other", ["targets", "order", "images", "ids", "fewer", "classes"])
def test_compare_refuses_other_items(digits: SimpleNamespace, other: str) -> None:
    def split(ids: str = "a") -> SimpleNamespace:
        return SimpleNamespace(x=digits.images, ids=[f"{ids}{i}" for i in range(600)])

    first, y, probs, names = (
        report(digits.good, digits.y, TEN, items=split()),
        digits.y.copy(),
        digits.good,
        TEN,
    )
    items = split("b" if other == "ids" else "a")
    if other == "targets":
        y[0] = (y[0] + 1) % 10
    elif other == "order":
        y = y[::-1]
    elif other == "images":
        items.x = digits.images[::-1]
    elif other == "fewer":
        y, probs, items = y[:300], probs[:300], None
    elif other == "classes":
        names = TEN[::-1]
    with pytest.raises(InputError, match="different items") as caught:
        first.compare(report(probs, y, names, items=items))
    four_parts(caught.value)
    assert "such as task.valid" in str(caught.value)


def test_compare_refuses_other_values(digits: SimpleNamespace) -> None:
    with pytest.raises(InputTypeError, match="float") as caught:
        report(digits.good, digits.y, TEN).compare(0.95)  # type: ignore[arg-type]
    four_parts(caught.value)


# Bad input

FAIR = np.full((4, 2), 0.5)
ZERO = np.zeros(4, dtype=np.int64)


@pytest.mark.parametrize(
    ("probs", "targets", "vocab", "more", "what"),
    [
        (np.empty((0, 2)), ZERO[:0], "ab", {}, "an empty split"),
        ([], [], "ab", {}, "an empty split"),
        (FAIR, ZERO[:3], "ab", {}, "shape"),
        (FAIR[:, 0], ZERO, "ab", {}, "shape"),
        (FAIR[:, :1] * 2, ZERO, "a", {}, "shape"),
        (FAIR, np.eye(4, dtype=int), "ab", {}, "shape"),
        (np.array([[0.5, np.nan]] * 4), ZERO, "ab", {}, "not finite in 4 of 4"),
        (np.array([[0.5, np.inf]] * 4), ZERO, "ab", {}, "not finite"),
        (FAIR * 2, ZERO, "ab", {}, "sums to 2"),
        (np.array([[1.5, -0.5]] * 4), ZERO, "ab", {}, "lowest -0.5"),
        (FAIR, ZERO + 2, "ab", {}, "from 2 to 2"),
        (FAIR, ZERO - 1, "ab", {}, "from -1"),
        (FAIR, ZERO.astype(float), "ab", {}, "dtype float64"),
        (FAIR.astype(int), ZERO, "ab", {}, "dtype int64"),
        (FAIR, np.array(list("aabb")), "ab", {}, "dtype <U1"),
        ([[0.5], [0.5, 0.5]], ZERO, "ab", {}, "no array"),
        (FAIR, ZERO, "abc", {}, "3 names"),
        (FAIR, ZERO, "aa", {}, "1 different"),
        (FAIR, ZERO, "ab", {"items": np.zeros((3, 8, 8), np.uint8)}, "3 entries for 4"),
        (FAIR, ZERO, "ab", {"items": np.zeros((4, 8, 8))}, "float64"),
        (FAIR, ZERO, "ab", {"items": np.zeros((4, 3, 8, 8), np.uint8)}, "4, 3, 8, 8"),
        (FAIR, ZERO, "ab", {"looks": 0}, "looks=0"),
        (FAIR, ZERO, "ab", {"looks": 1.5}, "looks=1.5"),
        (FAIR, ZERO, "ab", {"n_boot": True}, "n_boot=True"),
    ],
)
def test_bad_input_is_refused_in_four_parts(
    probs: Any, targets: Any, vocab: Any, more: dict[str, Any], what: str
) -> None:
    with pytest.raises((InputError, InputTypeError)) as caught:
        report(probs, targets, vocab, **more)
    assert what in four_parts(caught.value)
    assert caught.value.likely[0].islower()


@pytest.mark.parametrize(
    ("value", "likely", "better"),
    [
        (True, "a switch", 1),
        (-3, "a sign slipped in", 3),
        (None, "never set", 1),
        (0, "began at 0", 1),
        (2.0, "a division", 2),
        (1.5, "left a fraction", 2),
        ("4", "written as text", 4),
        ("many", "a name", 1),
        ([3], "several values", 1),
        (float("nan"), "not finite", 1),
    ],
)
def test_a_bad_count_is_told_the_cause_that_fits_it(value: Any, likely: str, better: int) -> None:
    with pytest.raises(NbtuneError) as caught:
        whole("n", value, 1)
    assert likely in caught.value.likely
    assert caught.value.likely[0].islower()
    assert caught.value.next == f"n={better}"


def test_a_numpy_count_is_a_count() -> None:
    assert whole("n", np.int64(3), 1) == whole("n", np.array(3), 1) == 3


@pytest.mark.parametrize("n", [0, -1, 2.0])
def test_worst_refuses_a_bad_count(n: Any) -> None:
    with pytest.raises(NbtuneError) as caught:
        certain([0, 1], [1, 1], 2).worst(n)
    four_parts(caught.value)


def test_an_unknown_metric_is_answered_with_the_nearest() -> None:
    made = report([[0.9, 0.1], [0.2, 0.8]], [0, 1], ["cat", "dog"])
    with pytest.raises(InputError, match="did you mean accuracy"):
        made.metrics["acuracy"]
    assert made.metrics.get("acuracy") is None
