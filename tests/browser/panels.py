"""What the tests of panels share: a notebook with them, what a reader measures of colours, axe, and the saved page.

A test file opens one notebook (`open_once` of conftest.py) and puts many checks into it: a kernel takes 15 s to begin.
axe-core comes with a package of PyPI, so that a machine without Node.js can run these tests and nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from nbconvert import HTMLExporter
from playwright.sync_api import Locator, Page

import small_notebook
from browser.lab import OpenNotebook

__all__ = [
    "BEGIN",
    "axe",
    "box_of",
    "clock",
    "contrasts",
    "good_to_read",
    "notebook",
    "opened_on",
    "said_in_console",
    "saved",
    "sentence",
    "shot",
    "took",
    "without_kernel",
]

BEGIN = (
    "import nbtune as nt\n"
    "task = nt.tasks.digits(shots=10)\n"
    'learn = task.learner("letters", seed=0)\n'
    "tuner = nt.Tuner(learn, test=task.test, seed=0)"
)

# Each text with its colour over what lies behind it, and each border of a control: [what, ratio].
CONTRAST = """panel => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = colour => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].map((v, i) => i < 3 ? v : v / 255); };
  const over = (top, under) => top.slice(0, 3).map((v, i) => v * top[3] + under[i] * (1 - top[3]));
  const linear = v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = c => { const [r, g, b] = c.map(v => linear(v / 255)); return .2126 * r + .7152 * g + .0722 * b; };
  const behind = node => { const stack = []; for (let at = node; at; at = at.parentElement) stack.push(at);
    return stack.reverse().reduce((under, one) => over(rgba(getComputedStyle(one).backgroundColor), under),
      [255, 255, 255]); };
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + .05) / (y + .05); };
  const texts = [], edges = [];
  for (const node of panel.querySelectorAll("*")) {
    const own = [...node.childNodes].some(child => child.nodeType === 3 && child.textContent.trim());
    const style = getComputedStyle(node), back = behind(node);
    const ink = rgba(node instanceof SVGElement ? style.fill : style.color);
    if (own && node.tagName !== "TITLE" && node.tagName !== "title" && node.getClientRects().length)
      texts.push([node.textContent, ratio(over(ink, back), back)]);
    if (["BUTTON", "SELECT", "INPUT"].includes(node.tagName))
      edges.push([node.textContent, Math.max(ratio(over(rgba(style.borderTopColor), behind(node.parentElement)),
        behind(node.parentElement)), ratio(back, behind(node.parentElement)))]);
    if (node.matches(".nbt-group, .nbt-mark-line, .nbt-curve, .nbt-dot")) {
      const mark = !(node instanceof SVGElement) ? style.borderTopColor
        : style.stroke === "none" ? style.fill : style.stroke;
      const under = behind(node.parentElement);
      edges.push([node.getAttribute("class"), ratio(over(rgba(mark), under), under)]);
    }
  }
  return { texts, edges };
}"""


def notebook(path: Path, *cells: str) -> Path:
    """A notebook that was never run: a small Tuner, then `cells`."""
    return small_notebook.write(path, tuple((source, ()) for source in (BEGIN, *cells)))


def said_in_console(page: Page) -> list[str]:
    """Errors and uncaught exceptions of the page, from now on."""
    found: list[str] = []
    page.on("console", lambda message: found.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: found.append(str(error)))
    return found


def sentence(panel: Locator) -> str:
    """The sentence under the title."""
    return panel.locator(".nbt-sentence").inner_text()


# What is so on a page in light, dark, and dark with paper that somebody forced to be white


def good_to_read(book: OpenNotebook, selector: str, folder: Path, name: str) -> None:
    """Contrast and axe hold for the first panel `selector` in light, dark and on white; a picture of each is kept.

    Open what should be looked at before (a table, an error). Afterwards the theme is light again.
    """
    panel = book.page.locator(selector).first
    for theme in ("dark", "white", "light"):
        book.theme(f"JupyterLab {'Light' if theme == 'light' else 'Dark'}")
        forced = _whiten(book.page, theme == "white")
        book.page.wait_for_timeout(300)
        assert contrasts(panel) == {"texts": [], "edges": []}, theme
        assert axe(book.page, selector) == [], theme
        shot(panel, folder, f"{name}-{theme}")
        assert forced == (theme == "white")


def _whiten(page: Page, on: bool) -> bool:
    """Paper forced to be white, as some front ends and saved pages have it whatever the theme says."""
    return bool(
        page.evaluate(
            """on => { const old = document.getElementById("nbt-forced"); if (old) old.remove();
            if (on) { const style = document.createElement("style"); style.id = "nbt-forced";
              style.textContent = ".jp-OutputArea-output, .nbt { background-color: white !important }";
              document.head.append(style); }
            document.body.dataset.again = String(on); return on; }""",
            on,
        )
    )


def box_of(locator: Locator) -> dict[str, float]:
    """Where a thing is on the page; waits while the panel draws it anew."""
    for _ in range(100):
        locator.wait_for()
        if found := locator.bounding_box():
            return dict(found)
        locator.page.wait_for_timeout(50)
    raise AssertionError(f"{locator} has no place on the page")


def shot(panel: Locator, folder: Path, name: str) -> Path:
    """A picture of a panel, for a person to look at."""
    folder.mkdir(parents=True, exist_ok=True)
    panel.screenshot(path=folder / f"{name}.png")
    return folder / f"{name}.png"


def contrasts(panel: Locator) -> dict[str, list[Any]]:
    """What is below 4.5 of the texts and below 3 of the controls and drawn lines."""
    found = panel.evaluate(CONTRAST)
    assert len(found["texts"]) > 5
    return {
        "texts": [pair for pair in found["texts"] if pair[1] < 4.5],
        "edges": [pair for pair in found["edges"] if pair[1] < 3],
    }


def axe(page: Page, selector: str) -> list[str]:
    """Violations that axe-core finds inside `selector`, as `rule: target`."""
    if not page.evaluate("() => Boolean(window.axe)"):
        page.evaluate(_axe_core())
    found = page.evaluate("selector => axe.run(selector, { resultTypes: ['violations'] })", selector)
    return [
        f"{one['id']}: {node['target']} {node['failureSummary']}"
        for one in found["violations"]
        for node in one["nodes"]
    ]


@cache
def _axe_core() -> str:
    import axe_playwright_python

    return (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


# How long an act takes until the page shows it


def clock(panel: Locator, event: str, *changes: str) -> None:
    """Begin to measure at the next `event` in the panel, until all `changes` (CSS selectors) are drawn otherwise."""
    panel.evaluate(
        """(panel, [event, changes]) => { window.nbtTook = null;
        const drawn = () => changes.map(one => panel.querySelector(one)?.outerHTML), before = drawn();
        panel.addEventListener(event, () => { const began = performance.now(); const look = () => {
          if (drawn().every((one, at) => one !== before[at])) window.nbtTook = performance.now() - began;
          else setTimeout(look, 2); };
          look(); }, { once: true, capture: true }); }""",
        [event, changes],
    )


def took(page: Page, seconds: float = 10) -> float:
    """Milliseconds from the event that `clock` waited for to the change."""
    page.wait_for_function("() => window.nbtTook", timeout=1000 * seconds)
    return float(page.evaluate("window.nbtTook"))


# What is left of a panel in a file


def saved(book: OpenNotebook, folder: Path) -> Path:
    """Save the notebook, and give its file; `folder` is `lab.notebooks`."""
    book.command("docmanager:save")
    return folder / book.name


def without_kernel(book: OpenNotebook, folder: Path) -> Page:
    """The saved notebook as HTML, which needs no kernel and no widget state, in a page of its own: close it."""
    made, _ = HTMLExporter().from_filename(str(saved(book, folder)))  # type: ignore[no-untyped-call]
    page = book.page.context.new_page()
    page.set_content(made, wait_until="domcontentloaded")
    return page


def opened_on(panel: str, code: str, path: Path, open_once: Callable[[Path], OpenNotebook]) -> OpenNotebook:
    """A notebook at `path` whose cell `code` has shown `panel`, for all tests of a file."""
    opened = open_once(notebook(path, code))
    opened.run_all(seconds=120)
    assert opened.errors() == []
    opened.page.locator(panel).wait_for()
    return opened
