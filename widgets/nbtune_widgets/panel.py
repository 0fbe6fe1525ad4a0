"""What all panels share: one shape in the page, a true line of code, errors in four parts, a picture that stays."""

from __future__ import annotations

import html
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import traitlets
from IPython.display import HTML, display, update_display

from nbtune.errors import NbtuneError

__all__ = ["Panel"]

HERE = Path(__file__).parent


def module(name: str) -> str:
    """The ES module of a panel: what all share, then its own part. (Modules in a page cannot import each other.)"""
    return (HERE / "panel.js").read_text() + (HERE / f"{name}.js").read_text()


class Panel(anywidget.AnyWidget):  # type: ignore[misc]
    """A panel draws `view`, a value made by verbs of nbtune, and asks for verbs; it holds no logic of its own.

    Next to the live panel stands a static picture, for pages without a kernel: the live one hides it.
    """

    _css = HERE / "panel.css"
    view = traitlets.Dict().tag(sync=True)  # what is drawn, JSON
    code = traitlets.Unicode().tag(sync=True)  # the line of Python that does the same as the last act
    busy = traitlets.Unicode().tag(sync=True)  # why nothing can be asked for now, or ""
    said = traitlets.Unicode().tag(sync=True)  # for screen readers
    error = traitlets.Dict().tag(sync=True)  # given, rule, likely, next; or empty
    still_id = traitlets.Unicode().tag(sync=True)  # of the static picture

    def __init__(self, **kw: Any) -> None:
        super().__init__(still_id=f"nbtune-{uuid.uuid4().hex[:12]}", **kw)
        self._shown = False
        self.on_msg(self._asked)

    # What a panel says of itself: each kind gives its own

    def look(self) -> dict[str, Any]:
        """What is so now, read from the object shown: title, sentence and all that is drawn."""
        raise NotImplementedError

    def static(self) -> str:
        """The same as HTML without scripts."""
        raise NotImplementedError

    def acts(self) -> dict[str, Callable[..., Any]]:
        """What can be asked for from the page, by name."""
        return {}

    # How it lives

    def refresh(self) -> None:
        """Read again and draw."""
        try:
            self.view = self.look()
        except Exception as error:
            self._failed(error)

    def redraw(self) -> None:
        """Put the static picture of now in the notebook."""
        if self._shown:
            update_display(HTML(self._still()), display_id=self.still_id)

    def _still(self) -> str:
        return f'<div data-nbtune-static="{self.still_id}">{self.static()}</div>'

    def _ipython_display_(self) -> None:
        self.refresh()
        bundle = self._repr_mimebundle_() or {}
        data = dict(bundle[0] if isinstance(bundle, tuple) else bundle)
        data["text/plain"] = f"{self.view.get('title', '')}: {self.view.get('sentence', '')}"
        display(data, raw=True)
        display(HTML(self._still()), display_id=self.still_id)
        self._shown = True

    def _asked(self, _: Any, content: dict[str, Any], __: Any) -> None:
        act = self.acts().get(str(content.get("act")))
        if act is None:
            return
        self.error = {}
        try:
            act(*content.get("with", []))
        except Exception as error:
            self._failed(error)
        self.refresh()

    def aside(self, act: Callable[[], Any], busy: str) -> None:
        """Run a long verb in a thread of its own, so that the page can go on asking (for Stop)."""

        def run() -> None:
            try:
                act()
            except BaseException as error:
                self._failed(error)
            finally:
                self.busy = ""
                self.refresh()
                self.redraw()

        self.busy = busy
        threading.Thread(target=run, daemon=True).start()

    def _failed(self, error: BaseException) -> None:
        if isinstance(error, NbtuneError):
            self.error = {part: getattr(error, part) for part in ("given", "rule", "likely", "next")}
        else:
            self.error = {"given": f"{type(error).__name__}: {error}", "rule": "", "likely": "", "next": ""}
        self.said = f"Error: {self.error['given']}"


def escape(value: object) -> str:
    return html.escape(str(value))
