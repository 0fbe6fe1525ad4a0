"""Bundles: a trained model as a folder of safetensors and JSON, in which nothing is ever executed."""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256 as digest
from importlib.metadata import PackageNotFoundError, version
from os import PathLike
from pathlib import Path
from typing import Any

from torch import nn

from nbtune._version import __version__
from nbtune.bodies.tabular import Columns, TableBody
from nbtune.bundle.architectures import Makers, check_rebuilds
from nbtune.bundle.card import readme
from nbtune.bundle.manifest import FORMAT, LIMIT, MANIFEST, README, SCHEMA, WEIGHTS, parse, plain, problem, render
from nbtune.bundle.model import Architecture, Model, Preprocessing
from nbtune.bundle.network import described, in_words, to_fill, warn_of_own
from nbtune.bundle.paths import existing, is_bundle, target
from nbtune.bundle.safefiles import file_size, hashed, opened, read_small, write_folder
from nbtune.bundle.tables import columns_from, table_parts
from nbtune.bundle.weights import as_bytes, fill, mismatch, read_header
from nbtune.errors import BundleError, InputError
from nbtune.evaluate.intervals import Estimate
from nbtune.groups import Group
from nbtune.interrupts import imports_whole

__all__ = ["Architecture", "Model", "Preprocessing", "live", "load", "parts_of", "save", "versions_here"]


def save(
    folder: str | PathLike[str],
    *,
    model: nn.Module,
    architecture: Architecture | None,
    groups: Sequence[Any],
    preprocessing: Mapping[str, Any],
    vocab: Sequence[object],
    task_card: Mapping[str, Any],
    versions: Mapping[str, str] | None = None,
    history: Sequence[Mapping[str, Any]] | None = None,
    metrics: Mapping[str, Any] | None = None,
    architectures: Makers | None = None,
) -> Path:
    """Save a model as a folder with weights.safetensors, bundle.json and README.md; gives its path.

    The folder appears by one rename, or not at all; an earlier bundle there is replaced, anything else is left
    alone. `preprocessing` has size [h, w], channels, mean and std, and may have resize
    and interpolation, as a Body. `metrics` are Estimates by name. `architecture`
    must make a network with the model's tensors: a body of nbtune by name, or a name in `architectures`; None
    means that `load` needs the network, which a warning says. Tied tensors are stored once. Raises InputError,
    InputTypeError or BundleError (could not be written).
    """
    place = target(folder)
    check_rebuilds(model, architecture, architectures)
    weights, ties = as_bytes(model)
    facts = {
        "format": FORMAT,
        "schema": SCHEMA,
        "architecture": architecture and {"name": architecture.name, "kwargs": dict(architecture.kwargs)},
        "network": described(model),
        "groups": [_group(g) for g in groups],
        "preprocessing": dict(preprocessing),
        "classes": [str(name) for name in vocab],
        "task": dict(task_card),
        "metrics": {name: [e.value, e.low, e.high] for name, e in (metrics or {}).items()},
        "history": None if history is None else list(history),
        "versions": versions_here() if versions is None else dict(versions),
        "ties": ties,
    }
    data = {field: plain(field, value) for field, value in facts.items()}
    _write(place, {WEIGHTS: weights, **_described(data, weights)})
    if architecture is None:
        warn_of_own(place, data["network"])
    return place


def _described(data: dict[str, Any], weights: bytes) -> dict[str, bytes]:
    """The card and the manifest, which holds the digest of every other file. Raises as `save`."""
    data["files"] = {WEIGHTS: _entry(weights), README: _entry(b"")}
    _check(problem(data))
    card = readme(data, len(weights)).encode()
    data["files"][README] = _entry(card)
    manifest = render(data)
    _check("" if len(manifest) <= LIMIT else f"it would have {len(manifest):,} bytes, and {LIMIT:,} are read")
    return {README: card, MANIFEST: manifest}


