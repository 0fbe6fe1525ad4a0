"""Bundles: a trained model as a folder of safetensors and JSON, in which nothing is ever executed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from hashlib import sha256 as digest
from importlib.metadata import PackageNotFoundError, version
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from torch import nn

from nbtune import bodies
from nbtune._version import __version__
from nbtune.bundle.architectures import Makers, check_rebuilds, made
from nbtune.bundle.card import readme
from nbtune.bundle.manifest import FORMAT, LIMIT, MANIFEST, README, SCHEMA, WEIGHTS, parse, plain, problem, render
from nbtune.bundle.model import Architecture, Model, Preprocessing
from nbtune.bundle.safefiles import file_size, hashed, newest, opened, read_small, write_folder
from nbtune.bundle.weights import as_bytes, fill, mismatch, read_header
from nbtune.errors import BundleError, InputError, InputTypeError, MissingFileError, NbtuneError
from nbtune.evaluate.intervals import Estimate
from nbtune.groups import Group

__all__ = ["Architecture", "Model", "Preprocessing", "load", "parts_of", "save", "versions_here"]


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
    alone. `preprocessing` has size [h, w], channels, mean and std. `metrics` are Estimates by name. `architecture`
    must make a network with the model's tensors: a body of nbtune by name, or a name in `architectures`; None
    means that `load` needs the network. Tied tensors are stored once. Raises InputError, InputTypeError or
    BundleError (could not be written).
    """
    target = _target(folder)
    check_rebuilds(model, architecture, architectures)
    weights, ties = as_bytes(model)
    facts = {
        "format": FORMAT,
        "schema": SCHEMA,
        "architecture": architecture and {"name": architecture.name, "kwargs": dict(architecture.kwargs)},
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
    data["files"] = {WEIGHTS: _entry(weights), README: _entry(b"")}
    _check(problem(data))
    card = readme(data, len(weights)).encode()
    data["files"][README] = _entry(card)
    manifest = render(data)
    _check("" if len(manifest) <= LIMIT else f"it would have {len(manifest):,} bytes, and {LIMIT:,} are read")
    _write(target, {WEIGHTS: weights, README: card, MANIFEST: manifest})
    return target


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
    place = _existing(folder)
    raw = read_small(place, MANIFEST, LIMIT)
    found = digest(raw).hexdigest()
    _check_expected(found, sha256)
    data = parse(raw)
    _check_text(place, data)
    network = _network(data, model, architectures)
    _fill(place, data, network)
    return _model(place, data, found, network)


def parts_of(origin: Any) -> dict[str, Any]:
    """What a Learner's origin (`learn.nbtune_origin`) says of it: keyword arguments for `save`.

    The architecture is None for a network of the user's own.
    """
    body, task = origin.body, origin.task
    known = body.name in bodies.names() and bodies.get(body.name) == body
    return {
        "architecture": Architecture(body.name, {"n_out": origin.n_out}) if known else None,
        "preprocessing": {"size": body.size, "channels": body.channels, "mean": body.mean, "std": body.std},
        "vocab": task.vocab,
        "task_card": {"objective": task.objective, **task.card.as_dict()},
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


def _target(folder: Any) -> Path:
    path = _path(folder)
    if not path.exists() or _is_bundle(path) or (path.is_dir() and not any(path.iterdir())):
        return path
    raise InputError(
        f"{path.name!r} exists and is not a bundle of nbtune (or holds other files too).",
        rule="save makes a new folder, or replaces a bundle that holds nothing else.",
        likely="The folder holds other work.",
        next=f'save to another name, such as "{path.name}-tuned".',
    )


def _path(folder: Any) -> Path:
    if not isinstance(folder, str | PathLike) or not fspath(folder):
        raise InputTypeError(
            f"folder={folder!r:.60} is no path.",
            rule="folder is a text or a Path.",
            likely="The arguments were exchanged.",
            next='tuner.save("digits-tuned").',
        )
    return Path(folder).expanduser().resolve()


def _is_bundle(path: Path) -> bool:
    """A folder with a bundle.json of nbtune, and no file that nbtune did not write."""
    if not path.is_dir() or not {p.name for p in path.iterdir()} <= {MANIFEST, WEIGHTS, README}:
        return False
    try:
        head = read_small(path, MANIFEST, LIMIT)[:200]
    except NbtuneError:
        return False
    return f'"format": "{FORMAT}"'.encode() in head


def _group(group: Any) -> dict[str, Any]:
    return {
        "name": group.name,
        "modules": list(getattr(group, "modules", ())),
        "tensors": list(getattr(group, "tensors", ())),
    }


def _entry(content: bytes) -> dict[str, Any]:
    return {"sha256": digest(content).hexdigest(), "bytes": len(content)}


def _check(found: str) -> None:
    if not found:
        return
    raise InputError(
        f"The bundle cannot be described: {found}.",
        rule="Preprocessing, classes, groups, card and history follow the bundle's schema.",
        likely="A field was left out, or a class is named twice.",
        next="bundle.parts_of(learn.nbtune_origin) gives these fields.",
    )


def _write(target: Path, files: Mapping[str, bytes]) -> None:
    try:
        write_folder(target, files, _is_bundle)
    except OSError as error:
        raise BundleError(
            f"{target.name!r} was not saved: {error}",
            rule="A bundle is written whole or not at all; what was there before is kept.",
            likely="The disk is full, or the place is read-only.",
            next="save to another folder.",
        ) from error


# Loading


def _existing(folder: Any) -> Path:
    place = newest(_path(folder))
    if place.is_dir():
        return place
    raise MissingFileError(
        f"There is no bundle {place.name!r} in {str(place.parent)!r}.",
        rule="A bundle is a folder with bundle.json, weights.safetensors and README.md.",
        likely="A spelling, or a path relative to another folder.",
        next="tuner.save(folder) makes one and gives its path.",
    )


def _check_expected(found: str, expected: Any) -> None:
    if expected is None:
        return
    if not isinstance(expected, str) or not re.fullmatch(r"[0-9a-fA-F]{64}", expected):
        raise InputError(
            f"sha256={expected!r:.80} is no digest.",
            rule="sha256 is 64 hexadecimal digits.",
            likely="It was cut when it was copied.",
            next="copy the first column of what sha256sum bundle.json prints.",
        )
    if expected.lower() != found:
        raise BundleError(
            f"{MANIFEST} has the digest {found[:16]}… and not {expected[:16].lower()}….",
            rule="The bundle is the one whose digest was given.",
            likely="Another version of the bundle, or a forgery.",
            next="get the bundle and its digest from its author.",
        )


def _check_text(place: Path, data: Mapping[str, Any]) -> None:
    entry = data["files"][README]
    if digest(read_small(place, README, LIMIT)).hexdigest() != entry["sha256"]:
        raise _altered(README)


def _altered(name: str) -> BundleError:
    return BundleError(
        f"{name} is not the file that was saved: its size or digest differs.",
        rule=f"Every file has the size and the sha256 that {MANIFEST} states.",
        likely="A truncated download, a damaged disk, or an edit.",
        next="get the bundle again from its author.",
    )


def _network(data: Mapping[str, Any], model: nn.Module | None, architectures: Makers | None) -> nn.Module:
    """The network to fill: the given one, or a new one of the bundle's architecture."""
    if model is not None:
        if not isinstance(model, nn.Module):
            raise InputTypeError(
                f"model is a {type(model).__name__}.",
                rule="model is a torch.nn.Module.",
                likely="The class or a function was given instead of a network.",
                next="load(folder, model=MyNet(10)).",
            )
        return model
    stated = data["architecture"]
    if stated is None:
        raise InputError(
            "This bundle holds weights of a network of its author's own, and no network was given.",
            rule="A bundle holds no code: a network that nbtune does not know is made by you.",
            likely="It was saved from a network that was given as a module or a function.",
            next="load(folder, model=MyNet(...)) with the same class and arguments.",
        )
    return made(Architecture(stated["name"], stated["kwargs"]), architectures, BundleError)


def _fill(place: Path, data: Mapping[str, Any], network: nn.Module) -> None:
    """Check the weights file and put its tensors into the network."""
    with opened(place, WEIGHTS) as file:
        entry = data["files"][WEIGHTS]
        if file_size(file) != entry["bytes"] or hashed(file) != entry["sha256"]:
            raise _altered(WEIGHTS)
        shapes = read_header(file)
    found = mismatch(network, shapes, data["ties"])
    if found:
        raise BundleError(
            f"{WEIGHTS} does not fit the network: {found}.",
            rule="Names and shapes in the file are those of the network.",
            likely="The network was changed, or is made by another version of its library.",
            next="make the network as it was made for training, with the versions in README.md.",
        )
    fill(network, place / WEIGHTS, data["ties"])


def _model(place: Path, data: Mapping[str, Any], found: str, network: nn.Module) -> Model:
    stated, pixels = data["architecture"], data["preprocessing"]
    nothing = float("nan")
    return Model(
        module=network.eval(),
        vocab=tuple(data["classes"]),
        preprocessing=Preprocessing(
            (pixels["size"][0], pixels["size"][1]), pixels["channels"], tuple(pixels["mean"]), tuple(pixels["std"])
        ),
        architecture=stated and Architecture(stated["name"], stated["kwargs"]),
        card=data["task"],
        groups=tuple(Group(g["name"], tuple(g["modules"]), tuple(g["tensors"])) for g in data["groups"]),
        metrics={n: Estimate(*(nothing if x is None else x for x in e)) for n, e in data["metrics"].items()},
        history=tuple(data["history"] or ()),
        versions=data["versions"],
        folder=place,
        sha256=found,
    )
