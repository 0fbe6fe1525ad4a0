"""Do once, while the image is built, what the first cell of a first notebook would wait for."""

from __future__ import annotations

import compileall
import sys
import time
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("nbtune", "nbtune_widgets", "torch", "torchvision", "fastai", "fastcore", "sklearn", "pandas", "matplotlib")


def main() -> int:
    """Compile, read fonts, import, and train one epoch; says how long each took."""
    for name, act in (("compile", compile_all), ("fonts", fonts), ("first epoch", first_epoch)):
        began = time.perf_counter()
        act()
        print(f"{name}: {time.perf_counter() - began:.1f} s", flush=True)
    return 0


def compile_all() -> None:
    """Byte code of what every notebook imports; what is compiled already is left."""
    for name in PACKAGES:
        spec = find_spec(name)
        for place in (spec.submodule_search_locations or []) if spec else []:
            compileall.compile_dir(Path(place), quiet=2, workers=1)


def fonts() -> None:
    """matplotlib's list of fonts, which it makes on its first use and keeps."""
    from matplotlib import font_manager

    font_manager.findfont("DejaVu Sans")


def first_epoch() -> None:
    """The whole way of the quickstart, once: imports, data, body, cache, report."""
    import nbtune as nt

    task = nt.tasks.digits(shots=1)
    tuner = nt.Tuner(task.learner("letters", seed=0), test=task.test, seed=0)
    tuner.freeze()
    tuner.fit(1)
    tuner.evaluate()


if __name__ == "__main__":
    sys.exit(main())
