"""Who trains, who validates, who tests: stratified, grouped, by time, or as given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nbtune.errors import InputError, InputTypeError
from nbtune.tasks._given import read_given
from nbtune.tasks._groups import check_groups, larger_shares, parts_of, too_few_groups
from nbtune.tasks.targets import Target

__all__ = ["Aside", "Plan", "check_share", "components", "plan_split", "strata"]

Places = npt.NDArray[np.int64]
LEAST = 3  # items of a class: one for each split


@dataclass(frozen=True, eq=False)
class Aside:
    """What a split goes by, an item each: groups to keep together, times, given splits, digests of the contents."""

    group: Any = None
    time: Any = None
    given: Any = None
    hashes: Sequence[str] | None = None

    def take(self, places: Places) -> Aside:
        """The same of these items."""
        group, time, given = (
            None if one is None else np.asarray(one)[places] for one in (self.group, self.time, self.given)
        )
        return Aside(group, time, given, None if self.hashes is None else [self.hashes[at] for at in places])


@dataclass(frozen=True, eq=False)
class Plan:
    """Places of the three splits, each in order, and in words how they were found."""

    train: Places
    valid: Places
    test: Places
    said: str


def plan_split(target: Target, aside: Aside, *, valid: float, test: float, seed: int) -> Plan:
    """Splits by what is known of the items. Raises InputError for classes, groups or times that cannot be split."""
    check_share("valid", valid)
    check_share("test", test)
    if valid + test >= 1:
        raise InputError(
            f"valid={valid} and test={test}.", rule="the two shares leave items to train on.",
            likely="shares in per cent, or of each other.", next="valid=0.2, test=0.2",
        )  # fmt: skip
    if aside.given is not None:
        return _given(target, aside, valid, test, seed)
    everything = np.arange(len(target.y))
    return _drawn(target, aside, everything, {"test": test, "valid": valid}, seed)


def _drawn(target: Target, aside: Aside, places: Places, shares: dict[str, float], seed: int) -> Plan:
    """Draw the splits in `shares` from `places`; the rest trains.

    The test split is the same for every seed: reports of several seeds are then of the same items, and an item that
    tested one model never trained another.
    """
    if aside.time is not None:
        return _by_time(aside, places, shares)
    scarce, together = {}, places
    if aside.group is not None:
        together = components(aside.take(places), len(places))
        scarce = check_groups(target.take(places), together, shares)
    found, rest, left = {}, places, 1.0
    for number, (name, share) in enumerate(shares.items()):
        drawn_by = 0 if name == "test" else (seed + number) % 2**32
        chosen = _one(target.take(rest), aside.take(rest), share / left, drawn_by, len(shares) - number)
        found[name], rest, left = rest[chosen], np.delete(rest, chosen), left - share
    if scarce and set(np.unique(target.y[np.setdiff1d(places, rest)])) - set(np.unique(target.y[rest])):
        raise too_few_groups(scarce, target.take(places), together, len(shares) + 1)
    how = (
        "stratified by class"
        if target.kind == "single"
        else (
            "stratified by each item's rarest label" if target.kind == "multi" else "stratified by tenths of the target"
        )
    )
    if aside.group is not None:
        how += f"; the {len(np.unique(np.asarray(aside.group)[places]))} groups stay together"
    nothing = np.zeros(0, dtype=np.int64)
    same = " (test: the same for every seed)" if "test" in shares else ""
    said = f"{how[0].upper()}{how[1:]}, seed {seed}{same}."
    return Plan(rest, found.get("valid", nothing), found.get("test", nothing), said)


def _one(target: Target, aside: Aside, share: float, seed: int, more: int) -> Places:
    """The places of one split."""
    codes = strata(target)
    together = components(aside, len(codes))
    if aside.group is not None:
        return _grouped(codes, together, share, seed)
    if target.kind == "single":
        _check_counts(target, more + 1)
    firsts, inverse = np.unique(together, return_index=True)[1], np.unique(together, return_inverse=True)[1]
    taken = _stratified(codes[firsts], share, seed, target.kind == "single")
    return np.flatnonzero(np.isin(inverse, taken))


def _stratified(codes: Places, share: float, seed: int, each: bool) -> Places:
    """A share of every stratum; `each`: at least one item of it, and never all."""
    draw = np.random.RandomState(seed)
    chosen = []
    for code in np.unique(codes):
        places = draw.permutation(np.flatnonzero(codes == code))
        # Halves go up in turn, or many small strata would all give nothing.
        count = int(share * len(places) + draw.random_sample())
        if each:
            count = int(np.clip(round(share * len(places)), 1, max(1, len(places) - 1)))
        chosen.append(places[:count])
    found = np.sort(np.concatenate(chosen)).astype(np.int64)
    return found if len(found) else np.array([draw.randint(len(codes))], dtype=np.int64)


def _grouped(codes: Places, together: Places, share: float, seed: int) -> Places:
    from sklearn.model_selection import StratifiedGroupKFold

    folds = parts_of(share)
    if len(np.unique(together)) < folds:
        raise larger_shares(len(np.unique(together)), folds)
    from warnings import catch_warnings, simplefilter

    with catch_warnings():  # of rare classes: where one is missing, that is said by ourselves
        simplefilter("ignore")
        maker = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        return np.asarray(next(iter(maker.split(codes, codes, together)))[1], dtype=np.int64)


def _by_time(aside: Aside, places: Places, shares: dict[str, float]) -> Plan:
    """Latest items test, those before validate; items of one moment stay together."""
    times = pd.Series(np.asarray(aside.time)[places])
    order = np.asarray(times.argsort(kind="stable"))
    ranked, n = times.to_numpy()[order], len(order)
    ends = [round(n * (1 - sum(shares.values()))), round(n * (1 - shares.get("test", 0.0)))]
    cuts = [int(np.searchsorted(ranked, ranked[min(end, n - 1)], side="left")) if end < n else n for end in ends]
    parts = [np.sort(places[order[a:b]]) for a, b in ((0, cuts[0]), (cuts[0], cuts[1]), (cuts[1], n))]
    wanted = [True, "valid" in shares, "test" in shares]
    if any(want and not len(part) for want, part in zip(wanted, parts, strict=True)):
        raise InputError(
            f"{times.nunique()} different times for {n:,} items.",
            rule="items of one moment stay in one split, and each split has items.",
            likely="a year or a day instead of a moment.", next="time= with a finer column, or group=",
        )  # fmt: skip
    starts = ranked[cuts[0]], ranked[min(cuts[1], n - 1)]
    return Plan(parts[0], parts[1], parts[2], f"By time: trained on before {starts[0]}, tested on from {starts[1]}.")


def _given(target: Target, aside: Aside, valid: float, test: float, seed: int) -> Plan:
    names = read_given(aside.given)
    places = {name: np.flatnonzero(names == name).astype(np.int64) for name in ("train", "valid", "test")}
    said = "As given"
    lacking = {name: share for name, share in (("test", test), ("valid", valid)) if not len(places[name])}
    if lacking:
        drawn = _drawn(target, Aside(aside.group, aside.time, None, aside.hashes), places["train"], lacking, seed)
        places["train"] = drawn.train
        places |= {name: getattr(drawn, name) for name in lacking}
        said += f"; {' and '.join(lacking)} drawn from the training items. {drawn.said}"
    return Plan(places["train"], places["valid"], places["test"], said if lacking else said + ".")


def strata(target: Target) -> Places:
    """A code an item: its class, its rarest label, or the tenth of the target's range by rank."""
    if target.kind == "single":
        return target.y
    if target.kind == "multi":
        counts = np.where(target.y.sum(0) == 0, len(target.y) + 1, target.y.sum(0, dtype=np.int64))
        rarest = np.where(target.y > 0, counts, len(target.y) + 2).argmin(1)
        return np.asarray(np.where(target.y.any(1), rarest, -1), dtype=np.int64)
    first = target.y if target.y.ndim == 1 else target.y[:, 0]
    ranks = np.argsort(np.argsort(first, kind="stable"), kind="stable")
    return np.asarray(ranks * min(10, max(1, len(first) // 5)) // len(first), dtype=np.int64)


def components(aside: Aside, n: int) -> Places:
    """A number for each of `n` items: those of one group, or of equal contents, have the same."""
    if aside.group is None and aside.hashes is None:
        return np.arange(n)
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    columns = [np.unique(np.asarray(one).astype(str), return_inverse=True)[1]
               for one in (aside.group, aside.hashes) if one is not None]  # fmt: skip
    links, offset = [], n
    for column in columns:
        links.append((np.arange(n), column + offset))
        offset += int(column.max(initial=0)) + 1
    rows, cols = (np.concatenate(part) for part in zip(*links, strict=True))
    graph = coo_array((np.ones(len(rows)), (rows, cols)), shape=(offset, offset))
    return np.asarray(connected_components(graph, directed=False)[1][:n], dtype=np.int64)


def _check_counts(target: Target, least: int) -> None:
    counts = np.bincount(target.y, minlength=len(target.vocab))
    few = {target.vocab[c]: int(n) for c, n in enumerate(counts) if 0 < n < least}
    if few:
        said = ", ".join(f"{name!r} has {n}" for name, n in list(few.items())[:8])
        more = f" and {len(few) - 8} more" if len(few) > 8 else ""
        raise InputError(
            f"{len(few)} of {len(counts)} classes are too small: {said}{more}.",
            rule=f"a class has {least} items or more, one for each split.",
            likely="a rare class, or a misspelt label.",
            next=f"leave_out={tuple(few)[:8]!r} leaves them out and says so in task.card; or collect more of them"
            if np.count_nonzero(counts) - len(few) > 1 else f"collect {least} or more of each",
        )  # fmt: skip


def check_share(name: str, share: Any) -> None:
    """Raise unless it is a share above 0 and below 1."""
    if isinstance(share, bool) or not isinstance(share, (int, float)):
        raise InputTypeError(
            f"{name}={share!r:.60}.", rule=f"{name} is the share of the items, above 0 and below 1.",
            likely="the items themselves: a given split goes by split=." if hasattr(share, "__len__")
            else "a variable that was never set.", next=f"{name}=0.2",
        )  # fmt: skip
    if not 0 < share < 1:
        raise InputError(
            f"{name}={share}.", rule=f"{name} is the share of the items, above 0 and below 1.",
            likely="a share in per cent." if 1 < share <= 100 else "a number of items." if share > 100
            else "a split that is not wanted: choices need validation, and a report needs a test set.",
            next=f"{name}={share / 100:g}" if 1 < share < 100 else f"{name}=0.2",
        )  # fmt: skip
