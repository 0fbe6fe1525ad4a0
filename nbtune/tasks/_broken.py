"""What cannot be used, item by item: refused with the list, or left out and kept in the card."""

from __future__ import annotations

from collections.abc import Mapping

from nbtune.errors import InputError

__all__ = ["UNKNOWN", "by_reason", "check_broken", "settle"]

_SHOWN = 5  # offenders of a kind that a message names
# Reasons for items that cannot be split: of a function of paths, and of a column with its likely cause.
UNKNOWN = {"group": "no group from the function group=", "time": "no time from the function time="}
UNSPLIT = {
    "no group": "rows of which the patient, site or other group was never noted.",
    "no time": "rows without a date.",
}


def check_broken(broken: object) -> bool:
    """Whether broken items are left out. Raises InputError for anything but "raise" and "skip"."""
    if broken in ("raise", "skip"):
        return broken == "skip"
    raise InputError(
        f"broken={broken!r:.60}.", rule='broken is "raise" or "skip".',
        likely="a switch: here it is a word." if isinstance(broken, bool) or broken is None
        else "a word of another library.",
        next='broken="skip" leaves broken items out and lists them in task.card.skipped',
    )  # fmt: skip


def by_reason(offenders: Mapping[str, str]) -> str:
    """Offenders in words: how many of each kind, and the first names."""
    kinds: dict[str, list[str]] = {}
    for name, reason in offenders.items():
        kinds.setdefault(reason, []).append(name)
    said = []
    for reason, names in kinds.items():
        more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
        said.append(f"{len(names):,} × {reason}: {', '.join(names[:_SHOWN])}{more}")
    return "; ".join(said)


def settle(offenders: Mapping[str, str], n: int, skip: bool, call: str) -> dict[str, str]:
    """The offenders, to be left out. Raises InputError with their list unless they may be."""
    if offenders and not skip:
        reasons = set(offenders.values())
        split = {*UNSPLIT, *UNKNOWN.values()} & reasons
        raise InputError(
            f"{len(offenders):,} of {n:,} items cannot be used. {by_reason(offenders)}.",
            rule=f"every item can be read and has a label{', and what it is split by' if split else ''}.",
            likely=_likely(reasons),
            next=("a value from the function for these files too; or " if reasons & {*UNKNOWN.values()} else "")
            + f'{call}(..., broken="skip") leaves them out and lists them in task.card.skipped',
        )  # fmt: skip
    return dict(offenders)


def _likely(reasons: set[str]) -> str:
    text = " ".join(reasons)
    if "missing" in text:
        return "a folder that was moved, names relative to another folder, or files that were never copied."
    if "class folder" in text:
        return "a class that is still to be filled, or pictures in files of another kind."
    if "label" in text or "target" in text:
        return "rows that were never labelled, or labelled twice."
    if "link" in text:
        return "a link that was copied without what it leads to."
    if "empty" in text or "truncated" in text:
        return "a copy or a download that broke off."
    if "megapixels" in text:
        return "a scan or a map, or a file made to fill the memory."
    for reason in reasons & {*UNKNOWN.values(), *UNSPLIT}:
        return UNSPLIT.get(reason, "the function has no return in one of its ways, or does not know these files.")
    return "files of another kind among the pictures."
