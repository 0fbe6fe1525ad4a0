"""Published weights: taken from the library's own cache, checked, or fetched by it; what to do where it cannot."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlparse

import torch

from nbtune.errors import BundleError, MissingExtraError, MissingFileError, NbtuneError

__all__ = ["cached_url", "from_hub", "from_url", "missing_extra"]

_T = TypeVar("_T")
_HASH = re.compile(r"-([0-9a-f]{8,64})\.")  # torch.hub's rule, with the length that it asks for
_BLOB = re.compile(r"[0-9a-f]{64}")


def cached_url(url: str) -> Path:
    """Where torch.hub keeps the file of this address; TORCH_HOME moves it."""
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(url).path).name


def from_url(url: str, name: str, load: Callable[[], _T]) -> _T:
    """What `load` reads of this address by torch.hub, which looks into its cache first.

    Raises MissingFileError where the file is not there and cannot be fetched, BundleError where its sha256 does not
    begin with the digits in its name, or where it is no file of weights alone.
    """
    place = cached_url(url)
    _check(place, _digits(place.name))
    try:
        found = load()
    except NbtuneError:
        raise
    except Exception as error:
        if place.is_file():
            raise _broken(place, f"cannot be read: {_line(error)}") from error
        raise _absent(name, place, url, error) from error
    _check(place, _digits(place.name))  # it may just have been fetched
    return found


def _digits(file: str) -> str:
    found = _HASH.search(file)
    return found[1] if found else ""


def _check(place: Path, digits: str) -> None:
    if not digits or not place.is_file():
        return
    with place.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(digits):
        raise _broken(place, f"has the sha256 {found[: max(12, len(digits))]}…, and its name says {digits[:12]}")


def _broken(place: Path, what: str) -> BundleError:
    return BundleError(
        f"{str(place)!r} {what}.", rule="the file is the one that its library published.",
        likely="a download that broke off, or another file under this name.",
        next=f"delete {str(place)!r}; it is fetched again, or task.learner(name, weights=path) takes your own file",
    )  # fmt: skip


def _absent(name: str, place: Path, url: str, error: BaseException) -> MissingFileError:
    return MissingFileError(
        f"the weights of {name!r} are not here, and fetching them failed: {_line(error)}",
        rule=f"they are read from {str(place)!r}, or fetched from {url}", likely=_why(error),
        next=f"where there is a network, fetch {url} and put it at {str(place)!r}; "
        "or pretrained=False, which learns from nothing",
    )  # fmt: skip


def _why(error: BaseException) -> str:
    text = f"{type(error).__name__} {error}"
    if isinstance(error, PermissionError):
        return "a cache folder that may not be written; TORCH_HOME or HF_HOME names another one."
    if "LocalEntryNotFound" in text:  # what the hub's library raises where it cannot ask, and has nothing cached
        return "no network here, or a firewall."
    if re.search(r"40[134]|Repository|Revision|EntryNotFound|not a valid model identifier", text):
        return "a name that is misspelt, private, or gone."
    return "no network here, or a firewall."


def _line(error: BaseException) -> str:
    return f"{(str(error) or type(error).__name__).splitlines()[0]:.110}"


def from_hub(repo: str, name: str, files: Iterable[str], load: Callable[[], _T]) -> _T:
    """What `load` reads of a repository of the Hugging Face hub, which looks into its cache first.

    Cached files that are links to a blob named by its sha256 are checked. Raises as `from_url`.
    """
    for file in files:
        _check_blob(repo, file)
    try:
        return load()
    except NbtuneError:
        raise
    except Exception as error:
        raise _absent_repo(repo, name, error) from error


def _check_blob(repo: str, file: str) -> None:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repo, file)
    if isinstance(found, str):
        blob = Path(found).resolve()
        _check(blob, blob.name if _BLOB.fullmatch(blob.name) else "")


def _absent_repo(repo: str, name: str, error: BaseException) -> MissingFileError:
    from huggingface_hub import constants

    folder = Path(constants.HF_HUB_CACHE) / f"models--{repo.replace('/', '--')}"
    return MissingFileError(
        f"{name!r} was not found here, and fetching it failed: {_line(error)}",
        rule=f"it is read from {str(folder)!r}, or fetched from {repo} on the Hugging Face hub.", likely=_why(error),
        next=f"where there is a network: hf download {repo}, then copy its folder models--{repo.replace('/', '--')} "
        f"to {str(folder.parent)!r}",
    )  # fmt: skip


def missing_extra(name: str, package: str, extra: str, error: BaseException) -> MissingExtraError:
    """The error for a body of a library that is not installed."""
    return MissingExtraError(
        f"{name!r} without {package}: {_line(error)}",
        rule=f"bodies of {package} are made by {package}, which is an extra of nbtune.",
        likely="an installation without extras.", next=f'pip install "nbtune[{extra}]"',
    )  # fmt: skip
