"""The house itself: fast import, arrows, manifest, what the wheel carries."""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from collections import Counter, defaultdict
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "napari_sesami"
HEAVY = (
    "torch",
    "qtpy",
    "napari",
    "PyQt6",
    "PySide6",
    "dask",
    "zarr",
    "h5py",
    "skimage",
)


def run_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_importing_the_package_is_light():
    code = f"import sys, napari_sesami; print([m for m in {HEAVY} if m in sys.modules])"
    assert run_python(code) == "[]"


def test_importing_the_package_is_fast():
    bare = min(_seconds("pass") for _ in range(3))
    ours = min(_seconds("import napari_sesami") for _ in range(3))
    assert ours - bare < 0.3


def _seconds(code: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start


def test_scans_and_sessions_need_neither_torch_nor_qt():
    code = (
        "import sys; from napari_sesami import Scan, Session; import numpy as np;"
        "s = Session(Scan.from_array(np.zeros((8, 8)))); s.classes.add('oxide');"
        "print([m for m in ('torch', 'qtpy', 'napari') if m in sys.modules])"
    )
    assert run_python(code) == "[]"


def test_an_unknown_name_is_an_attribute_error():
    import napari_sesami

    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = napari_sesami.nothing


def test_arrows_point_one_way():
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_top_level_manifest_is_the_one_in_the_package():
    inside = ROOT / "src" / "napari_sesami" / "napari.yaml"
    assert (ROOT / "napari.yaml").resolve().read_bytes() == inside.read_bytes()


def test_every_command_of_the_manifest_imports():
    npe2 = Path(sys.executable).with_name("npe2")
    done = subprocess.run(
        [npe2, "validate", "--imports", "napari-sesami"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_three_files_of_one_prefix_are_a_folder():
    """A file has one idea, a folder gathers what belongs together."""
    prefixes = Counter(
        (path.parent.relative_to(ROOT), path.stem.split("_")[0])
        for path in (ROOT / "src").rglob("*_*.py")
        if not path.stem.startswith("_")
    )
    assert [found for found, count in prefixes.items() if count >= 3] == []


@pytest.mark.parametrize(
    "door", [p for p in SOURCE.rglob("__init__.py") if "lazy.attach" in p.read_text()],
    ids=lambda p: p.parent.relative_to(SOURCE).as_posix(),
)  # fmt: skip
def test_a_door_offers_what_it_declares(door):
    declared = {
        alias.asname or alias.name
        for node in ast.parse(door.read_text(encoding="utf-8")).body
        if isinstance(node, ast.If)
        for line in node.body
        if isinstance(line, ast.ImportFrom)
        for alias in line.names
    }
    room = import_module(".".join(door.parent.relative_to(SOURCE.parent).parts))
    assert declared == set(room.__all__)
    assert all(getattr(room, name) is not None for name in declared)


def test_no_circle_has_more_than_three_files():
    """Imports for types and those inside of functions are counted, too."""
    script = SOURCE.parents[1] / "scripts" / "measure_house.py"
    spec = spec_from_file_location("measure_house", script)
    measure = module_from_spec(spec)
    sys.modules["measure_house"] = measure  # dataclasses look there
    try:
        spec.loader.exec_module(measure)
        circles = measure.House(SOURCE.parents[1]).circles(lazy=True)
    finally:
        del sys.modules["measure_house"]
    assert circles  # it finds the small ones
    assert [circle for circle in circles if len(circle) > 3] == []


def test_every_class_name_is_used_once():
    """Whoever reads a name knows which class it is; underscores do not count."""
    homes = defaultdict(list)
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef):
                homes[node.name.lstrip("_")].append(path.relative_to(ROOT / "src"))
    left = {n: [str(h) for h in found] for n, found in homes.items() if len(found) > 1}
    assert not left, "\n".join(f"{n}: {', '.join(h)}" for n, h in sorted(left.items()))
