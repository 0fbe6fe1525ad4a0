"""A real JupyterLab and a notebook in it, as a person has them: for tests that drive Chromium.

The server listens on 127.0.0.1 only, asks for a token, and has its own folders for configuration, data and
notebooks, so that it neither reads nor leaves anything of the person who runs the tests.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from playwright.sync_api import Page

__all__ = ["Lab", "Notebook7", "OpenNotebook", "begins"]

# A popup that asks about news would stand in every picture, and would ask the network.
SETTINGS = {
    "@jupyterlab/apputils-extension/notification.jupyterlab-settings": {
        "fetchNews": "false",
        "checkForUpdates": False,
    },
}
# What each kernel runs first: what it tries to reach outside this machine is refused, and noted.
OFFLINE = """import sys
sys.path.insert(0, {tests!r})
import offline
sys.path.pop(0)
def _note(place):
    with open({log!r}, "a") as file:
        print(place, file=file)
offline.refuse(_note)
del sys, offline, _note
"""
TESTS = Path(__file__).resolve().parents[1]
# The cells of the notebook in front, as the front end holds them.
CELLS = "() => window.jupyterapp.shell.currentWidget.content.model.sharedModel.toJSON().cells"


def begins(word: str) -> re.Pattern[str]:
    """The accessible names that begin with `word`: of two buttons, not the one that copies a line with that word."""
    return re.compile("^" + re.escape(word))


class Lab:
    """A JupyterLab server on notebooks in `folder`/notebooks; a context manager that ends it."""

    module, app, tree = "jupyterlab", "LabApp", "lab/tree"  # how it is started, configured, and asked for a file

    def __init__(self, folder: Path) -> None:
        self.folder, self.notebooks = folder, folder / "notebooks"
        self.notebooks.mkdir(parents=True, exist_ok=True)
        self.token, self.port = secrets.token_hex(16), _free_port()
        self.log = folder / "jupyterlab.log"
        self.outside = folder / "outside.log"  # what kernels tried to reach on other machines

    def __enter__(self) -> Lab:
        for name, values in SETTINGS.items():
            path = self.folder / "settings" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(values))
        startup = self.folder / "ipython" / "profile_default" / "startup" / "00-offline.py"
        startup.parent.mkdir(parents=True, exist_ok=True)
        startup.write_text(OFFLINE.format(tests=str(TESTS), log=str(self.outside)))
        with self.log.open("w") as log:
            self._server = subprocess.Popen(
                self._command(),
                env=self._environment(),
                cwd=self.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._wait(seconds=180)  # a machine may have more to do than this
        return self

    def __exit__(self, *_: object) -> None:
        # The server ends its kernels on the first signal; it gets no terminal to ask at.
        self._server.terminate()
        try:
            self._server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()

    def url(self, notebook: str) -> str:
        """Where a notebook opens; `reset` forgets what an earlier page had open."""
        return f"http://127.0.0.1:{self.port}/{self.tree}/{notebook}?token={self.token}&reset"

    def _command(self) -> list[str]:
        options = {
            "ServerApp.ip": "127.0.0.1",
            "ServerApp.port": self.port,
            "ServerApp.port_retries": 0,
            "ServerApp.root_dir": self.notebooks,
            "ServerApp.allow_root": True,
            "IdentityProvider.token": self.token,
            f"{self.app}.expose_app_in_browser": True,
            f"{self.app}.open_browser": False,
        }
        return [sys.executable, "-m", self.module, *(f"--{key}={value}" for key, value in options.items())]

    def _environment(self) -> dict[str, str]:
        folders = {
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",
            "JUPYTER_RUNTIME_DIR": "runtime",
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
            "IPYTHONDIR": "ipython",
        }
        own = {name: str(self.folder / folder) for name, folder in folders.items()}
        return {**os.environ, **own}

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and self._server.poll() is None:
            try:
                with urlopen(f"http://127.0.0.1:{self.port}/api?token={self.token}", timeout=2):
                    return
            except OSError:
                time.sleep(0.2)
        self.__exit__()
        raise RuntimeError(f"JupyterLab did not answer within {seconds:.0f} s:\n{self.log.read_text()[-2000:]}")


class Notebook7(Lab):
    """The same for Notebook 7, which is made of JupyterLab's parts."""

    module, app, tree = "notebook", "JupyterNotebookApp", "notebooks"


