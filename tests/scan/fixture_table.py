"""Print the table of docs/formats.md: every real file and what it opens as.

Run ``python tests/scan/fixture_table.py`` where shared/data lies beside the checkout.
"""

from __future__ import annotations

import sys
import tempfile
import zipfile
from pathlib import Path

from napari_sesami.scan import ScanError, list_images, open_scan

DATA = Path(__file__).parents[3] / "shared" / "data"
ENDINGS = (
    *(".dm3", ".dm4", ".mrc", ".emd", ".ser", ".emi", ".tif", ".nxs", ".jpg"),
    *(".txrm", ".xrm", ".zip"),
)


def rows(file: Path, shown: str) -> list[str]:
    """Lines of the table for one file: one per image that it holds."""
    try:
        listed = list_images(file)
        scans = [open_scan(file, image.key) for image in listed]
    except ScanError as error:
        why = str(error).replace(str(file.parent) + "/", "")
        return [f"| {shown} | – | – | {why} |"]
    lines = []
    for scan in scans:
        scan.plane(0)
        image = f"{shown} [{scan.image_key}]" if len(scans) > 1 else shown
        shape = " × ".join(map(str, scan.shape))
        lines.append(f"| {image} | {shape} | {scan.data.dtype} | {sizes(scan)} |")
    return lines


def sizes(scan: object) -> str:
    """Pixel size as people write it: once if y and x agree."""
    axes, size, units = scan.axes, scan.pixel_size, scan.units  # type: ignore[attr-defined]
    said = {
        axis: f"{value:.6g} {unit}" if value else "unknown"
        for axis, value, unit in zip(axes, size, units, strict=True)
        if axis != "c"
    }
    plane = said.pop("y"), said.pop("x")
    both = [plane[0]] if plane[0] == plane[1] else [f"y {plane[0]}", f"x {plane[1]}"]
    return ", ".join([*(f"{axis} {text}" for axis, text in said.items()), *both])


def main() -> None:
    """Print the table; archives are unpacked to a temporary folder first."""
    if not DATA.is_dir():
        sys.exit("shared/data is not beside the checkout")
    print("| file | shape | dtype | pixel size, or why it does not open |")
    print("|---|---|---|---|")
    folders = [DATA / "format_fixtures", DATA / "xrm_testchip"]
    files = sorted(f for folder in folders for f in folder.rglob("*"))
    for file in files:
        shown = str(file.relative_to(DATA)).removeprefix("format_fixtures/")
        if file.suffix == ".zip":
            with tempfile.TemporaryDirectory() as folder:
                zipfile.ZipFile(file).extractall(folder)
                for inner in sorted(Path(folder).rglob("*.tif")):
                    print("\n".join(rows(inner, f"{shown}: {inner.name}")))
        elif file.suffix in ENDINGS:
            print("\n".join(rows(file, shown)))


if __name__ == "__main__":
    main()
