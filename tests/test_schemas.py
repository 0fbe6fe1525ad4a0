"""What earlier versions wrote still loads, and bundle.json is what its published schema says."""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

import nbtune as nt
from learners import digits
from nbtune.bundle import Architecture, load, manifest, save
from nbtune.checkpoints import folder as checkpoints
from nbtune.errors import BundleError
from test_bundle import MAKERS, PIXELS, tiny
from test_fuzz import edited

FIXTURES = Path(__file__).parent / "fixtures"
IMAGES = np.arange(3 * 64, dtype=np.uint8).reshape(3, 8, 8)

pytestmark = pytest.mark.filterwarnings("ignore:A bundle holds no code")


@pytest.fixture(scope="module")
def schema() -> Any:
    return json.loads((Path(nt.__file__).parent / "bundle" / "bundle.schema.json").read_text())


def make(root: Path) -> None:
    """The fixtures of the present schemas: `python tests/test_schemas.py`, once, when a schema is released."""
    import torch

    torch.manual_seed(0)
    model = tiny().eval()
    place = save(
        root / f"bundle-{manifest.SCHEMA}", model=model, architecture=Architecture("tiny", {"n_out": 3}), groups=(),
        preprocessing=PIXELS, vocab=("a", "b", "c"), task_card={}, architectures=MAKERS,
    )  # fmt: skip
    expected = load(place, architectures=MAKERS).predict(IMAGES).to_dict("list")
    (root / f"bundle-{manifest.SCHEMA}.json").write_text(json.dumps(expected, indent=1))
    os.chdir(root)  # the run's script holds the path as it was given
    run = Path(f"run-{checkpoints.SCHEMA}")
    tuner = nt.Tuner(learner(), run_dir=run, seed=3)
    tuner.run(RECIPE, cbs=Stops(tuner, 4))
    for name in ("lock.json", "features"):
        path = run / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    old = sorted(path for path in run.iterdir() if path.name.startswith(("checkpoint", "state")))
    for path in (old[0], old[len(old) // 2]):  # the newest checkpoint is enough
        path.unlink()


RECIPE = nt.Recipe((nt.Phase(1, first="head", lr=1e-2), nt.Phase(2, lr=1e-2)))


def learner() -> Any:
    return digits(items=64)


def Stops(tuner: nt.Tuner, at: int) -> Any:  # noqa: N802 - makes a callback
    from test_resume import Break

    return Break(at, tuner.stop)


@pytest.mark.survives("a bundle of an earlier schema", "it loads and predicts what it did")
@pytest.mark.parametrize("version", range(1, manifest.SCHEMA + 1))
def test_a_bundle_of_every_schema_still_loads(version: int, schema: Any) -> None:
    model = load(FIXTURES / f"bundle-{version}", architectures=MAKERS)
    expected = json.loads((FIXTURES / f"bundle-{version}.json").read_text())
    found = model.predict(IMAGES).to_dict("list")
    assert found.pop("label") == expected.pop("label")
    assert np.allclose(np.array(list(found.values())), np.array(list(expected.values())), atol=1e-6)


@pytest.mark.survives("a run folder of an earlier schema", "it is resumed where it was stopped, and finished")
@pytest.mark.parametrize("version", range(1, checkpoints.SCHEMA + 1))
def test_a_run_of_every_schema_still_goes_on(version: int, tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / f"run-{version}", tmp_path / "run")
    with pytest.warns(UserWarning, match="not with the same bits") if stale(tmp_path / "run") else nothing():
        tuner = nt.resume(tmp_path / "run", learner(), exact=False)
    assert tuner.resumed_at == (2, 0, 2)
    assert [phase.steps for phase in tuner.history.phases] == [2, 2]
    tuner.run()
    assert [phase.ended for phase in tuner.history.phases] == ["finished", "finished"]
    assert len(tuner.history) == 3


def stale(run: Path) -> bool:
    """Were other versions of torch or others at work when it was made?"""
    from nbtune.tuner.likeness import likeness

    content = json.loads(next(run.glob("checkpoint-*.json")).read_text())["checkpoint"]["value"]["likeness"]
    return bool(content != likeness(learner()))


def nothing() -> Any:
    from contextlib import nullcontext

    return nullcontext()


def test_the_fixtures_are_small_and_hold_no_paths() -> None:
    files = [path for path in FIXTURES.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 200_000
    for path in files:
        assert str(Path.home()).encode() not in path.read_bytes()
        assert str(FIXTURES.parents[1]).encode() not in path.read_bytes()


def test_what_is_saved_keeps_the_published_schema(schema: Any) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads((FIXTURES / "bundle-1" / "bundle.json").read_text()), schema)


def test_what_breaks_the_published_schema_is_refused(schema: Any) -> None:
    """nbtune's own checks are as tight as the schema, on edits anywhere."""
    validator, broken = jsonschema.Draft202012Validator(schema), 0
    data = json.loads((FIXTURES / "bundle-1" / "bundle.json").read_text())
    data["metrics"], data["history"] = {"accuracy": [0.5, 0.4, None]}, [{"epoch": 1}]
    data["groups"] = [{"name": "head", "modules": ["5"], "tensors": []}]
    for seed in range(1500):
        changed = json.loads(json.dumps(data))
        edited(changed, random.Random(seed))
        try:
            raw = manifest.render({name: value for name, value in changed.items() if name != "sha256"})
        except ValueError:
            continue
        if "sha256" in changed and not validator.is_valid({**changed, "sha256": "0" * 64}):
            broken += 1
            with pytest.raises(BundleError):
                manifest.parse(raw)
    assert broken > 300


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    make(FIXTURES)
