"""Two scans of different units through every page, saved, killed and opened again."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from napari_sesami.viewer.app.pages import PAGES

pytestmark = pytest.mark.gui
ROOT = Path(__file__).parents[2]
LONG = 400  # seconds that one half may take on a busy machine; alone it takes 20


def walk(part: str, folder: Path) -> int:
    command = [sys.executable, "-m", "tests.fakes.walk", part, str(folder)]
    return subprocess.run(command, cwd=ROOT, timeout=LONG, check=False).returncode


def test_nothing_is_lost_between_two_scans_and_a_kill(tmp_path):
    assert walk("work", tmp_path) == -signal.SIGKILL
    assert walk("again", tmp_path) == 0
    lines = (tmp_path / "said.jsonl").read_text().splitlines()
    said = [json.loads(line) for line in lines]
    first, painted, *pages = said[: 2 + len(PAGES)]
    assert first == {"plane": 36, "units": 1}  # the middle; one unit for all layers
    assert painted["painted"] > 100
    assert [each["page"] for each in pages] == [page.name for page in PAGES]
    assert all(each["same"] and each["visible"] for each in pages), pages
    saved, back, kept, last, sheets, bumps = said[2 + len(PAGES) :]
    assert back == kept  # the scan behind is as it was left
    assert kept["back"]["objects"] == 1 and kept["back"]["units"] == ["nm", "nm"]
    assert last["last"]["strokes"] > kept["back"]["strokes"]
    # strokes after the last save came through the kill, too
    assert sheets == {"again": "sheets", **last["last"]}
    assert bumps == {"again": "bumps", **saved["saved"]}
    assert bumps["objects"] == 1 and sum(map(bool, bumps["labelled"])) >= 3
