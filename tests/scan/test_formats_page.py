"""docs/formats.md says what the readers do today."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from napari_sesami.scan import readable_extensions

from .fixture_table import DATA, rows

PAGE = Path(__file__).parents[2] / "docs" / "formats.md"


@pytest.mark.parametrize("ending", [".dm3", ".mrc", ".emd", ".ser", ".emi", ".txrm"])
def test_the_table_of_real_files_is_up_to_date(shared_data: Path, ending: str) -> None:
    said = PAGE.read_text(encoding="utf-8").splitlines()
    files = sorted(shared_data.rglob(f"*{ending}"))
    assert files
    for file in files:
        shown = str(file.relative_to(DATA)).removeprefix("format_fixtures/")
        for row in rows(file, shown):
            assert row in said


def test_every_ending_is_on_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    named = set(re.findall(r"\.[a-z0-9]+", page))
    rare = {".tf8", ".tf2", ".hdf", ".nx", ".nexus", ".jpeg", ".dicom", ".dic", ".ima"}
    assert set(readable_extensions()) - rare <= named