class OpenNotebook:
    """A notebook that is open in JupyterLab, and what a person does with it."""

    def __init__(self, page: Page, lab: Lab, name: str) -> None:
        self.page, self.name = page, name
        self.console = _errors(page)
        page.goto(lab.url(name))
        self._ready()
        # Room for the notebook, as a reader makes it.
        if page.locator("#jp-left-stack").is_visible():
            self.command("application:toggle-left-area")

    def _ready(self) -> None:
        self.page.wait_for_function("() => window.jupyterapp?.shell?.currentWidget?.sessionContext", timeout=60_000)
        self.page.evaluate("() => window.jupyterapp.restored")
        self.wait_idle(60)

    def reload(self) -> None:
        """Save, and load the page again: its kernel goes on."""
        self.command("docmanager:save")
        self.page.reload()
        self._ready()

    def command(self, name: str, **arguments: object) -> None:
        """Run a JupyterLab command and wait for its end."""
        call = "([name, args]) => window.jupyterapp.commands.execute(name, args).then(() => null)"
        self.page.evaluate(call, [name, arguments])

    def run_all(self, seconds: float) -> None:
        """Run all cells; ends when the kernel is idle again, or fails after `seconds`."""
        self._start("notebook:run-all-cells")
        self._ended(seconds)

    def start_all(self) -> None:
        """Run all cells, without waiting for their end."""
        self._start("notebook:run-all-cells")

    def restart_kernel(self) -> None:
        """Restart the kernel, as its menu does after the question, and wait until it is there again."""
        self.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
        self.wait_idle(60)

    def restart_and_run_all(self, seconds: float) -> None:
        """Restart the kernel, say yes to the question, and run all cells."""
        self._start("notebook:restart-run-all")
        self.page.locator(".jp-Dialog .jp-mod-accept").click()
        self._ended(seconds)

    def _start(self, name: str) -> None:
        self.page.evaluate(
            "name => { window.runEnded = false;"
            " window.jupyterapp.commands.execute(name).finally(() => { window.runEnded = true; }); }",
            name,
        )

    def _ended(self, seconds: float) -> None:
        self.page.wait_for_function("() => window.runEnded", timeout=seconds * 1000)
        self.wait_idle(30)

    def add_and_run(self, source: str, wait: bool = True) -> None:
        """Write `source` into a new cell at the end and run it."""
        self.page.evaluate(
            """source => { const book = window.jupyterapp.shell.currentWidget;
            book.content.activeCellIndex = book.content.widgets.length - 1;
            return window.jupyterapp.commands.execute('notebook:insert-cell-below').then(() => {
              book.content.activeCell.model.sharedModel.setSource(source);
              window.runEnded = false;
              window.jupyterapp.commands.execute('notebook:run-cell').finally(() => { window.runEnded = true; });
            }); }""",
            source,
        )
        if wait:
            self._ended(60)

    def in_kernel(self, source: str) -> None:
        """Run `source` in the kernel without a cell; for what stands behind a page, not for what a person does."""
        self.page.evaluate(
            """code => { const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
            return kernel.requestExecute({ code, silent: true }).done.then(reply => {
              if (reply.content.status !== "ok") throw new Error(reply.content.evalue); }); }""",
            source,
        )

    def shut_down(self) -> None:
        """End the kernel, so that it takes no memory from the next."""
        self.page.evaluate("() => window.jupyterapp.shell.currentWidget?.sessionContext.shutdown()")

    def wait_idle(self, seconds: float) -> None:
        """Wait until the kernel has nothing to do."""
        status = "window.jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status"
        self.page.wait_for_function(f"() => {status} === 'idle'", timeout=seconds * 1000)

    def cells(self) -> list[dict[str, Any]]:
        """The cells with their outputs, as they would be saved."""
        return list(self.page.evaluate(CELLS))

    def errors(self) -> list[str]:
        """`cell n: Name: value` of every error output, and every code cell that did not run."""
        found = []
        for number, cell in enumerate(self.cells()):
            if cell["cell_type"] != "code" or not "".join(cell["source"]).strip():
                continue
            outputs = [out for out in cell["outputs"] if out["output_type"] == "error"]
            if "raises-exception" not in cell["metadata"].get("tags", ()):
                found += [f"cell {number}: {out['ename']}: {out['evalue']}" for out in outputs]
            if cell["execution_count"] is None:
                found.append(f"cell {number}: did not run")
        return found

    def pictures(self) -> tuple[int, int]:
        """How many images the outputs hold besides panels, and how many of them are drawn as a reader scrolls past."""
        held = sum(
            any(mime.startswith("image/") for mime in out.get("data", ()))
            for cell in self.cells()
            for out in cell.get("outputs", ())
        )
        self._scroll_through()
        own = ":not([data-nbtune] *, [data-nbtune-static] *)"
        drawn = self.page.locator(f".jp-OutputArea-output img{own}, .jp-OutputArea-output.jp-RenderedSVG svg")
        sizes = drawn.evaluate_all("all => all.map(e => e.naturalWidth ?? e.getBoundingClientRect().width)")
        return held, sum(size > 0 for size in sizes)

    def _scroll_through(self) -> None:
        # JupyterLab renders a cell when it comes into view.
        for cell in self.page.locator(".jp-Notebook .jp-Cell").all():
            cell.scroll_into_view_if_needed()
            self.page.wait_for_timeout(50)

    def theme(self, name: str) -> None:
        """Switch to `JupyterLab Light` or `JupyterLab Dark`."""
        self.command("apputils:change-theme", theme=name)
        self.page.wait_for_function("name => document.body.dataset.jpThemeName === name", arg=name)

    def screenshots(self, folder: Path, name: str) -> list[Path]:
        """The whole notebook in light and dark, a PNG for each screenful: `name`-light-1.png and so on."""
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob(f"{name}-*.png"):
            old.unlink()
        made = []
        for theme in ("Dark", "Light"):
            self.theme(f"JupyterLab {theme}")
            made += self._pages(folder, f"{name}-{theme.lower()}")
        return made

    def _pages(self, folder: Path, name: str) -> list[Path]:
        self._scroll_through()
        scroller = self.page.locator(".jp-WindowedPanel-outer").first
        # JupyterLab lets a reader scroll past the end, so the last cell says where that is.
        screen, whole = scroller.evaluate(
            "e => [e.clientHeight, e.scrollTop - e.getBoundingClientRect().top"
            " + [...e.querySelectorAll('.jp-Cell')].at(-1).getBoundingClientRect().bottom]"
        )
        made = []
        for number, top in enumerate(range(0, int(whole), screen), start=1):
            scroller.evaluate("(e, top) => { e.scrollTop = top; }", top)
            self.page.wait_for_timeout(300)
            made.append(folder / f"{name}-{number}.png")
            self.page.screenshot(path=made[-1])
        return made


_OWN = "Could not restore the debugger state"  # what JupyterLab itself says when a kernel is restarted


def _errors(page: Page) -> list[str]:
    """Errors and uncaught exceptions that the page reports from now on, but for JupyterLab's own of a restart."""
    found: list[str] = []

    def heard(message: Any) -> None:
        if message.type == "error" and not message.text.startswith(_OWN):
            found.append(message.text)

    page.on("console", heard)
    page.on("pageerror", lambda error: found.append(str(error)))
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
