"""rosettasciio: asked last, only where it is installed, never a dependency."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_sesami.scan import ScanError, open_scan

if TYPE_CHECKING:
    from pathlib import Path


def test_without_it_the_format_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "napari_sesami.scan.readers.rsciio.find_spec", lambda name: None
    )
    (tmp_path / "map.bcf").write_bytes(b"AAMVHFSS" + b"\0" * 100)
    with pytest.raises(ScanError, match=r"map\.bcf is in no format that Sesami reads"):
        open_scan(tmp_path / "map.bcf")


def test_our_own_readers_never_load_it(tmp_path: Path, shared_data: Path) -> None:
    open_scan(shared_data / "format_fixtures/ncempy/temp.mrc")
    assert "rsciio.mrc" not in sys.modules


def test_its_formats_open_with_size_and_units(tmp_path: Path) -> None:
    pytest.importorskip("rsciio", reason="rosettasciio (GPL) is not installed")
    from rsciio.blockfile import file_writer

    data = np.arange(2 * 3 * 4 * 4, dtype=np.uint8).reshape(2, 3, 4, 4)
    scales = [(2.0, "nm"), (2.0, "nm"), (0.5, "cm"), (0.5, "cm")]
    axes = [
        {"name": n, "scale": s, "units": u, "offset": 0.0, "size": z, "navigate": i < 2}
        for i, (n, (s, u), z) in enumerate(
            zip(("y", "x", "dy", "dx"), scales, data.shape, strict=True)
        )
    ]
    signal = {"data": data, "axes": axes, "metadata": {}, "original_metadata": {}}
    signal["attributes"] = {"_lazy": False}
    file_writer(str(tmp_path / "map.blo"), signal)
    scan = open_scan(tmp_path / "map.blo")
    np.testing.assert_array_equal(np.asarray(scan.data), data)
    assert scan.units[0] == "nm"
