"""The benchmarks run: every way trains the tiny network, the tables name them all, the results keep other sections."""

from __future__ import annotations

import json
import math
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import nbtune as nt


@pytest.fixture(scope="module")
def bench() -> Iterator[Any]:
    """The packages beside the scripts."""
    folder = str(Path(__file__).parents[1] / "benchmarks")
    sys.path.insert(0, folder)
    try:
        import frozen.peers
        import frozen.table
        import frozen.ways
        import frozen.work

        yield frozen
    finally:
        sys.path.remove(folder)


@pytest.fixture(scope="module")
def runs(bench: Any) -> dict[str, Any]:
    """Two steps of each way that this environment has."""
    ways: dict[str, Callable[..., Any]] = {**bench.ways.WAYS, **bench.peers.installed()}
    return {name: way(bench.work.TINY, 1) for name, way in ways.items()}


def test_every_way_makes_its_steps_and_ends_with_a_finite_loss(bench: Any, runs: dict[str, Any]) -> None:
    for name, run in runs.items():
        # Two batches an epoch, of which the first is not timed; fine_tune's frozen epoch is not among the steps.
        epochs = run.epochs - 1 if "fine_tune" in name else run.epochs
        assert (name, len(run.steps)) == (name, epochs)
        assert math.isfinite(run.loss)
        assert run.seconds > 0


def test_cached_and_ideal_are_measured_whole(bench: Any, runs: dict[str, Any]) -> None:
    whole = {name for name, run in runs.items() if run.epochs == bench.work.EPOCHS}
    assert whole == {bench.ways.IDEAL, "nbtune cached", "nbtune cached, fastai's Adam"}


def test_live_and_cached_train_to_the_same_loss(bench: Any) -> None:
    live = bench.ways.nbtune_live(bench.work.TINY, bench.work.EPOCHS)
    assert live.loss == bench.ways.nbtune_cached(bench.work.TINY, 1).loss


def test_a_table_gives_ratios_within_rounds_and_says_what_is_scaled(bench: Any) -> None:
    run = bench.work.Run
    rounds = [
        {"slow": run(80.0, [2.0], 1, 1.0), "best": run(8.0, [0.1], 10, 1.0)},
        {"slow": run(40.0, [1.0], 1, 1.0), "best": run(8.0, [0.1], 10, 1.0)},
    ]
    text = bench.table.table(bench.work.TINY, rounds, "slow", "best")
    assert "| slow | 1500 (1000 to 2000) | 60.0 (40.0 to 80.0) | 1, scaled | 1.00 | 0.15 (0.10 to 0.20) |" in text
    assert "| best | 100 | 8.00 | 10 | 7.50 (5.00 to 10.0) | 1.00 |" in text


def test_a_section_is_replaced_and_the_others_stay(bench: Any, tmp_path: Path) -> None:
    path = tmp_path / "RESULTS.md"
    for title, text in (("one", "1"), ("zero", "0"), ("two", "2"), ("one", "11")):
        bench.table.store(title, text, path)
    written = path.read_text()
    assert written.startswith("# ")
    assert written.split("## ")[1:] == ["one\n\n11\n\n", "zero\n\n0\n\n", "two\n\n2\n"]


def test_the_finder_counts_steps_and_the_filling(bench: Any) -> None:
    import finder

    tiny = replace(bench.work.TINY, train=32)
    rounds = finder.measure(tiny, 1, 2)
    assert all(10 < steps <= finder.STEPS for _, steps in rounds[0].values())
    text = finder.report([{"fastai": (50.0, 100), "nbtune, first": (3.0, 100), "nbtune, again": (1.0, 100)}])
    assert "Filling alone: 2.00 s" in text
    assert "50.0 times as fast" in text


