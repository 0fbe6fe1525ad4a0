"""What readers may do by hand in 16_widgets: through the panels, as their page asks."""

from __future__ import annotations

import pandas as pd

import nbtune as nt
from panel_acts import ask, wait


def steered(*acts):
    """A Tuner after these acts of its two panels: a number is a place of the ice line."""
    tuner = nt.Tuner(nt.tasks.digits(shots=2).learner("letters", seed=0), seed=0)
    freezing, finder = nt.widgets.FreezePanel(tuner, seconds=0), nt.widgets.LRFinder(tuner)
    for act, *values in acts:
        panel = freezing if act == "freeze_to" else finder
        ask(panel, act, *values)
        wait(panel)
        assert not panel.error, panel.error
    return tuner


def marked(*marks, task=None):
    """A browser's marks: (item, label), or (item,) to leave it out."""
    browser = nt.widgets.DataBrowser(nt.lessons.widgets.puzzle() if task is None else task)
    for item, *label in marks:
        ask(browser, "mark" if label else "exclude", item, *label)
        assert not browser.error, browser.error
    return browser.marks


LINE, FIND, USE = ("freeze_to", 4), ("find",), ("use",)
FOUND = [("digits/0036", "0"), ("digits/0814", "8"), ("digits/1259", "5"), ("digits/1338", "2"), ("digits/1534", "9")]

OTHER = nt.tasks.digits(shots=1, seed=5)
MORE = nt.tasks.digits(shots=20, seed=0)  # holds the items of the puzzle
TEN = nt.tasks.digits(shots=10, seed=0)
SPOILED = TEN.edited([["train", "digits/0200", "label", "3"]])  # as the notebook's first browser has it

RIGHT = {
    "steer": [lambda: steered(LINE, FIND, USE), lambda: steered(("freeze_to", 5), FIND, USE, LINE, FIND, USE)],
    "relabel": [lambda: marked(*FOUND), lambda: marked(("digits/0036", "8"), *FOUND)],
}
WRONG = {
    "steer": [
        (lambda: steered(FIND, USE), "to the right"),
        (lambda: steered(("freeze_to", 5), FIND, USE), "to the left"),
        (lambda: steered(LINE), "range test"),
        (lambda: steered(("freeze_to", 5), FIND, USE, LINE), "stale"),
        (lambda: steered(LINE, FIND), "default rate"),
        (lambda: steered(LINE, FIND, ("choose", 0.5, 0.5), USE), "to the left"),
        (lambda: steered(LINE, FIND, ("choose", 1e-6, 1e-6), USE), "to the right"),
        (lambda: "layer4", "a Tuner"),
    ],
    "relabel": [
        (lambda: marked(*FOUND[:3]), "3 of the 5"),
        (lambda: marked(*FOUND, ("digits/1146", "3")), "its label was right"),
        (lambda: marked(*FOUND[:4], ("digits/1534",)), "left out"),
        (lambda: marked(*FOUND[:4], ("digits/1534", "4")), "digits/1534"),
        (lambda: marked((OTHER.train.ids[0], "1"), task=OTHER), "another one"),
        (lambda: marked(("digits/1146", "3"), ("digits/0034", "0"), task=MORE), "another one"),
        (lambda: marked(("digits/0200", "1"), task=SPOILED), "already: these are the marks of another one"),
        (lambda: marked(("digits/1146", "3"), ("digits/0200", "1"), task=SPOILED), "another one"),
        (lambda: marked(*FOUND, ("digits/0004", "5")), "its label was right"),
        (lambda: pd.concat([marked(*FOUND[:1])] * 5), "1 of the 5"),
        (lambda: [["train", "digits/1534", "label", "9"]], "a frame"),
    ],
}
