"""What readers may answer in 12_ship: right ones, and wrong ones with a word that the advice must hold."""

from __future__ import annotations

GOOD = {
    "intended": "Sorting scanned single digits of this archive before a person checks them.",
    "not_for": "Anything that is decided without a person looking at it afterwards.",
    "untested": "Digits from writers outside of the archive, and photographs by telephone.",
}


def by_hand(frame, at):
    rows = frame.to_dict("records")
    return [row["label"] if max(v for k, v in row.items() if k != "label") >= at else "unsure" for row in rows]


def spoils(frame, at):
    highest = frame.drop(columns="label").max(axis=1)
    frame.loc[highest < at, "label"] = "unsure"
    return frame["label"].tolist()


RIGHT = {
    "limits": [
        lambda: GOOD,
        lambda: {**GOOD, "intended": "For all pupils of a course who sort scanned single digits"},
        lambda: {**GOOD, "intended": "To sort scanned digits before anything else is done with all of them."},
    ],
    "careful": [lambda: by_hand],
}
WRONG = {
    "limits": [
        (lambda: {"intended": "digits"}, "short"),
        (lambda: {**GOOD, "untested": "No."}, "untested"),
        (lambda: dict.fromkeys(GOOD, "a b c d e f g") | {"untested": "g f e d c b a"}, "three or more letters"),
        (lambda: {**GOOD, "not_for": "no no no no no no no, 12 345 6789 98765 4321"}, "0 different words"),
        (lambda: {k: v for k, v in GOOD.items() if k != "not_for"}, "not_for"),
        (lambda: {**GOOD, "not_for": GOOD["intended"]}, "the same"),
        (lambda: {**GOOD, "intended": "For everything that anybody may wish to read with it."}, "no limit"),
        (lambda: "for digits", "a dictionary"),
    ],
    "careful": [
        (lambda: lambda frame, at: ["unsure"] * len(frame), "nothing is unsure"),
        (
            lambda: lambda frame, at: [n if p >= at else "unsure" for n, p in zip(frame.label, frame.a, strict=True)],
            "Which column",
        ),
        (lambda: lambda frame, at: list(frame.label), "0.9, 0.6 and 0.95"),
        (
            lambda: (
                lambda frame, at: [
                    n if frame.loc[i].drop("label").max() > at else "unsure" for i, n in enumerate(frame.label)
                ]
            ),
            "not below",
        ),
        (lambda: spoils, "has changed"),
    ],
}
