"""What the tests of panels share: a notebook with them, what a reader measures of colours, axe, and the saved page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page

import small_notebook
from browser.lab import OpenNotebook

__all__ = ["BEGIN", "axe", "contrasts", "notebook", "said_in_console", "sentence"]

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
  const light = c => { const [r, g, b] = c.map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b; };
  const behind = node => { const stack = []; for (let at = node; at; at = at.parentElement) stack.push(at);
    return stack.reverse().reduce((under, one) => over(rgba(getComputedStyle(one).backgroundColor), under), [255, 255, 255]); };
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
      const mark = node instanceof SVGElement ? (style.stroke === "none" ? style.fill : style.stroke) : style.borderTopColor;
      edges.push([node.getAttribute("class"), ratio(over(rgba(mark), behind(node.parentElement)), behind(node.parentElement))]);
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
    return panel.locator(".nbt-sentence").inner_text()


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
    import axe_playwright_python

    page.evaluate((Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text())
    found = page.evaluate("selector => axe.run(selector)", selector)
    return [
        f"{one['id']}: {node['target']} {node['failureSummary']}"
        for one in found["violations"]
        for node in one["nodes"]
    ]


def saved(notebook: OpenNotebook, lab_folder: Path) -> Path:
    """Save the notebook, and give its file."""
    notebook.command("docmanager:save")
    return lab_folder / notebook.name
