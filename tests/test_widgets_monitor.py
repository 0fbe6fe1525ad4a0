"""Monitor without a browser: what it shows is the Tuner's, it stops and goes on, and it ends in a right state."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fastai.callback.core import Callback

from nbtune.errors import InputTypeError
from nbtune_widgets import Monitor
from panel_acts import Shown, ask, begun, run, same, wait


def epochs(panel: Monitor) -> Any:
    return np.frombuffer(panel.epochs, np.float32).reshape(-1, 6 + len(panel.view["metrics"]))


def test_it_takes_a_tuner_only() -> None:
    with pytest.raises(InputTypeError, match="Monitor shows a Tuner"):
        Monitor(begun().learn)


def test_it_shows_all_phases_also_those_before_it() -> None:
    tuner = begun()
    tuner.freeze_to(2)
    tuner.fit(2)
    panel = Monitor(tuner)
    tuner.unfreeze()
    tuner.fit(1)
    assert epochs(panel)[:, 0].tolist() == [1.0, 2.0, 3.0]
    assert epochs(panel)[:, 2] == pytest.approx([row["valid_loss"] for row in tuner.history.rows], rel=1e-6)
    first, second = panel.view["phases"]
    assert (first["still"], second["still"]) == (0.5, 0.0)
    assert second["begin"] == 2.0
    assert panel.code == "tuner.fit(1)"
    assert panel.view["state"] == "idle"
    assert "3 epochs" in panel.view["sentence"]


def test_stop_is_said_at_once_and_go_on_gives_the_same_as_its_line() -> None:
    tuner, other = begun(), begun()
    panel = Monitor(tuner)
    states = []

    def stop() -> None:
        if tuner.trace.batches == 4:
            asked = threading.Thread(target=ask, args=(panel, "stop"))  # as the page's own thread
            asked.start()
            asked.join()
            states.append((panel.view["state"], panel.live["sentence"], panel.code))

    tuner.trace.watch(stop)
    other.trace.watch(lambda: other.stop() if other.trace.batches == 4 else None)
    tuner.fit(3), other.fit(3)
    assert [(state, code) for state, _, code in states] == [("stopping", "tuner.stop()")]
    assert states[0][1].startswith("Stopping after this batch")
    assert panel.view["state"] == "idle"
    assert panel.view["left"] == 1
    assert "was stopped after step 4" in panel.view["sentence"]
    ask(panel, "go")
    wait(panel)
    assert panel.code == "tuner.run()"
    run(panel.code, other)
    same(tuner, other)
    assert panel.view["left"] == 0
    assert epochs(panel)[:, 0].tolist() == [1.0, 2.0, 3.0]


def test_the_lines_of_the_states_are_true() -> None:
    tuner, other = begun(), begun()
    tuner.fit(2), other.fit(2)
    panel = Monitor(tuner)
    for name in ("best", "last"):
        ask(panel, name)
        assert panel.code == f"tuner.{name}()"
        assert panel.view["at"] == name
        run(panel.code, other)
        same(tuner, other)


@pytest.mark.parametrize("wrong", [ZeroDivisionError, KeyboardInterrupt])
def test_whatever_ends_a_training_the_panel_is_idle_and_says_it(wrong: type[BaseException]) -> None:
    class Bad(Callback):  # type: ignore[misc]
        def after_batch(self) -> None:
            raise wrong("on purpose")

    tuner = begun()
    panel = Monitor(tuner)
    with pytest.raises(wrong):
        tuner.fit(1, cbs=Bad())
    assert panel.view["state"] == "idle"
    assert panel.live["status"] == ""
    assert wrong.__name__ in panel.view["sentence"]


def test_a_stop_that_comes_too_late_stops_nothing() -> None:
    tuner = begun()
    panel = Monitor(tuner)
    ask(panel, "stop")
    assert panel.said == "No training is running."
    assert len(tuner.fit(2)) == 2


def test_it_draws_seldom_and_its_messages_stay_small(monkeypatch: pytest.MonkeyPatch) -> None:
    tuner = begun()
    panel = Monitor(tuner)
    drawn: list[float] = []
    panel.observe(lambda change: drawn.append(time.perf_counter()), names="live")
    monkeypatch.setattr("nbtune_widgets.monitor._SHARE", 0)
    tuner.fit(30)
    inner = np.diff(drawn[2:-2])
    assert len(drawn) < 30 * 4
    assert np.all(inner >= 0.09)
    assert len(panel.points) <= 600 * 5 * 4


def test_the_memory_of_a_gpu_is_shown_where_there_is_one() -> None:
    tuner, seen = begun(), []
    panel = Monitor(tuner)
    tuner.trace.watch(lambda: seen.append(tuner.trace.now))
    tuner.fit(1)
    now = next(one for one in seen if one is not None)
    assert "GPU" not in panel._live(replace(now, memory=0))["facts"]
    assert panel._live(replace(now, memory=2_100_000_000))["facts"].endswith(" · 2.1 GB on the GPU")


def test_its_static_picture_is_drawn_anew_when_a_training_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Shown(monkeypatch)
    tuner = begun()
    panel = Monitor(tuner)
    panel._ipython_display_()
    tuner.fit(1)
    assert len(shown.again) == 1
    assert "data:image/png" in str(shown.again[0])
    assert "1 epoch in" in str(shown.again[0])
    tuner.freeze_to(1)
    assert len(shown.again) == 1  # nothing new was trained


def test_a_closed_monitor_is_told_nothing() -> None:
    tuner = begun()
    panel = Monitor(tuner)
    panel.close()
    tuner.fit(1)
    assert not tuner.trace.watched
    assert len(panel.epochs) == 0
