"""The map and the glossary: every notebook is on the map, and links lead to what is there."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
PAGES = sorted(NOTEBOOKS.glob("*.md"))
STORED = sorted(NOTEBOOKS.glob("*.ipynb"))


def prose(path: Path) -> str:
    """The Markdown of a page or of a notebook, without code blocks."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown"]
        text = "\n\n".join("".join(cell["source"]) for cell in cells)
    return re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The anchors that a repository page gives to headings."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


def broken(path: Path) -> list[str]:
    """Links of a page that lead nowhere."""
    found = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if re.match(r"\w+:", link):
            continue
        place, _, anchor = link.partition("#")
        target = (path.parent / place).resolve() if place else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("path", [*PAGES, *STORED], ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    assert broken(path) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# A term\n")
    page = tmp_path / "page.md"
    page.write_text("[a](there.md#a-term) [b](there.md#b-term) [c](absent.md) `[d](code.md)` [e](#here)\n## Here\n")
    assert broken(page) == ["there.md#b-term", "absent.md"]


def test_every_notebook_is_on_the_map_and_in_its_picture() -> None:
    text = (NOTEBOOKS / "README.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"^\| \d\d \| \[[^]]+\]\(([^)]+)\)", text, flags=re.MULTILINE))
    assert linked == {path.name for path in STORED}
    shown = set(re.findall(r"\b\d\d\b", " ".join(ET.parse(NOTEBOOKS / "map.svg").getroot().itertext())))
    assert {path.name[:2] for path in STORED} <= shown
    assert set(re.findall(r"^\| (\d\d) \|", text, flags=re.MULTILINE)) <= shown


def test_the_picture_has_a_text_for_who_cannot_see_it() -> None:
    root = ET.parse(NOTEBOOKS / "map.svg").getroot()
    space = "{http://www.w3.org/2000/svg}"
    assert root.get("role") == "img"
    assert root.findtext(f"{space}title")
    assert "Later" in root.findtext(f"{space}desc", "")


def test_terms_of_the_glossary_stand_once_with_a_text() -> None:
    parts = re.split(r"^### ", (NOTEBOOKS / "glossary.md").read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    terms = [part.splitlines()[0] for part in parts]
    assert len(set(terms)) == len(terms) > 40
    assert [part.splitlines()[0] for part in parts if len(part.split()) < 8] == []
