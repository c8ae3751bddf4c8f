"""Measure what docs/reliability.md says, and write the page.

``python scripts/write_reliability.py`` runs the tests of faults, the odd values, the
damaged files, the self-test and a soak (about an hour on a quiet machine); ``--quick``
takes fewer of each (ten minutes).
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[1]
FAULTS = {
    "killed at random moments, and within a save": "tests/project/test_crash.py",
    "full disk, read-only folder, saves that failed": "tests/project/test_saving.py",
    "two processes, one project": "tests/project/test_lock.py",
    "torn and damaged journals": "tests/project/test_journal.py",
    "worker killed, orphaned, out of memory": "tests/train/test_engine_worker.py",
    "NaN, damaged checkpoint, lost device, full disk while training": (
        "tests/train/test_engine_trouble.py"
    ),
    "projects, runs and cards of strangers": (
        "tests/trust/test_hostile_project.py tests/trust/test_looking.py"
    ),
}


def run(command: list[str]) -> str:
    """Run a command in the checkout; return all that it printed."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env=environment, check=False
    )
    return done.stdout + done.stderr


def tests(paths: str) -> tuple[int, int]:
    """Passed and failed tests of some files."""
    said = run([sys.executable, "-m", "pytest", "-q", *paths.split()])
    last = said.strip().splitlines()[-1] if said.strip() else ""
    counts = {w: int(n) for n, w in re.findall(r"(\d+) (passed|failed|error)", last)}
    return counts.get("passed", 0), counts.get("failed", 0) + counts.get("error", 0)


def table(rows: list[tuple[object, ...]], head: tuple[str, ...]) -> list[str]:
    """A table in Markdown."""
    lines = [head, tuple("---" for _ in head), *rows]
    return ["| " + " | ".join(str(cell) for cell in line) + " |" for line in lines]


def main() -> None:
    """Measure and write."""
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--quick", action="store_true", help="fewer of each")
    ap.add_argument("--without-faults", action="store_true", help="not their tests")
    ap.add_argument("--out", type=Path, default=ROOT / "docs" / "reliability.md")
    args = ap.parse_args()
    odd, damaged, rounds = (300, 300, 40) if args.quick else (3000, 1500, 2000)
    sys.path.insert(0, str(ROOT))
    begun = time.monotonic()
    faults: list[tuple[object, ...]] = []
    for what, paths in FAULTS.items():
        counts = ("not run", "–") if args.without_faults else tests(paths)
        faults.append((what, *counts))
    options = [o for o in sys.argv[1:] if o in ("--quick", "--without-faults")]
    text = run([sys.executable, "-m", "tests.trust.odd", str(odd)])
    odd_counts = counted(text)
    text = run([sys.executable, "-u", "-m", "tests.trust.fuzz", str(damaged)])
    ways = re.findall(r"^(\S.*?) {2,}(\S+(?: \(\d+\))?) +(\d+)$", text, re.M)
    bad = counted(text)
    self_test = run(
        [sys.executable, "-c",
         "from napari_sesami.cli import main; raise SystemExit(main(['self-test']))"]
    )  # fmt: skip
    soak = run([sys.executable, "-u", "-m", "tests.trust.soak", str(rounds)])
    kinds = ("fine", "sentence", "foreign", "crashed", "hung")
    by_way: dict[str, Counter[str]] = {}
    for way, result, number in ways:
        by_way.setdefault(way, Counter())[result.partition(" ")[0]] += int(number)
    bad_rows = [
        (way, sum(c.values()), *(c[k] for k in kinds)) for way, c in by_way.items()
    ]
    bad_rows.append(("all", sum(bad.values()), *(bad[k] for k in kinds)))
    command = " ".join(["python scripts/write_reliability.py", *options])
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    odd_total = sum(odd_counts.values())
    lines = [
        "# Reliability, in counts",
        "",
        f"Made by `{command}` in {(time.monotonic() - begun) / 60:.0f} "
        f"minutes on {platform.system()} {platform.machine()}, Python "
        f"{platform.python_version()}, {libraries}.",
        "What is promised is in [SECURITY.md](../SECURITY.md).",
        "",
        "## Faults",
        "",
        *table(faults, ("fault", "tests passed", "failed")),
        "",
        "## Damaged files",
        "",
        f"{sum(bad.values())} damaged files of every format, each opened and read in a "
        "process of its own with 20 s and 4 GB. A sentence is a `ScanError` without a "
        "line break; all else is foreign.",
        "",
        *table(bad_rows, ("damage", "tried", *kinds)),
        "",
        "## Odd values in our own files",
        "",
        f"{odd_total} odd values (`null`, lists, huge numbers, names that lead out) in "
        f"JSON files of projects, runs, banks and cards: {odd_counts['sentence']} "
        f"refused in a sentence, {odd_counts['fine']} harmless or passed over, "
        f"**{odd_counts['foreign']} foreign**.",
        "",
        "## The main job under watch",
        "",
        "```text",
        "$ sesami self-test",
        *shown(self_test),
        "```",
        "",
        "## Work for hours",
        "",
        f"{rounds} rounds of click, commit, undo, stroke, segment, undo, save; another "
        "scan every tenth round.",
        "",
        "```text",
        *[line for line in soak.splitlines() if line.startswith("after")],
        "```",
        "",
    ]
    args.out.write_text("\n".join(lines), "utf-8")
    print(args.out)


LIBRARIES = ("h5py", "tifffile", "numpy", "torch")


def shown(text: str) -> list[str]:
    """Lines of the self-test, with places that say nothing left out."""
    kept = ("done", "network", "pickles", "processes", "elsewhere", "All", "A promise")
    return [line for line in text.splitlines() if line.startswith(kept)]


def counted(text: str) -> Counter[str]:
    """Read the line "total {…}" of a count."""
    found: Counter[str] = Counter()
    for line in text.splitlines():
        if line.startswith("total "):
            for name, number in re.findall(r"'([a-z]+)[^']*': (\d+)", line):
                found[name] += int(number)
    return found


if __name__ == "__main__":
    main()