def test_questions_are_held_against_one_frozen_epoch(bench: Any) -> None:
    import sweep

    rounds = [
        {sweep.BASE: 8.0, sweep.SWEEP: 6.0, "`probe()`": 0.4},
        {sweep.BASE: 10.0, sweep.SWEEP: 7.5, "`probe()`": 1.0},
    ]
    text = sweep.report(rounds)
    assert f"| {sweep.SWEEP} | 6.75 (6.00 to 7.50) | 0.75 (0.75 to 0.75) |" in text
    assert f"| {sweep.BASE} | 9.00 (8.00 to 10.00) | 1.00 (1.00 to 1.00) |" in text


def test_a_filling_beyond_the_budget_stays_within_budget_and_a_batch(bench: Any) -> None:
    script = Path(__file__).parents[1] / "benchmarks" / "memory.py"
    command = [sys.executable, "-W", "ignore", str(script), "--case", "64 MB, then disk", "--items", "400"]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    assert found["features"] > 400  # what would have to be in memory otherwise
    assert found["peak"] < 64 + 68 + 200  # budget, a batch's activations (benchmarks/memory.py), the goal's allowance


def test_a_plain_script_is_compared_seed_by_seed(bench: Any) -> None:
    import plain

    way = plain.Way("data", "from_frame", "error", "a loop", *[lambda *_: None] * 4, -1)  # type: ignore[arg-type]
    found = {"nbtune": [1.0, 2.0, 3.0], "plain": [1.5, 2.0, 4.0], "nbtune s": [1.0] * 3, "plain s": [2.0] * 3}
    mean, low, high = plain.gain(way, found)
    assert (mean, low < 0 < high) == (pytest.approx(0.5), True)
    assert high - mean == pytest.approx(4.302653 * 0.5 / 3**0.5)  # t of 2 degrees of freedom
    assert "| 2.0 ± 0.8 | 2.5 ± 1.1 | +0.5 [-0.7, +1.7] | 1.0 | 2.0 |" in plain.row(way, found)


def test_both_ways_of_a_table_of_ones_own_predict_every_test_item(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from own import ways

    monkeypatch.setattr(ways, "SMALL_EPOCHS", 2)
    for way in ways.WAYS[2:]:
        task = way.task(0)
        for run in (way.nbtune, way.plain):
            said = run(task, 0)
            assert len(said) == len(task.test)
            assert math.isfinite(way.score(task, said))


def test_every_loader_hands_out_the_pictures_of_a_folder(bench: Any, tmp_path: Path) -> None:
    import data
    from own.sets import photographs

    import nbtune as nt

    task = nt.tasks.from_folder(photographs(tmp_path / "pictures", 40, 64))
    kept, late = (list(data.learner(task, room).dls.train) for room in (1 << 30, 0))
    assert sum(len(x) for x, _ in kept) == sum(len(x) for x, _ in late) == len(task.train)
    assert data.bare(task.train.x.paths, 2) > 0
    seconds, waited = data.trained(late, 1)
    assert 0 <= waited < seconds


@pytest.fixture(scope="module")
def draws() -> dict[str, Any]:
    """What benchmarks/draws.py holds."""
    return runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "draws.py"))


def test_other_draws_are_asked_of_cells_and_texts_that_the_notebooks_have(draws: dict[str, Any]) -> None:
    asked = [again for several in draws["AGAIN"].values() for again in several]
    assert len(asked) > 20
    assert draws["ASKED"].keys() == draws["AGAIN"].keys()
    for again in asked:
        changed = dict(again.sources())
        assert all(after in "\n".join(changed.values()) for _, after in again.changes)


def test_a_draw_prints_what_its_cell_prints_and_shows_and_names_a_text_that_is_gone(draws: dict[str, Any]) -> None:
    again = draws["Again"]("02", "import data licence", (("seed=0", "seed=1"),), "data licence", "print(task.name)")
    data, licence, name = again.run()
    assert data == f"{nt.tasks.digits(shots=10, seed=1)}\n"  # the draw that was put in
    assert licence.count("\n") == 3
    assert "CC" in licence
    assert name == "digits\n"
    with pytest.raises(ValueError, match="seed=77"):
        replace(again, changes=(("seed=77", ""),)).sources()
    with pytest.raises(KeyError, match="gone"):
        replace(again, cells="import gone").sources()
