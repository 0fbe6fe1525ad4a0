"""Imports go one way: notebooks → nbtune_widgets → nbtune → fastai, torch; `import nbtune` loads none."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import nbtune

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("torch", "torchvision", "fastai", "ipywidgets", "matplotlib", "pandas", "numpy", "sklearn")
FASTAI = ("fastai", "fastcore", "fastprogress")
NOTEBOOK = ("IPython", "ipywidgets", "anywidget", "nbtune_widgets")


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imported(tree: ast.AST) -> Iterator[str]:
    """Every dotted name that a module imports, wherever in it; `from a import b` gives `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            yield from (arg.value for arg in node.args if isinstance(arg, ast.Constant))


def below(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def core_breaches(path: str, source: str) -> list[str]:
    """What a module of the core imports against the rules; `path` is relative to the project."""
    names = list(imported(ast.parse(source)))
    found = [name for name in names if below(name, "matplotlib.pyplot", "pylab")]
    if path != "nbtune/__init__.py":  # the lazy front door
        found += [name for name in names if below(name, *NOTEBOOK)]
    if not path.startswith("nbtune/_fastai"):
        found += [name for name in names if below(name, *FASTAI)]
    return found


def widget_breaches(source: str) -> list[str]:
    """Private names of the core, imported or as attributes, and fastai, in a module of the widgets."""
    tree = ast.parse(source)
    names = [
        *imported(tree),
        *(ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)),
    ]
    private = [name for name in names if below(name, "nbtune", "nt") and "._" in name.replace(".__", "")]
    return private + [name for name in names if below(name, "matplotlib.pyplot", *FASTAI)]


def acts_on_import(tree: ast.Module) -> list[str]:
    """Calls of print and changes of the environment in what runs when a module is imported."""
    found, waiting = [], list[ast.AST](tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'":
            continue
        if isinstance(node, ast.Call) and ast.unparse(node.func) in (
            "print",
            "os.putenv",
            "os.environ.update",
        ):
            found.append(ast.unparse(node))
        if isinstance(node, ast.Assign) and any("os.environ[" in ast.unparse(t) for t in node.targets):
            found.append(ast.unparse(node))
        waiting += ast.iter_child_nodes(node)
    return found


@pytest.mark.parametrize("path", modules("nbtune"), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_core_knows_no_widgets_and_one_folder_knows_fastai(path: Path) -> None:
    assert core_breaches(path.relative_to(ROOT).as_posix(), path.read_text()) == []


@pytest.mark.parametrize("path", modules("widgets/nbtune_widgets"), ids=lambda path: path.name)
def test_widgets_use_public_names_only(path: Path) -> None:
    assert widget_breaches(path.read_text()) == []


@pytest.mark.parametrize(
    "path",
    modules("nbtune") + modules("widgets/nbtune_widgets"),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_an_import_prints_nothing_and_leaves_the_environment(path: Path) -> None:
    assert acts_on_import(ast.parse(path.read_text())) == []


def test_the_rules_can_be_broken() -> None:
    pyplot = "def f():\n    from matplotlib import pyplot as plt"
    assert core_breaches("nbtune/finder.py", pyplot) == ["matplotlib.pyplot"]
    assert core_breaches("nbtune/finder.py", "import fastai.learner") == ["fastai.learner"]
    assert core_breaches("nbtune/_fastai/quirks.py", "from fastcore.all import L") == []
    assert core_breaches("nbtune/tuner.py", "import_module('nbtune_widgets')") == ["nbtune_widgets"]
    assert core_breaches("nbtune/__init__.py", "import nbtune_widgets as widgets") == []
    assert widget_breaches("from nbtune._display import chart") == ["nbtune._display.chart"]
    assert widget_breaches("import nbtune as nt\nx = nt.finder._smooth(3)") == ["nt.finder._smooth"]
    assert widget_breaches("import nbtune as nt\nx = nt.__version__") == []
    assert acts_on_import(ast.parse("import os\nos.environ['A'] = 'b'\nprint(1)\ndef f(): print(2)")) == [
        "print(1)",
        "os.environ['A'] = 'b'",
    ]


def in_fresh_python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    ).stdout.strip()


def test_import_nbtune_loads_nothing_heavy() -> None:
    code = f"import sys, nbtune; print([name for name in {HEAVY} if name in sys.modules])"
    assert in_fresh_python(code) == "[]"


def test_in_the_kernel_of_a_notebook_the_import_loads_what_cannot_be_imported_twice() -> None:
    code = "import sys, types; sys.modules['ipykernel'] = types.ModuleType('ipykernel'); import nbtune;"
    assert in_fresh_python(f"{code} print('torch' in sys.modules, 'numpy' in sys.modules)") == "True True"


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_imports_nbtune_first(path: Path) -> None:
    """Its import cannot be broken off, and brings NumPy and PyTorch along."""
    cells = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    roots = [name.split(".")[0] for cell in cells for name in imported(ast.parse("".join(cell["source"])))]
    foreign = [root for root in roots if root not in sys.stdlib_module_names]
    assert foreign[0] == "nbtune"


def test_looking_around_loads_nothing_heavy() -> None:
    code = (
        "import sys, nbtune; dir(nbtune); nbtune.NbtuneError; nbtune.__version__;"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    assert in_fresh_python(code) == "[]"


@pytest.mark.parametrize("name", nbtune.__all__)
def test_every_public_name_has_its_home(name: str) -> None:
    assert getattr(nbtune, name) is not None


def test_dir_lists_the_public_names() -> None:
    assert dir(nbtune) == sorted(nbtune.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Tunner'"):
        _ = nbtune.Tunner  # type: ignore[attr-defined]


@pytest.mark.parametrize(("said", "spins"), [(None, "10000"), ("PASSIVE", "0")])
@pytest.mark.parametrize("kernel", [False, True])
def test_threads_soon_sleep_while_they_wait_unless_the_environment_says_otherwise(
    said: str | None, spins: str, kernel: bool
) -> None:
    """Spinning ones made a step ten times as long beside another program."""
    begin = "import ipykernel; import nbtune" if kernel else "import nbtune; nbtune.Tuner"
    code = f"import os; before = dict(os.environ); {begin}; import torch; assert dict(os.environ) == before"
    quiet = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    environment = {**quiet, "OMP_DISPLAY_ENV": "verbose", **({} if said is None else {"OMP_WAIT_POLICY": said})}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # Every library for itself says it as it is loaded, by how often a waiting thread looks before it sleeps.
    counts = [line.split("'")[1] for line in done.stderr.splitlines() if "GOMP_SPINCOUNT" in line]
    if not counts:
        pytest.skip("no GNU OpenMP here")
    assert set(counts) == {spins}, counts
