"""What is installed and fetched: bounds, checksums, and a place to report."""

from __future__ import annotations

import importlib.util
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from packaging.version import Version

ROOT = Path(__file__).parents[2]


def bounds() -> dict[str, str]:
    path = ROOT / "scripts" / "check_minimal_versions.py"
    spec = importlib.util.spec_from_file_location("check_minimal_versions", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.bounds()


@pytest.mark.parametrize(("name", "lower"), bounds().items())
def test_every_dependency_has_a_lower_bound_that_is_met(name: str, lower: str) -> None:
    assert lower, f"{name} has no lower bound"
    try:
        has = version(name)
    except PackageNotFoundError:
        pytest.skip(f"{name} is not installed here")
    assert Version(has) >= Version(lower)


def test_there_is_a_page_on_security() -> None:
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    for word in ("report", "sesami self-test", "docs/reliability.md"):
        assert word in text


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_oldest_versions_pass() -> None:
    """Needs a network, or an index beside: everything is installed anew."""
    import subprocess
    import sys

    script = str(ROOT / "scripts" / "check_minimal_versions.py")
    subprocess.run([sys.executable, "-P", script, "scan", "project"], check=True)
