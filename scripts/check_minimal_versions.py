"""Run the fast tests with the oldest versions that pyproject.toml allows.

``python scripts/check_minimal_versions.py`` makes an environment of its own in a
temporary folder, installs exactly the lower bound of every dependency and runs the
tests of some rooms (default: common, scan, project, retrieve, trust).
``--list`` only prints the bounds, and fails where a dependency has none.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
ROOMS = ("common", "scan", "project", "retrieve", "trust")
NOT = {"torch": ",!=2.13.0+cpu"}  # no torchvision was ever built for it


def bounds() -> dict[str, str]:
    """Return the lower bound of each dependency; "" where there is none."""
    told = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    found = {}
    for text in told["dependencies"]:
        need = Requirement(text)
        lower = [s.version for s in need.specifier if s.operator in (">=", "==", "~=")]
        found[need.name] = lower[0] if lower else ""
    return found


def main() -> int:
    """Install the lower bounds and run the tests with them."""
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("rooms", nargs="*", default=ROOMS)
    ap.add_argument("--list", action="store_true", help="only print the bounds")
    args = ap.parse_args()
    found = bounds()
    for name, lower in sorted(found.items()):
        print(f"{name:30} {lower or 'NO LOWER BOUND'}")
    if args.list or "" in found.values():
        return int("" in found.values())
    with tempfile.TemporaryDirectory(prefix="sesami-minimal-") as place:
        python = Path(place) / "bin" / "python"
        if sys.platform == "win32":
            python = Path(place) / "Scripts" / "python.exe"
        subprocess.run([sys.executable, "-P", "-m", "venv", place], check=True)
        pins = [f"{n}=={lower}.*{NOT.get(n, '')}" for n, lower in found.items()]
        install = [str(python), "-P", "-m", "pip", "install", "-q"]
        subprocess.run([*install, "-e", f"{ROOT}[test,all]", *pins], check=True)
        tests = [str(ROOT / "tests" / room) for room in args.rooms]
        run = [str(python), "-P", "-m", "pytest", "-q", *tests]
        return subprocess.run(run, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