@imports_whole
def load(
    folder: str | PathLike[str],
    *,
    model: nn.Module | None = None,
    sha256: str | None = None,
    architectures: Makers | None = None,
) -> Model:
    """The Model in a bundle's folder, after every file was checked against its digest.

    `sha256` is the expected digest of bundle.json (as `sha256sum` prints it, or `Model.sha256`): digests inside a
    bundle find damage, only this one finds a forgery. `model` is the network to fill, needed for a network of
    the user's own (its tensors are replaced); `architectures` adds names to those of nbtune. Nothing in a bundle
    is executed. Raises MissingFileError, BundleError, InputError or InputTypeError; `model` is unchanged then.
    """
    place = existing(folder)
    raw = read_small(place, MANIFEST, LIMIT)
    found = digest(raw).hexdigest()
    _check_expected(found, sha256)
    data = parse(raw)
    _check_text(place, data)
    network = to_fill(place, data, model, architectures)
    _fill(place, data, network)
    return _model(place, data, found, network)


def live(module: nn.Module, parts: Mapping[str, Any]) -> Model:
    """A Model on a network in memory: `parts` as `save` takes them. It is in no folder and has no digest."""
    data = {field: plain(field, parts[field]) for field in ("preprocessing", "task_card")}
    return Model(
        module=module,
        vocab=tuple(map(str, parts["vocab"])),
        preprocessing=_preprocessing(data["preprocessing"]),
        architecture=parts["architecture"],
        card=data["task_card"],
        groups=(),
        metrics={},
        history=(),
        versions={},
        folder=Path(),
        sha256="",
    )


def parts_of(origin: Any) -> dict[str, Any]:
    """What a Learner's origin (`learn.nbtune_origin`) says of it: keyword arguments for `save`.

    The architecture is None for a network of the user's own.
    """
    body, task = origin.body, origin.task
    said = {"objective": task.objective, "kind": task.kind, "scale": origin.scale, **task.card.as_dict()}
    if isinstance(body, TableBody):
        parts = table_parts(body, origin.n_out)
        named = parts["kwargs"] and Architecture("tabular", parts["kwargs"])
        return {"architecture": named, "preprocessing": parts["preprocessing"], "vocab": task.vocab, "task_card": said}
    known = body.architecture(origin.n_out)
    steps = {"size": body.size, "channels": body.channels, "mean": body.mean, "std": body.std}
    if body.resize is not None or body.interpolation != "bilinear":
        steps |= {"resize": body.resize, "interpolation": body.interpolation}
    return {
        "architecture": known and Architecture(*known),
        "preprocessing": steps,
        "vocab": task.vocab,
        "task_card": said,
    }


