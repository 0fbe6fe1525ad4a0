"""Broken data: found before training with the list of offenders, left out on request, or handled right."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

import nbtune as nt
from broken_files import EXIF, bomb, class_folders, good, grey_ramp, jpeg
from nbtune.bodies.decode import decode, pixels
from nbtune.errors import InputError, MissingFileError
from nbtune.tasks._ready import Decoding
from nbtune.tasks._scan import look_at
from nbtune.tasks.stacks import Files

# Files that cannot be used


def _cut(path: Path, image: Image.Image, suffix: str) -> None:
    image.save(path.with_suffix(suffix))
    raw = path.with_suffix(suffix).read_bytes()
    path.write_bytes(raw[: len(raw) // 2])
    if path.suffix != suffix:
        path.with_suffix(suffix).unlink()


def _loop(path: Path) -> None:
    os.symlink(path.name, path)


BROKEN: dict[str, tuple[str, Callable[[Path], Any], str]] = {
    "zero bytes": ("x.jpg", lambda p: p.write_bytes(b""), "empty (0 bytes)"),
    "truncated jpeg": ("x.jpg", lambda p: p.write_bytes(jpeg(good(9, 64))[:-700]), "truncated"),
    "truncated png": ("x.png", lambda p: _cut(p, good(9, 64), ".png"), "truncated"),
    "truncated bmp": ("x.bmp", lambda p: _cut(p, good(9, 64), ".bmp"), "truncated"),
    "truncated gif": ("x.gif", lambda p: _cut(p, good(9, 64), ".gif"), "truncated"),
    "a text": ("x.jpg", lambda p: p.write_text("not found"), "no picture"),
    "one pixel": ("x.png", lambda p: good(9, 1).save(p), "1×1 pixels"),
    "a bomb": ("x.png", bomb, "megapixels"),
    "a link to nothing": ("x.png", lambda p: os.symlink("gone.png", p), "a link that leads nowhere"),
    "a link to itself": ("x.png", _loop, "a link that leads back to itself"),
    "a folder above": ("x", lambda p: os.symlink("..", p), "a link that leads back to a folder above it"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_named_before_training_and_left_out_on_request(kind: str, tmp_path: Path) -> None:
    name, write, reason = BROKEN[kind]
    root = class_folders(tmp_path / "pics")
    write(root / "a" / name)
    with pytest.raises(InputError) as error:
        nt.tasks.from_folder(root)
    assert f"a/{name}" in error.value.given
    assert reason in error.value.given
    assert 'broken="skip"' in error.value.next
    assert error.value.likely
    task = nt.tasks.from_folder(root, broken="skip")
    assert list(task.card.skipped) == [f"a/{name}"]
    assert reason in task.card.skipped[f"a/{name}"]
    assert "1 left out" in repr(task.card)
    assert sum(task.card.sizes.values()) == 12


def test_a_sound_folder_skips_nothing_and_every_way_of_writing_is_read_whole(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "pics")
    for at, suffix in enumerate((".jpg", ".gif", ".bmp", ".tif", ".webp", ".ppm")):
        good(50 + at).save(root / "a" / f"y{suffix}")
    (root / "a" / "appended.jpg").write_bytes(jpeg(good(60)) + b"a film behind the picture" * 9)
    task = nt.tasks.from_folder(root)
    assert task.card.skipped == {}
    assert sum(task.card.sizes.values()) == 19


def test_pictures_outside_of_the_class_folders_and_empty_ones_are_named(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "pics")
    good(7).save(root / "stray.png")
    (root / "c").mkdir()
    (root / "a" / "notes.txt").write_text("x")
    with pytest.raises(InputError, match=r"not in the folder of a class: stray.png.*class folder without pictures: c/"):
        nt.tasks.from_folder(root)
    card = nt.tasks.from_folder(root, broken="skip").card
    assert set(card.skipped) == {"stray.png", "c/"}
    assert "passed over: 1 × .txt" in card.note


@pytest.mark.parametrize(
    ("counts", "likely", "better"),
    [
        ({"a": 1, "b": 1, "c": 1}, "still to be filled", "three pictures or more for each class"),
        ({"a": 9}, "the folder above it", "a folder each"),
        ({"a": 9, "b": 9, "c": 0}, "still to be filled", 'broken="skip"'),
    ],
)
def test_class_folders_with_too_little_in_them(
    tmp_path: Path, counts: dict[str, int], likely: str, better: str
) -> None:
    for name, n in counts.items():
        (tmp_path / name).mkdir()
        for number in range(n):
            good(number).save(tmp_path / name / f"{number}.png")
    with pytest.raises(InputError) as error:
        nt.tasks.from_folder(tmp_path)
    assert likely in error.value.likely
    assert better in error.value.next


def test_a_long_panorama_is_no_bomb(tmp_path: Path) -> None:
    Image.new("L", (20_000, 300), 128).save(tmp_path / "wide.png")
    look = look_at(tmp_path / "wide.png")
    assert (look.problem, look.size) == ("", (300, 20_000))


# Pictures that are handled


def _saved(path: Path, image: Image.Image, **options: Any) -> Any:
    image.save(path, **options)
    return decode(path)


def test_exif_is_applied_and_said(tmp_path: Path) -> None:
    wide = Image.fromarray(grey_ramp(255).astype(np.uint8)).resize((40, 16))
    turned = _saved(tmp_path / "x.jpg", wide, exif=EXIF, quality=95)
    assert turned.shape == (40, 16)
    assert turned[0].mean() < 20  # what was left is at the top
    assert turned[-1].mean() > 235
    look = look_at(tmp_path / "x.jpg")
    assert look.size == (40, 16)
    assert look.treated == ("turned as its EXIF data say",)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_are_scaled_and_not_cut(suffix: str, tmp_path: Path) -> None:
    ramp = grey_ramp(65535).astype(np.uint16)
    found = _saved(tmp_path / f"x{suffix}", Image.fromarray(ramp))
    assert np.abs(found.astype(float) - grey_ramp(255)).max() <= 1
    assert look_at(tmp_path / f"x{suffix}").treated == ("more than 8 bits: scaled to 8",)


@pytest.mark.parametrize(
    ("top", "good_range"), [(1.0, True), (255.0, True), (65535.0, True), (1e6, False), (-3.0, False)]
)
def test_pixels_of_32_bits_are_scaled_where_their_scale_is_known(top: float, good_range: bool) -> None:
    image = Image.fromarray((grey_ramp(1) * top).astype(np.float32))
    if good_range:
        assert np.abs(pixels(image).astype(float) - grey_ramp(255)).max() <= 1
        return
    with pytest.raises(InputError, match="pixels of 32 bits"):
        pixels(image)


def test_palettes_cmyk_transparency_and_animations_are_converted_and_said(tmp_path: Path) -> None:
    red = Image.new("RGB", (16, 16), (250, 10, 20))
    cases = {
        "p.png": (red.convert("P", palette=Image.Palette.ADAPTIVE), {}, "palette"),
        "c.jpg": (red.convert("CMYK"), {"quality": 95}, "CMYK"),
        "t.png": (red.convert("RGBA"), {}, "transparency"),
        "g.gif": (red, {"save_all": True, "append_images": [Image.new("RGB", (16, 16), (0, 0, 255))]}, "first frame"),
    }
    for name, (image, options, word) in cases.items():
        found = _saved(tmp_path / name, image, **options)
        assert found.shape == (16, 16, 3), name
        assert np.abs(found.reshape(-1, 3).mean(0) - (250, 10, 20)).max() < 12, name
        assert any(word in one for one in look_at(tmp_path / name).treated), name


def test_the_card_says_what_was_treated_and_predicting_treats_it_alike(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "pics", each=8)
    Image.fromarray(grey_ramp(65535).astype(np.uint16)).save(root / "a" / "deep.png")
    (root / "b" / "turned.jpg").write_bytes(jpeg(good(77, 32).resize((32, 20)), exif=EXIF))
    task = nt.tasks.from_folder(root)
    assert "1 × more than 8 bits: scaled to 8; 1 × turned as its EXIF data say." in task.card.note
    model = nt.load(nt.Tuner(task.learner("letters", seed=0), seed=0).save(tmp_path / "bundle"))
    by_path = model.predict([root / "a" / "deep.png", root / "b" / "turned.jpg"])
    by_picture = model.predict([Image.open(root / "a" / "deep.png"), Image.open(root / "b" / "turned.jpg")])
    by_array = model.predict([decode(root / "a" / "deep.png"), decode(root / "b" / "turned.jpg")])
    pd.testing.assert_frame_equal(by_path, by_picture)
    pd.testing.assert_frame_equal(by_path, by_array)


# What changes while it is used


def test_a_replaced_or_deleted_file_is_found_when_it_is_decoded(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "pics")
    task = nt.tasks.from_folder(root)
    path = task.train.x.paths[0]
    good(999).save(path)
    os.utime(path, ns=(0, 12345))
    with pytest.raises(InputError, match="is not the file that it was"):
        task.learner("letters")
    path.unlink()
    with pytest.raises(MissingFileError, match="is not there any more"):
        task.learner("letters")


def test_what_was_decoded_is_what_trains_whatever_happens_to_the_files(tmp_path: Path) -> None:
    task = nt.tasks.from_folder(class_folders(tmp_path / "pics"))
    learn = task.learner("letters", seed=0)
    for path in task.train.x.paths:
        path.unlink()
    assert len(nt.Tuner(learn, seed=0).fit(1, lr=1e-3)) == 1


def test_pictures_that_take_too_much_room_are_decoded_at_need_to_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = nt.tasks.from_folder(class_folders(tmp_path / "pics"))
    kept = task.learner("letters", seed=0)
    monkeypatch.setattr("nbtune.tasks._ready.ROOM", 0)
    late = task.learner("letters", seed=0)
    assert isinstance(late.dls.train.dataset.x, Decoding)
    rows = [nt.Tuner(learn, seed=1).fit(2, lr=1e-3).frame().train_loss.tolist() for learn in (kept, late)]
    assert rows[0] == rows[1]


def test_pictures_are_decoded_once_for_learners_that_take_them_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = nt.tasks.from_folder(class_folders(tmp_path / "pics"))
    made: list[int] = []
    whole = Decoding.whole
    monkeypatch.setattr(Decoding, "whole", lambda self: made.append(len(self)) or whole(self))
    first, again = (task.learner("letters", seed=seed).dls.train.dataset.x for seed in (0, 1))
    assert first.data_ptr() == again.data_ptr()
    assert made == [len(task.train), len(task.valid)]
    larger = task.learner(lambda n: nn.Sequential(nn.Flatten(), nn.Linear(24 * 24 * 3, n)), size=24)
    assert larger.dls.train.dataset.x.shape[-1] == 24


def test_pictures_at_need_come_a_batch_ahead_in_order_and_their_errors_when_they_are_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nbtune.tasks._ready.ROOM", 0)
    task = nt.tasks.from_folder(class_folders(tmp_path / "pics", each=12))
    loader = task.learner("letters", seed=0, bs=4).dls.train
    asked: list[list[int]] = []
    of = Decoding._all
    monkeypatch.setattr(Decoding, "_all", lambda self, places: asked.append(list(places)) or of(self, places))
    batches = loader.create_batches(range(len(task.train)))
    first = next(batches)[0]
    for _ in range(1000):  # the thread was told before the batch was handed over; it needs a moment
        if len(asked) > 1:
            break
        time.sleep(0.01)
    assert asked == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert torch.equal(torch.as_tensor(first), of(loader.dataset.x, [0, 1, 2, 3]))
    task.train.x.paths[11].unlink()
    with pytest.raises(MissingFileError, match="not there any more"):
        list(batches)


# Copies


def test_exact_copies_stay_in_one_split(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "pics", each=12)
    for at in range(6):
        (root / "a" / f"copy{at}.png").write_bytes((root / "a" / f"{at}.png").read_bytes())
    for seed in range(5):
        task = nt.tasks.from_folder(root, seed=seed)
        homes = {name: split for split in ("train", "valid", "test") for name in getattr(task, split).ids}
        assert all(homes[f"a/copy{at}.png"] == homes[f"a/{at}.png"] for at in range(6))
    assert "6 exact copies stay in one split" in task.card.note


def test_copies_with_two_labels_and_copies_across_given_splits_are_named(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "one")
    (root / "b" / "same.png").write_bytes((root / "a" / "0.png").read_bytes())
    with pytest.raises(InputError, match=r"2 × the same file with different labels: a/0.png, b/same.png"):
        nt.tasks.from_folder(root)
    assert set(nt.tasks.from_folder(root, broken="skip").card.skipped) == {"a/0.png", "b/same.png"}
    split = tmp_path / "two"
    for at, name in enumerate(("train", "test")):
        for c, label in enumerate("ab"):
            (split / name / label).mkdir(parents=True)
            for k in range(6):
                good(100 * at + 10 * c + k).save(split / name / label / f"{k}.png")
    (split / "train" / "a" / "leak.png").write_bytes((split / "test" / "a" / "0.png").read_bytes())
    with pytest.raises(InputError, match=r"the same file in the test split, which would leak: train/a/leak.png"):
        nt.tasks.from_folder(split)
    assert list(nt.tasks.from_folder(split, broken="skip").card.skipped) == ["train/a/leak.png"]


# Frames of pictures


def test_missing_files_rows_without_a_name_or_a_label_and_files_in_two_rows_are_named(tmp_path: Path) -> None:
    root = class_folders(tmp_path, each=8)
    df = pd.DataFrame([(f"{c}/{k}.png", c) for c in "ab" for k in range(8)], columns=["file", "kind"])
    bad = pd.DataFrame([("a/gone.png", "a"), (None, "a"), ("b/7.png", "a"), ("a/7.png", "a")], columns=["file", "kind"])
    df.loc[0, "kind"] = None
    whole = pd.concat([df, bad], ignore_index=True)
    with pytest.raises(InputError) as error:
        nt.tasks.from_frame(whole, x="file", y="kind", folder=root)
    for part in (
        "missing: a/gone.png", "no file name: row 17", "in several rows, with different labels: b/7.png",
        "in several rows, with the same label: a/7.png", "no label: a/0.png",
    ):  # fmt: skip
        assert part in error.value.given, part
    card = nt.tasks.from_frame(whole, x="file", y="kind", folder=root, broken="skip").card
    assert len(card.skipped) == 5
    assert sum(card.sizes.values()) == 16 - 3


@pytest.mark.parametrize(
    ("separator", "encoding", "said"),
    [(",", "utf-8", "UTF-8, separated by comma"), (";", "cp1252", "Windows-1252"),
     ("\t", "utf-16", "UTF-16, separated by tab"),
     ("|", "utf-8-sig", "UTF-8, separated by bar")],
)  # fmt: skip
def test_a_labels_file_is_read_whatever_its_separator_and_encoding(
    separator: str, encoding: str, said: str, tmp_path: Path
) -> None:
    root = class_folders(tmp_path)
    rows = [f"{c}/{k}.png{separator} {'größe' if c == 'a' else 'klein'}" for c in "ab" for k in range(6)]
    (root / "labels.csv").write_bytes("\n".join([f"file{separator}label", *rows]).encode(encoding))
    task = nt.tasks.from_folder(root, labels="labels.csv")
    assert task.vocab == ("größe", "klein")
    assert said in task.card.note


def test_paths_that_are_no_folders_say_what_there_is(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "pics")
    with pytest.raises(MissingFileError, match="pics"):
        nt.tasks.from_folder(tmp_path / "pcis")
    with pytest.raises(InputError, match="is a file"):
        nt.tasks.from_folder(root / "a" / "0.png")
    with pytest.raises(InputError, match="no folder of a class"):
        nt.tasks.from_folder(root / "a")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no picture below"):
        nt.tasks.from_folder(tmp_path / "empty")
    assert isinstance(nt.tasks.from_folder(root).train.x, Files)


def test_a_function_that_gives_no_value_is_what_is_wrong_and_not_the_files(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "pics")
    for name in ("group", "time"):
        with pytest.raises(InputError, match=f"{name}= gave None for all 12 files") as error:
            nt.tasks.from_folder(root, **{name: lambda path: None}, broken="skip")  # type: ignore[arg-type]
        assert "without a return" in error.value.likely
        assert f"{name}=lambda path:" in error.value.next
        some: Any = {name: lambda path: None if path.stem == "5" else int(path.stem)}
        with pytest.raises(InputError, match=f"2 × no {name} from the function {name}=: a/5.png, b/5.png") as error:
            nt.tasks.from_folder(root, **some)
        assert "no return in one of its ways, or does not know these files" in error.value.likely
        assert error.value.next.startswith("a value from the function for these files too")
        assert set(nt.tasks.from_folder(root, **some, broken="skip").card.skipped) == {"a/5.png", "b/5.png"}


def test_a_folder_too_deep_is_led_to_the_one_above_unless_a_table_names_its_pictures(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "pics", "abc")
    (root / "a" / "notes.txt").write_text("bought in May")
    with pytest.raises(InputError, match="no folder of a class") as error:
        nt.tasks.from_folder(root / "a")
    assert "the folder of one class instead of the one above it, which holds a, b, c." in error.value.likely
    assert error.value.next == f"from_folder({str(root)!r})"
    assert len(nt.tasks.from_folder(root).vocab) == 3
    (root / "a" / "table.csv").write_text("file,label\n0.png,x\n")
    with pytest.raises(InputError) as error:
        nt.tasks.from_folder(root / "a")
    assert error.value.next == f"from_folder({str(root / 'a')!r}, labels='table.csv')"


def test_a_lone_folder_of_pictures_is_not_led_to_one_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = class_folders(tmp_path / "pics", "a")
    with pytest.raises(InputError) as error:
        nt.tasks.from_folder(root / "a")
    assert error.value.next == f"a folder below {str(root / 'a')!r} for each class"
    class_folders(root, "ab")
    monkeypatch.chdir(root / "a")
    with pytest.raises(InputError) as error:
        nt.tasks.from_folder(".")
    assert error.value.next == f"from_folder({str(root)!r})"


@pytest.mark.parametrize("target", ["pictures", "other", "gone"])
def test_a_link_that_leads_to_no_folder_is_told_with_where_it_leads(target: str, tmp_path: Path) -> None:
    os.symlink(target, tmp_path / "pictures")
    os.symlink("pictures", tmp_path / "other")
    with pytest.raises(MissingFileError, match=f"is a link to '{target}'") as error:
        nt.tasks.from_folder(tmp_path / "pictures")
    assert "leads back to itself" in error.value.likely
    assert "give the folder itself" in error.value.next


def test_folders_that_lead_to_each_other_are_walked_once_and_named(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "pics")
    os.symlink("../b", root / "a" / "more")
    os.symlink("../a", root / "b" / "more")
    with pytest.raises(InputError, match="a link that leads back to a folder above it: a/more/more") as error:
        nt.tasks.from_folder(root)
    assert all((error.value.rule, error.value.likely, error.value.next))
