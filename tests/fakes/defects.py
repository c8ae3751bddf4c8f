"""Small lots of drawn defects whose classes even a simple encoder can tell apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import tifffile

from napari_sesami.classify import Defect, DefectPicture, Lot
from napari_sesami.scan import Scan

if TYPE_CHECKING:
    from pathlib import Path

KINDS = ("speck", "scratch", "clean")
SIDE = 96


def draw(kind: str, seed: int, *, good: bool = False) -> np.ndarray:
    """Draw lines with a defect of a kind in the middle, or without one."""
    rng = np.random.default_rng([seed, *kind.encode()])
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    grey = 100 + 30 * np.sin(2 * np.pi * x / 12 + rng.uniform(0, 6))
    dy, dx = rng.uniform(-6, 6, 2)
    if kind == "speck" and not good:
        grey = np.where(np.hypot(y - dy, x - dx) < rng.uniform(6, 9), 230, grey)
    if kind == "scratch" and not good:
        line = (abs(y - dy + 0.5 * x) < 2.5) & (np.hypot(y, x) < 30)
        grey = np.where(line, 20, grey)
    own = rng if not good else np.random.default_rng(seed)
    return np.clip(grey + own.normal(0, 6, grey.shape), 0, 255).astype(np.uint8)


def lot_of(each: int = 6, lots: int = 2, labelled: bool = True) -> Lot:
    """Make a lot in memory: high and low pictures, and templates."""
    defects = []
    for k in range(each * len(KINDS) * lots):
        kind = KINDS[k % len(KINDS)]
        high, template = draw(kind, k), draw(kind, k, good=True)
        low = np.pad(high[::3, ::3], SIDE // 3, mode="wrap")
        pictures = [
            DefectPicture(scan=Scan.from_array(p)) for p in (high, low, template)
        ]
        defects.append(
            Defect(
                f"d{k}",
                *pictures,
                lot=f"lot {k // (each * len(KINDS))}",
                wafer="1",
                xy=(1000.0 * k, -500.0 * k),
                label=kind if labelled else None,
                labelled_by="file" if labelled else "",
            )
        )
    return Lot(defects, "drawn")


KLARF = """FileVersion 1 2;\r
FileTimestamp 01-02-26 03:04:05;\r
InspectionStationID "MFG" "MODEL; 7" "ID";\r
LotID "LOT 7";\r
WaferID "W03";\r
DiePitch 1.0e+003 2000;\r
SampleCenterLocation 500 0;\r
ClassLookup 3\r
 0 "Unclassified"\r
 7 "speck"\r
 9 "Kratzer ß";\r
{tiff}DefectRecordSpec {n} {spec};\r
DefectList\r
{rows};\r
SummarySpec 5 TESTNO NDEFECT DEFDENSITY NDIE NDEFDIE;\r
SummaryList\r
 1 {count} 0.1 10 2;\r
EndOfFile;\r
"""
SPEC = [
    "DEFECTID", "XREL", "YREL", "XINDEX", "YINDEX", "CLASSNUMBER", "TEST", "DSIZE",
    "IMAGECOUNT", "IMAGELIST",
]  # fmt: skip


def write_klarf(
    path: Path,
    numbers: list[int],
    *,
    spec: list[str] | None = None,
    images: bool = True,
    broken_page: int | None = None,
) -> Path:
    """Write a KLARF and its TIFF of two pages a defect: low, then high."""
    spec = spec or SPEC
    pages, rows = [], []
    for k, number in enumerate(numbers):
        kind = KINDS[k % len(KINDS)]
        high = draw(kind, k)
        pages += [np.pad(high[::3, ::3], 32, mode="wrap"), high]
        values = {
            "DEFECTID": k + 1, "XREL": 10.5 + k, "YREL": 20, "XINDEX": -1, "YINDEX": 2,
            "CLASSNUMBER": number, "TEST": 1, "DSIZE": 0.5,
            "IMAGECOUNT": 2 if images else 0, "IMAGELIST": 2 if images else 0,
        }  # fmt: skip
        line = " " + " ".join(str(values[c]) for c in spec)
        if images:
            line += f"\r\n  {2 * k + 1} 0\r\n  {2 * k + 2} 0"
        rows.append(line)
    text = KLARF.format(
        tiff="TiffFileName review.tif;\r\n" if images else "", n=len(spec),
        spec=" ".join(spec), rows="\r\n".join(rows), count=len(numbers),
    )  # fmt: skip
    path.write_bytes(text.encode("latin-1"))
    if images:
        file = path.with_name("review.tif")
        with tifffile.TiffWriter(file) as tif:
            for page in pages:
                tif.write(page, compression="zlib", contiguous=False)
        if broken_page is not None:
            with tifffile.TiffFile(file) as tif:
                page = tif.pages[broken_page]
                at, size = page.dataoffsets[0], page.databytecounts[0]
            with file.open("rb+") as stream:
                stream.seek(at)
                stream.write(b"\xff" * min(size, 64))
    return path
