"""What people install: wheels, built both ways, away from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SESAMI = "import sys; from napari_sesami.cli import main; sys.exit(main())"
PACKAGE = ROOT / "src" / "napari_sesami"


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> tuple[Path, Path, Path]:
    """Build sdist, the wheel from it, and the wheel straight from the checkout."""
    out = tmp_path_factory.mktemp("dist")
    for how, folder in ((), "both"), (("--wheel",), "straight"):
        _run(["-m", "build", "--no-isolation", *how, "-o", out / folder, ROOT], out)
    (sdist,) = (out / "both").glob("*.tar.gz")
    (wheel,) = (out / "both").glob("*.whl")
    (straight,) = (out / "straight").glob("*.whl")
    return sdist, wheel, straight


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory) -> dict[str, str]:
    """Install the wheel of the sdist into a folder; give the environment of its use."""
    folder = tmp_path_factory.mktemp("installed")
    pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--target", folder]
    _run([*pip, built[1]], folder)
    return os.environ | {"PYTHONPATH": str(folder)}


def test_both_wheels_hold_every_file_of_the_package(built):
    tracked = {
        path.relative_to(PACKAGE.parent).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    for wheel in built[1:]:
        held = {n for n in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in n}
        assert held == tracked


def test_the_sdist_holds_what_a_packager_needs(built):
    names = tarfile.open(built[0]).getnames()
    held = {name.partition("/")[2] for name in names}
    assert {"LICENSE", "CITATION.cff", "tests/run.sh", "docs/README.md"} <= held


def test_the_hub_shows_links_and_pictures_that_lead_somewhere(built):
    wheel = zipfile.ZipFile(built[1])
    (path,) = (n for n in wheel.namelist() if n.endswith("/METADATA"))
    metadata = HeaderParser().parsestr(wheel.read(path).decode())
    urls = dict(u.split(", ") for u in metadata.get_all("Project-URL"))
    assert {"Homepage", "Documentation", "Source", "Issues"} <= set(urls)
    assert "Framework :: napari" in metadata.get_all("Classifier")
    text = metadata.get_payload()
    assert "](docs/" not in text and "(https://raw.githubusercontent.com/" in text


def test_the_citation_names_the_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    cited = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"version: {project['version']}\n" in cited
    assert project["urls"]["Source"] in cited


def test_samples_come_along(installed, tmp_path):
    code = (
        "import napari_sesami;"
        "from napari_sesami.scan import list_samples, load_sample;"
        "print(napari_sesami.__file__);"
        "[print(key, load_sample(key).scan.shape) for key in list_samples()]"
    )
    where, *samples = _run(["-c", code], tmp_path, installed).splitlines()
    assert where.startswith(installed["PYTHONPATH"])
    assert len(samples) == 4


def test_the_doctor_finds_it_well(installed, tmp_path):
    told = _run(["-c", SESAMI, "doctor"], tmp_path, installed)
    assert "napari plugin: Sesami" in told


def test_the_demo_runs(installed, tmp_path):
    _run(["-c", SESAMI, "demo", "--headless", "-o", "out"], tmp_path, installed)
    assert list((tmp_path / "out").glob("*.png"))


def _run(command: list[object], folder: Path, environment: object = None) -> str:
    done = subprocess.run(
        [sys.executable, "-P", *map(str, command)],
        cwd=folder, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
