"""Where a bundle is, or likely is: folders to save to and to load from."""

from __future__ import annotations

from difflib import get_close_matches
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from torch import nn

from nbtune.bundle.manifest import FORMAT, LIMIT, MANIFEST, README, WEIGHTS
from nbtune.bundle.safefiles import newest, read_small
from nbtune.errors import InputError, InputTypeError, MissingFileError, NbtuneError

__all__ = ["existing", "is_bundle", "target"]

_RULE = f"a bundle is a folder with {MANIFEST}, {WEIGHTS} and {README}."
_NAMES = {MANIFEST, WEIGHTS, README}


def target(folder: Any) -> Path:
    """The folder to save to: new, empty, or a bundle that holds nothing else."""
    path = _path(folder, 'tuner.save("digits-tuned")')
    if not path.exists() or is_bundle(path) or (path.is_dir() and not any(path.iterdir())):
        return path
    raise InputError(
        f"{path.name!r} exists and is not a bundle of nbtune (or holds other files too).",
        rule="save makes a new folder, or replaces a bundle that holds nothing else.",
        likely="the name of a file." if path.is_file() else _other_work(path),
        next=f"tuner.save({str(path.with_name(path.stem + '-tuned'))!r})",
    )


def _other_work(path: Path) -> str:
    others = sorted(p.name for p in path.iterdir() if p.name not in _NAMES)
    return f"a folder for other work: it holds {', '.join(map(repr, others[:3]))}." if others else "another program's."


def existing(folder: Any) -> Path:
    """The folder to load from. Raises MissingFileError, InputError or InputTypeError unless it holds a bundle.json."""
    place = newest(_path(folder, 'nt.load("digits-tuned")'))
    if (place / MANIFEST).exists():
        return place
    given = f"there is no bundle {place.name!r} in {str(place.parent)!r}"
    if place.is_dir():
        likely, better = _without_manifest(place)
        raise MissingFileError(f"{given}: it has no {MANIFEST}.", rule=_RULE, likely=likely, next=better)
    if place.exists():
        likely, better = _file(place)
        raise MissingFileError(f"{given}: it is a file.", rule=_RULE, likely=likely, next=better)
    likely, better = _nothing(place)
    raise MissingFileError(f"{given}.", rule=_RULE, likely=likely, next=better)


def _without_manifest(place: Path) -> tuple[str, str]:
    inside = sorted(path.parent.name for path in place.glob(f"*/{MANIFEST}"))
    if inside:
        return "the folder around the bundle.", f"nt.load({str(place / inside[0])!r})"
    if not any(place.iterdir()):
        return "a folder for a bundle that was not saved yet.", f"tuner.save({str(place)!r})"
    if (place / WEIGHTS).exists() and (place / README).exists():
        return "a copy that is not complete.", "copy the whole folder again"
    if (place / "config.json").exists() or (place / WEIGHTS).exists():
        return "a model of another library, such as transformers.", "AutoModel.from_pretrained(folder)"
    return "another folder than the one that was saved to.", "nt.load(tuner.save(...)): save gives the path"


def _file(place: Path) -> tuple[str, str]:
    if place.name in _NAMES and (place.parent / MANIFEST).exists():
        return "a file of the bundle, instead of its folder.", f"nt.load({str(place.parent)!r})"
    if place.suffix in (".zip", ".tar", ".gz", ".tgz"):
        unpacked = place.with_name(place.name.split(".")[0])
        line = f"shutil.unpack_archive({str(place)!r}, {str(unpacked)!r}); nt.load({str(unpacked)!r})"
        return "a bundle that is packed.", line
    if place.suffix == ".pkl":
        return "a Learner that fastai exported, which is code too.", f"load_learner({str(place)!r}), if you trust it"
    if place.suffix in (".pth", ".pt", ".ckpt", ".bin"):
        line = f"network.load_state_dict(torch.load({str(place)!r}, weights_only=True))"
        return "weights that torch or fastai saved, without a network.", line
    if place.suffix == ".safetensors":
        return "weights alone, without a network.", f"safetensors.torch.load_model(network, {str(place)!r})"
    return "the name of another file.", "nt.load(tuner.save(...)): save gives the path"


def _nothing(place: Path) -> tuple[str, str]:
    if not place.parent.is_dir():
        likely = f"a path from another folder: {str(place.parent)!r} is not there either."
        return likely, f"nt.load({str(Path.cwd() / place.name)!r}), or wherever it was saved"
    known = sorted(path.parent.name for path in place.parent.glob(f"*/{MANIFEST}"))
    near = get_close_matches(place.name, known, n=1, cutoff=0.6) or known[:1]
    if not near:
        likely = "a model that was not saved, or was saved from another working folder."
        return likely, "nt.load(tuner.save(...)): save gives the path"
    likely = "a misspelling." if get_close_matches(place.name, near, cutoff=0.6) else "the name of another bundle."
    return likely, f"nt.load({str(place.parent / near[0])!r})"


def _path(folder: Any, usual: str) -> Path:
    if not isinstance(folder, str | PathLike) or isinstance(fspath(folder), bytes):
        likely, better = _no_path(folder, usual)
        given = "None" if folder is None else f"a value of type {type(folder).__name__}"
        raise InputTypeError(f"folder is {given}.", rule="folder is a text or a Path.", likely=likely, next=better)
    text = fspath(folder)
    if not text.strip():
        raise InputError(
            f"folder={text!r}.", rule="folder is the name of a folder.",
            likely="a setting or a variable that was never filled in.", next=usual,
        )  # fmt: skip
    try:
        path = Path(text).expanduser().resolve()
        path.exists()
    except (OSError, ValueError, RuntimeError) as cause:
        raise InputError(
            f"folder={text!r:.60} cannot be a path: {str(cause)[:80]}", rule="the file system takes the name.",
            likely="a name that is far too long." if len(text) > 200
            else "a user who is not known here." if text.startswith("~") else "a character that no name may have.",
            next=usual,
        ) from cause  # fmt: skip
    return path


def _no_path(folder: Any, usual: str) -> tuple[str, str]:
    loads = usual.startswith("nt.load")
    if folder is None:
        return "a variable that was never set, or a function that returns nothing.", usual
    if isinstance(folder, bytes):
        return "a path as bytes, as the operating system gives it.", usual.replace(
            '"digits-tuned"', "os.fsdecode(folder)"
        )
    if isinstance(getattr(folder, "module", None), nn.Module):
        return "a bundle that is loaded already.", "model.predict(images)" if loads else usual
    if isinstance(folder, nn.Module) or isinstance(getattr(folder, "model", None), nn.Module):
        return "the model itself, instead of where it is.", usual
    if hasattr(folder, "learn") and hasattr(folder, "save"):
        return "the Tuner itself, instead of what it saved.", 'nt.load(tuner.save("digits-tuned"))' if loads else usual
    return "another argument's value.", usual


def is_bundle(path: Path) -> bool:
    """A folder with a bundle.json of nbtune, and no file that nbtune did not write."""
    if not path.is_dir() or not {p.name for p in path.iterdir()} <= _NAMES:
        return False
    try:
        head = read_small(path, MANIFEST, LIMIT)[:200]
    except NbtuneError:
        return False
    return f'"format": "{FORMAT}"'.encode() in head
