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
        lambda: {**GOOD, "intended": "Reading digits in a lab course"},
        lambda: {**GOOD, "intended": "大学の授業で手書き数字の画像を読む練習に使う。"},
        lambda: {**GOOD, "not_for": "손글씨 숫자를 읽어 돈을 보내는 일에는 쓰지 않는다"},
        lambda: {**GOOD, "not_for": "डाक कोड पढ़ने के लिए नहीं, किसी भी फ़ॉर्म के लिए नहीं"},
        lambda: {**GOOD, "untested": "Nothing but scanned digits of the archive was tested."},
        lambda: {**GOOD, "untested": "None of the photographs by telephone was ever tried."},
    ],
    "careful": [lambda: by_hand],
}
WRONG = {
    "limits": [
        (lambda: {"intended": "digits"}, "short"),
        (lambda: {**GOOD, "untested": "No."}, "untested"),
        (lambda: dict.fromkeys(GOOD, "a b c d e f g") | {"untested": "g f e d c b a"}, "three or more letters"),
        (lambda: {**GOOD, "not_for": "no no no no no no no, 12 345 6789 98765 4321"}, "0 different words"),
        (lambda: {**GOOD, "not_for": "cheques"}, "1 different word of"),
        (lambda: {**GOOD, "untested": "写真と手書き"}, "12 different characters"),
        (lambda: {**GOOD, "intended": "TODO write here what this model is for"}, "'intended' begins with 'TODO'"),
        (lambda: {**GOOD, "not_for": "nothing comes to mind that would be wrong"}, "begins with 'nothing'"),
        (lambda: {**GOOD, "untested": "None that anybody could ever think of"}, "begins with 'None'"),
        (lambda: {**GOOD, "untested": "we tested everything that there was to test"}, "'we tested everything'"),
        (lambda: {**GOOD, "untested": "We've tested everything that we could think of."}, "names no case"),
        (lambda: {**GOOD, "untested": "Everything was tested that there was to test"}, "'Everything was tested'"),
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
