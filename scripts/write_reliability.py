"""Measure what docs/reliability.md says, and write the page.

``python scripts/write_reliability.py`` runs the tests of faults, the odd values, the
damaged files, the self-test and a soak (about an hour on a quiet machine); ``--quick``
takes fewer of each (ten minutes). ``--parts`` runs some of them; the page then holds
only these. If anything fails, the page is left as it is.
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
PAGE = ROOT / "docs" / "reliability.md"
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
    """Run a command in the checkout; return what it printed, or stop if it failed."""
    print("$", *command[1:], flush=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env=environment, check=False
    )
    if done.returncode:
        told = "\n".join((done.stdout + done.stderr).splitlines()[-40:])
        raise SystemExit(f"{told}\nIt failed, so {PAGE.name} was not written.")
    return done.stdout + done.stderr


def passed(paths: str) -> int:
    """How many tests of some files passed; none may fail."""
    said = run([sys.executable, "-m", "pytest", "-q", *paths.split()])
    count = re.search(r"(\d+) passed", said)
    if count is None:
        raise SystemExit(f"{said}\nNo test was run.")
    return int(count[1])


def table(rows: list[tuple[object, ...]], head: tuple[str, ...]) -> list[str]:
    """A table in Markdown."""
    lines = [head, tuple("---" for _ in head), *rows]
    return ["| " + " | ".join(str(cell) for cell in line) + " |" for line in lines]


def faults(quick: bool) -> list[str]:
    """Kill, fill and damage; the tests that do so."""
    del quick  # there are no fewer
    rows: list[tuple[object, ...]] = [(w, passed(p)) for w, p in FAULTS.items()]
    rows.append(("all", sum(int(str(count)) for _, count in rows)))
    head = "Tests that do such harm and then look whether all is there; all passed."
    return ["## Faults", "", head, "", *table(rows, ("fault", "tests"))]


def files(quick: bool) -> list[str]:
    """Open damaged files."""
    tried = 300 if quick else 1500
    text = run([sys.executable, "-u", "-m", "tests.trust.fuzz", str(tried)])
    ways = re.findall(r"^(\S.*?) {2,}(\S+(?: \(\d+\))?) +(\d+)$", text, re.M)
    kinds = ("fine", "sentence", "foreign", "crashed", "hung")
    by_way: dict[str, Counter[str]] = {}
    for way, result, number in ways:
        by_way.setdefault(way, Counter())[result.partition(" ")[0]] += int(number)
    by_way["all"] = counted(text, tried)
    rows: list[tuple[object, ...]] = [
        (way, sum(c.values()), *(c[k] for k in kinds)) for way, c in by_way.items()
    ]
    return [
        "## Damaged files",
        "",
        f"{tried} damaged files of every format, each opened and read in a process of "
        "its own with 20 s and 4 GB. A sentence is a `ScanError` without a line break; "
        "all else is foreign.",
        "",
        *table(rows, ("damage", "tried", *kinds)),
    ]


def odd(quick: bool) -> list[str]:
    """Put odd values into our own files."""
    tried = 300 if quick else 3000
    found = counted(run([sys.executable, "-m", "tests.trust.odd", str(tried)]), tried)
    return [
        "## Odd values in our own files",
        "",
        f"{tried} odd values (`null`, lists, huge numbers, names that lead out) in "
        f"JSON files of projects, runs, banks and cards: {found['sentence']} refused "
        f"in a sentence, {found['fine']} harmless or passed over, "
        f"**{found['foreign']} foreign**.",
    ]


def self_test(quick: bool) -> list[str]:
    """Do the main job under watch."""
    del quick
    said = run(
        [sys.executable, "-c",
         "from napari_sesami.cli import main; raise SystemExit(main(['self-test']))"]
    )  # fmt: skip
    kept = ("done", "network", "pickles", "processes", "elsewhere", "All")
    shown = [line.rstrip() for line in said.splitlines() if line.startswith(kept)]
    head = ["## The main job under watch", "", "```text", "$ sesami self-test"]
    return [*head, *shown, "```"]


def soak(quick: bool) -> list[str]:
    """Work for long."""
    rounds = 120 if quick else 2000
    said = run([sys.executable, "-u", "-m", "tests.trust.soak", str(rounds)])
    marks = [line for line in said.splitlines() if line.startswith("after")]
    if not marks:
        raise SystemExit(f"{said}\nThe soak told nothing.")
    return [
        "## Work for hours",
        "",
        f"{rounds} rounds of click, commit, undo, stroke, segment, undo, save; another "
        "scan every tenth round.",
        "",
        "```text",
        *marks[:: max(1, len(marks) // 12)],
        "```",
    ]


PARTS = {
    "faults": faults,
    "files": files,
    "odd": odd,
    "self-test": self_test,
    "soak": soak,
}


def main() -> None:
    """Measure and write."""
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--quick", action="store_true", help="fewer of each")
    ap.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    ap.add_argument("--out", type=Path, default=PAGE)
    args = ap.parse_args()
    begun = time.monotonic()
    pages = [[*PARTS[part](args.quick), ""] for part in args.parts]
    options = ["--quick"] * args.quick
    if args.parts != list(PARTS):
        options += ["--parts", *args.parts]
    command = " ".join(["python scripts/write_reliability.py", *options])
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    lines = [
        "# Reliability, in counts",
        "",
        f"Made by `{command}` in {(time.monotonic() - begun) / 60:.0f} "
        f"minutes on {platform.system()} {platform.machine()}, Python "
        f"{platform.python_version()}, {libraries}.",
        "What is promised is in [SECURITY.md](../SECURITY.md).",
        "",
        *(line for page in pages for line in page),
    ]
    args.out.write_text("\n".join(lines), "utf-8")
    print(args.out)


LIBRARIES = ("h5py", "tifffile", "numpy", "torch")


def counted(text: str, tried: int) -> Counter[str]:
    """Read the line "total {…}" of a count; all that was tried must be in it."""
    found: Counter[str] = Counter()
    for line in text.splitlines():
        if line.startswith("total "):
            for name, number in re.findall(r"'([a-z]+)[^']*': (\d+)", line):
                found[name] += int(number)
    if sum(found.values()) != tried:
        raise SystemExit(f"{text}\nOf {tried} only {sum(found.values())} were told.")
    return found


if __name__ == "__main__":
    main()
