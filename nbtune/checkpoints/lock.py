"""One process at a time writes a run's folder: a lock that the system drops when its process dies."""

from __future__ import annotations

import json
import os
import platform
import time
import weakref
from pathlib import Path
from typing import Any

from nbtune.errors import TrainingError

try:
    import fcntl
except ImportError:  # not POSIX: folders are not locked there
    fcntl = None  # type: ignore[assignment]

__all__ = ["LOCK", "Lock"]

LOCK = "lock.json"
_WAITS = 3.0  # seconds for workers that outlive their killed process a little, and hold what it held


class _Handle:
    """The open, locked file of one folder, for all that this process does there; closed with the last of them."""

    def __init__(self, descriptor: int) -> None:
        weakref.finalize(self, os.close, descriptor)
        status = os.fstat(descriptor)
        self.file, self.pid = (status.st_dev, status.st_ino), os.getpid()


_handles: weakref.WeakValueDictionary[Path, _Handle] = weakref.WeakValueDictionary()


class Lock:
    """This process's hold on a run's folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder.absolute() / LOCK
        self._handle: _Handle | None = None

    def take(self) -> None:
        """Hold the folder, if it is there. Raises TrainingError, which names the process that does, or OSError."""
        if fcntl is None or not self.path.parent.is_dir():
            return
        if self._handle is None or not self._holds(self._handle):
            known = _handles.get(self.path)
            self._handle = known if known is not None and self._holds(known) else self._locked()
            _handles[self.path] = self._handle

    def _holds(self, handle: _Handle) -> bool:
        """Is it this process's, and of the file that is there now? (The folder may have been made anew.)"""
        try:
            status = os.stat(self.path)
        except OSError:
            return False
        return handle.pid == os.getpid() and handle.file == (status.st_dev, status.st_ino)

    def _locked(self) -> _Handle:
        ends = time.monotonic() + _WAITS
        while True:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                status, there = os.fstat(descriptor), os.stat(self.path)
                if (status.st_dev, status.st_ino) == (there.st_dev, there.st_ino):  # not replaced meanwhile
                    _sign(descriptor)
                    return _Handle(descriptor)
                os.close(descriptor)
            except BlockingIOError:
                holder = _read(descriptor)
                os.close(descriptor)
                if not _dead(holder):
                    raise _busy(self.path.parent, holder) from None
                if time.monotonic() > ends:
                    self.path.unlink(missing_ok=True)  # what still holds it is no run: a worker that was left over
                else:
                    time.sleep(0.05)
            except BaseException:
                os.close(descriptor)
                raise


def _sign(descriptor: int) -> None:
    """Write who holds it, for whoever is refused."""
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "host": platform.node(), "since": since}).encode(), 0)


def _read(descriptor: int) -> dict[str, Any]:
    try:
        holder = json.loads(os.pread(descriptor, 1000, 0))
        return holder if isinstance(holder, dict) else {}
    except ValueError:
        return {}


def _dead(holder: dict[str, Any]) -> bool:
    """Did the holder's process, of this machine, end?"""
    if holder.get("host") != platform.node() or type(holder.get("pid")) is not int or holder["pid"] <= 0:
        return False
    try:
        os.kill(holder["pid"], 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def _busy(folder: Path, holder: dict[str, Any]) -> TrainingError:
    host = holder.get("host", "an unknown machine")
    here = "" if host == platform.node() else f" on {str(host)[:60]}"
    pid, since = str(holder.get("pid", "unknown"))[:20], str(holder.get("since", "an unknown time"))[:40]
    return TrainingError(
        f"{str(folder)!r} is held by another process (pid {pid}{here}, since {since}).",
        rule="one process at a time writes a run's folder: two would mix their checkpoints.",
        likely="the same notebook is open in another kernel, or a script runs on it.",
        next=f"shut that kernel down (pid {pid}), or take another folder: run_dir={folder.name + '-2'!r}.",
    )