def versions_here() -> dict[str, str]:
    """Versions of nbtune and of the libraries that decide what a network computes."""
    found = {"nbtune": __version__}
    for name in ("torch", "torchvision", "fastai", "timm", "transformers", "numpy", "safetensors"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


# Saving


def _group(group: Any) -> dict[str, Any]:
    return {
        "name": group.name,
        "modules": list(getattr(group, "modules", ())),
        "tensors": list(getattr(group, "tensors", ())),
    }


def _why_not(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "a disk that is full."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "a place that may only be read."
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return "a file where a folder of the path should be."
    return "a disk or a network drive that failed."


def _entry(content: bytes) -> dict[str, Any]:
    return {"sha256": digest(content).hexdigest(), "bytes": len(content)}


def _check(found: str) -> None:
    if not found:
        return
    twice, large = "twice" in found, "bytes" in found
    raise InputError(
        f"the bundle cannot be described: {found}.",
        rule="preprocessing, classes, groups, card and history follow the bundle's schema.",
        likely="two classes of one name." if twice
        else "an array or a log in the card or the history." if large
        else "a field of another task, or one that was left out.",
        next="vocab=tuple(dict.fromkeys(vocab)), if both are one class" if twice
        else "leave it out: it can be a file beside the bundle" if large
        else "**bundle.parts_of(learn.nbtune_origin) gives these fields",
    )  # fmt: skip


def _write(place: Path, files: Mapping[str, bytes]) -> None:
    try:
        write_folder(place, files, is_bundle)
    except OSError as error:
        raise BundleError(
            f"{place.name!r} was not saved: {error}",
            rule="a bundle is written whole or not at all; what was there before is kept.",
            likely=_why_not(error),
            next=f"tuner.save({str(Path('~') / place.name)!r}), or another place with room",
        ) from error


# Loading


def _check_expected(found: str, expected: Any) -> None:
    if expected is None:
        return
    if not isinstance(expected, str) or not re.fullmatch(r"[0-9a-fA-F]{64}", expected):
        raise InputError(
            f"sha256={expected!r:.80} is no digest.",
            rule="sha256 is a text of 64 hexadecimal digits.",
            likely=_no_digest(expected),
            next="nt.load(folder).sha256 is the digest of a bundle that you trust; sha256sum bundle.json prints it",
        )
    if expected.lower() != found:
        raise BundleError(
            f"{MANIFEST} has the digest {found[:16]}… and not {expected[:16].lower()}….",
            rule="the bundle is the one whose digest was given.",
            likely="another version of the bundle, or a forgery.",
            next="get the bundle and its digest from its author.",
        )


def _no_digest(given: Any) -> str:
    if not isinstance(given, str):
        return f"a value of type {type(given).__name__}, such as the raw bytes of a digest."
    text = given.strip()
    if len(text) == 64:
        return "a letter that is no hexadecimal digit." if text == given else "a space or the end of a line."
    if " " in text:
        return "the whole line of sha256sum: the digest is its first column."
    return f"a digest of another kind, or one that was cut: it has {len(text)} characters."


def _check_text(place: Path, data: Mapping[str, Any]) -> None:
    entry, raw = data["files"][README], read_small(place, README, LIMIT)
    if len(raw) != entry["bytes"] or digest(raw).hexdigest() != entry["sha256"]:
        raise _altered(README, len(raw), entry["bytes"])


def _altered(name: str, size: int, stated: int) -> BundleError:
    what = f"it has {size:,} bytes and not {stated:,}" if size != stated else "its sha256 is another"
    likely = "a copy or download that broke off." if size < stated else "an edit, or another file of this name."
    return BundleError(
        f"{name} is not the file that was saved: {what}.",
        rule=f"every file has the size and the sha256 that {MANIFEST} states.",
        likely="a damaged disk, or an edit." if size == stated else likely,
        next="copy the bundle again from where it was saved, or save the model once more",
    )


def _fill(place: Path, data: Mapping[str, Any], network: nn.Module) -> None:
    """Check the weights file and put its tensors into the network."""
    with opened(place, WEIGHTS) as file:
        entry = data["files"][WEIGHTS]
        if file_size(file) != entry["bytes"] or hashed(file) != entry["sha256"]:
            raise _altered(WEIGHTS, file_size(file), entry["bytes"])
        shapes = read_header(file)
    found = mismatch(network, shapes, data["ties"])
    if found:
        raise BundleError(
            f"{WEIGHTS} does not fit the network: {found}.",
            rule="names and shapes in the file are those of the network.",
            likely=f"a network other than the one saved, which was {in_words(data['network'])}.",
            next="make the network as it was made for training, with the versions in README.md.",
        )
    fill(network, place / WEIGHTS, data["ties"])


def _model(place: Path, data: Mapping[str, Any], found: str, network: nn.Module) -> Model:
    stated = data["architecture"]
    nothing = float("nan")
    return Model(
        module=network.eval(),
        vocab=tuple(data["classes"]),
        preprocessing=_preprocessing(data["preprocessing"]),
        architecture=stated and Architecture(stated["name"], stated["kwargs"]),
        card=data["task"],
        groups=tuple(Group(g["name"], tuple(g["modules"]), tuple(g["tensors"])) for g in data["groups"]),
        metrics={n: Estimate(*(nothing if x is None else x for x in e)) for n, e in data["metrics"].items()},
        history=tuple(data["history"] or ()),
        versions=data["versions"],
        folder=place,
        sha256=found,
    )


def _preprocessing(stated: Mapping[str, Any]) -> Preprocessing | Columns:
    if "categories" in stated:
        return columns_from(stated)
    high, wide = stated["size"]
    edge = stated.get("resize")
    return Preprocessing(
        (high, wide), stated["channels"], tuple(stated["mean"]), tuple(stated["std"]),
        tuple(edge) if isinstance(edge, list) else edge, stated.get("interpolation", "bilinear"),
    )  # fmt: skip
