"""What all panels share: one shape in the page, a true line of code, errors in four parts, a picture that stays."""

from __future__ import annotations

import base64
import html
import threading
import uuid
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import anywidget
import IPython.display as page
import traitlets

from nbtune import NbtuneError, Tuner

__all__ = ["Panel", "escape", "picture", "style"]

HERE = Path(__file__).parent
_PARTS = ("given", "rule", "likely", "next")
_LATER = "<p><small>As the panel last was: cells further down may have changed it.</small></p>"
_asked = threading.local()  # `now`: this thread answers the page


def module(name: str) -> str:
    """The ES module of a panel: what all share, then its own part. (Modules in a page cannot import each other.)"""
    return "".join((HERE / f"{part}.js").read_text() for part in ("panel", "parts", name))


def style(name: str) -> str:
    """What all panels look like, then what this one has of its own."""
    return (HERE / "panel.css").read_text() + (HERE / f"{name}.css").read_text()


class Panel(anywidget.AnyWidget):
    """A panel draws `view`, a value made by verbs of nbtune, and asks for verbs; it holds no logic of its own.

    Next to the live panel stands a static picture, for pages without a kernel: the live one hides it.
    """

    _css: Any = HERE / "panel.css"
    view = traitlets.Dict().tag(sync=True)  # what is drawn, JSON
    code = traitlets.Unicode().tag(sync=True)  # the line of Python that does the same as the last act
    busy = traitlets.Unicode().tag(sync=True)  # why nothing can be asked for now, or ""
    said = traitlets.Unicode().tag(sync=True)  # for screen readers
    error = traitlets.Dict().tag(sync=True)  # given, rule, likely, next; or empty
    heard = traitlets.Int().tag(sync=True)  # how many questions of the page have come here,
    answered = traitlets.Int().tag(sync=True)  # and of how many the page has all that came of them
    still_id = traitlets.Unicode().tag(sync=True)  # of the static picture

    quiet = frozenset[str]()  # verbs too short to be called busy

    def __init__(self, **kw: Any) -> None:
        super().__init__(still_id=f"nbtune-{uuid.uuid4().hex[:12]}", **kw)
        self._shown = self._answering = False
        self._unwatch: Callable[[], None] = lambda: None
        self._thread: threading.Thread | None = None
        self._later: threading.Timer | None = None
        self.on_msg(self._asked)

    # What a panel says of itself: each kind gives its own

    def look(self) -> dict[str, Any]:
        """What is so now, read from the object shown: title, sentence and all that is drawn."""
        raise NotImplementedError

    def static(self) -> str:
        """The same as HTML without scripts."""
        raise NotImplementedError

    def acts(self) -> dict[str, Callable[..., Any]]:
        """What can be asked for from the page, by name; to be drawn anew can always be asked for."""
        return {}

    # How it lives

    def follow(self, tuner: Tuner) -> None:
        """Draw anew when a verb of `tuner` ends, and say while one runs. Raises InputTypeError for anything else."""
        if not isinstance(tuner, Tuner):
            raise not_a(type(self).__name__, "a Tuner", tuner)
        self.tuner = tuner
        self._unwatch = tuner.watch(self._told)

    def _told(self) -> None:
        if self.tuner.running:
            self._tell_busy()
        elif threading.current_thread() is not self._thread:  # what runs aside ends when all of it is done
            self._tell_busy()
            self.reread()
            if not self._answering:  # who asked draws when all is said
                self.refresh()
                # Pictures of other panels must not come between a drag and its answer.
                self._redraw_soon() if getattr(_asked, "now", False) else self.redraw()

    def _tell_busy(self) -> None:
        running = getattr(self, "tuner", None) and self.tuner.running
        self.busy = f"tuner.{running}() is running." if running and running not in self.quiet else ""

    def reread(self) -> None:
        """What takes too long to be read at every move: read when a verb has ended, and on focus."""

    def close(self) -> None:
        """Take the panel away; nothing of the object shown is changed."""
        self._unwatch()
        self._shown = False
        if self._later is not None:
            self._later.cancel()
        super().close()

    def refresh(self) -> None:
        """Read again and draw."""
        try:
            self.view = self.look()
        except Exception as error:
            self._failed(error)

    def redraw(self) -> None:
        """Put the static picture of now in the notebook."""
        if self._shown:
            cast(Any, page).update_display(*self._still(), display_id=self.still_id)

    def _still(self) -> tuple[Any]:
        text = f'<div data-nbtune-static="{self.still_id}">{self.static()}{_LATER}</div>'
        return (cast(Any, page).HTML(text),)

    def open(self) -> None:
        super().open()
        hear_at_once(self.comm)

    def _send(self, msg: Any, buffers: Any = None) -> None:
        super()._send(msg, buffers)
        hear_at_once(self.comm)

    def _repr_mimebundle_(self, **kw: Any) -> Any:
        made: Any = super()._repr_mimebundle_(**kw)
        data = made[0] if isinstance(made, tuple) else made
        if data:  # a bare address by default
            data["text/plain"] = f"{self.view.get('title', '')}: {self.view.get('sentence', '')}"
        return made

    def _ipython_display_(self) -> None:
        self.refresh()
        show = cast(Any, page).display
        made = self._repr_mimebundle_() or {}
        show(made[0] if isinstance(made, tuple) else made, raw=True)
        self.ready()
        show(*self._still(), display_id=self.still_id)
        self._shown = True

    def ready(self) -> None:
        """What takes its time, after the panel is in the page and before its cell ends."""

    def _asked(self, _: Any, content: dict[str, Any], __: Any) -> None:
        self.heard += 1
        name = str(content.get("act"))
        act = self.reread if name == "refresh" else self.acts().get(name)
        before = self.code
        with self.hold_sync() if name in self.quiet else nullcontext():  # one message for all that a brief act changes
            if act is not None:
                self._answer(name, act, content.get("with", []))
            self.answered += 1
        if self.code != before:
            self._redraw_soon()

    def _answer(self, name: str, act: Callable[..., Any], values: list[Any]) -> None:
        self._answering = _asked.now = True
        try:
            if name != "refresh":
                self.error = {}
            act(*values)
        except Exception as error:
            self._failed(error)
        finally:
            self._answering = _asked.now = False
        self.refresh()

    def tell(self, code: str, said: object = "") -> None:
        """The line of the last act, and what came of it in words."""
        self.code, self.said = code, str(said)

    def stop(self) -> None:
        """Ask the verb that runs to end."""
        self.tuner.stop()
        self.tell("tuner.stop()", "Stopping.")

    def _redraw_soon(self) -> None:
        """A picture takes longer than a move may: draw it a second after the last, when the moving is over."""
        if self._later is not None:
            self._later.cancel()
        self._later = threading.Timer(1.0, self.redraw)
        self._later.daemon = True
        self._later.start()

    def aside(self, act: Callable[[], Any]) -> None:
        """Run a long verb in a thread of its own, so that the page can go on asking (for Stop)."""

        def run() -> None:
            try:
                act()
            except BaseException as error:
                self._failed(error)
            finally:
                self.reread()
                self.refresh()
                self._thread = None  # before the page is told that it may ask again: no click is lost
                self._tell_busy()
                self.redraw()

        if self._thread is None:  # a storm of clicks begins it once
            self._thread = threading.Thread(target=run, daemon=True)
            self._thread.start()

    def _failed(self, error: BaseException) -> None:
        if isinstance(error, NbtuneError):
            self.error = {part: getattr(error, part) for part in _PARTS}
        else:
            self.error = {**dict.fromkeys(_PARTS, ""), "given": f"{type(error).__name__}: {error}"}
        self.said = f"Error: {self.error['given']}"


def hear_at_once(comm: Any) -> None:
    """Let what the page says to `comm` run beside a running cell, as the page asks for.

    ipykernel 7.4 hands messages to the shell that last sent on the same comm: after a word from a running cell that
    is the cell's own, which reads nothing until the cell has ended, and Stop would be heard too late.
    """
    getattr(comm, "__dict__", {}).pop("_reply_subshell_id", None)


def not_a(panel: str, wanted: str, given: object) -> Exception:
    """The error for a panel that is given something else than what it shows."""
    from nbtune.errors import InputTypeError

    return InputTypeError(
        f"{panel}({type(given).__name__}).",
        rule=f"{panel} shows {wanted}.",
        likely="the Learner was given." if hasattr(given, "dls") else "another object of the notebook was given.",
        next=f"nt.widgets.{panel}(nt.Tuner(learn))",
    )


def escape(value: object) -> str:
    return html.escape(str(value))


def picture(chart: Any) -> str:
    """A chart as an HTML figure that needs no other file; its sentence is its text."""
    data = base64.b64encode(chart._repr_png_()).decode()
    return f'<figure style="margin:0"><img src="data:image/png;base64,{data}" alt="{escape(chart)}"></figure>'
